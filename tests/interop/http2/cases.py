"""What both proxies are asked over HTTP/2: frames in order, and the listener that gets them."""

from dataclasses import dataclass, field
from typing import Any

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from .client import PREFACE, Step

_H2: dict[str, Any] = {"http2_protocol_options": {}}
_TUNNELLED: dict[str, Any] = {
    "http2_protocol_options": {"allow_connect": True},
    "upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "to1": _H2,
    "to2": _H2,
    "tls1": {},
    "tls2": {},
    "auto": {},
    "auto2": {},
    "old": {"codec_type": "HTTP1"},
    "lenient": {"http2_protocol_options": {"override_stream_error_on_invalid_http_message": True}},
    "few": {"http2_protocol_options": {"max_concurrent_streams": 2}},
    "idle": {"stream_idle_timeout": "0.4s"},
    "request": {"request_timeout": "0.4s"},
    "duration": {"common_http_protocol_options": {"max_stream_duration": "0.4s"}},
    "still": {"common_http_protocol_options": {"idle_timeout": "0.4s"}, "drain_timeout": "0.3s"},
    "aging": {"common_http_protocol_options": {"max_connection_duration": "0.4s"}, "drain_timeout": "0.3s"},
    "counted": {"common_http_protocol_options": {"max_requests_per_connection": 2}, "drain_timeout": "0.3s"},
    "continue": {"proxy_100_continue": True},
    "tunnel1": _TUNNELLED,
    "tunnel2": _TUNNELLED,
    "headers": {"max_request_headers_kb": 4, "common_http_protocol_options": {"max_headers_count": 10}},
    "underscores": {"common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"}},
    "edge": {"use_remote_address": True, "via": "mesh", "normalize_path": True, "merge_slashes": True},
}
TO_2 = ("to2", "tls2", "tunnel2", "auto2")
"""Listeners whose upstream speaks HTTP/2."""
TLS = ("tls1", "tls2")


@dataclass(frozen=True)
class Case:
    """`name` says what is special."""

    name: str
    listener: str
    steps: tuple[Step, ...]
    settings: dict[int, int] = field(default_factory=dict)
    alone: bool = False


def fields(method: str = "GET", path: str = "/some", *more: tuple[str, str], authority: str = "any.org") -> list[tuple[str, str]]:
    """A request's section."""
    return [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority), *more]


def block(*section: tuple[str, str]) -> bytes:
    """Encoded without tables, so that any number of them may come in any order."""
    return bytes(hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*pair) for pair in section], huffman=False))


def head(*section: tuple[str, str], stream: int = 1, end: bool = True) -> HeadersFrame:
    """HEADERS of whole sections."""
    return HeadersFrame(stream, block(*section), flags=["END_HEADERS", *(["END_STREAM"] if end else [])])


def data(body: bytes, stream: int = 1, end: bool = True, **more: Any) -> DataFrame:
    """DATA."""
    return DataFrame(stream, body, flags=[*(["END_STREAM"] if end else []), *(["PADDED"] if more else [])], **more)


def get(name: str, path: str, *more: tuple[str, str], listener: str = "to1", method: str = "GET", **options: Any) -> Case:
    """One request without a body."""
    return Case(name, listener, (head(*fields(method, path, *more)),), **options)


def post(name: str, path: str, body: bytes, *more: tuple[str, str], listener: str = "to1") -> Case:
    """One request with a body in one frame."""
    return Case(name, listener, (head(*fields("POST", path, *more), end=False), data(body)))


def odd(name: str, *section: tuple[str, str], listener: str = "to1") -> Case:
    """One request whose section need not be one."""
    return Case(name, listener, (head(*section),))


def raw(name: str, *steps: Step, listener: str = "to1", **options: Any) -> Case:
    """Any frames."""
    return Case(name, listener, steps, **options)


def _each(name: str, make: Any, *arguments: Any, **options: Any) -> list[Case]:
    """To upstreams of both versions, cleartext and TLS."""
    places = {"to1": "HTTP/1", "to2": "HTTP/2", "tls1": "HTTP/1 from TLS", "tls2": "HTTP/2 from TLS"}
    return [make(f"{name}, to {upstream}", *arguments, listener=listener, **options) for listener, upstream in places.items()]


