"""The access log service of a control plane: who may report, and what is made of a report."""

import grpc
import grpc.aio
import pytest

from pymesh.xds import als, proto
from pymesh_control.plane import ControlPlane
from pymesh_control.reports.entries import LOG

from ..plane.started import WEB_NODE, options


def message(log=LOG, node_id=WEB_NODE, **metadata):
    """A first message of a log."""
    made = als.messages.StreamAccessLogsMessage()
    made.identifier.log_name = log
    made.identifier.node.CopyFrom(proto.base.Node(id=node_id))
    made.identifier.node.metadata.update(metadata)
    return made


def request(made, authority):
    entry = made.http_logs.log_entry.add()
    entry.request.authority = authority
    entry.common_properties.start_time.seconds = 7


def connection(made, address, port, name=""):
    common = made.tcp_logs.log_entry.add().common_properties
    common.downstream_local_address.socket_address.address = address
    common.downstream_local_address.socket_address.port_value = port
    common.custom_tags["sni"] = name


async def report(address, *messages):
    async with grpc.aio.insecure_channel(str(address)) as channel:
        call = channel.stream_unary(
            f"/{als.SERVICE}/{als.METHOD}",
            als.messages.StreamAccessLogsMessage.SerializeToString,
            als.messages.StreamAccessLogsResponse.FromString,
        )
        await call(iter(messages))


async def test_requests_are_known_by_their_host_and_connections_by_server_name_or_address(tmp_path):
    async with ControlPlane(options(tmp_path)) as plane:
        requests, connections = message(WORKLOAD_NAME="web"), als.messages.StreamAccessLogsMessage()
        for authority in ("API.example.com", "api.example.com", "store.example.com:8443", "[::1]:9", "odd:port"):
            request(requests, authority)
        connection(connections, "192.0.2.1", 443, "pay.example.com")
        connection(connections, "192.0.2.1", 5432, "-")
        await report(plane.bound.xds, requests, connections)
        found = {(one.protocol, one.host, one.port): told["sources"] for one, told in plane.blocked.told()}
    assert found == {
        ("HTTP", "api.example.com", 0): {"shop/web": 2},
        ("HTTP", "store.example.com", 8443): {"shop/web": 1},
        ("HTTP", "::1", 9): {"shop/web": 1},
        ("HTTP", "odd:port", 0): {"shop/web": 1},
        ("TLS", "pay.example.com", 443): {"shop/web": 1},
        ("TCP", "192.0.2.1", 5432): {"shop/web": 1},
    }


@pytest.mark.parametrize(
    "first", [message("other"), message(node_id=""), message(node_id="nobody"), als.messages.StreamAccessLogsMessage()]
)
async def test_a_report_without_a_node_and_a_log_of_another_name_are_refused(tmp_path, first):
    async with ControlPlane(options(tmp_path)) as plane:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await report(plane.bound.xds, first)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert list(plane.blocked.told()) == []


async def test_on_the_secure_port_who_shows_no_certificate_reports_nothing(tmp_path):
    async with ControlPlane(options(tmp_path)) as plane:
        credentials = grpc.ssl_channel_credentials(plane.authority.root_pem)
        async with grpc.aio.secure_channel(str(plane.bound.secure_xds), credentials) as channel:
            call = channel.stream_unary(f"/{als.SERVICE}/{als.METHOD}", als.messages.StreamAccessLogsMessage.SerializeToString)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(iter([message()]))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
