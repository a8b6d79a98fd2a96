"""What each policy of Istio's does for an unmodified grpcio client: one service and one test for each."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
import pytest_asyncio
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pymesh.cli import main
from pymesh.identity import workload_id
from pymesh.local.ports import HOST
from pymesh_certs import keys
from tests.waiting import eventually

from .grpc_clients import METHOD
from .stage import Stage, resource, staged

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOMAIN = "default.svc.cluster.local"
PLACES = {"a": "here/1", "b": "there/1"}
SLOW = 0.6  # seconds that a slow answer takes
OUTLIERS = {"consecutive5xxErrors": 3, "interval": "0.2s", "baseEjectionTime": "300s", "maxEjectionPercent": 100}

SUBSETS = [{"name": name, "labels": {"version": name}} for name in PLACES]


def to(subset: str | None = None) -> list[Any]:
    """A route to the service itself, whose name is put in later."""
    return [{"destination": {"host": "", **({"subset": subset} if subset else {})}}]


HTTP: dict[str, list[dict[str, Any]]] = {
    "headers": [{"match": [{"headers": {"user": {"exact": "jason"}}}], "route": to("b")}, {"route": to("a")}],
    "without": [{"match": [{"withoutHeaders": {"user": {"exact": "jason"}}}], "route": to("b")}, {"route": to("a")}],
    "method": [{"match": [{"uri": {"exact": METHOD}}], "route": to("b")}, {"route": to("a")}],
    "queried": [{"match": [{"queryParams": {"q": {"exact": "1"}}}], "route": to("b")}, {"route": to("a")}],
    "abort": [{"fault": {"abort": {"grpcStatus": "DATA_LOSS", "percentage": {"value": 100}}}, "route": to()}],
    "status": [{"fault": {"abort": {"httpStatus": 404, "percentage": {"value": 100}}}, "route": to()}],
    "delay": [{"fault": {"delay": {"fixedDelay": "0.4s", "percentage": {"value": 100}}}, "route": to()}],
    "timeout": [{"timeout": "0.2s", "route": to()}],
    "retried": [{"retries": {"attempts": 2, "retryOn": "unavailable"}, "route": to()}],
    "unretried": [{"retries": {"attempts": 0}, "route": to()}],
    "outliers": [{"retries": {"attempts": 0}, "route": to()}],
    "strange": [
        {
            "corsPolicy": {"allowOrigins": [{"exact": "*"}]},
            "mirror": {"host": "patient"},
            "headers": {"request": {"add": {"x": "y"}}},
            "rewrite": {"authority": "other"},
            "route": to(),
        }
    ],
    "redirected": [{"redirect": {"uri": "/else"}}],
}

POLICIES: dict[str, dict[str, Any]] = {
    "broken": {"connectionPool": {"http": {"http2MaxRequests": 1}}},
    "outliers": {"outlierDetection": OUTLIERS, "loadBalancer": {"localityLbSetting": {"enabled": False}}},
    "ring": {"loadBalancer": {"consistentHash": {"httpHeaderName": "user", "ringHash": {"minimumRingSize": 512}}}},
    "maglev": {"loadBalancer": {"consistentHash": {"httpHeaderName": "user", "maglev": {}}}},
    "source": {"loadBalancer": {"consistentHash": {"useSourceIp": True}}},
    "random": {"loadBalancer": {"simple": "RANDOM"}},
    "near": {"outlierDetection": OUTLIERS},
    "mutual": {"tls": {"mode": "ISTIO_MUTUAL"}},
    "imposter": {"tls": {"mode": "ISTIO_MUTUAL"}},
    "far": {"loadBalancer": {"localityLbSetting": {"distribute": [{"from": "here/*", "to": {"there/*": 100}}]}}},
}

ACCOUNTS = {"mutual": "server", "imposter": "somebody"}
"""Who is said to serve; in truth it is `server`."""

PLAIN = ("patient", "named")


def service(name: str, ports: Mapping[str, int]) -> dict[str, Any]:
    """A service with both servers; `named` has one, by a name to resolve."""
    spec = {"hosts": [f"{name}.{DOMAIN}"], "location": "MESH_INTERNAL", "ports": [{"number": 7070, "name": "grpc", "protocol": "GRPC"}]}
    if name == "named":
        return resource(
            "ServiceEntry", name, {**spec, "resolution": "DNS", "endpoints": [{"address": "localhost", "ports": {"grpc": ports["a"]}}]}
        )
    if name in ACCOUNTS:
        point = {"address": HOST, "ports": {"grpc": ports["secure"]}, "serviceAccount": ACCOUNTS[name]}
        return resource("ServiceEntry", name, {**spec, "resolution": "STATIC", "endpoints": [point]})
    points = [
        {"address": HOST, "ports": {"grpc": port}, "labels": {"version": version}, "locality": PLACES[version]}
        for version, port in ports.items()
        if version in PLACES
    ]
    return resource("ServiceEntry", name, {**spec, "resolution": "STATIC", "endpoints": points})


def ailing(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """A Service of Kubernetes with both servers, of which `b` is not ready."""

    def slice_of(version: str) -> dict[str, Any]:
        metadata = {"name": f"ailing-{version}", "namespace": "default", "labels": {"kubernetes.io/service-name": "ailing"}}
        point = {"addresses": [HOST], "conditions": {"ready": version == "a"}}
        port = {"name": "grpc", "port": ports[version]}
        head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
        return {**head, "addressType": "IPv4", "endpoints": [point], "ports": [port]}

    spec = {"clusterIP": "10.9.0.1", "ports": [{"name": "grpc", "port": 7070}]}
    named = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ailing", "namespace": "default"}, "spec": spec}
    return [named, *map(slice_of, PLACES)]


def routing(name: str) -> dict[str, Any]:
    """The VirtualService of a name in HTTP."""
    text = json.dumps({"hosts": [name], "http": HTTP[name]}).replace('"host": ""', f'"host": "{name}"')
    return resource("VirtualService", name, json.loads(text))


def rule(name: str) -> dict[str, Any]:
    policy = {"trafficPolicy": POLICIES[name]} if name in POLICIES else {}
    return resource("DestinationRule", name, {"host": name, **policy, "subsets": SUBSETS})


def server(version: str) -> tuple[grpc.aio.Server, int]:
    """A server that does as the request says, else answers with its version."""

    async def who(request: bytes, context: Any) -> bytes:
        if request == b"slow":
            await asyncio.sleep(SLOW)
        retried = any(name == "grpc-previous-rpc-attempts" for name, _ in context.invocation_metadata())
        if (request == b"flaky" and not retried) or request == f"not {version}".encode():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "as asked")
        return version.encode()

    made = grpc.aio.server()
    _, group, method = METHOD.split("/")
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(group, {method: grpc.unary_unary_rpc_method_handler(who)}),))
    return made, made.add_insecure_port(f"{HOST}:0")


def secure_server(certificates: Path) -> tuple[grpc.aio.Server, int]:
    """A server that takes clients with a certificate only, and answers with the identity in it."""

    async def who(_: bytes, context: Any) -> bytes:
        return b" ".join(context.peer_identities())

    key, chain, root = ((certificates / name).read_bytes() for name in ("key.pem", "cert-chain.pem", "root-cert.pem"))
    made = grpc.aio.server()
    _, group, method = METHOD.split("/")
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(group, {method: grpc.unary_unary_rpc_method_handler(who)}),))
    return made, made.add_secure_port(f"{HOST}:0", grpc.ssl_server_credentials([(key, chain)], root, require_client_auth=True))


class Clients:
    """The process of the clients."""

    def __init__(self, process: asyncio.subprocess.Process, stage: Stage) -> None:
        self._process = process
        self._stage = stage

    async def call(self, name: str, message: str = "who", times: int = 1, **headers: str) -> list[tuple[str, float]]:
        """(answer or status, seconds) of each of so many calls made at once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"target": f"xds:///{name}.{DOMAIN}:7070", "message": message, "times": times, "headers": headers}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        return [(said, took) for said, took in json.loads(await self._process.stdout.readline())]

    async def said(self, name: str, message: str = "who", times: int = 1, **headers: str) -> set[str]:
        return {said for said, _ in await self.call(name, message, times, **headers)}

    async def spread(self, name: str) -> set[str]:
        """Who answers many calls, once all servers are connected to."""
        return await self.said(name, times=64)

    async def standings(self) -> set[str]:
        """How the streams, one for each channel, stand with what they were sent."""
        url = f"http://{HOST}:{self._stage.control.monitoring}/debug/syncz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return {one["status"] for client in await answer.json() for one in client["types"].values()}


