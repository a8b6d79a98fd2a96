"""Header operations of VirtualServices, as Envoy's lists of headers to add and remove."""

from typing import Any

from pymesh.xds import proto

_OPTION = proto.base.HeaderValueOption
_HOST = (":authority", "host")


def apply(message: Any, headers: Any) -> None:
    """Put a Headers' operations on a route or a weighted cluster; those on the request's host are left to `host_of`."""
    if headers is None:
        return
    if headers.request:
        message.request_headers_to_add.extend(_added(headers.request))
        message.request_headers_to_remove.extend(headers.request.remove)
    if headers.response:
        message.response_headers_to_add.extend(_added(headers.response))
        message.response_headers_to_remove.extend(headers.response.remove)


def host_of(headers: Any) -> str:
    """The host that a Headers' request operations set; `set` wins over `add`. Empty when they set none."""
    if headers is None or headers.request is None:
        return ""
    for values in (headers.request.set, headers.request.add):
        for name, value in values.items():
            if name.lower() in _HOST:
                return str(value)
    return ""


def _added(operations: Any) -> list[Any]:
    overwrite = [_header(name, operations.set[name], _OPTION.OVERWRITE_IF_EXISTS_OR_ADD) for name in _plain(operations.set)]
    return overwrite + [_header(name, operations.add[name], _OPTION.APPEND_IF_EXISTS_OR_ADD) for name in _plain(operations.add)]


def _plain(values: Any) -> list[str]:
    return sorted(name for name in values if name.lower() not in _HOST and not name.startswith(":"))


def _header(name: str, value: str, action: Any) -> Any:
    return _OPTION(header=proto.base.HeaderValue(key=name, value=value), append_action=action)
