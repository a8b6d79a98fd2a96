"""Hosts that proxies look up as requests and connections name them: services of resolution DYNAMIC_DNS, and hosts that nobody declares
where the mesh says so. Envoy calls it the dynamic forward proxy.
"""

from collections.abc import Iterable
from typing import Any

from pymesh.xds import names, proto

from ..model.service import DYNAMIC_DNS
from . import families
from .common import extension
from .scope import Scope

_CLUSTER = proto.cluster.Cluster
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _cache(scope: Scope) -> Any:
    """One for all clusters and filters of a proxy. It hangs on no setting: a proxy refuses another of this name while one is in use."""
    return proto.dns_cache.DnsCacheConfig(name="dynamic_dns", dns_lookup_family=families.lookup(scope.families))


def discover(message: Any, scope: Scope) -> None:
    """Let a cluster's endpoints be the hosts that are asked for."""
    config = proto.dynamic_cluster.ClusterConfig(dns_cache_config=_cache(scope))
    message.cluster_type.CopyFrom(_CLUSTER.CustomClusterType(**extension("envoy.clusters.dynamic_forward_proxy", config)))
    message.lb_policy = _CLUSTER.CLUSTER_PROVIDED


def go_by_names(message: Any, tls: Any, subject_alt_names: Iterable[str] = ()) -> None:
    """Have TLS ask for the host and want its certificate, unless settings of a rule say otherwise; a cluster of other kinds stays."""
    if not message.HasField("cluster_type"):
        return
    sni, sans = _wanted(tls, subject_alt_names)
    if not (sni and sans):
        config = proto.unpack(message.cluster_type.typed_config)
        config.allow_insecure_cluster_options = True
        message.cluster_type.typed_config.CopyFrom(proto.pack(config))
    if _HTTP_OPTIONS in message.typed_extension_protocol_options:
        options = proto.unpack(message.typed_extension_protocol_options[_HTTP_OPTIONS])
        options.upstream_http_protocol_options.auto_sni = sni
        options.upstream_http_protocol_options.auto_san_validation = sans
        message.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(proto.pack(options))


def _wanted(tls: Any, subject_alt_names: Iterable[str]) -> tuple[bool, bool]:
    """Whether the host is asked for by name, and whether the certificate has to be for it."""
    mode = tls.mode.value if tls and tls.mode else "DISABLE"
    if mode == "ISTIO_MUTUAL":
        return False, False
    if mode == "DISABLE":
        return True, True
    return not tls.sni, not (tls.insecure_skip_verify or tls.subject_alt_names or [*subject_alt_names])


def http_filters(scope: Scope) -> list[Any]:
    """What looks the host of a request up before the router, if there can be such ones."""
    if not scope.looks_up_hosts:
        return []
    config = proto.http_dynamic_forward_proxy.FilterConfig(dns_cache_config=_cache(scope))
    return [proto.hcm.HttpFilter(**extension("envoy.filters.http.dynamic_forward_proxy", config))]


def lookup(scope: Scope, targets: Iterable[tuple[str, int]]) -> list[Any]:
    """The network filter that looks a connection's server name up, if one of its clusters is such a one."""
    for cluster, _ in targets:
        parts = names.parse_cluster(cluster)
        service = scope.service(parts.host) if parts else None
        port = service.port(parts.port) if parts and service else None
        if service and port and service.resolution == DYNAMIC_DNS:
            config = proto.sni_dynamic_forward_proxy.FilterConfig(dns_cache_config=_cache(scope), port_value=port.target)
            return [proto.listener_components.Filter(**extension("envoy.filters.network.sni_dynamic_forward_proxy", config))]
    return []
