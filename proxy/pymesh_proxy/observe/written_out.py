"""Two formats as code rather than compiled from their text: Envoy's default line and Istio's, which nearly every log has.

A line so made takes no call and no interpreted read of an attribute for each operator; a test holds the two ways together.
"""

import time
from collections.abc import Callable
from typing import Final

from ..http.exchange import Exchange
from .escape import KNOWN, escape, remember
from .timestamps import OneFraction, default_time

ENVOY_DEFAULT: Final = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'
)

ISTIO_DEFAULT: Final = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%'
    " %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%"
    ' "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%'
    ' "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
    " %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%"
    " %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)

_time: Final[OneFraction] = default_time()
_NUMBERS: Final = tuple(map(str, range(1000)))


def _wire(value: bytes | None) -> str:
    """What a peer chose."""
    if not value:
        return "-"
    return KNOWN.get(value) or remember(value)


def _words(value: str) -> str:
    """Likewise, of what is text already."""
    if not value:
        return "-"
    return KNOWN.get(value) or remember(value)


def _number(value: int) -> str:
    return _NUMBERS[value] if 0 <= value < 1000 else str(value)


def _path(x: Exchange) -> str:
    path = x.head.index.get(b"x-envoy-original-path")
    return _wire(x.head.path if path is None else path)


def _milliseconds(x: Exchange) -> str:
    return _number(int((time.monotonic() - x.started) * 1000))


def _service_time(x: Exchange) -> str:
    return "-" if x.response is None else _wire(x.response.index.get(b"x-envoy-upstream-service-time"))


def _request_id(x: Exchange) -> str:
    """Not remembered: it does not come again."""
    request_id = x.head.index.get(b"x-request-id")
    return escape(request_id) if request_id else "-"


def _host(x: Exchange) -> str:
    return "-" if x.endpoint is None else x.endpoint.address or "-"


def envoy_line(x: Exchange) -> str:
    """ENVOY_DEFAULT. In one piece, which takes half of what joining its halves does (`python -m tests.bench.instructions h1`)."""
    head = x.head
    index = head.index
    return (
        f'[{_time.text(x.started_wall)}] "{_wire(head.method)} {_path(x)} {x.protocol or "-"}" {_number(x.status)} {x.flags or "-"} '
        f"{_number(x.request_bytes)} {_number(x.response_bytes)} {_milliseconds(x)} {_service_time(x)} "
        f'"{_wire(index.get(b"x-forwarded-for"))}" "{_wire(index.get(b"user-agent"))}" "{_request_id(x)}" '
        f'"{_wire(head.authority)}" "{_host(x)}"\n'
    )


def istio_line(x: Exchange) -> str:
    """ISTIO_DEFAULT. What only a network RBAC and the like set (CONNECTION_TERMINATION_DETAILS) is never there."""
    head = x.head
    index = head.index
    failure = _words(x.upstream_failure.replace(" ", "_"))
    downstream = x.downstream
    route = None if x.route is None else x.route.name
    return (
        f'[{_time.text(x.started_wall)}] "{_wire(head.method)} {_path(x)} {x.protocol or "-"}" {_number(x.status)} {x.flags or "-"} '
        f'{_words(x.details)} - "{failure}" '
        f"{_number(x.request_bytes)} {_number(x.response_bytes)} {_milliseconds(x)} {_service_time(x)} "
        f'"{_wire(index.get(b"x-forwarded-for"))}" "{_wire(index.get(b"user-agent"))}" "{_request_id(x)}" '
        f'"{_wire(head.authority)}" "{_host(x)}" {x.cluster_name or "-"} {x.upstream_local_address or "-"} '
        f"{downstream.local_address or '-'} {x.remote_address or '-'} {_words(downstream.sni)} {route or '-'}\n"
    )


WRITTEN_OUT: Final[dict[str, Callable[[Exchange], str]]] = {ENVOY_DEFAULT: envoy_line, ISTIO_DEFAULT: istio_line}
