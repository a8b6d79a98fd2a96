"""What both proxies are asked. A case is the bytes of a request and the listener that gets it."""

from dataclasses import dataclass

CRLF = "\r\n"


@dataclass(frozen=True)
class Case:
    """`name` is a statement's subject: it says what is special about the request."""

    name: str
    request: bytes
    listener: str = "plain"


def get(name: str, target: str, *headers: str, method: str = "GET", host: str = "any.org", body: str = "", listener: str = "plain") -> Case:
    """A well-formed request; a header is a whole line. A body brings its Content-Length."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return Case(name, (CRLF.join(lines) + CRLF * 2 + body).encode("latin-1"), listener)


def odd(name: str, target: str, *headers: str, method: str = "GET", host: str = "any.org", body: str = "") -> Case:
    """A well-formed request to the listener whose manager has the rarer options."""
    return get(f"{name}, by rarer options", target, *headers, method=method, host=host, body=body, listener="odd")


def raw(name: str, *lines: str, body: str = "", listener: str = "plain") -> Case:
    """Lines that need not be HTTP."""
    return Case(name, (CRLF.join(lines) + CRLF * 2 + body).encode("latin-1"), listener)


def chunked(name: str, body: str, header: str = "Transfer-Encoding: chunked") -> Case:
    """A request with a chunked body, written as it goes on the wire."""
    return raw(name, "POST /some HTTP/1.1", "Host: any.org", header, body=body)


ROUTES = [
    get("exact path", "/exact"),
    get("exact path with a query", "/exact?a=1&b=%20"),
    get("exact path and more", "/exact/"),
    get("path whatever its case", "/uPPer"),
    get("pattern", "/regex/123"),
    get("pattern with a query", "/regex/123?x"),
    get("half a pattern", "/regex/123a"),
    get("prefix of whole segments", "/separated"),
    get("prefix of whole segments, deeper", "/separated/x"),
    get("prefix of half a segment", "/separatedx"),
    get("header of one value", "/headers", "x-exact: one"),
    get("header of one value among two lines", "/headers", "x-exact: one", "x-exact: two"),
    get("header's beginning", "/headers", "x-prefix: prefix"),
    get("header's end, any case", "/headers", "X-Suffix: thePOST"),
    get("header's middle", "/headers", "x-contains: fine"),
    get("header by pattern", "/headers", "x-regex: aaab"),
    get("header by half a pattern", "/headers", "x-regex: aaabc"),
    get("header's number in a range", "/headers", "x-range: 9"),
    get("header's number at the end of a range", "/headers", "x-range: 10"),
    get("header's number with rubbish", "/headers", "x-range: 9a"),
    get("header that is there", "/headers", "x-present:"),
    get("header that is not so, and another", "/headers", "x-and: two", "x-not: three"),
    get("header that is so, and another", "/headers", "x-and: two", "x-not: one"),
    get("header that is absent, and another", "/headers", "x-and: two"),
    get("route by method", "/headers", method="PURGE"),
    get("query of one value", "/query?a=1"),
    get("query of one value twice", "/query?a=2&a=1"),
    get("query's name alone", "/query?z&b"),
    get("query by pattern", "/query?c=xyz#c"),
    get("query in escapes", "/query?a=%31"),
    get("no route", "/nowhere"),
    get("virtual host by name", "/", host="api.example.com"),
    get("virtual host by name in capitals", "/", host="API.Example.Com"),
    get("virtual host by name and port", "/", host="api.example.com:80"),
    get("virtual host by suffix", "/", host="x.example.com"),
    get("virtual host by the longer suffix", "/", host="x.wild.example.com"),
    get("virtual host by prefix", "/", host="api.org"),
    get("IPv6 host", "/exact", host="[::1]:80"),
]

ACTIONS = [
    get("direct response", "/direct"),
    get("direct response to HEAD", "/direct", method="HEAD"),
    get("direct response to a body", "/direct", method="POST", body="hello"),
    get("direct response without a body", "/direct/empty"),
    get("direct response of 204", "/direct/none"),
    get("redirect to https", "/to/https/x?y=1"),
    get("redirect to https with a port", "/to/https/x", host="any.org:80"),
    get("redirect to a host", "/to/host/x?y=1"),
    get("redirect to a port", "/to/port/x"),
    get("redirect to a port from a port", "/to/port/x", host="any.org:8080"),
    get("redirect to a path", "/to/path/x?y=1"),
    get("redirect to a path with a query", "/to/query/x?y=1"),
    get("redirect by prefix", "/to/prefix/x?y=1"),
    get("redirect by pattern", "/to/regex/a/b?y=1"),
    get("redirect of HEAD", "/to/host", method="HEAD"),
    get("redirect of a virtual host to TLS", "/a?b", host="secure.example.com"),
    get("prefix rewrite", "/rewrite/prefix/a/b?c=d"),
    get("prefix rewrite of the whole path", "/rewrite/all?c=d"),
    get("prefix rewrite within a segment", "/rewrite/allover"),
    get("pattern rewrite", "/rewrite/regex/a/b?c=/rewrite/regex/a/"),
    get("host rewrite", "/rewrite/host/literal"),
    get("host rewrite from a header", "/rewrite/host/header", "x-host: h.example.com"),
    get("host rewrite from an absent header", "/rewrite/host/header"),
    get("host rewrite from the path", "/rewrite/host/path/seg/x?y"),
    get("header edits", "/edit", "x-over: old", "x-only-new: old", "x-gone: 1", "x-source: s"),
    get("header edits on nothing", "/edit"),
    get("header edits at three levels", "/", listener="inner"),
    get("weighted clusters by header", "/weighted", "x-canary: 1"),
    get("weighted clusters", "/weighted"),
    get("cluster from a header", "/by-header", "x-cluster: up"),
    get("cluster from an absent header", "/by-header"),
    get("unknown cluster from a header", "/by-header", "x-cluster: nope"),
    get("unknown cluster", "/absent"),
    get("unknown cluster, answered with 404", "/absent/404"),
    get("cluster without endpoints", "/nobody"),
    get("endpoint that refuses connections", "/dead"),
    get("endpoint that refuses connections, asked with HEAD", "/dead", method="HEAD"),
    get("route timeout", "/slow"),
    get("retries until the third", "/retried/twice"),
    get("retries in vain", "/retried/status/500"),
    get("attempt count", "/exact", host="counted.example.com"),
    get("attempt count the client sent", "/exact", "x-envoy-attempt-count: 7", host="counted.example.com"),
]

METHODS = [
    *(get(f"method {method}", "/exact", method=method) for method in ("HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE")),
    *(get(f"method {method}", "/exact", method=method) for method in ("PROPFIND", "MKCOL", "REPORT", "LINK", "M-SEARCH")),
    get("method nobody knows", "/exact", method="BREW"),
    get("method in small letters", "/exact", method="get"),
    get("OPTIONS for the server", "*", method="OPTIONS"),
    get("CONNECT", "any.org:443", method="CONNECT", host="any.org:443"),
    get("absolute target", "http://inner.org/exact?a"),
    get("absolute target without a path", "http://api.example.com"),
    get("absolute https target", "https://api.example.com/"),
    get("target with a fragment", "/exact#frag"),
    get("target in escapes", "/some%2Fpath%20x?q=%zz"),
    get("target with dots", "/some/../exact"),
    get("long target", "/some/" + "x" * 8000),
]

BODIES = [
    get("POST with a body", "/some", method="POST", body="hello"),
    get("GET with a body", "/some", body="hello"),
    get("DELETE with a body", "/some", method="DELETE", body="hello"),
    get("POST of length zero", "/some", "Content-Length: 0", method="POST"),
    get("GET of length zero", "/some", "Content-Length: 0"),
    chunked("chunked request", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
    chunked("chunked request with an extension", "5;a=b\r\nhello\r\n0\r\n\r\n"),
    chunked("chunked request with trailers", "1\r\nx\r\n0\r\nx-t: 1\r\n\r\n"),
    chunked("chunked request in capitals", "1\r\nx\r\n0\r\n\r\n", "TRANSFER-ENCODING: CHUNKED"),
    get("Expect: 100-continue", "/some", "Expect: 100-continue", method="POST", body="hello"),
    get("Expect: 100-continue for no route", "/nowhere", "Expect: 100-continue", method="POST", body="hello"),
    get("Expect of something else", "/some", "Expect: miracles", method="POST", body="hello"),
    get("large body", "/up/big"),
    get("chunked response", "/up/chunked"),
    get("response until the end", "/up/unframed"),
    get("HTTP/1.0 response", "/up/old"),
    get("hop-by-hop response headers", "/up/hop"),
    get("cookies", "/up/cookies"),
    get("early hints", "/up/hints"),
    get("204 response", "/up/none"),
    get("304 response", "/up/unmodified"),
    get("response without a reason phrase", "/up/bare"),
    get("response with date, via and server", "/up/own-date"),
    get("response with date, via and server, passed through", "/own-date", listener="inner"),
    get("response of both lengths", "/up/both"),
    get("response of two lengths", "/up/two-lengths"),
    get("response in another transfer coding", "/up/gzipped"),
    get("response in two transfer codings", "/up/two-codings"),
    get("response in chunks twice", "/up/chunked-twice"),
    get("response of a status of two digits", "/up/two-digits"),
    get("response of a status beyond 999", "/up/four-digits"),
    get("response of HTTP/2.0", "/up/version"),
    get("response with a NUL", "/up/nul"),
    get("response with a folded header", "/up/folded"),
    get("response with a bare line feed", "/up/line-feed"),
    get("response with a header without a colon", "/up/no-colon"),
    get("response with a space before a colon", "/up/space-colon"),
    get("response of negative length", "/up/negative"),
    get("response of length in a list", "/up/length-list"),
    get("response with a chunk size that is none", "/up/bad-chunk"),
    get("response with a chunk longer than its size", "/up/long-chunk"),
    get("response of 204 with a length", "/up/none-length"),
    get("response of 304 with chunks", "/up/unmodified-chunks"),
    get("response with more behind its length", "/up/excess"),
    get("response of 100 headers", "/up/many-headers"),
    get("response of 101 headers", "/up/too-many-headers"),
    get("response of 90 KiB of headers", "/up/large-headers"),
    get("response that is no HTTP", "/up/garbage"),
    get("connection closed for an answer", "/up/silent"),
    get("response cut within its length", "/up/cut"),
    get("response cut within its chunks", "/up/cut-chunk"),
    get("response cut by a reset", "/up/reset"),
    *(get(f"status {code}", f"/up/status/{code}") for code in (201, 301, 404, 429, 500, 503, 599)),
]

HEADERS = [
    get("hop-by-hop request headers", "/some", "Connection: x-hop, keep-alive", "x-hop: 1", "Keep-Alive: timeout=5", "Proxy-Connection: x"),
    get("Connection: close", "/some", "Connection: close"),
    get("Connection that names a pseudo-header", "/some", "Connection: :path"),
    get("Connection that names x-forwarded-for", "/some", "Connection: x-forwarded-for", "x-forwarded-for: 1.2.3.4"),
    get("TE: trailers", "/some", "TE: trailers, deflate", "Connection: TE"),
    get("Upgrade that is not enabled", "/some", "Connection: Upgrade", "Upgrade: foo"),
    get("Upgrade: h2c", "/some", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAA"),
    get("Upgrade without Connection", "/some", "Upgrade: websocket"),
    get("websocket that the upstream refuses", "/some", "Connection: Upgrade", "Upgrade: websocket"),
    get("Proxy-Authorization", "/some", "Proxy-Authorization: Basic x"),
    get("Trailer", "/some", "Trailer: x-t"),
    get("x-forwarded-for", "/some", "x-forwarded-for: 1.2.3.4, 5.6.7.8", "x-forwarded-proto: https", "x-forwarded-host: other.org"),
    get("x-forwarded-for at the edge", "/some", "x-forwarded-for: 1.2.3.4, 10.0.0.1", "x-forwarded-proto: https", listener="edge"),
    get("x-forwarded-for of a trusted hop", "/some", "x-forwarded-for: 1.2.3.4, 10.0.0.1", "x-forwarded-proto: https", listener="inner"),
    get("no x-forwarded-for at the edge", "/some", listener="edge"),
    get("odd x-forwarded-proto", "/some", "x-forwarded-proto: gopher"),
    get("x-request-id", "/some", "x-request-id: mine"),
    get("x-request-id at the edge", "/some", "x-request-id: mine", listener="edge"),
    get("x-request-id that is kept", "/some", "x-request-id: mine", listener="inner"),
    get("x-envoy headers", "/some", "x-envoy-internal: true", "x-envoy-external-address: 1.1.1.1", "x-envoy-original-path: /x"),
    get("x-envoy headers at the edge", "/some", "x-envoy-internal: true", "x-envoy-external-address: 1.1.1.1", "x-envoy-original-path: /x",
        "x-envoy-max-retries: 3", "x-envoy-retry-on: 5xx", "x-envoy-upstream-rq-timeout-ms: 9", "x-envoy-force-trace: 1", listener="edge"),
    get("x-envoy-upstream-rq-timeout-ms", "/some", "x-envoy-upstream-rq-timeout-ms: 5000"),
    get("x-envoy-retry-on", "/up/twice/by-header", "x-envoy-retry-on: 5xx", "x-envoy-max-retries: 2"),
    get("x-envoy-decorator-operation", "/some", "x-envoy-decorator-operation: x"),
    get("cookies in two lines", "/some", "Cookie: a=1", "Cookie: b=2"),
    get("one header twice", "/some", "X-A: 1", "x-a: 2"),
    get("header in odd case and spaces", "/some", "X-OdD-cAsE:    v  w   "),
    get("empty header", "/some", "x-empty:"),
    get("header in UTF-8", "/some", "x-utf: \xc3\xa9"),
    get("header with underscore", "/some", "x_a: 1"),
    get("header with underscore, refused", "/some", "x_a: 1", listener="edge"),
    get("header with underscore, dropped", "/some", "x_a: 1", listener="inner"),
    get("50 KiB of headers", "/some", *(f"x-{i}: {'v' * 1000}" for i in range(50))),
    get("70 KiB of headers", "/some", *(f"x-{i}: {'v' * 1000}" for i in range(70))),
    get("one header of 70 KiB", "/some", "x-long: " + "v" * 70_000),
    get("9 KiB of headers where 8 are allowed", "/some", "x-long: " + "v" * 9000, listener="edge"),
    get("101 headers", "/some", *(f"x-{i}: v" for i in range(100))),
    get("21 headers where 20 are allowed", "/some", *(f"x-{i}: v" for i in range(20)), listener="edge"),
]

PATHS = [
    get("dots at the edge", "/a/./b/../c", listener="edge"),
    get("dots beyond the root", "/../c", listener="edge"),
    get("dots beyond the root twice", "/../../c", listener="edge"),
    get("dots beyond the root behind a segment", "/a/../../c", listener="edge"),
    get("dots beyond the root at the end", "/..", listener="edge"),
    get("dots in escapes beyond the root", "/%2e%2e/c", listener="inner"),
    get("dots beyond the root, further in", "/../c", listener="inner"),
    get("double slashes at the edge", "//a///b?x=//y", listener="edge"),
    get("escaped slashes, unescaped", "/a%2Fb%5cc", listener="edge"),
    get("escaped slashes, refused", "/a%2fb", listener="inner"),
    get("escaped letters at the edge", "/%61%2e%2e/b", listener="edge"),
    get("backslash at the edge", "/a\\b", listener="edge"),
    get("host with a port at the edge", "/some", host="api.example.com:8080", listener="edge"),
    get("host with a port passed to the upstream", "/some", host="other.org:8080", listener="edge"),
]

OLD = [
    raw("HTTP/1.0", "GET /some HTTP/1.0", "Host: any.org"),
    raw("HTTP/1.0 at the edge", "GET /some HTTP/1.0", "Host: any.org", listener="edge"),
    raw("HTTP/1.0 without a host", "GET /some HTTP/1.0", listener="edge"),
    raw("HTTP/1.0 that keeps alive", "GET /some HTTP/1.0", "Host: any.org", "Connection: keep-alive", listener="edge"),
    raw("HTTP/1.0 for a chunked response", "GET /chunked HTTP/1.0", "Host: any.org", listener="edge"),
    raw("HTTP/0.9", "GET /some"),
]

BAD = [
    raw("no host", "GET /some HTTP/1.1"),
    raw("empty host", "GET /exact HTTP/1.1", "Host:"),
    raw("two hosts", "GET /some HTTP/1.1", "Host: a", "Host: b"),
    get("host with a space", "/some", host="a b"),
    get("host with a slash", "/some", host="a/b"),
    get("host with a user", "/some", host="user@host"),
    raw("both lengths", "POST /some HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
    raw("two lengths", "POST /some HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 6", body="hello"),
    raw("the same length twice", "POST /some HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 5", body="hello"),
    raw("length in a list", "POST /some HTTP/1.1", "Host: a", "Content-Length: 5, 5", body="hello"),
    raw("negative length", "POST /some HTTP/1.1", "Host: a", "Content-Length: -1"),
    raw("length with a sign", "POST /some HTTP/1.1", "Host: a", "Content-Length: +5", body="hello"),
    raw("length in hexadecimal", "POST /some HTTP/1.1", "Host: a", "Content-Length: 0x5", body="hello"),
    raw("length beyond numbers", "POST /some HTTP/1.1", "Host: a", "Content-Length: 99999999999999999999999"),
    raw("transfer coding nobody knows", "POST /some HTTP/1.1", "Host: a", "Transfer-Encoding: gzip"),
    raw("chunked twice", "POST /some HTTP/1.1", "Host: a", "Transfer-Encoding: chunked, chunked", body="0\r\n\r\n"),
    raw("chunked not last", "POST /some HTTP/1.1", "Host: a", "Transfer-Encoding: chunked, gzip", body="0\r\n\r\n"),
    raw("chunked before a tab", "POST /some HTTP/1.1", "Host: a", "Transfer-Encoding:\tchunked", body="0\r\n\r\n"),
    raw("bad chunk size", "POST /some HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body="zz\r\nhello\r\n0\r\n\r\n"),
    raw("chunk longer than its size", "POST /some HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body="3\r\nhello\r\n0\r\n\r\n"),
    raw("folded header", "GET /some HTTP/1.1", "Host: a", "x-a: 1", "  2"),
    raw("space before the colon", "GET /some HTTP/1.1", "Host: a", "x-a : 1"),
    raw("space before the header", "GET /some HTTP/1.1", " Host: a"),
    raw("header without a colon", "GET /some HTTP/1.1", "Host: a", "nonsense"),
    raw("header without a name", "GET /some HTTP/1.1", "Host: a", ": 1"),
    raw("NUL in a header", "GET /some HTTP/1.1", "Host: a", "x-a: 1\x002"),
    raw("NUL in the path", "GET /so\x00me HTTP/1.1", "Host: a"),
    raw("bell in a header", "GET /some HTTP/1.1", "Host: a", "x-a: 1\x072"),
    raw("carriage return in a header", "GET /some HTTP/1.1", "Host: a", "x-a: 1\r2"),
    raw("parenthesis in a header's name", "GET /some HTTP/1.1", "Host: a", "x(a): 1"),
    Case("bare line feeds", b"GET /some HTTP/1.1\nHost: a\n\n"),
    Case("bare line feed after one header", b"GET /some HTTP/1.1\r\nHost: a\nx-a: 1\r\n\r\n"),
    Case("empty lines before the request", b"\r\n\r\nGET /exact HTTP/1.1\r\nHost: a\r\n\r\n"),
    raw("space in the target", "GET /some path HTTP/1.1", "Host: a"),
    raw("two spaces before the target", "GET  /some HTTP/1.1", "Host: a"),
    raw("bytes beyond ASCII in the target", "GET /some/\xc3\xa9 HTTP/1.1", "Host: a"),
    raw("target without a slash", "GET some HTTP/1.1", "Host: a"),
    raw("asterisk for GET", "GET * HTTP/1.1", "Host: a"),
    raw("version 2.0", "GET /some HTTP/2.0", "Host: a"),
    raw("version 1.2", "GET /some HTTP/1.2", "Host: a"),
    raw("version in small letters", "GET /some http/1.1", "Host: a"),
    Case("TLS where none is spoken", bytes.fromhex("160301006f0100006b0303") + bytes(100)),
    Case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
]

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")

ODD = [
    odd("a request", "/some"),
    odd("user agent", "/some", "User-Agent: curl/8"),
    odd("empty user agent", "/some", "User-Agent:"),
    odd("x-envoy-downstream-service-cluster", "/some", "x-envoy-downstream-service-cluster: mine", "x-envoy-downstream-service-node: me"),
    odd("x-request-id", "/some", "x-request-id: mine"),
    odd("host with another port", "/some", host="any.org:8080"),
    odd("host with a dot", "/some", host="any.org."),
    odd("host with a dot and a port", "/some", host="any.org.:80"),
    odd("escaped slash", "/a%2fb?c=%2f"),
    odd("escaped backslash and dots", "/a%5C..%2Fb"),
    odd("escaped slash in a POST", "/a%2fb", method="POST", body="hello"),
    odd("NUL in the path", "/a%00"),
    odd("fragment", "/a#b"),
    odd("Connection that names Host", "/some", "Connection: host"),
    odd("Connection that names x-forwarded-host in a second line", "/some", "Connection: close", "Connection: x-forwarded-host"),
    odd("OPTIONS for the server", "*", method="OPTIONS"),
    odd("absolute target", "http://any.org/some"),
    odd("no route for CONNECT", "any.org:80", method="CONNECT"),
    odd("1 KiB of headers", "/some", "x-long: " + "v" * 1100),
    odd("upstream's own server header", "/own-date"),
    odd("no server header of the upstream", "/chunked"),
    odd("upgrade that is switched off", "/some", "Connection: Upgrade", "Upgrade: other"),
    odd("upgrade that the route switches on", "/upgraded", "Connection: Upgrade", "Upgrade: other"),
    odd("upgrade that the route switches off", "/upgraded", *UPGRADE),
    odd("stream that lasts too long", "/lasting-slow"),
    raw("HTTP/1.0, by rarer options", "GET /some HTTP/1.0", "Host: any.org", listener="odd"),
    raw("HTTP/1.0 without a host, by rarer options", "GET /some HTTP/1.0", listener="odd"),
    raw("no host, by rarer options", "GET /some HTTP/1.1", listener="odd"),
    raw("escaped slash in HTTP/1.0, by rarer options", "GET /a%2fb HTTP/1.0", "Host: any.org", listener="odd"),
]

CASES = [*ROUTES, *ACTIONS, *METHODS, *BODIES, *HEADERS, *PATHS, *OLD, *BAD, *ODD]
