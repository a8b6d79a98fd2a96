"""What both proxies are asked. A case's name says what is special about the request."""

from tests.interop.differential.cases import Case, get

_PATHS = [
    *(get(f"template: {path}", path) for path in (
        "/t/a", "/t/", "/t", "/t/a/", "/t/a?q=/", "/t/%20a", "/t/a@b:c=d,e;f", "/t/a*b!c$d&e'f(g)h+i", "/t/a|b", "/t/a[b]", '/t/a"b',
        "/t/b/x/", "/t/b/x/y/z", "/t/b/x//", "/t/b/x", "/t/c/x/y", "/t/1/mid/2/end", "/t/1/mid/2/3/end", "/t/1/mid/end", "/t/1/mid//end",
        "/t/dir/", "/T/a",
    )),
    get("template rewrite", "/rw/1/k/2/3?q=1"),
    get("template rewrite with nothing", "/rw/1/k/"),
    get("template rewrite that does not match", "/rw/1/k"),
    *(get(f"pattern: {path}", path) for path in (
        "/re/12/abc", "/re/12/", "/re/x/abc", "/re/CASE", "/re/abcd", "/re/abc", "/re/ab", "/re/!", "/re/line", "/re/line2",
    )),
    *(get(f"case: {path}", path) for path in ("/cAse/x", "/Case", "/cas", "/sEp/X/y", "/sep/x", "/sep/xy", "/q?x", "/q?xy")),
    get("share of 200 percent", "/fraction/all"),
    get("share of nothing", "/fraction/none"),
    *(get(f"certificate: {path}", path) for path in ("/tls/none", "/tls/not", "/tls/one", "/tls/both", "/tls/any")),
]  # fmt: skip

_REWRITES = [
    get("path format", "/format/path/1?q=2", "a: 5"),
    get("path format with nothing in it", "/format/path?q=2"),
    get("path format of a header alone", "/format/alone/1?q=2", "a: /zz?y"),
    get("path format of an absent header alone", "/format/alone/1?q=2"),
    get("host format", "/format/host", "a: x"),
    get("host format of an absent header", "/format/host"),
    get("host of the endpoint", "/auto"),
    get("host of the endpoint, forwarded twice", "/auto", "x-forwarded-host: z", "x-forwarded-host: y"),
    get("host of an endpoint without a name", "/unnamed", "x-forwarded-host: z"),
    get("old host after others", "/forwarded", "x-forwarded-host: z, y", "x-forwarded-host: x"),
    get("old host alone", "/forwarded", host="any.org:80"),
    get("pattern that matches nothing, too", "/regex/empty/axxb?x"),
    get("groups of a pattern", "/regex/groups/groom?groom"),
    get("character class", "/regex/class/12a3?4"),
]

_WEIGHTS = [
    *(get(f"share by number {number}", "/weights/header", f"x-number: {number}") for number in (0, 29, 30, 299, 300, 2**64 - 1)),
    get("cluster of a share from a header", "/weights/cluster", "x-cluster: up"),
    get("unknown cluster of a share", "/weights/cluster", "x-cluster: nope"),
    get("cluster of a share from an absent header", "/weights/cluster"),
    get("host of a share", "/weights/host"),
]

_HEADERS = [
    get("missing header as empty", "/h/missing"),
    get("empty header", "/h/missing", "x-a:"),
    get("header that does not begin so", "/h/missing", "x-a: a"),
    get("header that begins so", "/h/missing", "x-a: b"),
    get("absent header", "/h/absent"),
    get("header that is not absent", "/h/absent", "x-a: 1"),
    get("header's middle in any case", "/h/fold", "x-a: xmIdx"),
    get("header in any case", "/h/fold", "x-b: aBc"),
    get("header by pattern in its own case", "/h/fold", "x-c: aBC"),
    get("header by pattern", "/h/fold", "x-c: a-c"),
    *(get(f"number {value}", "/h/range", f"x-n: {value}") for value in ("-5", "5", "-6", "0", "+1", "a", "1 2", "", "9" * 30)),
    get("number of two lines", "/h/range", "x-n: 9", "x-n: 1"),
    get("no number", "/h/range"),
    get("path with its query", "/h/pseudo?q=1"),
    get("authority in its own case", "/h/pseudo", host="Any.org"),
    get("scheme and method", "/h/pseudo", method="PUT"),
    get("grpc", "/grpc", "content-type: application/grpc+proto", method="POST"),
    get("grpc-web", "/grpc", "content-type: application/grpc-web", method="POST"),
    get("headers for insiders", "/some", "x-inside: 1"),
    get("headers for insiders at the edge", "/some", "x-inside: 1", "x-host: one.org", listener="odd"),
    *(get(f"query {text}", f"/query?{text}") for text in ("b", "a&b", "b=1&c", "a=", "a", "a=%2F", "a=1&a=%2F", "A=")),
]

