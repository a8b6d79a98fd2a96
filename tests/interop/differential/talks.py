"""Conversations of several steps: time limits, connections that end, pipelines, upgrades, tunnels."""

from dataclasses import dataclass
from typing import Any

from .transcript import Finish, Pause, Step, Until

_OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"http_protocol_options": {"accept_http_10": True}},
    "request_timeout": {"request_timeout": "0.4s"},
    "headers_timeout": {"request_headers_timeout": "0.4s"},
    "stream_idle": {"stream_idle_timeout": "0.4s"},
    "stream_duration": {"common_http_protocol_options": {"max_stream_duration": "0.4s"}},
    "idle": {"common_http_protocol_options": {"idle_timeout": "0.4s"}, "drain_timeout": "0.4s"},
    "aging": {"common_http_protocol_options": {"max_connection_duration": "0.4s"}, "drain_timeout": "0.3s"},
    "counted": {"common_http_protocol_options": {"max_requests_per_connection": 2}},
    "upgrades": {"upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "Custom"}, {"upgrade_type": "off", "enabled": False}]},
    "connect": {"upgrade_configs": [{"upgrade_type": "CONNECT"}]},
    "no_connect": {},
    "continue": {"proxy_100_continue": True},
    "trailers": {"http_protocol_options": {"enable_trailers": True}},
    "proper": {"http_protocol_options": {"header_key_format": {"proper_case_words": {}}}},
}
LISTENERS = tuple(_OPTIONS)

_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
_ROUTER = {"name": "router", "typed_config": {"@type": f"{_EXTENSIONS}.http.router.v3.Router"}}
_ROUTES = [
    {"match": {"path": "/direct"}, "direct_response": {"status": 200, "body": {"inline_string": "made here"}}},
    {"match": {"prefix": "/dropped/"}, "route": {"cluster": "up", "timeout": "3s", "prefix_rewrite": "/"}},
    {"match": {"prefix": "/"}, "route": {"cluster": "passing", "timeout": "3s"}},
]
_TUNNELS = [
    {
        "match": {"connect_matcher": {}, "headers": [{"name": "x-ends-here", "present_match": True}]},
        "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]},
    },
    {"match": {"connect_matcher": {}}, "route": {"cluster": "up"}},
]


