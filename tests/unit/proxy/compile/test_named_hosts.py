"""Dynamic forward proxies: what is read of the cluster, the filters and the cache that they share, and what is refused."""

import pytest
import yaml

from pymesh.xds import proto
from pymesh_proxy.compile.chains import chain as compile_chain
from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.fields import compiled
from pymesh_proxy.upstream.config import Discovery
from pymesh_proxy.upstream.dns_cache import DnsCaches
from pymesh_proxy.upstream.dns_config import DnsCacheConfig, Family, NameServers

URL = "type.googleapis.com/envoy.extensions."
KIND = "clusters.dynamic_forward_proxy.v3.ClusterConfig"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster(cache="{name: c}", own="", more=""):
    return f"""
name: dynamic
lb_policy: CLUSTER_PROVIDED
cluster_type: {{name: envoy.clusters.dynamic_forward_proxy, typed_config: {{"@type": {URL}{KIND}, dns_cache_config: {cache} {own}}}}}
{more}
"""


def http(names):
    return f"""
typed_extension_protocol_options:
  {OPTIONS}: {{"@type": type.googleapis.com/{OPTIONS}, explicit_http_config: {{http_protocol_options: {{}}}} {names}}}
transport_socket: {{name: t, typed_config: {{"@type": {URL}transport_sockets.tls.v3.UpstreamTlsContext}}}}
"""


def test_a_cluster_gets_its_hosts_from_a_cache(parse):
    made = compile_cluster(parse("cluster", cluster()))
    assert made.discovery is Discovery.DYNAMIC
    assert made.assignment is None
    assert made.dns_cache.config == DnsCacheConfig(name="c")