_ANSWERS = [
    get("text format", "/body/text?q=1", "x-a: me"),
    get("text format with an absent header", "/body/text"),
    get("content type of a format", "/body/html"),
    get("JSON format", "/body/json", method="PUT"),
    get("format without a body", "/body/none"),
    get("format for HEAD", "/body/text", method="HEAD"),
    *(get(f"redirect: {path} of {host}", path, host=host) for path, host in (
        ("/to/scheme?a", "any.org"), ("/to/scheme", "any.org:80"), ("/to/both/x?a", "any.org:80"), ("/to/strip?a", "any.org"),
        ("/to/prefix/a/b?c", "any.org"), ("/to/prefix", "any.org"), ("/to/regex/foo?o", "any.org"), ("/to/same/x?y", "any.org:8080"),
        ("/to/same", "[::1]:80"),
    )),
    get("edits", "/edits", "x-both: old", "x-both: older", "x-exists: 1", "x-older: 1", "x-older: 2", "x-long: abcdef"),
    get("edits on nothing", "/edits"),
]  # fmt: skip

_HOSTS = [
    *(get(f"host {host}", "/", host=host) for host in (
        "port.org:8080", "port.org", "PORT.org:8080", "x-bar.org", "-bar.org", "foo-x", "foo-", "foo-x-bar.org", "x.a.b.org", ".a.b.org",
        "x.y.a.b.org", "a.org.test", "www.x", "www.a.org.test", "www.", "empty.org",
    )),
    *(get(f"virtual host by header {value}", "/", f"x-host: {value}", listener="odd") for value in (
        "one.org", "ONE.org:99", "x.two.org", "two.org", "nope", "one.org:",
    )),
    get("virtual host by an absent header", "/", host="one.org", listener="odd"),
]  # fmt: skip

CASES: list[Case] = [*_PATHS, *_REWRITES, *_WEIGHTS, *_HEADERS, *_ANSWERS, *_HOSTS]

COPIED: list[tuple[Case, int]] = [
    (get("plain", "/plain?q=1", "x-a: 1", "x-forwarded-for: 1.2.3.4", host="a.com:80", listener="mirrors"), 1),
    (get("body", "/plain", method="POST", body="hello", listener="mirrors"), 1),
    (Case("chunks", b"POST /plain HTTP/1.1\r\nHost: any.org\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "mirrors"), 1),
    (get("several addresses", "/plain", "x-forwarded-for: 1.2.3.4", "x-forwarded-for: 4.4.4.4", listener="mirrors"), 1),
    (get("rewritten", "/rewritten/x", listener="mirrors"), 1),
    (get("another host", "/host", host="a.com:80", listener="mirrors"), 1),
    (get("several", "/several", listener="mirrors"), 2),
    (get("by header", "/by-header", "x-mirror: copies", listener="mirrors"), 1),
    (get("by a header of no cluster", "/by-header", "x-mirror: nope", listener="mirrors"), 0),
    (get("by an absent header", "/by-header", listener="mirrors"), 0),
    (get("none", "/never", listener="mirrors"), 0),
    (get("to a missing cluster", "/absent", listener="mirrors"), 0),
    (get("to a server that is down", "/refused", listener="mirrors"), 0),
    (get("of a request whose server is down", "/down", listener="mirrors"), 1),
    (get("of a request without endpoints", "/nobody", listener="mirrors"), 0),
    (get("changed", "/changed", "x-a: A", "x-b: B", "x-c: C", "x-drop-1: 1", listener="mirrors"), 1),
    (get("of the virtual host", "/host-level", listener="mirrors"), 1),
]
"""Requests to the listener with mirrors, and how many copies each has."""
