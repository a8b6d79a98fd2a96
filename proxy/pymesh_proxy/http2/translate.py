"""Heads between the two forms: HTTP/2's lists with pseudo-headers, and what router and filters look at.

Inside, a head always has its `host` among the fields, as HTTP/1 has; here it turns into `:authority` and back. Names that came
by HTTP/1 are folded to lower case on their way to HTTP/2 (RFC 9113 8.2.1).
"""

from typing import Final, cast

from ..http.headers import RequestHead, ResponseHead
from .hpack import Entries, Field, Fields

_STATUS: Final[dict[int, Field]] = {code: (b":status", b"%d" % code) for code in range(100, 1000)}

_FOLDED_LIMIT: Final = 1024
"""Names whose form on HTTP/2 is remembered."""

_folded: Final[dict[bytes, bytes]] = {}

_CONNECTION_ONLY: Final = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))


def read_request(fields: Fields) -> tuple[RequestHead, bytes]:
    """The head that a checked list is, and the tunnel it asks for.

    `host` yields to `:authority`, cookie crumbs become one (RFC 9113 8.2.3), an extended CONNECT becomes the upgrade that it
    would be in HTTP/1 (RFC 8441 5), so that routes and filters see one form of it.
    """
    pseudo: dict[bytes, bytes] = {}
    start = 0
    for name, value in fields:
        if name[:1] != b":":
            break
        pseudo[name] = value
        start += 1
    rest = fields[start:]
    index = dict(rest)
    authority = pseudo.get(b":authority")
    if authority is None:
        authority = index[b"host"]
    elif b"host" in index:
        rest = [field for field in rest if field[0] != b"host"]
    if len(index) < len(rest) and b"cookie" in index:
        index[b"cookie"] = cookie = b"; ".join([value for name, value in rest if name == b"cookie"])
        rest = [field for field in rest if field[0] != b"cookie"]
        rest.append((b"cookie", cookie))
    if b":authority" in pseudo:
        rest.insert(0, (b"host", authority))
        index[b"host"] = authority
    method = pseudo[b":method"]
    upgrade = b""
    if method == b"CONNECT":
        upgrade = pseudo.get(b":protocol", method)
        method = b"GET" if b":protocol" in pseudo else method
    path, scheme = pseudo.get(b":path", b""), pseudo.get(b":scheme", b"http")
    return RequestHead(method, path, authority, rest, scheme.lower(), "2", index), upgrade


def write_request(head: RequestHead, upgrade: bytes) -> Fields:
    """The list that a head becomes, in Envoy's order; one that asks for an upgrade becomes an extended CONNECT (RFC 8441)."""
    fields: Fields = [(b":authority", head.index.get(b"host", head.authority))]
    if head.method == b"CONNECT":
        fields.append((b":method", b"CONNECT"))
    elif upgrade:
        fields += ((b":method", b"CONNECT"), (b":path", head.path), (b":scheme", head.scheme), (b":protocol", upgrade))
    else:
        fields += ((b":path", head.path), (b":method", head.method), (b":scheme", head.scheme))
    _add_folded(fields, head.fields, b"host")
    return fields


def write_response(response: ResponseHead) -> Fields:
    """The list that an answer's head becomes."""
    fields: Fields = [_STATUS[response.status]]
    _add_folded(fields, response.fields, b"")
    return fields


def _add_folded(fields: Fields, added: Fields, without: bytes) -> None:
    """Append fields with names in lower case, but for one name and those of HTTP/1's connections."""
    gathered = cast(Entries, fields)
    for field in cast(Entries, added):
        name = field[0]
        lower = _folded.get(name)
        if lower is None:
            lower = _fold(name)
        if lower == name:
            if lower != without:
                gathered.append(field)
        elif lower and lower != without:
            gathered.append((lower, field[1]))


def _fold(name: bytes) -> bytes:
    """The name in lower case, or empty for one that HTTP/2 does not have."""
    if len(_folded) >= _FOLDED_LIMIT:
        _folded.clear()
    lower = name.lower()
    if lower in _CONNECTION_ONLY:
        lower = b""
    _folded[name] = lower
    return lower


def read_response(fields: Fields, status: int, drop: frozenset[bytes]) -> ResponseHead:
    """The answer's head without what an upstream may not say in our name."""
    index = dict(fields)
    del index[b":status"]
    if drop.isdisjoint(index):
        return ResponseHead(status, fields[1:], index)
    kept = [field for field in fields if field[0] not in drop and field[0] != b":status"]
    return ResponseHead(status, kept, dict(kept))
