"""What one client was sent, in the shape of Envoy's /config_dump: what reads that of a proxy reads this one too."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from pymesh.xds import proto, types

from ..ads.stream import Stream
from ..ads.subscription import Status, Subscription

_DUMP = proto.config_dump_shared
_STATES = _DUMP.ClientResourceStatus
_STANDING = {
    Status.SYNCED: _STATES.ACKED,
    Status.STALE: _STATES.REQUESTED,
    Status.NACKED: _STATES.NACKED,
    Status.NOT_SENT: _STATES.UNKNOWN,
}
_REDACTED = b"[redacted]"  # Envoy's word


def config_dump(stream: Stream) -> Any:
    """A ConfigDump of every type of Envoy's that the client is subscribed to, from the snapshot that it was last brought up to."""
    makers = {
        types.CLUSTER: _clusters,
        types.ENDPOINT: _endpoints,
        types.LISTENER: _listeners,
        types.ROUTE: _routes,
        types.SECRET: _secrets,
    }
    dump = proto.config_dump.ConfigDump()
    for one in stream.session.subscribed():
        if one.type_url in makers:
            dump.configs.append(proto.pack(makers[one.type_url](one, list(_held(stream, one)))))
    return dump


def messages(stream: Stream, type_url: str) -> list[Any]:
    """What a client was sent of one type."""
    subscription = stream.session.subscriptions.get(type_url)
    return [] if subscription is None else [proto.unpack(packed) for _, packed, _ in _held(stream, subscription)]


def _held(stream: Stream, subscription: Subscription) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """(name, packed message, what every entry of a dump says of its resource), by name."""
    current = subscription.fetch(stream.session.resources)
    for name, built in sorted(current.items()):
        yield name, built.any, _facts(subscription, name)


def _facts(subscription: Subscription, name: str) -> dict[str, Any]:
    standing = subscription.standing(name)
    held = subscription.sent.get(name)
    facts: dict[str, Any] = {"version_info": held.version if held else "", "client_status": _STANDING[standing]}
    if standing is Status.NACKED:
        facts["error_state"] = _DUMP.UpdateFailureState(details=subscription.error or "")
    if standing is Status.SYNCED and subscription.accepted_at is not None:
        facts["last_updated"] = Timestamp(seconds=int(subscription.accepted_at))
    return facts


def _clusters(subscription: Subscription, held: list[Any]) -> Any:
    found = [_DUMP.ClustersConfigDump.DynamicCluster(cluster=packed, **facts) for _, packed, facts in held]
    return _DUMP.ClustersConfigDump(version_info=subscription.version, dynamic_active_clusters=found)


def _endpoints(_subscription: Subscription, held: list[Any]) -> Any:
    found = [_DUMP.EndpointsConfigDump.DynamicEndpointConfig(endpoint_config=packed, **facts) for _, packed, facts in held]
    return _DUMP.EndpointsConfigDump(dynamic_endpoint_configs=found)


def _listeners(subscription: Subscription, held: list[Any]) -> Any:
    return _DUMP.ListenersConfigDump(version_info=subscription.version, dynamic_listeners=[_listener(*one) for one in held])


def _listener(name: str, packed: Any, facts: dict[str, Any]) -> Any:
    state = {key: facts[key] for key in ("version_info", "last_updated") if key in facts}
    told = {key: facts[key] for key in ("client_status", "error_state") if key in facts}
    active = _DUMP.ListenersConfigDump.DynamicListenerState(listener=packed, **state)
    return _DUMP.ListenersConfigDump.DynamicListener(name=name, active_state=active, **told)


def _routes(_subscription: Subscription, held: list[Any]) -> Any:
    found = [_DUMP.RoutesConfigDump.DynamicRouteConfig(route_config=packed, **facts) for _, packed, facts in held]
    return _DUMP.RoutesConfigDump(dynamic_route_configs=found)


def _secrets(subscription: Subscription, held: list[Any]) -> Any:
    """Those that the client waits for, because there are none, are warming, as they are in its own dump."""
    secret = proto.config_dump.SecretsConfigDump.DynamicSecret
    found = [secret(name=name, secret=_redacted(one), **facts) for name, one, facts in held]
    absent = subscription.names - {name for name, _, _ in held}
    waiting = [secret(name=name, secret=proto.pack(proto.secret.Secret(name=name))) for name in sorted(absent)]
    return proto.config_dump.SecretsConfigDump(dynamic_active_secrets=found, dynamic_warming_secrets=waiting)


def _redacted(packed: Any) -> Any:
    """A secret without its key: pages are read by more people than may know it."""
    message = proto.unpack(packed)
    if message.HasField("tls_certificate"):
        message.tls_certificate.private_key.inline_bytes = _REDACTED
    return proto.pack(message)