def _both(name: str, make: Any, *arguments: Any, **options: Any) -> list[Case]:
    """To upstreams of both versions."""
    places = {"to1": "HTTP/1", "to2": "HTTP/2"}
    return [make(f"{name}, to {upstream}", *arguments, listener=listener, **options) for listener, upstream in places.items()]


_G = fields()
_WEBSOCKET = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/ws"), (":authority", "any.org"),
              ("sec-websocket-version", "13")]  # fmt: skip
_OTHER = [(name, "other" if name == ":protocol" else value) for name, value in _WEBSOCKET]
_WORDS: tuple[Step, ...] = (0.2, data(b"one", end=False), 0.2, data(b"bye"))
_PLAIN_CONNECT = [(":method", "CONNECT"), (":authority", "far.org:443")]

WELL_FORMED = [
    *_each("a GET", get, "/some?a=b"),
    *_each("a POST", post, "/some", b"hello"),
    *_each("HEAD", get, "/some", method="HEAD"),
    *_both("a length of its own", post, "/some", b"hello", ("content-length", "5")),
    *_both("an empty body behind the head", post, "/some", b""),
    *_both("204", get, "/status/204"),
    *_both("304 with a length", get, "/unmodified"),
    *_both("404 of the upstream", get, "/status/404"),
    *_both("a large answer", get, "/big"),
    *_both("two cookies set", get, "/cookies"),
    *_both("cookie crumbs", get, "/some", ("cookie", "a=1"), ("x-b", "1"), ("cookie", "b=2")),
    *_both("a name twice", get, "/some", ("x-a", "1"), ("x-a", "2")),
    *_both("te: trailers", get, "/some", ("te", "trailers")),
    *_both("a user agent and a request id", get, "/some", ("user-agent", "ua"), ("x-request-id", "mine")),
    *_both("OPTIONS for the server", get, "*", method="OPTIONS"),
    *_both("an unknown method", get, "/some", method="PURGE"),
    *_both("hints", get, "/hints"),
    get("trailers down, to HTTP/2", "/trailers", listener="to2"),
    get("trailers down without a body, to HTTP/2", "/bare-trailers", listener="to2"),
    get("trailers down, to HTTP/1", "/chunked"),
    *_both("no route", get, "/nowhere"),
    *_both("a direct answer", get, "/direct"),
    *_both("a redirect", get, "/moved?x"),
    get("a refused connection", "/dead"),
    get("a refused connection for HEAD", "/dead", method="HEAD"),
    get("a gRPC request to a refused connection", "/dead", ("content-type", "application/grpc"), ("te", "trailers"), method="POST"),
    get("a gRPC request without a route", "/nowhere", ("content-type", "application/grpc"), method="POST"),
    get("the route's timeout", "/slow", listener="to2"),
    get("at the edge", "/a//b/../c", ("x-forwarded-for", "1.2.3.4"), listener="edge"),
    *_both("a host instead of an authority", odd, *_G[:3], ("host", "any.org")),
    *_both("a host that is the authority", odd, *_G, ("host", "any.org")),
    *_both("a host that is another", odd, *_G, ("host", "other.org")),
    *_both("https as scheme on cleartext", odd, (":method", "GET"), (":scheme", "https"), (":path", "/some"), (":authority", "any.org")),
    *_both("trailers up", raw, head(*fields("POST"), end=False), data(b"q", end=False), head(("x-check", "1"))),
    *_both("padding", raw, head(*fields("POST"), end=False), data(b"hello", pad_length=7)),
    raw("a priority in HEADERS", HeadersFrame(1, block(*_G), flags=["END_HEADERS", "END_STREAM", "PRIORITY"], stream_weight=15)),
    raw("CONTINUATION", HeadersFrame(1, block(*_G)[:9], flags=["END_STREAM"]), ContinuationFrame(1, block(*_G)[9:], flags=["END_HEADERS"])),
    raw("three streams at once", head(*_G, stream=1), head(*_G, stream=3), head(*fields(path="/direct"), stream=5)),
    raw("ids that are skipped", head(*_G, stream=7), head(*_G, stream=101)),
    raw("PING", PingFrame(0, b"12345678"), head(*_G)),
    raw("PRIORITY", PriorityFrame(1, depends_on=0, stream_weight=3), head(*_G)),
    raw("an unknown frame", b"\x00\x00\x03\x77\x00\x00\x00\x00\x00abc", head(*_G)),
    raw("unknown settings", SettingsFrame(0, settings={0x99: 5}), head(*_G)),
    raw("HTTP/2 where the version is open", head(*_G), listener="auto"),
    raw("HTTP/2 where only HTTP/1 is spoken", head(*_G), listener="old"),
    raw("a GOAWAY of the client's", head(*_G), GoAwayFrame(0, 0)),
    raw("a late window", head(*fields(path="/direct")), 0.2, WindowUpdateFrame(1, 9), settings={4: 0}),
    raw(
        "a window that becomes negative",
        head(*fields(path="/big")), 0.2,
        SettingsFrame(0, settings={4: 10}), SettingsFrame(0, settings={4: 400000}), WindowUpdateFrame(0, 2**20),
        listener="to2", settings={4: 100},
    ),
]  # fmt: skip

