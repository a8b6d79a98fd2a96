"""A parsed HTTP/1 head, checked beyond what the parser checks: what comes out is what policy, router and upstream all see."""

from collections.abc import Iterable
from typing import Final

from .. import rescue
from ..errors import Cause
from ..filters import LocalReply
from .exchange import Downstream
from .headers import Fields, RequestHead
from .options import EscapedSlashes, HttpOptions, Underscores
from .paths import PathRedirect, PathRejected, normalize
from .request_target import SOUND, TargetRejected, read

_MAX_LENGTH_DIGITS: Final = 19
"""No body has a length of more digits; parsers down the line differ on what leading zeros mean."""

PLAIN_CONNECTION: Final = frozenset((b"keep-alive", b"close"))
"""The values of Connection that nearly every client sends, and that name no other header."""

_UNNOMINABLE: Final = frozenset((b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"))
_BODIED: Final = frozenset((b"content-length", b"transfer-encoding", b"upgrade"))

_ANSWERS: Final = frozenset((307, 404))
"""Statuses that are ordinary answers to sound requests."""

_SOUND_FRAMING: Final = frozenset(("missing_host_header", "path_normalization_failed", "http1.connection_header_rejected"))
"""Details of requests that are wrong, but whose end is known."""


def checked(options: HttpOptions, facts: Downstream, method: bytes, url: bytes, version: str, fields: Fields) -> RequestHead:
    """The request's head; raises TargetRejected."""
    if version != "1.1" and not (version == "1.0" and options.accept_http_10):
        raise TargetRejected(426, "low_version", b"HTTP/1.1 or later is needed")
    if len(fields) > options.max_headers_count or options.underscores is not Underscores.ALLOW:
        fields = checked_names(options, fields)
    index = {name.lower(): value for name, value in fields}
    if len(index) != len(fields) and sum(name.lower() == b"host" for name, _ in fields) > 1:
        raise TargetRejected(400, "http1.duplicate_host_header", b"more than one Host header")
    host = index.get(b"host")
    if host is None and version == "1.0" and options.default_host_for_http_10:
        host = index[b"host"] = options.default_host_for_http_10
        fields.append((b"Host", host))
    if host is not None and host in SOUND and url[:1] == b"/" and b"#" not in url and method != b"CONNECT":
        path, authority = url, host  # nearly every request; `read` would say the same
    else:
        path, authority = read(method, url, host, options.allow_absolute_url)
    head = RequestHead(method, path, authority, fields, b"https" if facts.tls_version else b"http", version, index)
    if b"connection" in index and (index[b"connection"].lower() not in PLAIN_CONNECTION or len(index) != len(fields)):
        _connection(fields)
    if b"transfer-encoding" in index or b"content-length" in index:
        _framing(head)
    if authority != host:
        head.set(b"host", authority)
    if options.rewrites_target and method != b"CONNECT":
        rewrite(options, facts, head)
    return head


def spares_connection(options: HttpOptions, rejected: TargetRejected, fields: Fields) -> bool:
    """Whether the next request may follow a rejected one: its end is known, no body hides another request, and the options allow it."""
    if any(name.lower() in _BODIED for name, _ in fields):
        return False
    return rejected.status in _ANSWERS or (options.stream_error and rejected.details in _SOUND_FRAMING)


def nominated(values: Iterable[bytes]) -> set[bytes]:
    """The names that the lines of a Connection header list, in lower case."""
    return {name.strip(b" \t").lower() for value in values for name in value.split(b",")}


def _connection(fields: Fields) -> None:
    """What Connection names is dropped; some headers may not be, or policy could be blinded."""
    names = nominated([value for name, value in fields if name.lower() == b"connection"])
    if names & _UNNOMINABLE or any(name.startswith(b":") for name in names):
        raise TargetRejected(400, "http1.connection_header_rejected", b"a header may not be named in Connection")


def checked_names(options: HttpOptions, fields: Fields) -> Fields:
    """The fields, of a head or behind a body, that the options let through; raises TargetRejected."""
    if len(fields) > options.max_headers_count:
        raise TargetRejected(431, "http1.too_many_headers", b"too many request headers")
    if options.underscores is Underscores.ALLOW:
        return fields
    if options.underscores is Underscores.REJECT_REQUEST and any(b"_" in name for name, _ in fields):
        raise TargetRejected(400, "http1.unexpected_underscore", b"a header name holds an underscore")
    return [pair for pair in fields if b"_" not in pair[0]]


def _framing(head: RequestHead) -> None:
    index = head.index
    if head.method == b"CONNECT":
        _connect_framing(head)
    elif index.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise TargetRejected(501, "http1.invalid_transfer_encoding", b"only the chunked transfer encoding is implemented")
    if len(index.get(b"content-length", b"")) > _MAX_LENGTH_DIGITS:
        raise TargetRejected(400, "http1.codec_error", b"malformed Content-Length header")


def _connect_framing(head: RequestHead) -> None:
    """A CONNECT has no body (RFC 9112 6.3); only a length that says so is harmless."""
    if b"transfer-encoding" in head.index:
        raise TargetRejected(501, "http1.invalid_transfer_encoding", b"CONNECT has no transfer encoding")
    if head.index.get(b"content-length") != b"0":
        raise TargetRejected(400, "http1.content_length_not_allowed", b"CONNECT has no body")
    head.remove(b"content-length")


def rewrite(options: HttpOptions, facts: Downstream, head: RequestHead) -> None:
    """Host and path as the manager's options want them seen."""
    if options.strip_matching_host_port or options.strip_any_host_port or options.strip_trailing_host_dot:
        _strip_host(options, facts, head)
    if options.normalize_path or options.merge_slashes or options.escaped_slashes is not EscapedSlashes.KEEP_UNCHANGED:
        try:
            head.path = normalize(
                head.path, normalize_path=options.normalize_path, merge_slashes=options.merge_slashes, escaped=options.escaped_slashes
            )
        except PathRejected as rejected:
            raise TargetRejected(400, "path_normalization_failed", str(rejected).encode()) from None
        except PathRedirect as redirect:
            there = ((b"location", redirect.location),)
            raise TargetRejected(307, "path_normalization_redirect", b"", there) from None


def _strip_host(options: HttpOptions, facts: Downstream, head: RequestHead) -> None:
    host, colon, port = head.authority.rpartition(b":")
    tail = b""
    if not colon or not port.isdigit():
        host = head.authority
    elif not options.strip_any_host_port and not (options.strip_matching_host_port and port == _own_port(facts)):
        tail = b":" + port
    if options.strip_trailing_host_dot:
        host = host.removesuffix(b".")
    head.authority = host + tail
    head.set(b"host", head.authority)


def _own_port(facts: Downstream) -> bytes:
    return facts.local_address.rpartition(":")[2].encode()


def refusal_of(rejected: TargetRejected) -> LocalReply:
    """The answer that a rejected head gets."""
    if rejected.status < 400:  # no error: the client is to ask elsewhere
        return LocalReply(status=rejected.status, headers=rejected.headers, details=rejected.details)
    return rescue.reply(
        Cause.BAD_REQUEST, status=rejected.status, details=rejected.details, body=rejected.sentence, headers=rejected.headers
    )
