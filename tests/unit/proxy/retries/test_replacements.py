"""Requests whose kept connection dies under them, and which nobody has to know of."""

from pymesh_proxy.testing import Mesh

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def test_a_get_that_kills_its_connection_is_replaced_once_only():
    async with Mesh() as mesh:
        clients = [mesh.connect() for _ in range(5)]
        for client in clients:
            client.send(GET)
        upstreams = [await mesh.accepted() for _ in clients]
        await mesh.settle()
        for upstream in upstreams:
            upstream.send(OK)
        await mesh.settle()
        clients[0].send(GET)
        for _ in range(10):
            await mesh.settle()
            for upstream in upstreams:
                if upstream.received.count(b"GET ") > 1 and not upstream.hung_up:
                    upstream.reset()
            await mesh.advance(0.1)
        assert [upstream.received.count(b"GET ") for upstream in upstreams].count(2) == 2
        assert mesh.exchanges[-1].flags == "UC"
