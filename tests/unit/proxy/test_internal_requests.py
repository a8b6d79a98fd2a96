"""What a request from within may ask of the proxy, and what becomes of the same words of a stranger."""

import pytest

from pymesh_proxy.testing import Mesh, forward_to

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


def mesh(within=True, **route):
    """The client of these meshes is 192.0.2.7."""
    return Mesh(route=forward_to("up", **route), use_remote_address=True, internal=lambda address: within and address == b"192.0.2.7")


async def asked(running, *headers):
    client = running.connect()
    lines = (b"GET / HTTP/1.1", b"Host: a", *headers)
    client.send(b"\r\n".join(lines) + b"\r\n\r\n")
    upstream = await running.accepted()
    await running.settle()
    return client, upstream


def fields(received):
    return dict(line.split(b": ", 1) for line in received.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:])


async def test_a_request_from_within_says_when_it_is_tried_again():
    async with mesh() as running:
        client, upstream = await asked(running, b"x-envoy-retry-on: 5xx", b"x-envoy-max-retries: 1")
        assert not {b"x-envoy-retry-on", b"x-envoy-max-retries"} & fields(upstream.received).keys()
        upstream.send(BUSY)
        await running.settle()
        await running.advance(1)
        await running.settle()
        assert not client.received, "it is tried again"


async def test_a_stranger_does_not():
    async with mesh(within=False) as running:
        client, upstream = await asked(running, b"x-envoy-retry-on: 5xx", b"x-envoy-internal: true")
        assert not {b"x-envoy-retry-on", b"x-envoy-internal"} & fields(upstream.received).keys()
        upstream.send(BUSY)
        await running.settle()
        assert client.received.startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), b"15000"),
        ((b"x-envoy-upstream-rq-timeout-ms: 3000",), b"3000"),
        ((b"x-envoy-upstream-rq-timeout-ms: soon",), b"15000"),
        ((b"x-envoy-upstream-rq-timeout-ms: 3000", b"x-envoy-upstream-rq-per-try-timeout-ms: 2000"), b"2000"),
        ((b"x-envoy-upstream-rq-timeout-ms: 3000", b"x-envoy-upstream-rq-per-try-timeout-ms: 3000"), b"3000"),
        ((b"x-envoy-expected-rq-timeout-ms: 1",), b"15000"),
    ],
)
async def test_a_request_from_within_says_how_long_it_may_take(headers, expected):
    async with mesh(timeout=15.0) as running:
        client, upstream = await asked(running, *headers)
        seen = fields(upstream.received)
        assert seen[b"x-envoy-expected-rq-timeout-ms"] == expected
        assert seen[b"x-envoy-internal"] == b"true"
        assert not [name for name in seen if name.startswith(b"x-envoy-upstream-rq")]
        await running.advance(int(expected) / 1000 - 0.5)
        assert not client.received
        await running.advance(1)
        assert client.received.startswith(b"HTTP/1.1 504 ")


async def test_at_the_edge_only_the_connections_own_address_counts():
    async with mesh() as running:
        _, upstream = await asked(running, b"x-forwarded-for: 192.0.2.7")
        seen = fields(upstream.received)
        assert b"x-envoy-internal" not in seen
        assert seen[b"x-envoy-external-address"] == b"192.0.2.7"