EARLY = [
    *_both("an answer before the request's end", raw, head(*fields("POST", "/direct"), end=False), data(b"some", end=False)),
    raw(
        "an upstream's answer before the request's end",
        head(*fields("POST", "/early"), end=False), data(b"some", end=False), listener="to2",
    ),
    raw("no route for a body that comes", head(*fields("POST", "/nowhere"), end=False), data(b"some", end=False)),
    raw("an expectation", head(*fields("POST", "/some", ("expect", "100-continue")), end=False), 0.2, data(b"hi")),
    raw(
        "an expectation that is passed on",
        head(*fields("POST", "/invited", ("expect", "100-continue"), ("content-length", "2")), end=False), 0.2, data(b"hi"),
        listener="continue",
    ),
    get("hints that are passed on", "/hints", listener="continue"),
]  # fmt: skip

UPSTREAM_FAULTS = [
    get("an upstream that resets", "/reset", listener="to2", alone=True),
    get("an upstream that refuses the stream", "/refuse", listener="to2", alone=True),
    get("an upstream that resets within the answer", "/cut", listener="to2", alone=True),
    get("an upstream that hangs up", "/hang-up", listener="to2", alone=True),
    get("an upstream that hangs up within the answer", "/cut-hang-up", listener="to2", alone=True),
    raw("an upstream that leaves", head(*_G), 0.2, head(*fields(path="/goaway"), stream=3), listener="to2", alone=True),
    get("an upstream's malformed head", "/malformed", listener="to2", alone=True),
    get("an upstream's body that is too short", "/short", listener="to2", alone=True),
    get("an upstream of HTTP/1 that cuts its answer short", "/cut", alone=True),
    get("an upstream of HTTP/1 that cuts a chunk short", "/cut-chunk", alone=True),
    get("an upstream of HTTP/1 that speaks nonsense", "/garbage", alone=True),
    get("an upstream of HTTP/1 that says nothing", "/silent", alone=True),
    get("an upstream of HTTP/1 with hop-by-hop headers", "/hop"),
]

TIMES = [
    raw("a stream idle before the answer", head(*fields(path="/slow")), listener="idle"),
    raw("a body that does not come", head(*fields("POST"), end=False), listener="idle"),
    raw("a body too slow for request_timeout", head(*fields("POST"), end=False), data(b"x", end=False), listener="request"),
    raw("a stream that lasts too long", head(*fields(path="/slow")), listener="duration"),
    raw("an idle connection", head(*_G), 1.2, listener="still"),
    raw("a connection of age", head(*_G), 1.2, listener="aging"),
    raw("two requests where two are allowed", head(*_G), head(*_G, stream=3), 0.8, listener="counted"),
    raw("an answer that nobody takes", head(*fields(path="/direct")), 1.2, listener="idle", settings={4: 0}),
]

