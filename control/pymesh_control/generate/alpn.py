"""Requests to ports that do not say what they speak: inside mutual TLS each says itself, by ALPN, that it is one.

Istio's filter `istio.alpn` does so for all requests, and stock Envoy has no such filter. What it has sets filter state, and ALPN
protocols that stand there take the place of the cluster's. One list does for every version of HTTP: no server agrees to any of its
names, so that the server tells the version by the first bytes.
"""

import functools
from typing import Any

from pymesh.xds import proto

from .common import extension
from .secure import REQUEST_ALPN

FILTER = "istio.alpn"
"""Istio's name for it, by which EnvoyFilters find their place."""

_KEY = "envoy.network.application_protocols"


@functools.cache
def http_filter() -> Any:
    """Only routes that tell something let it run."""
    return proto.hcm.HttpFilter(**extension(FILTER, proto.set_filter_state.Config()), disabled=True)


def tell(message: Any) -> None:
    """Have the requests of a route, or of one of its weighted clusters, say what they are."""
    message.typed_per_filter_config[FILTER].CopyFrom(_told())


@functools.cache
def _told() -> Any:
    text = proto.format_string.SubstitutionFormatString(text_format_source={"inline_string": ",".join(REQUEST_ALPN)})
    value = proto.filter_state_value.FilterStateValue(object_key=_KEY, format_string=text)
    return proto.pack(proto.set_filter_state.Config(on_request_headers=[value]))
