"""A resource that our proxy cannot honour is refused with the field's path, and what was good before goes on."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from pymesh.xds import proto, types
from tests.unit.proxy.discovery.server import Server, Stream
from tests.waiting import eventually


def bootstrap(target: str, admin: int) -> dict[str, Any]:
    """All clusters and listeners come from the control plane at a Unix socket."""
    ads = {"ads": {}, "resource_api_version": "V3"}
    xds = {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]}
    address = {"endpoint": {"address": {"pipe": {"path": target.removeprefix("unix:")}}}}
    cluster = {"name": "xds", "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [address]}]}}
    return {
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": {"socket_address": {"address": HOST, "port_value": admin}}},
        "dynamic_resources": {"ads_config": xds, "cds_config": ads, "lds_config": ads},
        "static_resources": {"clusters": [cluster]},
    }


def listener(name: str, port: int, says: str, **manager: Any) -> Any:
    """A listener that answers everything by itself; `manager` adds fields to its HttpConnectionManager."""
    route = proto.route_components.Route(match={"prefix": "/"}, direct_response={"status": 200, "body": {"inline_string": says}})
    host = proto.route_components.VirtualHost(name="all", domains=["*"], routes=[route])
    router = proto.hcm.HttpFilter(name="envoy.filters.http.router", typed_config=proto.pack(proto.router.Router()))
    config = proto.hcm.HttpConnectionManager(stat_prefix=name, route_config={"virtual_hosts": [host]}, http_filters=[router], **manager)
    network = proto.listener_components.Filter(name="envoy.filters.network.http_connection_manager", typed_config=proto.pack(config))
    chain = proto.listener_components.FilterChain(filters=[network])
    address = proto.address.Address(socket_address=proto.address.SocketAddress(address=HOST, port_value=port))
    return proto.listener.Listener(name=name, address=address, filter_chains=[chain])


def push(nonce: str, *listeners: Any) -> Any:
    """A delta response with listeners, or with no cluster at all."""
    resources = [proto.discovery.Resource(name=each.name, version=nonce, resource=proto.pack(each)) for each in listeners]
    type_url = types.LISTENER if listeners else types.CLUSTER
    return proto.discovery.DeltaDiscoveryResponse(type_url=type_url, resources=resources, nonce=nonce)


async def verdict(stream: Stream, nonce: str) -> Any:
    """The client's ACK or NACK of a response."""
    while (request := await stream.heard()).response_nonce != nonce:
        continue
    return request.error_detail


@dataclass(frozen=True)
class Subject:
    """A proxy, the test's end of its stream, and an address for its listener."""

    stream: Stream
    port: int

    async def says(self) -> str:
        """What the listener answers; empty when there is none."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://{HOST}:{self.port}/") as answer:
                return await answer.text()
        except aiohttp.ClientConnectorError:
            return ""


@pytest.fixture
async def subject(tmp_path: Path) -> AsyncIterator[Subject]:
    """A proxy that has been told that there are no clusters."""
    ports = FreePorts()
    async with Server(tmp_path) as server, Supervisor(tmp_path / "logs") as supervisor:
        path = tmp_path / "bootstrap.json"
        path.write_text(json.dumps(bootstrap(server.target, ports.take())))
        await supervisor.start(Command(name="proxy", argv=["pymesh-proxy", "-c", str(path)]))
        stream = await server.accept()
        stream.say(push("clusters"))
        assert not (await verdict(stream, "clusters")).message
        yield Subject(stream, ports.take())


async def test_a_resource_that_cannot_be_honoured_is_refused_with_the_fields_path(subject: Subject) -> None:
    subject.stream.say(push("1", listener("web", subject.port, "good")))
    assert not (await verdict(subject.stream, "1")).message
    assert await eventually(subject.says) == "good"

    subject.stream.say(push("2", listener("web", subject.port, "bad", codec_type="HTTP3", xff_num_trusted_hops=2)))
    message = (await verdict(subject.stream, "2")).message
    assert "web" in message
    assert "filter_chains[0].filters[0].typed_config.codec_type: HTTP3 is not supported" in message
    assert await subject.says() == "good"

    subject.stream.say(push("3", listener("web", subject.port, "better")))
    assert not (await verdict(subject.stream, "3")).message
    assert await eventually(subject.says, lambda text: text == "better")


async def test_a_response_is_refused_whole_and_all_its_mistakes_are_told_at_once(subject: Subject) -> None:
    broken = listener("broken", subject.port, "never", tracing={}, codec_type="HTTP3")
    good = listener("web", subject.port, "good")
    subject.stream.say(push("1", broken, good))
    message = (await verdict(subject.stream, "1")).message
    assert "typed_config.tracing" in message
    assert "typed_config.codec_type" in message
    assert await subject.says() == ""  # nor is the good half taken

    subject.stream.say(push("2", good))
    assert not (await verdict(subject.stream, "2")).message
    assert await eventually(subject.says) == "good"