def bootstrap(ports: dict[str, int], admin: int, upstream: int) -> dict[str, Any]:
    """One listener for each set of options."""
    return {
        "node": {"id": "talks", "cluster": "talks"},
        "admin": {"address": _address(admin)},
        "static_resources": {
            "listeners": [_listener(name, port) for name, port in ports.items()],
            "clusters": [_cluster("up", upstream), {**_cluster("passing", upstream), "http_protocol_options": {"enable_trailers": True}}],
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def _listener(name: str, port: int) -> dict[str, Any]:
    routes = _ROUTES if name == "plain" else [*_TUNNELS, *_ROUTES]
    manager = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "http_filters": [_ROUTER],
        "route_config": {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        **_OPTIONS.get(name, {}),
    }
    return {"name": name, "address": _address(port), "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}


@dataclass(frozen=True)
class Talk:
    """`name` says what happens. One that `stays` is not closed by the proxy."""

    name: str
    listener: str
    steps: tuple[Step, ...]
    stays: bool = False


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A head of whole lines, with a Host; the body as it goes on the wire."""
    return "\r\n".join([line, "Host: any.org", *headers, "", ""]).encode() + body


DIRECT = request("GET /direct HTTP/1.1")
MADE = Until(b"made here")
LAST = request("GET /direct HTTP/1.1", "Connection: close")
SLOW = request("GET /slow HTTP/1.1")
PART = request("POST /slow HTTP/1.1", "Content-Length: 5", body=b"a")
CHUNKS = request("POST /slow HTTP/1.1", "Transfer-Encoding: chunked", body=b"1\r\na\r\n")
EXPECTING = ("Expect: 100-continue", "Content-Length: 2")
WAITING = request("POST /some HTTP/1.1", *EXPECTING)
SPOKEN = b"GET /spoken HTTP/1.1\r\nHost: b.org\r\n\r\n"
DIAL = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
AGREED = Until(b"\r\n\r\nEARLY")

PIPELINES = [
    Talk("three requests at once", "plain", (DIRECT * 3,), stays=True),
    Talk("three proxied requests at once", "plain", (request("GET /some HTTP/1.1") * 3,), stays=True),
    Talk("a request behind a last one", "plain", (DIRECT + LAST + DIRECT,)),
    Talk("a malformed request behind two", "plain", (DIRECT * 2 + b"GET / x HTTP/1.1\r\n\r\n" + DIRECT,)),
    Talk("a request behind HEAD", "plain", (request("HEAD /direct HTTP/1.1") + DIRECT,), stays=True),
    Talk("a request behind a body", "plain", (request("POST /some HTTP/1.1", "Content-Length: 2", body=b"hi") + LAST,)),
    Talk(
        "a request behind a chunked body",
        "plain",
        (request("POST /some HTTP/1.1", "Transfer-Encoding: chunked", body=b"2\r\nhi\r\n0\r\n\r\n") + LAST,),
    ),
    Talk(
        "requests behind 204, 304 and a body without an end",
        "plain",
        (request("GET /none HTTP/1.1") + request("GET /unmodified HTTP/1.1") + request("GET /unframed HTTP/1.1") + LAST,),
    ),
    Talk("an old client that keeps alive", "plain", (request("GET /direct HTTP/1.0", "Connection: keep-alive") * 2,), stays=True),
    Talk("an old client", "plain", (request("GET /direct HTTP/1.0") + DIRECT,)),
    Talk("a body that waits for 100", "plain", (WAITING, Until(b"100 Continue\r\n\r\n"), b"hi", Until(b"}"), LAST)),
    Talk("OPTIONS for the server before a request", "plain", (request("OPTIONS * HTTP/1.1") + LAST,)),
    Talk("an answer before the body came", "plain", (request("POST /direct HTTP/1.1", "Content-Length: 5"),)),
    Talk("two requests where two are allowed", "counted", (DIRECT * 3,)),
    Talk("one request where two are allowed", "counted", (DIRECT,), stays=True),
]  # fmt: skip

TIMES = [
    Talk("a body too slow for request_timeout", "request_timeout", (PART,)),
    Talk("chunks too slow for request_timeout", "request_timeout", (CHUNKS, Pause(0.25), b"1\r\nb\r\n", Pause(0.25), b"1\r\nc\r\n")),
    Talk("a head too slow for request_timeout", "request_timeout", (DIRECT[:9],)),
    Talk("a whole request under request_timeout", "request_timeout", (DIRECT, MADE, Pause(0.5)), stays=True),
    Talk("a head too slow for request_headers_timeout", "headers_timeout", (DIRECT[:9],)),
    Talk("a body slower than request_headers_timeout", "headers_timeout", (PART, Pause(0.5)), stays=True),
    Talk("half a second head too slow for request_headers_timeout", "headers_timeout", (DIRECT + DIRECT[:9],)),
    Talk("a head that drips", "stream_idle", (DIRECT[:9], Pause(0.25), DIRECT[9:20], Pause(0.25), DIRECT[20:25])),
    Talk("a body that does not come within stream_idle_timeout", "stream_idle", (PART,)),
    Talk("chunks that do not come within stream_idle_timeout", "stream_idle", (CHUNKS,)),
    Talk("an answer that does not come", "stream_idle", (SLOW, Until(b"timeout"), LAST)),
    Talk("an idle connection under stream_idle_timeout", "stream_idle", (DIRECT, MADE, Pause(0.5)), stays=True),
    Talk("an answer later than max_stream_duration", "stream_duration", (SLOW, Until(b"timeout"), LAST)),
    Talk("a body later than max_stream_duration", "stream_duration", (PART,)),
    Talk("an idle connection", "idle", (DIRECT,)),
    Talk("a silent connection", "idle", ()),
    Talk("a request on a connection that was idle", "idle", (DIRECT, MADE, Pause(0.6), DIRECT)),
    Talk("a silent connection beyond its time", "aging", ()),
    Talk("an idle connection beyond its time", "aging", (DIRECT, MADE)),
    Talk("a request on a connection beyond its time", "aging", (DIRECT, MADE, Pause(0.5), DIRECT)),
]



def dial(line: str = "GET /ws HTTP/1.1", *headers: str, protocol: str = "", body: bytes = b"") -> bytes:
    """A request for a protocol switch, to websocket unless another is named."""
    asked = ("Connection: Upgrade", f"Upgrade: {protocol}") if protocol else DIAL
    return request(line, *asked, *headers, body=body)


WS = dial()
ECHO = (b"one", Until(b"<one>"))
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Content-Length: 2")

UPGRADES = [
    Talk("websocket", "upgrades", (WS, AGREED, *ECHO, b"two", Until(b"<two>")), stays=True),
    Talk("websocket whose client ends", "upgrades", (WS, AGREED, *ECHO, Finish())),
    Talk("websocket whose server ends", "upgrades", (WS, AGREED, b"bye")),
    Talk("websocket with bytes before the answer", "upgrades", (dial(body=b"one"), Until(b"<one>")), stays=True),
    Talk("websocket with a body", "upgrades", (dial("POST /ws HTTP/1.1", "Content-Length: 2", body=b"one"), Until(b"<one>")), stays=True),
    Talk("another protocol", "upgrades", (dial(protocol="custom"), AGREED, *ECHO), stays=True),
    Talk("a protocol in capitals", "upgrades", (dial(protocol="CUSTOM"), AGREED, *ECHO), stays=True),
    Talk("a protocol that is switched off", "upgrades", (dial(protocol="off", body=DIRECT),)),
    Talk("two protocols", "upgrades", (dial(protocol="custom, websocket"),)),
    Talk("a protocol where none is enabled", "plain", (dial(body=DIRECT),)),
    Talk("an upgrade of an old client", "plain", (dial("GET /ws HTTP/1.0"),)),
    Talk("an upgrade that the upstream forbids", "upgrades", (dial("GET /forbidden HTTP/1.1", body=b"bytes"),)),
    Talk("an upgrade behind a request", "upgrades", (request("GET /some HTTP/1.1") + WS, AGREED, *ECHO), stays=True),
    Talk("a switch to another protocol", "upgrades", (dial("GET /switched HTTP/1.1"), Until(b"\r\n\r\n")), stays=True),
    Talk("a switch that nobody asked for", "upgrades", (request("GET /switched HTTP/1.1"),), stays=True),
    Talk("h2c with a body", "plain", (request("POST /some HTTP/1.1", *H2C, body=b"hi"), Until(b"}"), LAST)),
]



def connect(*headers: str, target: str = "b.org:443", body: bytes = b"") -> bytes:
    """A CONNECT; what follows it is the tunnel's."""
    return "\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers, "", ""]).encode() + body


TUNNELS = [
    Talk("a tunnel", "connect", (connect(), AGREED, *ECHO, b"two", Until(b"<two>")), stays=True),
    Talk("a tunnel whose client ends", "connect", (connect(), AGREED, *ECHO, Finish())),
    Talk("a tunnel whose server ends", "connect", (connect(), AGREED, b"bye")),
    Talk("a tunnel with bytes before the answer", "connect", (connect(body=b"one"), Until(b"<one>")), stays=True),
    Talk("a tunnel behind a request", "connect", (request("GET /some HTTP/1.1") + connect(), AGREED, *ECHO), stays=True),
    Talk("a tunnel to a host that Host does not name", "connect", (connect().replace(b"Host: b", b"Host: c"), AGREED, *ECHO), stays=True),
    Talk("a tunnel without Host", "connect", (b"CONNECT b.org:443 HTTP/1.1\r\n\r\n", AGREED, *ECHO), stays=True),
    Talk("a tunnel that ends here", "connect", (connect("x-ends-here: 1"), Until(b"\r\n\r\n"), SPOKEN, Until(b"}")), stays=True),
    Talk("a tunnel that ends here, bytes first", "connect", (connect("x-ends-here: 1", body=SPOKEN), Until(b"}")), stays=True),
    Talk("a tunnel that its route alone allows", "no_connect", (connect("x-ends-here: 1", body=SPOKEN), Until(b"}")), stays=True),
    Talk("a tunnel that is not enabled", "no_connect", (connect(body=DIRECT),)),
    Talk("a tunnel without a route", "plain", (connect(body=DIRECT),)),
    Talk("a tunnel with a body", "connect", (connect("Content-Length: 5", body=b"hello"),)),
    Talk("a tunnel with an empty body", "connect", (connect("Content-Length: 0"), AGREED, *ECHO), stays=True),
    Talk("a tunnel in chunks", "connect", (connect("Transfer-Encoding: chunked", body=b"0\r\n\r\n"),)),
    Talk("a tunnel without a port", "connect", (connect(target="b.org"),)),
    Talk("a tunnel to a path", "connect", (connect(target="/path"),)),
    Talk("a tunnel to a URL", "connect", (connect(target="http://b.org:80/"),)),
    Talk("a tunnel of an old client", "connect", (connect().replace(b"HTTP/1.1", b"HTTP/1.0"),)),
]  # fmt: skip

INVITED = request("POST /invited HTTP/1.1", *EXPECTING)
INTERIM = [
    Talk("a body that the upstream invites", "continue", (INVITED, Until(b"100 Continue"), b"hi", Until(b"}"), LAST)),
    Talk("a body that the upstream does not want", "continue", (request("POST /unwanted HTTP/1.1", *EXPECTING),)),
    Talk("hints that are passed on", "continue", (request("GET /hints HTTP/1.1"), Until(b"ok"), LAST)),
    Talk("hints that are dropped", "plain", (request("GET /hints HTTP/1.1"), Until(b"ok"), LAST)),
]  # fmt: skip

TRAILING = request("POST /some HTTP/1.1", "Transfer-Encoding: chunked", "Trailer: x-sum", body=b"2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n")
DROPPED = TRAILING.replace(b"/some", b"/dropped/some")
TRAILERS = [
    Talk("trailers of a request", "trailers", (TRAILING + LAST,)),
    Talk("trailers of an answer", "trailers", (request("GET /chunked HTTP/1.1") + LAST,)),
    Talk("trailers that the manager drops", "plain", (TRAILING + request("GET /chunked HTTP/1.1") + LAST,)),
    Talk("trailers that the cluster drops", "trailers", (DROPPED + request("GET /dropped/chunked HTTP/1.1") + LAST,)),
    Talk("trailers for an old client", "plain", (request("GET /chunked HTTP/1.0"),)),
    Talk("trailers that belong in a head", "trailers", (TRAILING.replace(b"X-Sum", b"Cookie") + LAST,)),
    Talk("malformed trailers", "trailers", (TRAILING.replace(b"X-Sum: 1", b"X Sum: 1"),)),
    Talk("101 trailers", "trailers", (TRAILING.replace(b"X-Sum: 1", b"\r\n".join(b"x-%d: v" % number for number in range(101))),)),
    Talk("70 KiB of trailers", "trailers", (TRAILING.replace(b"X-Sum: 1", b"x: " + b"v" * 70_000),)),
]  # fmt: skip

TALKS = [*PIPELINES, *TIMES, *UPGRADES, *TUNNELS, *INTERIM, *TRAILERS]
