"""What becomes of an answer that the proxy makes itself: mappers, formats, the gRPC form, the framing."""

import pytest

from pymesh_proxy.http.local_reply import BodyFormat, LocalReplies, Mapper
from pymesh_proxy.observe.format import compile_body
from pymesh_proxy.route.edits import Addition, Level, response_edit
from pymesh_proxy.route.table import DirectReply, Route
from pymesh_proxy.testing import Mesh


def direct(status=503, body=b"made here", **route):
    return Route(name="direct", action=DirectReply(status=status, body=body), **route)


def adding(**headers):
    additions = tuple(Addition(name=name.replace("_", "-").encode(), value=value) for name, value in headers.items())
    return response_edit([Level(add=additions)])


async def answered(mesh, request=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
    client = mesh.connect()
    client.send(request)
    await mesh.settle()
    head, _, body = client.received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    return lines[0].split(b" ")[1], dict(line.split(b": ", 1) for line in lines[1:]), body


def always(**changes):
    return LocalReplies((Mapper(matches=lambda exchange: True, **changes),))


async def test_the_first_mapper_that_matches_is_the_only_one():
    mappers = (
        Mapper(matches=lambda exchange: exchange.status == 404, status=410),
        Mapper(matches=lambda exchange: exchange.status == 503, status=500, body=b"first"),
        Mapper(matches=lambda exchange: True, body=b"second"),
    )
    async with Mesh(route=direct(), local_replies=LocalReplies(mappers)) as mesh:
        status, headers, body = await answered(mesh)
        assert (status, body, headers[b"content-length"]) == (b"500", b"first", b"5")
        assert mesh.exchanges[0].status == 500


async def test_a_mapper_sees_the_answer_with_its_flags_and_the_routes_headers():
    async with Mesh(
        route=direct(edit_response=adding(x_route=b"route")),
        local_replies=always(format=BodyFormat(b"text/x", compile_body("%RESP(x-route)%"))),
    ) as mesh:
        _, headers, body = await answered(mesh)
        assert (body, headers[b"content-type"], headers[b"x-route"]) == (b"route", b"text/x", b"route")


async def test_the_content_type_that_a_mapper_adds_stays():
    async with Mesh(route=direct(), local_replies=always(body=b"{}", edit=adding(content_type=b"application/mine"))) as mesh:
        _, headers, _ = await answered(mesh)
        assert headers[b"content-type"] == b"application/mine"


async def test_the_content_type_of_a_route_goes_with_its_body():
    route = direct(edit_response=adding(content_type=b"text/html"))
    async with Mesh(route=route) as mesh:
        _, headers, _ = await answered(mesh)
        assert headers[b"content-type"] == b"text/html"
    async with Mesh(route=route, local_replies=always(body=b"another")) as mesh:
        _, headers, _ = await answered(mesh)
        assert headers[b"content-type"] == b"text/plain"


async def test_an_empty_body_has_no_type():
    async with Mesh(route=direct(body=b"", edit_response=adding(content_type=b"text/html"))) as mesh:
        _, headers, body = await answered(mesh)
        assert (body, headers[b"content-length"], b"content-type" in headers) == (b"", b"0", False)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_gets_none(status):
    async with Mesh(route=direct(status=status), local_replies=always(body=b"too much")) as mesh:
        code, headers, body = await answered(mesh)
        assert (code, body) == (b"%d" % status, b"")
        assert b"content-length" not in headers
        assert b"content-type" not in headers


async def test_a_grpc_client_gets_the_mapped_body_as_its_message():
    replies = always(status=404, format=BodyFormat(b"application/json", compile_body({"b": "%LOCAL_REPLY_BODY%", "a": "%RESPONSE_CODE%"})))
    async with Mesh(route=direct(), local_replies=replies) as mesh:
        status, headers, body = await answered(mesh, b"POST / HTTP/1.1\r\nHost: a\r\ncontent-type: application/grpc\r\n\r\n")
        assert (status, body, headers[b"content-length"]) == (b"200", b"", b"0")
        assert (headers[b"content-type"], headers[b"grpc-status"]) == (b"application/grpc", b"12")
        assert headers[b"grpc-message"] == b'{"a":404,"b":"made here"}'


async def test_malformed_requests_are_mapped_too():
    async with Mesh(local_replies=always(status=422, body=b"no")) as mesh:
        status, headers, body = await answered(mesh, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
        assert (status, body, headers[b"connection"]) == (b"422", b"no", b"close")


async def test_an_upstreams_answer_is_not_mapped():
    async with Mesh(local_replies=always(status=500)) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 503 ")


async def test_bytes_that_are_no_text_pass_a_text_format():
    async with Mesh(
        route=direct(body=b"\xff\x00%"), local_replies=LocalReplies((), BodyFormat(b"text/x", compile_body("<%LOCAL_REPLY_BODY%>")))
    ) as mesh:
        assert (await answered(mesh))[2] == b"<\xff\x00%>"
