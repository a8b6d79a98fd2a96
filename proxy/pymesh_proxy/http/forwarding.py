"""What a proxy changes in a request's head before routing and in an answer's head before it goes down.

The order and the lists are Envoy's (envoy-behaviour 1.2 to 1.6): hop-by-hop headers, who the client is, x-request-id,
x-forwarded-*, x-forwarded-client-cert, and the headers that only Envoy's own family may set.
"""

import random
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote

from ..tls.peer import PeerCertificate
from .exchange import Exchange
from .h1_request import PLAIN_CONNECTION, nominated
from .headers import Fields, Headers, RequestHead, ResponseHead
from .options import HOP_BY_HOP, ClientCert, HttpOptions, ServerHeader

_INTERNAL: Final = frozenset(
    b"x-envoy-" + name
    for name in (
        b"internal", b"max-retries", b"retry-on", b"retry-grpc-on", b"upstream-rq-timeout-ms", b"upstream-rq-per-try-timeout-ms",
        b"upstream-rq-timeout-alt-response", b"expected-rq-timeout-ms", b"force-trace", b"ip-tags", b"hedge-on-per-try-timeout",
        b"upstream-alt-stat-name", b"retriable-status-codes", b"retriable-header-names", b"original-url", b"upstream-stream-duration-ms",
    )
)  # fmt: skip
"""Headers that steer the proxy: taken from internal requests only, and nothing is internal unless configured (Envoy since 1.33)."""

_EDGE_ONLY: Final = frozenset(
    (
        b"x-envoy-decorator-operation", b"x-envoy-downstream-service-cluster", b"x-envoy-downstream-service-node",
        b"x-envoy-original-path", b"x-envoy-original-host",
    )
)  # fmt: skip

_DROPPED: Final = HOP_BY_HOP | _INTERNAL
_DROPPED_WITHIN: Final = HOP_BY_HOP | {b"x-envoy-internal"}
_REQUEST_TOUCHED: Final = HOP_BY_HOP | _INTERNAL | {b"te", b"expect", b"x-forwarded-client-cert"}


def prepare_request(options: HttpOptions, exchange: Exchange) -> None:
    """Edit the request's head in place."""
    head = exchange.head
    internal = options.internal is not None and _is_internal(options, options.internal, exchange)
    if not _REQUEST_TOUCHED.isdisjoint(head.index):
        touched = _REQUEST_TOUCHED.intersection(head.index)
        single = len(head.index) == len(head.fields)  # else the index knows only the last of several lines
        if single and touched == _CONNECTION and head.index[b"connection"].lower() in PLAIN_CONNECTION:
            head.remove(b"connection")
        elif not (single and touched == _TE and head.index[b"te"] == b"trailers"):  # which every gRPC call says
            _strip_request(options, exchange, internal)
    if options.use_remote_address:
        _edge(options, exchange, internal)
    else:
        _inner(options, exchange)
    if internal:
        head.set(b"x-envoy-internal", b"true")
    if options.user_agent:
        _present(options, head)
    if options.via:
        _append(head, b"via", options.via)
    if options.forward_client_cert is not _SANITIZE:
        _client_cert(options, exchange)


_SANITIZE: Final = ClientCert.SANITIZE
_CONNECTION: Final = frozenset((b"connection",))
_TE: Final = frozenset((b"te",))


def _is_internal(options: HttpOptions, internal: Callable[[bytes], bool], exchange: Exchange) -> bool:
    """Whether the request comes from within: the only address that it tells of is internal; at the edge, that of its connection."""
    forwarded = exchange.head.get_all(b"x-forwarded-for")
    if options.use_remote_address:
        return not forwarded and internal(exchange.downstream.remote_address.rpartition(":")[0].strip("[]").encode())
    return len(forwarded) == 1 and not options.xff_num_trusted_hops and b"," not in forwarded[0] and internal(forwarded[0].strip(b" \t"))


def _strip_request(options: HttpOptions, exchange: Exchange, internal: bool) -> None:
    head = exchange.head
    drop = set(_DROPPED_WITHIN if internal else _DROPPED)
    connection = head.get_all(b"connection")
    if connection:
        drop |= _nominated(connection)
    if b"te" in head.index:
        keeps_trailers = any(b"trailers" in value.lower() for value in head.get_all(b"te"))
        head.remove(b"te")
        drop.discard(b"te")
        if keeps_trailers:
            head.add(b"te", b"trailers")
    if head.index.get(b"expect", b"").lower() == b"100-continue" and not options.proxy_100_continue:
        drop.add(b"expect")  # answered here, as soon as the head was read
    passes = exchange.downstream.peer is not None or options.forward_client_cert is ClientCert.ALWAYS_FORWARD_ONLY
    if options.forward_client_cert in (ClientCert.SANITIZE, ClientCert.SANITIZE_SET) or not passes:
        drop.add(b"x-forwarded-client-cert")
    head.fields = [field for field in head.fields if field[0].lower() not in drop]
    head.index = {name.lower(): value for name, value in head.fields}


