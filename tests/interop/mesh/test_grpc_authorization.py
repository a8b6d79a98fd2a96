"""An unmodified grpcio server enforces AuthorizationPolicies by itself: one port, and a service, for each rule."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.waiting import eventually

from .grpc_clients import METHOD
from .stage import resource, staged
from .test_grpc_policies import DOMAIN, Clients
from .test_grpc_servers import LABELS, MUTUAL, service, start

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIENT = "cluster.local/ns/default/sa/client"


def of(**source: Any) -> dict[str, Any]:
    return {"from": [{"source": source}]}


def to(**operation: Any) -> dict[str, Any]:
    return {"to": [{"operation": operation}]}


def when(key: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"when": [{"key": key, **({"values": values} if values else {}), **more}]}


RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "principal": (of(principals=[CLIENT]), of(principals=["cluster.local/ns/default/sa/other"])),
    "principal-head": (of(principals=["cluster.local/ns/def*"]), of(principals=["cluster.local/ns/oth*"])),
    "principal-tail": (of(principals=["*/sa/client"]), of(principals=["*/sa/other"])),
    "principal-any": (of(principals=["*"]), of(notPrincipals=["*"])),
    "namespace": (of(namespaces=["default"]), of(namespaces=["other"])),
    "namespace-head": (of(namespaces=["def*"]), of(notNamespaces=["def*"])),
    "account": (of(serviceAccounts=["client"]), of(serviceAccounts=["other/client"])),
    "domain": (of(trustDomains=["cluster.local"]), of(trustDomains=["other.example"])),
    "address": (of(ipBlocks=["127.0.0.0/8"]), of(ipBlocks=["10.0.0.1"])),
    "far-address": (of(remoteIpBlocks=["127.0.0.1"]), of(notRemoteIpBlocks=["127.0.0.1"])),
    "token": (of(notRequestPrincipals=["*"]), of(requestPrincipals=["*"])),
    "host": (to(hosts=[f"*.{DOMAIN.upper()}:7070"]), to(hosts=["other"])),
    "method": (to(methods=["POST"]), to(methods=["GET"])),
    "path": (to(paths=[METHOD]), to(paths=["/mesh.Test/Other"])),
    "path-head": (to(paths=["/mesh.Test/*"]), to(paths=["/mesh.Other/*"])),
    "path-segment": (to(paths=["/mesh.Test/{*}"]), to(paths=["/{*}"])),
    "path-segments": (to(paths=["/{**}"]), to(notPaths=["/{**}"])),
    "header": (when("request.headers[user]", "jason"), when("request.headers[user]", "other")),
    "header-any": (when("request.headers[user]", "*"), when("request.headers[stranger]", "*")),
    "header-not": (when("request.headers[user]", notValues=["o*"]), when("request.headers[user]", notValues=["j*"])),
    "header-unseen": (when("request.headers[grpc-timeout]", notValues=["x"]), when("request.headers[grpc-timeout]", "*")),
    "when-address": (when("source.ip", "127.0.0.1"), when("remote.ip", "10.0.0.0/8")),
    "when-namespace": (when("source.namespace", "default"), when("source.namespace", "other")),
    "when-account": (when("source.serviceAccount", "default/client"), when("source.serviceAccount", "other")),
    "when-principal": (when("source.principal", CLIENT), when("source.principal", notValues=[CLIENT])),
    "when-token": (when("request.auth.claims[iss]", notValues=["x"]), when("request.auth.claims[iss]", "x")),
    "own-address": (when("destination.ip", "127.0.0.1"), when("destination.ip", "10.0.0.1")),
    "server-name": (when("connection.sni", notValues=["other"]), when("connection.sni", "other")),
    "filters": (when("experimental.envoy.filters.a.b[c]", notValues=["x"]), when("experimental.envoy.filters.a.b[c]", "x")),
    "both": (of(namespaces=["default"]) | to(paths=[METHOD]), of(namespaces=["default"]) | to(paths=["/other"])),
    "either": ({"from": [*of(namespaces=["other"])["from"], *of(namespaces=["default"])["from"]]}, of(namespaces=["a", "b"])),
}
"""By what they look at: a rule that fits the call, and one that does not."""

PERMITTED, REFUSED = {"spiffe://" + CLIENT}, {"PERMISSION_DENIED"}


def at(port: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule for one port."""
    targets = rule.get("to") or [{"operation": {}}]
    return {**rule, "to": [{"operation": {**one["operation"], "ports": [str(port)]}} for one in targets]}


def policy(name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    made = resource("AuthorizationPolicy", name, {"selector": {"matchLabels": LABELS}, **spec})
    return {**made, "apiVersion": "security.istio.io/v1", "metadata": {**made["metadata"], **metadata}}


def resources(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """Each rule stands alone on `NAME-fits` and `NAME-other`, and refuses on `NAME-denied`, where all is permitted otherwise."""
    rules = {f"{name}-{kind}": rule for name, pair in RULES.items() for kind, rule in zip(("fits", "other"), pair, strict=True)}
    allowed = [at(ports[name], rules.get(name, {})) for name in ports]
    denied = [at(ports[f"{name}-denied"], fits) for name, (fits, _) in RULES.items()]
    strict = {"selector": {"matchLabels": LABELS}, "mtls": {"mode": "STRICT"}}
    return [
        *(service(name, port) for name, port in ports.items()),
        resource("DestinationRule", "all", {"host": f"*.{DOMAIN}", **MUTUAL}),
        {**resource("PeerAuthentication", "strict", strict), "apiVersion": "security.istio.io/v1"},
        policy("allowed", {"rules": allowed}),
        policy("denied", {"action": "DENY", "rules": denied}),
        policy("tried", {"action": "DENY", "rules": [{}]}, annotations={"istio.io/dry-run": "true"}),
        policy("told", {"action": "AUDIT", "rules": [{}]}),
        policy("elsewhere", {"action": "DENY", "rules": [{}], "selector": {"matchLabels": {"app": "other"}}}),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def clients(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clients]:
    async with staged(tmp_path_factory.mktemp("grpc")) as stage:
        ports = {f"{name}-{kind}": stage.ports.take() for name in RULES for kind in ("fits", "other", "denied")}
        stage.configure("greeter.yaml", *resources(ports))
        await stage.start_control()
        processes = [
            await start(stage, "grpc_server.py", "server", LABELS, *ports.values()),
            await start(stage, "grpc_clients.py", "client", {}),
        ]
        made = Clients(processes[1], stage)
        await eventually(lambda: made.said("principal-fits"), lambda said: said == PERMITTED)
        yield made
        for process in processes:
            process.kill()
            await process.communicate()


async def said(clients: Clients, service: str, **asked: Any) -> Any:
    """What a server answers once it is there: servers begin one after another, as their listeners come."""
    return await eventually(lambda: clients.said(service, **asked), lambda seen: seen != {"UNAVAILABLE"})


@pytest.mark.parametrize("name", RULES)
async def test_a_rule_permits_what_fits_and_refuses_what_does_not(clients: Clients, name: str) -> None:
    assert await said(clients, f"{name}-fits", user="jason") == PERMITTED
    assert await said(clients, f"{name}-other", user="jason") == REFUSED
    assert await said(clients, f"{name}-denied", user="jason") == REFUSED


async def test_everything_sent_was_accepted(clients: Clients) -> None:
    await eventually(clients.standings, lambda found: found == {"SYNCED"})