def certify(stage: Stage, account: str) -> Path:
    """A folder with the files of a workload's certificate, named as Istio's agent names them."""
    folder = stage.folder / account
    folder.mkdir()
    key = keys.generate()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    chain = stage.authority.sign(request.public_bytes(Encoding.PEM), workload_id("default", account), timedelta(hours=1))
    (folder / "key.pem").write_bytes(keys.to_pem(key))
    (folder / "cert-chain.pem").write_text("".join(chain))
    (folder / "root-cert.pem").write_bytes(stage.authority.root_pem)
    return folder


def bootstrap(stage: Stage, certificates: Path, labels: Mapping[str, str]) -> str:
    """What the command prints for a workload in region `here`."""
    variables = {
        "POD_NAME": "clients", "POD_NAMESPACE": "default", "INSTANCE_IP": "127.0.0.1",
        "ISTIO_METAJSON_LABELS": json.dumps({"istio-locality": "here.1", **labels}),
        "PROXY_CONFIG": f"{{discoveryAddress: '{HOST}:{stage.control.xds}', controlPlaneAuthPolicy: NONE}}",
        "OUTPUT_CERTS": str(certificates),
    }  # fmt: skip
    printed = CliRunner().invoke(main, ["grpc-bootstrap"], env=variables)
    assert printed.exit_code == 0, printed.output
    return str(printed.output)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def clients(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        ports = {}
        for version in PLACES:
            running, ports[version] = server(version)
            await running.start()
            stack.push_async_callback(running.stop, None)
        stage = await stack.enter_async_context(staged(tmp_path_factory.mktemp("grpc")))
        names = {**HTTP, **POLICIES, **dict.fromkeys(PLAIN)}
        secure, ports["secure"] = secure_server(certify(stage, "server"))
        await secure.start()
        stack.push_async_callback(secure.stop, None)
        stage.configure("ailing.yaml", *ailing(ports))
        stage.configure("services.yaml", *(service(name, ports) for name in names), *map(routing, HTTP), *map(rule, {**HTTP, **POLICIES}))
        await stage.start_control()
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__).parent / "grpc_clients.py"),
            env={"GRPC_XDS_BOOTSTRAP_CONFIG": bootstrap(stage, certify(stage, "client"), {})},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        yield Clients(process, stage)
        process.kill()
        await process.communicate()


