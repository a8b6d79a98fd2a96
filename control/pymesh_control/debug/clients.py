"""Connected proxies: how far each is with every type, what it asked for, and which one is meant by a name."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import json_format

from pymesh.xds import node as nodes
from pymesh.xds import types

from ..ads.stream import Stream
from ..ads.subscription import Status, Subscription


class UnknownProxy(Exception):
    """No connected proxy has the name asked for; the message says which have."""


def find(streams: Iterable[Stream], name: str) -> Stream:
    """The first stream of a proxy, by its whole node id, by `NAME.NAMESPACE`, or by NAME alone. Raises UnknownProxy."""
    known = list(streams)
    for spelled in (_whole, short_name, _pod):
        found = next((stream for stream in known if spelled(stream) == name), None)
        if found is not None:
            return found
    there = ", ".join(sorted({short_name(stream) for stream in known})) or "none"
    raise UnknownProxy(f"no proxy {name!r} is connected (connected: {there})" if name else f"proxyID is missing (connected: {there})")


def short_name(stream: Stream) -> str:
    """`NAME.NAMESPACE`, as `istioctl proxy-status` shows it; the whole id of a client that has none of Istio's form."""
    try:
        return nodes.parse(_whole(stream)).name
    except nodes.InvalidNodeId:
        return _whole(stream)


def client(stream: Stream) -> dict[str, Any]:
    """One connected proxy: how far it is with each type, and what it refused."""
    metadata = stream.node.metadata.fields
    return {
        "proxy": stream.node.id,
        "proxy_type": stream.node.id.partition("~")[0],
        "name": short_name(stream),
        "cluster_id": _text(metadata, "CLUSTER_ID") or "Kubernetes",
        "istio_version": _text(metadata, "ISTIO_VERSION"),
        **dict(_versions(stream)),
        "user_agent": stream.node.user_agent_name,
        "identity": stream.identity and str(stream.identity),
        "connected_at": moment(stream.connected_at),
        "types": {types.SHORT[one.type_url]: subscription(one) for one in stream.session.subscribed()},
    }


_SPELLED = {types.CLUSTER: "cluster", types.LISTENER: "listener", types.ROUTE: "route", types.ENDPOINT: "endpoint"}
"""Istio's words for types, in the keys of its SyncStatus."""


def _versions(stream: Stream) -> Iterator[tuple[str, str]]:
    """What tools of Istio's compare: a client is synced with a type where both are the same."""
    for type_url, word in _SPELLED.items():
        one = stream.session.subscriptions.get(type_url)
        if one is not None:
            yield f"{word}_sent", one.version
            yield f"{word}_acked", one.accepted_version or ""


def subscription(one: Subscription) -> dict[str, Any]:
    """One type of one client."""
    return {
        "status": one.status.value,
        "version_sent": one.version,
        "version_acked": one.accepted_version,
        "nonce_sent": one.nonce,
        "last_ack": moment(one.accepted_at),
        "error": one.error,
        "resources": len(one.sent),
        "subscribed": sorted(one.interest),
    }


def connections(streams: Iterable[Stream]) -> dict[str, Any]:
    """Who is connected, since when and as whom."""
    found = [
        {"connectionId": stream.node.id, "connectedAt": moment(stream.connected_at), "identity": stream.identity and str(stream.identity)}
        for stream in streams
    ]
    return {"totalClients": len(found), "clients": found}


def adsz(streams: Iterable[Stream]) -> dict[str, Any]:
    """Every client with what its node says of it and the names that it watches."""
    found = [
        {
            "connectionId": stream.node.id,
            "connectedAt": moment(stream.connected_at),
            "well": stream.well,
            "metadata": json_format.MessageToDict(stream.node.metadata),
            "locality": json_format.MessageToDict(stream.node.locality),
            "watches": {types.SHORT[one.type_url]: sorted(one.interest) for one in stream.session.subscribed()},
        }
        for stream in streams
    ]
    return {"totalClients": len(found), "clients": found}


def resourcesz(stream: Stream) -> dict[str, Any]:
    """Every resource that a client holds or is about to, with its version and whether it was accepted."""
    return {
        "proxy": stream.node.id,
        "types": {
            types.SHORT[one.type_url]: {
                name: {"version": held.version, "status": one.standing(name).value} for name, held in sorted(one.sent.items())
            }
            for one in stream.session.subscribed()
        },
    }


def standings(streams: Iterable[Stream]) -> dict[str, dict[str, int]]:
    """How many clients stand how with each type."""
    found: dict[str, Counter[Status]] = {}
    for stream in streams:
        for one in stream.session.subscribed():
            found.setdefault(types.SHORT[one.type_url], Counter())[one.status] += 1
    return {short: {status.value: number for status, number in counted.items()} for short, counted in found.items()}


def moment(seconds: float | None) -> str | None:
    """RFC 3339, in UTC."""
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _whole(stream: Stream) -> str:
    return str(stream.node.id)


def _pod(stream: Stream) -> str:
    return short_name(stream).partition(".")[0]


def _text(metadata: Any, key: str) -> str | None:
    return str(metadata[key].string_value) if key in metadata else None
