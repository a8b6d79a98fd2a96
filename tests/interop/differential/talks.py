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
    "proper": {"http_protocol_options": {"header_key_format": {"proper_case_words": {}}}},
}
LISTENERS = tuple(_OPTIONS)

_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
_ROUTER = {"name": "router", "typed_config": {"@type": f"{_EXTENSIONS}.http.router.v3.Router"}}
_ROUTES = [
    {"match": {"path": "/direct"}, "direct_response": {"status": 200, "body": {"inline_string": "made here"}}},
    {"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "3s"}},
]


def bootstrap(ports: dict[str, int], admin: int, upstream: int) -> dict[str, Any]:
    """One listener for each set of options."""
    return {
        "node": {"id": "talks", "cluster": "talks"},
        "admin": {"address": _address(admin)},
        "static_resources": {
            "listeners": [_listener(name, port) for name, port in ports.items()],
            "clusters": [
                {
                    "name": "up",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "up",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
                    },
                }
            ],
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(name: str, port: int) -> dict[str, Any]:
    manager = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "http_filters": [_ROUTER],
        "route_config": {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": _ROUTES}]},
        **_OPTIONS[name],
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
WAITING = request("POST /some HTTP/1.1", "Expect: 100-continue", "Content-Length: 2")
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
    Talk("h2c with a body", "plain", (request("POST /some HTTP/1.1", *H2C, body=b"hi"), Until(b"}"), LAST)),
]

TALKS = [*PIPELINES, *TIMES, *UPGRADES]