@pytest.mark.parametrize(("name", "with_header", "without"), [("headers", "b", "a"), ("without", "a", "b")])
async def test_a_header_chooses_the_route(clients: Clients, name: str, with_header: str, without: str) -> None:
    assert await clients.said(name, user="jason") == {with_header}
    assert await clients.said(name) == {without}
    assert await clients.said(name, user="other") == {without}


async def test_the_called_method_chooses_the_route(clients: Clients) -> None:
    assert await clients.said("method") == {"b"}


async def test_a_route_by_query_is_never_taken(clients: Clients) -> None:
    assert await clients.said("queried") == {"a"}


@pytest.mark.parametrize(("name", "status"), [("abort", "DATA_LOSS"), ("status", "UNIMPLEMENTED")])
async def test_a_call_is_aborted(clients: Clients, name: str, status: str) -> None:
    assert await clients.said(name) == {status}


async def test_a_call_is_delayed(clients: Clients) -> None:
    ((said, took),) = await clients.call("delay")
    assert said in PLACES
    assert took >= 0.4


async def test_a_timeout_ends_a_call(clients: Clients) -> None:
    await clients.said("timeout")
    ((said, took),) = await clients.call("timeout", "slow")
    assert said == "DEADLINE_EXCEEDED"
    assert took < SLOW
    assert await clients.said("patient", "slow") <= set(PLACES)


@pytest.mark.parametrize(
    ("name", "answers"), [("retried", set(PLACES)), ("patient", set(PLACES)), ("unretried", {"UNAVAILABLE"})]
)  # fmt: skip
async def test_a_failed_call_is_retried(clients: Clients, name: str, answers: set[str]) -> None:
    assert await clients.said(name, "flaky") <= answers


async def test_calls_beyond_the_limit_are_refused(clients: Clients) -> None:
    await clients.said("broken")
    said = [said for said, _ in await clients.call("broken", "slow", times=4)]
    assert said.count("UNAVAILABLE") == 3


async def test_a_failing_server_is_ejected(clients: Clients) -> None:
    await eventually(lambda: clients.spread("outliers"), lambda said: said == {"a", "b"})

    async def fail() -> set[str]:
        return await clients.said("outliers", "not b", times=16)

    assert "UNAVAILABLE" in await fail()
    await eventually(fail, lambda said: said == {"a"})


async def test_servers_take_turns(clients: Clients) -> None:
    await eventually(lambda: clients.spread("random"), lambda said: said == {"a", "b"})


@pytest.mark.parametrize("name", ["ring", "maglev"])
async def test_equal_headers_go_to_one_server(clients: Clients, name: str) -> None:
    chosen = [await clients.said(name, times=4, user=f"user {number}") for number in range(16)]
    assert all(len(one) == 1 for one in chosen)
    assert set().union(*chosen) == {"a", "b"}


async def test_a_client_stays_where_its_address_sends_it(clients: Clients) -> None:
    assert len(await clients.said("source", times=32)) == 1


@pytest.mark.parametrize(("name", "server"), [("near", "a"), ("far", "b")])
async def test_locality_chooses_the_server(clients: Clients, name: str, server: str) -> None:
    assert await clients.spread(name) == {server}


async def test_a_server_that_is_not_ready_is_not_called(clients: Clients) -> None:
    assert await clients.spread("ailing") == {"a"}


async def test_mutual_tls_shows_who_calls_and_verifies_who_answers(clients: Clients) -> None:
    assert await clients.said("mutual") == {"spiffe://cluster.local/ns/default/sa/client"}
    assert await clients.said("imposter") == {"UNAVAILABLE"}


async def test_a_name_is_resolved(clients: Clients) -> None:
    assert await clients.said("named") == {"a"}


async def test_what_has_no_meaning_for_clients_does_not_cost_them_the_route(clients: Clients) -> None:
    assert await clients.said("strange") <= set(PLACES)
    assert await clients.said("redirected") == {"UNAVAILABLE"}


async def test_everything_sent_was_accepted(clients: Clients) -> None:
    for name in {**HTTP, **POLICIES, **dict.fromkeys(PLAIN)}:
        await clients.said(name)
    await eventually(clients.standings, lambda found: found == {"SYNCED"})
