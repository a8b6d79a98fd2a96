"""Counting gRPC calls and their messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.errors import ConfigError
from pymesh_proxy.filters.services import Services
from pymesh_proxy.http.grpc_frames import FrameCounter

from .conftest import chain_of, counted, typed

KIND = "grpc_stats.v3.FilterConfig"
FRAME = b"\x00\x00\x00\x00\x02hi"
CALL = b"POST /pkg.Echo/Say HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: %d\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\ngrpc-status: %b\r\n\r\n"


@given(st.lists(st.binary(max_size=20), max_size=8), st.data())
@settings(deadline=None)
def test_messages_are_counted_wherever_their_bytes_are_cut(messages, data):
    stream = b"".join(b"\x01" + len(message).to_bytes(4, "big") + message for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    begun = []
    counter = FrameCounter(begun.append)
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        assert counter.feed(stream[start:end], False) == stream[start:end]
    assert sum(begun) == len(messages)
    assert all(begun)


async def called(proxy, answer, body=FRAME * 2, head=CALL):
    client = proxy.connect()
    client.send(head % len(body) + body)
    if not proxy.exchanges:
        proxy.upstream = await proxy.accepted()
    await proxy.settle()
    proxy.upstream.send(answer)
    await proxy.settle()
    return client


@pytest.fixture
def counting(mesh):
    def make(**config):
        made = mesh(stats=typed(KIND, **config))
        up = made.runtime.clusters.by_name["up"].config
        object.__setattr__(up, "enable_trailers", True)
        return made

    return make


async def test_calls_and_messages_are_counted_by_cluster(counting):
    async with counting(emit_filter_state=True) as proxy:
        await called(proxy, ANSWER % (7, FRAME, b"0"))
        ended = {"0": 1, "success": 1, "total": 1}
        messages = {"request_message_count": 2, "response_message_count": 1}
        assert counted(proxy) == {f"up.grpc.{name}": value for name, value in (ended | messages).items()}


async def test_named_methods_are_counted_by_themselves(counting):
    allowed = {"services": [{"name": "pkg.Echo", "method_names": ["Say"]}]}
    async with counting(individual_method_stats_allowlist=allowed, replace_dots_in_grpc_service_name=True) as proxy:
        await called(proxy, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\ngrpc-status: 14\r\n\r\n", FRAME)
        prefix = "up.grpc.pkg_Echo.Say."
        assert counted(proxy) == {prefix + "14": 1, prefix + "failure": 1, prefix + "total": 1, prefix + "request_message_count": 1}


async def test_what_is_no_call_is_not_counted(counting):
    async with counting() as proxy:
        await called(proxy, b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + FRAME)
        assert counted(proxy) == {"up.grpc.request_message_count": 2}
    async with counting() as proxy:
        plain = CALL.replace(b"application/grpc", b"application/json")
        await called(proxy, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\ngrpc-status: 0\r\n\r\n", FRAME, plain)
        assert counted(proxy) == {}


@pytest.mark.parametrize("field", ["stats_for_all_methods", "enable_upstream_stats"])
def test_what_cannot_be_honoured_is_refused(field):
    with pytest.raises(ConfigError) as raised:
        chain_of(Services(), stats=typed(KIND, **{field: True}))
    assert [one.path for one in raised.value.problems] == [f"http_filters[0].typed_config.{field}"]