def _nominated(connection: Iterable[bytes]) -> set[bytes]:
    """Names that `Connection` makes hop-by-hop (RFC 9110 7.6.1)."""
    return nominated(connection) - {b"close", b"keep-alive", b"te", b""}


def _inner(options: HttpOptions, exchange: Exchange) -> None:
    """use_remote_address false: what the peer proxy said is believed."""
    head = exchange.head
    fields, index = head.fields, head.index
    if b"x-forwarded-proto" not in index:
        index[b"x-forwarded-proto"] = scheme = b"https" if exchange.downstream.tls_version else b"http"
        fields.append((b"x-forwarded-proto", scheme))
    if options.append_x_forwarded_port and b"x-forwarded-port" not in index:
        _told_port(exchange)
    if b"x-request-id" not in index and options.generate_request_id:
        index[b"x-request-id"] = request_id = new_request_id()
        fields.append((b"x-request-id", request_id))
    if b"x-forwarded-for" in index:
        _join(head, b"x-forwarded-for")
        exchange.remote_address = _trusted(head, options.xff_num_trusted_hops + 1) or exchange.remote_address


def _edge(options: HttpOptions, exchange: Exchange, internal: bool) -> None:
    """use_remote_address true: the client is a stranger unless it is internal, and we are the first who saw its address."""
    head = exchange.head
    if not internal:
        for name in _EDGE_ONLY.intersection(head.index):
            head.remove(name)
    peer = exchange.downstream.remote_address.rpartition(":")[0]
    trusted = _trusted(head, options.xff_num_trusted_hops) if options.xff_num_trusted_hops else None
    exchange.remote_address = trusted or exchange.downstream.remote_address
    if options.skip_xff_append:
        _join(head, b"x-forwarded-for")
    else:
        _append(head, b"x-forwarded-for", peer.strip("[]").encode())
    if not options.xff_num_trusted_hops or b"x-forwarded-proto" not in head.index:
        head.set(b"x-forwarded-proto", b"https" if exchange.downstream.tls_version else b"http")
    if options.append_x_forwarded_port and not (options.xff_num_trusted_hops and b"x-forwarded-port" in head.index):
        _told_port(exchange)
    if not internal:
        head.set(b"x-envoy-external-address", exchange.remote_address.rpartition(":")[0].encode() or peer.encode())
    keeps_id = internal or options.preserve_external_request_id
    if options.generate_request_id and not (keeps_id and b"x-request-id" in head.index):
        head.set(b"x-request-id", new_request_id())


def _present(options: HttpOptions, head: RequestHead) -> None:
    """add_user_agent: what calls is this proxy's service."""
    head.set(b"x-envoy-downstream-service-cluster", options.user_agent)
    if not head.get(b"user-agent"):
        head.set(b"user-agent", options.user_agent)
    if options.service_node:
        head.set(b"x-envoy-downstream-service-node", options.service_node)


def _trusted(head: RequestHead, from_the_right: int) -> str | None:
    """The address that the given number of trusted proxies vouches for, as `ip:0`; None when the list is too short or has none there."""
    entries = [part.strip(b" \t") for value in head.get_all(b"x-forwarded-for") for part in value.split(b",")]
    if len(entries) < from_the_right:
        return None
    return _address(entries[-from_the_right])


@lru_cache(maxsize=1024)
def _address(text: bytes) -> str | None:
    try:
        return f"{ip_address(text.decode('latin-1'))}:0"
    except ValueError:
        return None


def _join(head: Headers, name: bytes) -> None:
    """One line in the place of several: readers that know of one line only must not miss an element."""
    lines = head.get_all(name)
    if len(lines) > 1:
        head.set(name, b",".join(lines))


def _told_port(exchange: Exchange) -> None:
    """`append_x_forwarded_port`; a Unix socket has no port."""
    _, found, port = exchange.downstream.local_address.rpartition(":")
    if found and port.isdecimal():
        exchange.head.set(b"x-forwarded-port", port.encode())


def _append(head: Headers, name: bytes, value: bytes) -> None:
    """One comma-separated line; Envoy joins without a space."""
    known = head.get_all(name)
    head.set(name, b",".join([*known, value]))