TUNNELS = [
    *(raw(f"a websocket, to HTTP/{number}", head(*_WEBSOCKET, end=False), *_WORDS, listener=f"tunnel{number}") for number in (1, 2)),
    *(raw(f"CONNECT, to HTTP/{number}", head(*_PLAIN_CONNECT, end=False), *_WORDS, listener=f"tunnel{number}") for number in (1, 2)),
    raw("an extended CONNECT of another protocol", head(*_OTHER, end=False), listener="tunnel1"),
    raw("CONNECT where it is not enabled", head(*_PLAIN_CONNECT, end=False)),
    raw("an extended CONNECT that was not offered", head(*_WEBSOCKET, end=False)),
    raw("a websocket that is reset", head(*_WEBSOCKET, end=False), 0.2, RstStreamFrame(1, 8), head(*_G, stream=3), listener="tunnel2"),
]  # fmt: skip


def _malformed(listener: str, suffix: str) -> list[Case]:
    bad = {
        "a name in capitals": [*_G, ("X-Upper", "1")],
        "connection: close": [*_G, ("connection", "close")],
        "transfer-encoding": [*_G, ("transfer-encoding", "chunked")],
        "te: gzip": [*_G, ("te", "gzip")],
        "no method": _G[1:],
        "no path": [_G[0], _G[1], _G[3]],
        "an empty path": [_G[0], _G[1], (":path", ""), _G[3]],
        "a path without a slash": [_G[0], _G[1], (":path", "some"), _G[3]],
        "no scheme": [_G[0], *_G[2:]],
        "two methods": [*_G, (":method", "GET")],
        "a pseudo-header behind the others": [*_G[:3], ("x-a", "1"), _G[3]],
        "an unknown pseudo-header": [*_G, (":other", "1")],
        "a status in a request": [*_G, (":status", "200")],
        "no authority and no host": _G[:3],
        "a line feed in a value": [*_G, ("x-a", "a\nb")],
        "NUL in a value": [*_G, ("x-a", "a\x00b")],
        "an empty name": [*_G, ("", "1")],
        "two lengths": [*_G, ("content-length", "0"), ("content-length", "1")],
        "a length that is no number": [*_G, ("content-length", "x")],
        "a length without a body": [*_G, ("content-length", "5")],
        "a blank before a value": [*_G, ("x-a", " 1")],
        "an authority with a user": [*_G[:3], (":authority", "u@any.org")],
        "a fragment in the path": [_G[0], _G[1], (":path", "/some#f"), _G[3]],
        "a name that is no token": [*_G, ("x a", "1")],
    }
    cases = [odd(f"{name}{suffix}", *section, listener=listener) for name, section in bad.items()]
    post_head = fields("POST", "/some", ("content-length", "3"))
    return [
        *cases,
        raw(f"more than the length{suffix}", head(*post_head, end=False), data(b"hello"), listener=listener),
        raw(f"less than the length{suffix}", head(*post_head, end=False), data(b"h"), listener=listener),
        raw(f"a pseudo-header in trailers{suffix}", head(*fields("POST"), end=False), head((":path", "/")), listener=listener),
        raw(f"trailers that do not end{suffix}", head(*fields("POST"), end=False), head(("x-a", "1"), end=False), listener=listener),
    ]


LIMITS = [
    get("too many headers", "/some", *((f"x-{number}", "1") for number in range(20)), listener="headers"),
    get("headers too large", "/some", *((f"x-{number}", "v" * 1000) for number in range(6)), listener="headers"),
    get("headers far too large", "/some", *((f"x-{number}", "v" * 3000) for number in range(5)), listener="headers"),
    get("underscores", "/some", ("x_a", "1"), listener="underscores"),
    raw("more streams than allowed", *(head(*fields(path="/slow"), stream=number) for number in (1, 3, 5)), listener="few"),
]

