"""VirtualService HTTP routes as Envoy routes, for one kind of client on one port."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymesh.xds import names, proto

from ..model.destination import Rule
from ..model.mesh import Mesh
from ..model.origin import Origin
from ..model.service import Port, Service
from ..model.sessions import SessionRoute, Sessions
from ..model.virtual import MESH, UNKNOWN_SERVICE, VirtualService
from ..model.workload import selects
from . import alpn, cors, edits, faults, hashing, mirrors, retries, sessions
from .match import EVERYTHING, is_catch_all, route_match
from .policy import told_by_requests
from .provenance import stamp, stamp_config
from .scope import Scope

_ROUTE = proto.route_components
_ACTION = _ROUTE.RouteAction
_REDIRECT = _ROUTE.RedirectAction

_REDIRECT_CODES = {
    302: _REDIRECT.FOUND,
    303: _REDIRECT.SEE_OTHER,
    307: _REDIRECT.TEMPORARY_REDIRECT,
    308: _REDIRECT.PERMANENT_REDIRECT,
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a VirtualService is being read: by which clients, through which gateways (or the mesh), on which port."""

    scope: Scope
    rule: VirtualService
    gateways: frozenset[str]
    port: int
    encrypted: bool = False

    def admits(self, match: Any) -> bool:
        """Whether a match of requests applies here at all; where it names gateways, the proxy's own traits do not count."""
        if match.port and match.port != self.port:
            return False
        return self._is_through(match) if match.gateways else self._is_from(match)

    def admits_connections(self, match: Any) -> bool:
        """The same for connections, of which gateways take those of every client."""
        if match.port and match.port != self.port:
            return False
        return self._is_through(match) and (MESH not in self.gateways or self._is_from(match))

    def _is_through(self, match: Any) -> bool:
        return not match.gateways or any(self.rule.gateway(name) in self.gateways for name in match.gateways)

    def _is_from(self, match: Any) -> bool:
        if match.source_namespace and match.source_namespace != self.scope.namespace:
            return False
        return selects(match.source_labels, dict(self.scope.labels))

    def targets(self, destinations: Sequence[Any]) -> list[tuple[str, int, Any]]:
        """(cluster, weight, destination) of each destination that gets a share; a single one gets all."""
        if len(destinations) == 1:
            return [(self.cluster(destinations[0].destination), 1, destinations[0])]
        return [(self.cluster(one.destination), one.weight, one) for one in destinations if one.weight]

    def cluster(self, destination: Any) -> str:
        """The cluster's name, whether or not it exists: one that does not is answered with 503 (500 by the Gateway API) and flag NC."""
        if destination.host == UNKNOWN_SERVICE:
            return UNKNOWN_SERVICE
        host = self.scope.stands_for(self.rule.destination(destination.host))
        port = destination.port.number if destination.port else None
        return names.outbound_cluster(host, self.scope.destination_port(host, port, self.port), destination.subset or "")


def virtual_routes(place: Place) -> list[Any]:
    """The routes of a VirtualService in order, up to the first that takes everything."""
    found = []
    for route in _candidates(place):
        found.append(route)
        if is_catch_all(route.match):
            break
    return found


def virtual_host(scope: Scope, name: str, domains: Sequence[str], routes: Sequence[Any]) -> Any:
    """A virtual host; its requests are told at which attempt they are, unless the proxy's settings do not want it."""
    counts = scope.settings.counts_attempts
    return _ROUTE.VirtualHost(name=name, domains=domains, routes=routes, include_request_attempt_count=counts)


def default_route(mesh: Mesh, service: Service, port: Port, rule: Rule | None) -> Any:
    """The route of a service's port that no VirtualService speaks of, only a DestinationRule perhaps."""
    action = _ACTION(cluster=names.outbound_cluster(service.host, port.number))
    set_timeout(action, 0)
    route = _ROUTE.Route(name="default", match=EVERYTHING, route=action)
    if hashed := hashing.of_rule(rule, port.number):
        route.route.hash_policy.append(hashing.policy(hashed))
    policy = retries.outbound(None, mesh.retry)  # to another endpoint, whatever the hash says: so Istio has it where no rule routes
    if policy is not None:
        route.route.retry_policy.CopyFrom(policy)
    sessions.apply(route, service.sessions)
    return stamp(route, service.origins)


def set_timeout(action: Any, seconds: float) -> None:
    """Limit a route's requests, 0 for not at all; deadlines that gRPC clients state count within that."""
    action.timeout.CopyFrom(proto.duration(seconds))
    action.max_grpc_timeout.CopyFrom(proto.duration(seconds))


def _candidates(place: Place) -> Iterator[Any]:
    for index, http in enumerate(place.rule.spec.http):
        author = place.rule.author("http", index)
        if not http.match:
            yield _route(place, http, None, author)
        for match in http.match:
            if place.admits(match):
                yield _route(place, http, match, author)


def _route(place: Place, http: Any, match: Any, author: Origin) -> Any:
    name = ".".join(part for part in (http.name, match.name if match else None) if part)
    condition = EVERYTHING if match is None else route_match(match, whole_segments=place.rule.follows_gateway_api)
    route = _ROUTE.Route(name=name, match=condition)
    if match is not None and match.stat_prefix:
        route.stat_prefix = match.stat_prefix
    edits.apply(route, http.headers)
    if http.redirect:
        route.redirect.CopyFrom(_redirect(http.redirect, place, condition))
    elif http.direct_response:
        route.direct_response.CopyFrom(_direct(http.direct_response))
    else:
        _forward(route, place, http, condition)
        if place.rule.follows_gateway_api and author.kind != "GRPCRoute":  # to calls of gRPC, Envoy's own 503 is the UNAVAILABLE wanted
            route.route.cluster_not_found_response_code = _ACTION.INTERNAL_SERVER_ERROR
    faults.apply(route, http.fault)
    cors.apply(route, http.cors_policy)
    stamp_config(route, author)
    return stamp(route, [author])