class _RequestIds:
    """Random version-4 UUIDs as text, made many at a time: a digit of all of them is one slice with a stride.

    Made one by one they cost 3,000 instructions each, so 400 (`python -m tests.bench.instructions h1`). The 15th character `4`
    also tells Envoys down the line that no trace was decided.
    """

    __slots__ = ("_ready",)

    _BATCH = 256

    def __init__(self) -> None:
        self._ready: list[bytes] = []

    def next(self) -> bytes:
        """One more."""
        if not self._ready:
            self._ready = self._batch()
        return self._ready.pop()

    def _batch(self) -> list[bytes]:
        digits = random.randbytes(_DIGITS // 2 * self._BATCH).hex().encode()
        text = bytearray(_TEMPLATE * self._BATCH)
        for digit, place in enumerate(_PLACES):
            text[place::_SIZE] = digits[digit::_DIGITS]
        text[_VARIANT_AT::_SIZE] = text[_VARIANT_AT::_SIZE].translate(_VARIANT)
        return [bytes(text[start : start + _SIZE]) for start in range(0, len(text), _SIZE)]


_TEMPLATE: Final = b"xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx"
_SIZE: Final = len(_TEMPLATE)
_PLACES: Final = tuple(place for place in range(_SIZE) if _TEMPLATE[place : place + 1] == b"x")
_DIGITS: Final = 32
"""Taken from the random ones for each, of which there are places for 31."""
_VARIANT_AT: Final = 19
_VARIANT: Final = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)
"""RFC 9562 4.1: the two highest bits of this digit are 10."""

new_request_id: Final = _RequestIds().next


def _client_cert(options: HttpOptions, exchange: Exchange) -> None:
    """x-forwarded-client-cert: our element about the client's certificate (istio-contract 2.3, envoy-behaviour 1.5)."""
    peer = exchange.downstream.peer
    if peer is None or options.forward_client_cert in (ClientCert.FORWARD_ONLY, ClientCert.ALWAYS_FORWARD_ONLY):
        _join(exchange.head, b"x-forwarded-client-cert")
        return
    element = client_cert_element(options, peer, exchange.downstream.local_uri_san)
    if options.forward_client_cert is ClientCert.SANITIZE_SET:
        exchange.head.set(b"x-forwarded-client-cert", element)
    else:
        _append(exchange.head, b"x-forwarded-client-cert", element)


def client_cert_element(options: HttpOptions, peer: PeerCertificate, own_uri: str) -> bytes:
    """`By=...;Hash=...;Subject="...";URI=...;DNS=...` in Envoy's order."""
    parts = [f"By={own_uri}"] if own_uri else []
    parts.append(f"Hash={peer.sha256}")
    if options.client_cert_cert:
        parts.append(f'Cert="{quote(peer.pem, safe="")}"')
    if options.client_cert_subject:
        parts.append(f'Subject="{peer.subject}"')  # RFC 4514 has escaped the quotes in it
    if options.client_cert_uri:
        parts += [f"URI={uri}" for uri in peer.uri_sans]
    if options.client_cert_dns:
        parts += [f"DNS={name}" for name in peer.dns_sans]
    return ";".join(parts).encode()


def read_response(options: HttpOptions, status: int, raw: Fields) -> tuple[ResponseHead, bool]:
    """An upstream's head without what it may not say to our client (hop-by-hop headers and our own), and whether it was chunked."""
    drop = options.response_drop
    fields: Fields = []
    index: dict[bytes, bytes] = {}
    chunked = False
    for field in raw:
        name = field[0].lower()
        if name not in drop:
            index[name] = field[1]
            fields.append(field)
        elif name == b"transfer-encoding":
            chunked = True
    return ResponseHead(status, fields, index), chunked


def prepare_response(options: HttpOptions, response: ResponseHead, date: Callable[[], bytes], service_time: bytes = b"") -> None:
    """Add to an answer's head what is ours. `date` gives the Date header's value where there is none.

    `service_time` is what the upstream took, in milliseconds; empty for answers that no upstream gave.
    """
    fields, index = response.fields, response.index
    if b"date" not in index:
        index[b"date"] = value = date()
        fields.append((b"date", value))
    if b"server" not in index and options.server_header is not _PASS_THROUGH:
        index[b"server"] = options.server_name
        fields.append((b"server", options.server_name))
    if service_time and not options.suppress_envoy_headers:
        index[b"x-envoy-upstream-service-time"] = service_time
        fields.append((b"x-envoy-upstream-service-time", service_time))
    if options.via:
        _append(response, b"via", options.via)


_PASS_THROUGH: Final = ServerHeader.PASS_THROUGH
