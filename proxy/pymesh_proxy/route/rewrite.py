"""Rewriting a request's path and host before it goes upstream, and the locations of redirects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..http.headers import RequestHead
from .conditions import path_of
from .hosts import without_port
from .table import Edit

if TYPE_CHECKING:
    from ..http.exchange import Exchange

PathRewrite = Callable[[bytes], bytes]
"""From a request target with its query to the new one."""

HostRewrite = Callable[["Exchange"], "bytes | None"]
"""The new host; None leaves it."""


def replace_prefix(matched: int | None, new: str) -> PathRewrite:
    """Put a text in the place of the first `matched` bytes; None stands for the whole path (an exact or pattern match)."""
    text = new.encode()

    def rewrite(target: bytes) -> bytes:
        return text + target[len(path_of(target)) if matched is None else matched :]

    return rewrite


def substitute(pattern: Any, replacement: "Sequence[bytes | int]") -> PathRewrite:
    """Replace every match of a pattern in the path, not in the query; integers in the replacement are groups."""
    replace = replace_all(pattern, replacement)

    def rewrite(target: bytes) -> bytes:
        path = path_of(target)
        return replace(path) + target[len(path) :]

    return rewrite


def replace_all(pattern: Any, replacement: "Sequence[bytes | int]") -> Callable[[bytes], bytes]:
    """Replace every match of a pattern; integers in the replacement are groups."""

    def expand(match: Any) -> bytes:
        return b"".join([(match.group(part) or b"") if isinstance(part, int) else part for part in replacement])

    def replace(text: bytes) -> bytes:
        """As RE2's GlobalReplace: where a match ends, an empty one does not begin, which Python's `sub` would take."""
        pieces: list[bytes] = []
        end = 0
        for match in pattern.finditer(text):
            start, stop = match.span()
            if start == stop and pieces and start == end:
                continue
            pieces += (text[end:start], expand(match))
            end = stop
        return b"".join((*pieces, text[end:]))

    return replace


def with_query(path: "Callable[[Exchange], bytes]") -> "Callable[[Exchange], bytes]":
    """Another path, which the request's query stays behind; an empty one leaves what there is."""

    def rewrite(exchange: "Exchange") -> bytes:
        target = exchange.head.path
        new = path(exchange)
        return new + target[len(path_of(target)) :] if new else target

    return rewrite


def forward_rewrite(
    path: "Callable[[Exchange], bytes] | None", host: HostRewrite | None, append_forwarded_host: bool
) -> "Callable[[Exchange], None] | None":
    """Both rewrites of a route; the originals are kept in x-envoy-original-path and x-envoy-original-host."""
    if path is None and host is None:
        return None

    def rewrite(exchange: "Exchange") -> None:
        head = exchange.head
        if host is not None and (new_host := host(exchange)):
            replace_host(head, new_host, append_forwarded_host)
        if path is not None and (new_path := path(exchange)) != head.path:
            head.set(b"x-envoy-original-path", head.path)
            head.path = new_path

    return rewrite


def replace_host(head: RequestHead, host: bytes, append_forwarded_host: bool) -> None:
    """Another host; the one that the client asked for is kept."""
    if append_forwarded_host:
        head.set(b"x-forwarded-host", b",".join([*head.get_all(b"x-forwarded-host"), head.authority]))
    head.set(b"x-envoy-original-host", head.authority)
    set_host(head, host)


def shadow(changes: Sequence[Edit], host: bytes, *, suffix: bool) -> Edit:
    """What tells a copy's head from its request's: changes of headers, another host or `-shadow` behind its name, and a mark."""

    def rewrite(exchange: "Exchange") -> None:
        head = exchange.head
        for change in changes:
            change(exchange)
        if host or suffix:
            set_host(head, host or _shadowed(head.authority))
        head.set(b"x-envoy-internal", b"true")

    return rewrite


def _shadowed(authority: bytes) -> bytes:
    name = without_port(authority)
    return name + b"-shadow" + authority[len(name) :]


def set_host(head: RequestHead, host: bytes) -> None:
    """Change the authority and the Host line, which keeps its place."""
    head.authority = host
    if head.get(b"host") is None:
        head.add(b"host", host)
    else:
        head.fields = [(name, host) if name.lower() == b"host" else (name, value) for name, value in head.fields]
        head.index[b"host"] = host


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """How a redirect builds its Location; empty members keep what the request had."""

    scheme: bytes = b""
    host: bytes = b""
    port: int = 0
    path: PathRewrite | None = None
    strip_query: bool = False

    def __call__(self, exchange: "Exchange") -> bytes:
        head = exchange.head
        scheme = self.scheme or scheme_of(head)
        host = self.host or self._request_host(head, scheme)
        port = b":%d" % self.port if self.port else b""
        target = self.path(head.path) if self.path else head.path
        return scheme + b"://" + host + port + (path_of(target) if self.strip_query else target)

    def _request_host(self, head: RequestHead, scheme: bytes) -> bytes:
        """The request's host; its port goes when another is given, or when it was the old scheme's own (RFC 9110, 4.2.1)."""
        bare = without_port(head.authority)
        old = scheme_of(head)
        was_default = head.authority[len(bare) :] == {b"http": b":80", b"https": b":443"}.get(old)
        return bare if self.port or (scheme != old and was_default) else head.authority


def scheme_of(head: RequestHead) -> bytes:
    """The scheme that the client used, as far as x-forwarded-proto tells."""
    return head.get(b"x-forwarded-proto") or head.scheme


def replace_path(new: str) -> PathRewrite:
    """Another path; the request's query is kept unless the new one brings its own."""
    text = new.encode()
    if b"?" in text:
        return lambda target: text
    return lambda target: text + target[len(path_of(target)) :]