def _forward(route: Any, place: Place, http: Any, condition: Any) -> None:
    action = route.route
    set_timeout(action, http.timeout or 0)
    targets = place.targets(http.route)
    action.hash_policy.extend(hashing.policies(place.scope, (target[0] for target in targets)))
    policy = retries.outbound(http.retries, place.scope.snapshot.mesh.retry, hashed=len(targets) == 1 and bool(action.hash_policy))
    if policy is not None:
        action.retry_policy.CopyFrom(policy)
    action.request_mirror_policies.extend(mirrors.policies(place, http))
    _rewrite(action, http.rewrite, place, condition)
    action.append_x_forwarded_host = bool(http.rewrite) and place.scope.settings.forwards_host
    host = (http.rewrite and http.rewrite.authority) or edits.host_of(http.headers)
    if len(targets) == 1:
        action.cluster = targets[0][0]
        edits.apply(route, targets[0][2].headers)
        sessions.apply(route, _sessions(place, http, targets[0][2]))
        tell(place.scope, route, action.cluster)
        host = host or edits.host_of(targets[0][2].headers)
    else:
        action.weighted_clusters.clusters.extend(_share(place, http, *target, host=host) for target in targets)
    if host:
        action.host_rewrite_literal = host


def tell(scope: Scope, message: Any, cluster: str) -> None:
    """Have the requests of a route, or of one of its weighted clusters, say that they are requests where nothing else does."""
    named = names.parse_cluster(cluster)
    service = scope.service(named.host) if named else None
    port = service.port(named.port) if named and service else None
    if named and service and port and told_by_requests(scope, service, port, named.subset):
        alpn.tell(message)


def _sessions(place: Place, http: Any, share: Any) -> Sessions | None:
    """How requests of a session are kept together: as the route says, or the service to which they go."""
    own = http.sessions if isinstance(http, SessionRoute) else None
    service = place.scope.service(place.scope.stands_for(place.rule.destination(share.destination.host)))
    return own or (service.sessions if service is not None else None)


def _share(place: Place, http: Any, cluster: str, weight: int, destination: Any, *, host: str) -> Any:
    share = _ROUTE.WeightedCluster.ClusterWeight(name=cluster, weight=proto.wrappers_pb2.UInt32Value(value=weight))
    edits.apply(share, destination.headers)
    sessions.apply(share, _sessions(place, http, destination))
    tell(place.scope, share, cluster)
    own = edits.host_of(destination.headers)
    if own and not host:
        share.host_rewrite_literal = own
    return share


def _rewrite(action: Any, rewrite: Any, place: Place, condition: Any) -> None:
    if rewrite is None:
        return
    if rewrite.uri_regex_rewrite:
        action.regex_rewrite.pattern.regex = rewrite.uri_regex_rewrite.match or ""
        action.regex_rewrite.substitution = rewrite.uri_regex_rewrite.rewrite or ""
    elif rewrite.uri:
        _replace_prefix(action, rewrite.uri, place, condition)


def _replace_prefix(action: Any, replacement: str, place: Place, condition: Any) -> None:
    """Put something in the place of the prefix that matched. By the Gateway API it is whole segments that are replaced, maybe by none.

    `action` is a route's or a redirect's, which have the same fields for it.
    """
    rest, matched = replacement.rstrip("/"), condition.path_separated_prefix
    if not place.rule.follows_gateway_api or (rest and matched):
        action.prefix_rewrite = replacement
    elif matched:
        action.regex_rewrite.pattern.regex = f"^{re.escape(matched)}/?"
        action.regex_rewrite.substitution = "/"
    elif rest:
        action.prefix_rewrite = f"{rest}/"


def _redirect(redirect: Any, place: Place, condition: Any) -> Any:
    action = _REDIRECT(response_code=_REDIRECT_CODES.get(redirect.redirect_code or 301, _REDIRECT.MOVED_PERMANENTLY))
    if redirect.uri:
        action.path_redirect = redirect.uri
    elif redirect.prefix_rewrite:
        _replace_prefix(action, redirect.prefix_rewrite, place, condition)
    if redirect.authority:
        action.host_redirect = redirect.authority
    if redirect.scheme:
        action.scheme_redirect = redirect.scheme
    action.port_redirect = _redirect_port(redirect, place)
    return action


def _redirect_port(redirect: Any, place: Place) -> int:
    """The port to name; 0 names none, which is right where it is the scheme's own.

    By the Gateway API a scheme comes with its port. Unless another host is named, that has to be written where clients name a port
    themselves, which would stay.
    """
    port = redirect.port or 0
    if redirect.derive_port and redirect.derive_port.value == "FROM_REQUEST_PORT":
        port = place.port
    asked = "https" if place.encrypted else "http"
    scheme = redirect.scheme or asked
    if place.rule.follows_gateway_api and not port and not redirect.authority and place.port != _DEFAULT_PORTS[asked]:
        return _DEFAULT_PORTS[scheme]
    return 0 if port == _DEFAULT_PORTS.get(scheme) else port


def _direct(response: Any) -> Any:
    action = _ROUTE.DirectResponseAction(status=response.status)
    if response.body is not None:
        if response.body.bytes is not None:
            action.body.inline_bytes = response.body.bytes
        else:
            action.body.inline_string = response.body.string or ""
    return action