CARES = "network.dns_resolver.cares.v3.CaresDnsResolverConfig"
ASKED = NameServers(addresses=(("127.0.0.1", 5353),))
SERVERS = "resolvers: [{socket_address: {address: 127.0.0.1, port_value: 5353}}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dns_lookup_family: V4_PREFERRED", {"family": Family.V4_PREFERRED}),
        ("dns_refresh_rate: 7s", {"refresh": 7.0}),
        ("dns_min_refresh_rate: 2s", {"min_refresh": 2.0}),
        ("host_ttl: 8s", {"host_ttl": 8.0}),
        ("max_hosts: 9", {"max_hosts": 9}),
        ("disable_dns_refresh_on_failure: true", {"refreshes_failed": False}),
        ("dns_failure_refresh_rate: {base_interval: 1s}", {"failure_base": 1.0, "failure_max": 10.0}),
        ("dns_cache_circuit_breaker: {max_pending_requests: 3}", {"max_pending": 3}),
        ("dns_query_timeout: 1s", {"query_timeout": 1.0}),
        ("preresolve_hostnames: [{address: a.test, port_value: 443}]", {"preresolved": (("a.test", 443),)}),
        (f"dns_resolution_config: {{{SERVERS}}}, use_tcp_for_dns_lookups: false", {"servers": ASKED}),
        (f"typed_dns_resolver_config: {{name: c, typed_config: {{'@type': {URL}{CARES}, {SERVERS}}}}}", {"servers": ASKED}),
    ],
)
def test_the_settings_of_a_cache(parse, text, expected):
    made = compile_cluster(parse("cluster", cluster(f"{{name: c, {text}}}")))
    assert made.dns_cache.config == DnsCacheConfig(name="c", **expected)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (cluster("{name: c, key_value_config: {config: {name: k}}}"), "dns_cache_config.key_value_config"),
        (cluster("{name: c, use_tcp_for_dns_lookups: true}"), "dns_cache_config.use_tcp_for_dns_lookups"),
        (cluster("{name: c, max_hosts: 1, preresolve_hostnames: [{address: a, port_value: 1}, {address: b, port_value: 1}]}"),
         "dns_cache_config.preresolve_hostnames"),
        (cluster("{name: c, preresolve_hostnames: [{address: a, port_value: 1, protocol: UDP}]}"),
         "dns_cache_config.preresolve_hostnames[0].protocol"),
        (cluster(own=", allow_coalesced_connections: true"), "allow_coalesced_connections"),
        (cluster().replace("dns_cache_config: {name: c}", "sub_clusters_config: {}"), "sub_clusters_config"),
        (cluster().replace("dns_cache_config: {name: c}", ""), "dns_cache_config"),
        (cluster().replace("CLUSTER_PROVIDED", "ROUND_ROBIN"), "lb_policy"),
        (cluster(more="load_assignment: {cluster_name: c}"), "load_assignment"),
        (cluster(more=http("")), "upstream_http_protocol_options"),
        (cluster(more=http(", upstream_http_protocol_options: {auto_sni: true}")), "upstream_http_protocol_options"),
        (cluster(more=http(", upstream_http_protocol_options: {auto_sni: true, auto_san_validation: true, override_auto_sni_header: x}")),
         "upstream_http_protocol_options.override_auto_sni_header"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_its_field(parse, problems, text, field):
    assert any(each.endswith(field) for each in problems(compile_cluster, parse("cluster", text)))


@pytest.mark.parametrize(
    ("names", "own", "expected"),
    [
        (", upstream_http_protocol_options: {auto_sni: true, auto_san_validation: true}", "", (True, True)),
        (", upstream_http_protocol_options: {auto_sni: true}", ", allow_insecure_cluster_options: true", (True, False)),
        ("", ", allow_insecure_cluster_options: true", (False, False)),
    ],
)
def test_tls_goes_by_the_hosts_name_unless_the_cluster_may_be_insecure(parse, names, own, expected):
    made = compile_cluster(parse("cluster", cluster(own=own, more=http(names)))).tls
    assert (made.auto_sni, made.auto_san_validation) == expected


def test_a_cluster_that_says_nothing_of_http_goes_by_names(parse):
    text = yaml.safe_load(cluster(more=http("")))
    del text["typed_extension_protocol_options"]
    made = compile_cluster(parse("cluster", yaml.safe_dump(text))).tls
    assert (made.auto_sni, made.auto_san_validation) == (True, True)


def test_a_cache_has_the_same_settings_wherever_it_is_named(parse, problems):
    caches = DnsCaches()
    kept = compile_cluster(parse("cluster", cluster()), caches)
    assert compile_cluster(parse("cluster", cluster()), caches).dns_cache is kept.dns_cache
    (field,) = problems(lambda message: compile_cluster(message, caches), parse("cluster", cluster("{name: c, max_hosts: 5}")))
    assert field == "cluster_type.typed_config.dns_cache_config"


def chain(*filters):
    made = proto.listener_components.FilterChain()
    for config in filters:
        made.filters.add(name="f").typed_config.CopyFrom(proto.pack(config))
    return made


CACHE = proto.dns_cache.DnsCacheConfig(name="c")
SNI = proto.sni_dynamic_forward_proxy.FilterConfig(dns_cache_config=CACHE, port_value=8443)
TCP = proto.tcp_proxy.TcpProxy(stat_prefix="t", cluster="c")


def terminal(context, *filters):
    return compiled(chain(*filters), lambda reader: compile_chain(reader, context, "")).terminal


def test_server_names_are_looked_up_before_a_tcp_proxy(process):
    assert terminal(process.context, SNI, TCP).lookup.port == 8443
    assert terminal(process.context, proto.sni_dynamic_forward_proxy.FilterConfig(dns_cache_config=CACHE), TCP).lookup.port == 443
    assert terminal(process.context, TCP).lookup is None


@pytest.mark.parametrize("filters", [(SNI, SNI, TCP), (SNI, proto.hcm.HttpConnectionManager(stat_prefix="h"))])
def test_the_network_filter_stands_once_and_before_tcp(process, problems, filters):
    assert "filters" in problems(lambda given: terminal(process.context, *given), filters)