VIOLATIONS = [
    raw("HTTP/1 where only HTTP/2 is spoken", b"no preface", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    raw("no SETTINGS behind the preface", b"no preface", PREFACE, head(*_G)),
    raw("DATA on stream 0", b"\x00\x00\x01\x00\x00\x00\x00\x00\x00a"),
    raw("HEADERS on stream 0", b"\x00\x00\x01\x01\x04\x00\x00\x00\x00\x82"),
    raw("HEADERS on an even stream", head(*_G, stream=2)),
    raw("DATA on an idle stream", data(b"x", stream=5)),
    raw("RST_STREAM on an idle stream", RstStreamFrame(5, 0)),
    raw("WINDOW_UPDATE on an idle stream", WindowUpdateFrame(5, 1)),
    raw("an id that goes back", head(*_G, stream=5), 0.2, head(*_G, stream=3)),
    raw("HEADERS behind the end", head(*fields(path="/slow")), head(*_G)),
    raw("DATA behind the end", head(*fields(path="/slow")), data(b"x")),
    raw("WINDOW_UPDATE by 0 on the connection", WindowUpdateFrame(0, 0).serialize()),
    raw("WINDOW_UPDATE by 0 on a stream", head(*fields(path="/slow")), b"\x00\x00\x04\x08\x00\x00\x00\x00\x01\x00\x00\x00\x00"),
    raw("a window too large", b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff"),
    raw("a stream's window too large", head(*fields(path="/slow")), b"\x00\x00\x04\x08\x00\x00\x00\x00\x01\x7f\xff\xff\xff"),
    raw("SETTINGS on a stream", b"\x00\x00\x00\x04\x00\x00\x00\x00\x01"),
    raw("SETTINGS of a wrong length", b"\x00\x00\x05\x04\x00\x00\x00\x00\x00abcde"),
    raw("an ACK with a payload", b"\x00\x00\x06\x04\x01\x00\x00\x00\x00\x00\x04\x00\x00\x00\x01"),
    raw("an initial window too large", SettingsFrame(0, settings={4: 2**31})),
    raw("a frame size too small", SettingsFrame(0, settings={5: 1})),
    raw("ENABLE_PUSH of 2", SettingsFrame(0, settings={2: 2})),
    raw("PING of a wrong length", b"\x00\x00\x04\x06\x00\x00\x00\x00\x00abcd"),
    raw("PING on a stream", b"\x00\x00\x08\x06\x00\x00\x00\x00\x01abcdefgh"),
    raw("PRIORITY of a wrong length", b"\x00\x00\x04\x02\x00\x00\x00\x00\x01abcd"),
    raw("RST_STREAM of a wrong length", head(*fields(path="/slow")), b"\x00\x00\x03\x03\x00\x00\x00\x00\x01abc"),
    raw("WINDOW_UPDATE of a wrong length", b"\x00\x00\x03\x08\x00\x00\x00\x00\x00abc"),
    raw("GOAWAY on a stream", b"\x00\x00\x08\x07\x00\x00\x00\x00\x01abcdefgh"),
    raw("PUSH_PROMISE", b"\x00\x00\x04\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02"),
    raw("CONTINUATION alone", ContinuationFrame(1, b"\x82", flags=["END_HEADERS"])),
    raw("a section that is interrupted", HeadersFrame(1, block(*_G), flags=["END_STREAM"]), PingFrame(0, b"12345678")),
    raw("a frame too large", b"\x00\x40\x01\x00\x00\x00\x00\x00\x01" + b"x" * 16385),
    raw("padding longer than its frame", b"\x00\x00\x02\x00\x08\x00\x00\x00\x01\x05a"),
    raw("a section that is no HPACK", HeadersFrame(1, b"\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS", "END_STREAM"])),
    raw("an index that is not there", HeadersFrame(1, b"\xfe", flags=["END_HEADERS", "END_STREAM"])),
    raw("a table size too large", HeadersFrame(1, b"\x3f\xe1\xff\x03" + block(*_G), flags=["END_HEADERS", "END_STREAM"])),
    raw("a stream that depends on itself", HeadersFrame(1, block(*_G), flags=["END_HEADERS", "END_STREAM", "PRIORITY"], depends_on=1)),
    raw("a client's reset", head(*fields(path="/slow")), 0.1, RstStreamFrame(1, 8), head(*_G, stream=3)),
    raw("a client's reset and DATA behind it", head(*fields("POST"), end=False), RstStreamFrame(1, 8), data(b"x"), head(*_G, stream=3)),
]

CASES = [
    *WELL_FORMED, *EARLY, *UPSTREAM_FAULTS, *TIMES, *TUNNELS, *_malformed("to1", ""), *_malformed("lenient", ", a stream's error only"),
    *LIMITS, *VIOLATIONS,
]  # fmt: skip
