"""What EnvoyFilters change of what a proxy is sent: every target with every operation, where and in which order."""

import pytest

from pymesh.api import parse_text
from pymesh.xds import proto, types
from pymesh_control.generate import generate
from pymesh_control.model.envoyfilter import from_resource

MESH = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}, {number: 90, name: tcp}]
  workloadSelector: {labels: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: edge}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{name: main, route: [{destination: {host: a, port: {number: 80}}}]}]
"""
FILTER = """
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: %s, namespace: %s}
spec: {priority: %d, configPatches: [%s]%s}
"""
CLUSTER = "outbound|80||a.default.svc.cluster.local"
MANAGER = "envoy.filters.network.http_connection_manager"
ROUTER = f"{{filterChain: {{filter: {{name: {MANAGER}, subFilter: {{name: envoy.filters.http.router}}}}}}}}"
TYPE = "type.googleapis.com/envoy.extensions.filters"
GRPC_STATS = f'{{name: stats, typed_config: {{"@type": {TYPE}.http.grpc_stats.v3.FilterConfig, stats_for_all_methods: true}}}}'
TCP = f'{{name: tcp, typed_config: {{"@type": {TYPE}.network.tcp_proxy.v3.TcpProxy, stat_prefix: x, cluster: y}}}}'


def change(target, operation, match="{}", value=""):
    given = f", value: {value}" if value else ""
    return f"{{applyTo: {target}, match: {match}, patch: {{operation: {operation}{given}}}}}"


def patches(*changes, name="one", namespace="default", priority=0, more=""):
    return FILTER % (name, namespace, priority, ", ".join(changes), more and f", {more}")


@pytest.fixture
def seen(mesh, view):
    """What a sidecar, or a gateway, gets with some changes."""

    def build(*changes, kind="sidecar", **node):
        labels = {"app": "a"} if kind == "sidecar" else {"istio": "edge"}
        built, proxy = mesh(MESH + patches(*changes)), view(kind, LABELS=labels, **node)
        return Seen(built, proxy)

    return build


class Seen:
    def __init__(self, built, proxy):
        self.clusters = built.clusters(proxy)
        self.listeners = built.listeners(proxy)
        self._built, self._proxy = built, proxy

    def routes(self, name="80"):
        return self._built.routes(self._proxy, name)

    def hosts(self, name="80"):
        return [host.name for host in self.routes(name).virtual_hosts]

    def manager(self, listener, chain=None):
        for one in self.listeners[listener].filter_chains:
            for item in one.filters:
                if item.name == MANAGER and chain in (None, one.name):
                    return proto.unpack(item.typed_config)
        raise AssertionError(listener)

    def http_filters(self, listener="0.0.0.0_80"):
        return [one.name.rpartition(".")[2] for one in self.manager(listener).http_filters]


# Clusters


def test_a_cluster_is_merged_with_by_its_service(seen):
    match = "{context: SIDECAR_OUTBOUND, cluster: {service: a.default.svc.cluster.local, portNumber: 80}}"
    keepalive = "{connect_timeout: 0.5s, upstream_connection_options: {tcp_keepalive: {keepalive_time: 7}}}"
    found = seen(change("CLUSTER", "MERGE", match, keepalive)).clusters
    assert [name for name, one in found.items() if one.upstream_connection_options.tcp_keepalive.keepalive_time.value == 7] == [CLUSTER]
    assert found[CLUSTER].connect_timeout == proto.duration(0.5)


def test_an_inbound_cluster_is_found_by_the_service_it_serves(seen):
    match = "{context: SIDECAR_INBOUND, cluster: {service: a.default.svc.cluster.local}}"
    found = seen(change("CLUSTER", "MERGE", match, "{alt_stat_name: x}")).clusters
    assert {name for name, one in found.items() if one.alt_stat_name == "x"} == {"inbound|80||", "inbound|90||"}


def test_clusters_are_removed_and_added(seen):
    added = "{name: new, type: STATIC, connect_timeout: 1s}"
    found = seen(change("CLUSTER", "REMOVE", f"{{cluster: {{name: '{CLUSTER}'}}}}"), change("CLUSTER", "ADD", value=added)).clusters
    assert ("new" in found, CLUSTER in found, "outbound|90||a.default.svc.cluster.local" in found) == (True, False, True)


@pytest.mark.parametrize(("operation", "count"), [("MERGE", 2), ("MERGE_AND_REPLACE_LIST", 1)])
def test_lists_are_appended_to_or_replaced(seen, operation, count):
    value = "{circuit_breakers: {thresholds: [{max_retries: 3}]}}"
    found = seen(change("CLUSTER", operation, value=value)).clusters[CLUSTER]
    assert len(found.circuit_breakers.thresholds) == count


def test_the_context_of_an_added_cluster_counts(seen):
    added = change("CLUSTER", "ADD", "{context: GATEWAY}", "{name: new}")
    assert ("new" in seen(added).clusters, "new" in seen(added, kind="router").clusters) == (False, True)


def test_a_transport_socket_is_merged_inside(seen):
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    value = f'{{transport_socket: {{name: envoy.transport_sockets.tls, typed_config: {{"@type": {tls}, sni: other}}}}}}'
    built = seen(change("CLUSTER", "MERGE", f"{{cluster: {{name: '{CLUSTER}'}}}}", value)).clusters[CLUSTER]
    sockets = [match.transport_socket for match in built.transport_socket_matches] or [built.transport_socket]
    assert [proto.unpack(one.typed_config).sni for one in sockets if one.name == "envoy.transport_sockets.tls"] == ["other"]


def test_what_stands_in_no_order_is_added_where_it_is_inserted(seen):
    assert "new" in seen(change("CLUSTER", "INSERT_FIRST", value="{name: new, type: STATIC, connect_timeout: 1s}")).clusters


# Listeners


def test_a_listener_is_merged_with_removed_and_added(seen):
    found = seen(
        change("LISTENER", "MERGE", "{listener: {portNumber: 80}}", "{stat_prefix: x}"),
        change("LISTENER", "REMOVE", "{listener: {name: 0.0.0.0_90}}"),
        change(
            "LISTENER", "ADD", "{context: SIDECAR_OUTBOUND}", "{name: new, address: {socket_address: {address: 127.0.0.1, port_value: 1}}}"
        ),
    ).listeners
    assert found["0.0.0.0_80"].stat_prefix == "x"
    assert {"new", "virtualOutbound"} <= found.keys()
    assert "0.0.0.0_90" not in found


@pytest.mark.parametrize(
    ("operation", "match", "expected"),
    [
        ("ADD", "", "tls_inspector http_inspector new"),
        ("INSERT_FIRST", "", "new tls_inspector http_inspector"),
        ("INSERT_AFTER", "envoy.filters.listener.tls_inspector", "tls_inspector new http_inspector"),
        ("INSERT_BEFORE", "envoy.filters.listener.http_inspector", "tls_inspector new http_inspector"),
        ("REPLACE", "envoy.filters.listener.http_inspector", "tls_inspector new"),
        ("REMOVE", "envoy.filters.listener.http_inspector", "tls_inspector"),
    ],
)
def test_listener_filters(seen, operation, match, expected):
    wanted = f"{{context: SIDECAR_OUTBOUND, listener: {{name: 0.0.0.0_80, listenerFilter: '{match}'}}}}"
    found = seen(change("LISTENER_FILTER", operation, wanted, "" if operation == "REMOVE" else "{name: new}"))
    assert " ".join(one.name.rpartition(".")[2] for one in found.listeners["0.0.0.0_80"].listener_filters) == expected


def test_filter_chains_are_merged_with_removed_and_added(seen):
    found = seen(
        change("FILTER_CHAIN", "REMOVE", "{listener: {name: virtualOutbound, filterChain: {name: virtualOutbound-blackhole}}}"),
        change("FILTER_CHAIN", "MERGE", "{listener: {name: virtualOutbound}}", "{transport_socket_connect_timeout: 3s}"),
        change("FILTER_CHAIN", "ADD", "{listener: {name: virtualOutbound}}", f"{{name: new, filters: [{TCP}]}}"),
    ).listeners["virtualOutbound"]
    assert [(one.name, one.transport_socket_connect_timeout.seconds) for one in found.filter_chains] == [
        ("virtualOutbound-catchall-tcp", 3),
        ("new", 0),
    ]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("{name: 0.0.0.0_80}", {("0.0.0.0_80", 80)}),
        ("{destinationPort: 80}", {("0.0.0.0_80", 80)}),
        ("{destinationPort: 80, transportProtocol: tls, applicationProtocols: 'istio,istio-peer-exchange'}", {("0.0.0.0_80", 80)}),
        ("{applicationProtocols: 'istio,other'}", set()),
        ("{transportProtocol: raw_buffer, destinationPort: 80}", {("0.0.0.0_80", 80)}),
        ("{sni: a.b}", set()),
    ],
)
def test_a_chain_is_found_by_each_condition(seen, match, expected):
    wanted = f"{{context: SIDECAR_INBOUND, listener: {{name: virtualInbound, filterChain: {match}}}}}"
    found = seen(change("FILTER_CHAIN", "MERGE", wanted, "{metadata: {filter_metadata: {x: {}}}}")).listeners["virtualInbound"]
    marked = {
        (one.name, one.filter_chain_match.destination_port.value) for one in found.filter_chains if "x" in one.metadata.filter_metadata
    }
    assert marked == expected


def test_the_port_of_the_virtual_listener_is_that_of_its_chains(seen):
    wanted = "{context: SIDECAR_INBOUND, listener: {portNumber: 90}}"
    found = seen(change("FILTER_CHAIN", "REMOVE", wanted)).listeners["virtualInbound"]
    ports = {one.filter_chain_match.destination_port.value for one in found.filter_chains}
    assert (80 in ports, 90 in ports, 15006 in ports) == (True, False, True)


# Filters


@pytest.mark.parametrize(
    ("operation", "named", "expected"),
    [
        ("ADD", False, "http_connection_manager tcp"),
        ("INSERT_FIRST", False, "tcp http_connection_manager"),
        ("INSERT_BEFORE", True, "tcp http_connection_manager"),
        ("INSERT_AFTER", True, "http_connection_manager tcp"),
        ("REPLACE", True, "tcp"),
        ("REMOVE", True, ""),
        ("REMOVE", False, "http_connection_manager"),
    ],
)
def test_network_filters(seen, operation, named, expected):
    wanted = f"filter: {{name: {MANAGER}}}" if named else ""
    match = f"{{context: GATEWAY, listener: {{portNumber: 8080, filterChain: {{{wanted}}}}}}}"
    found = seen(change("NETWORK_FILTER", operation, match, "" if operation == "REMOVE" else TCP), kind="router")
    assert " ".join(one.name.rpartition(".")[2] for one in found.listeners["0.0.0.0_8080"].filter_chains[0].filters) == expected


def test_a_network_filter_is_merged_inside(seen):
    type_url = f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager"
    value = f'{{typed_config: {{"@type": {type_url}, server_name: other, stream_idle_timeout: 9s}}}}'
    match = f"{{context: GATEWAY, listener: {{filterChain: {{filter: {{name: {MANAGER}}}}}}}}}"
    found = seen(change("NETWORK_FILTER", "MERGE", match, value), kind="router").manager("0.0.0.0_8080")
    assert (found.server_name, found.stream_idle_timeout.seconds, found.rds.route_config_name) == ("other", 9, "http.8080")


@pytest.mark.parametrize(
    ("operation", "match", "expected"),
    [
        ("ADD", "{}", "grpc_stats alpn fault cors stateful_session router stats"),
        ("INSERT_FIRST", "{}", "stats grpc_stats alpn fault cors stateful_session router"),
        ("INSERT_BEFORE", ROUTER, "grpc_stats alpn fault cors stateful_session stats router"),
        ("INSERT_AFTER", ROUTER.replace("router", "cors"), "grpc_stats alpn fault cors stats stateful_session router"),
        ("REPLACE", ROUTER.replace("router", "cors"), "grpc_stats alpn fault stats stateful_session router"),
        ("REMOVE", ROUTER.replace("router", "cors"), "grpc_stats alpn fault stateful_session router"),
        ("INSERT_BEFORE", ROUTER.replace("router", "absent"), "grpc_stats alpn fault cors stateful_session router"),
    ],
)
def test_http_filters(seen, operation, match, expected):
    wanted = f"{{context: SIDECAR_OUTBOUND, listener: {match}}}"
    found = seen(change("HTTP_FILTER", operation, wanted, "" if operation == "REMOVE" else GRPC_STATS), agent="envoy")
    assert " ".join(found.http_filters()) == expected


def test_an_http_filter_is_merged_inside(seen):
    value = f'{{typed_config: {{"@type": {TYPE}.http.router.v3.Router, suppress_envoy_headers: true}}}}'
    found = seen(change("HTTP_FILTER", "MERGE", f"{{context: SIDECAR_INBOUND, listener: {ROUTER}}}", value))
    routers = [found.manager(name).http_filters[-1] for name in ("virtualInbound", "0.0.0.0_80")]
    assert [proto.unpack(one.typed_config).suppress_envoy_headers for one in routers] == [True, False]


# Routes


def test_a_route_configuration_is_merged_with(seen):
    found = seen(change("ROUTE_CONFIGURATION", "MERGE", "{routeConfiguration: {portNumber: 80}}", "{request_headers_to_remove: [x]}"))
    assert list(found.routes().request_headers_to_remove) == ["x"]


def test_virtual_hosts_are_merged_with_removed_and_added(seen):
    host = "{routeConfiguration: {vhost: {name: 'a.default.svc.cluster.local:80'}}}"
    found = seen(
        change("VIRTUAL_HOST", "MERGE", host, "{include_request_attempt_count: false, request_headers_to_remove: [x]}"),
        change("VIRTUAL_HOST", "REMOVE", "{routeConfiguration: {vhost: {name: allow_any}}}"),
        change("VIRTUAL_HOST", "ADD", "{routeConfiguration: {name: '80'}}", "{name: new, domains: [new.example]}"),
    )
    assert found.hosts() == ["a.default.svc.cluster.local:80", "new"]
    assert list(found.routes().virtual_hosts[0].request_headers_to_remove) == ["x"]


def test_a_virtual_host_is_replaced(seen):
    host = "{routeConfiguration: {vhost: {name: allow_any}}}"
    found = seen(change("VIRTUAL_HOST", "REPLACE", host, "{name: new, domains: ['*']}"))
    assert found.hosts() == ["a.default.svc.cluster.local:80", "new"]


@pytest.mark.parametrize("match", ["{}", "{name: main}", "{action: ROUTE}", "{name: main, action: ROUTE}"])
def test_a_route_at_a_gateway_is_merged_with(seen, match):
    wanted = f"{{context: GATEWAY, routeConfiguration: {{portNumber: 8080, vhost: {{domainName: '*', route: {match}}}}}}}"
    found = seen(change("HTTP_ROUTE", "MERGE", wanted, "{route: {timeout: 3s}}"), kind="router")
    assert found.routes("http.8080").virtual_hosts[0].routes[0].route.timeout.seconds == 3


@pytest.mark.parametrize("match", ["{name: other}", "{action: REDIRECT}", "{action: DIRECT_RESPONSE}"])
def test_other_routes_stay(seen, match):
    wanted = f"{{routeConfiguration: {{vhost: {{route: {match}}}}}}}"
    assert len(seen(change("HTTP_ROUTE", "REMOVE", wanted), kind="router").routes("http.8080").virtual_hosts[0].routes) == 1


@pytest.mark.parametrize(
    ("operation", "match", "expected"),
    [
        ("ADD", "", "default new"),
        ("INSERT_FIRST", "", "new default"),
        ("INSERT_FIRST", "route: {name: default}", "new default"),
        ("INSERT_FIRST", "route: {name: absent}", "default"),
        ("INSERT_BEFORE", "route: {name: default}", "new default"),
        ("INSERT_AFTER", "route: {name: default}", "default new"),
        ("INSERT_AFTER", "", "default new"),
        ("REMOVE", "route: {name: default}", ""),
        ("REPLACE", "route: {name: default}", "default"),
    ],
)
def test_routes_in_their_order(seen, operation, match, expected):
    wanted = f"{{context: SIDECAR_OUTBOUND, routeConfiguration: {{vhost: {{name: 'a.default.svc.cluster.local:80', {match}}}}}}}"
    value = "" if operation == "REMOVE" else "{name: new, match: {prefix: /new}, direct_response: {status: 204}}"
    found = seen(change("HTTP_ROUTE", operation, wanted, value)).routes()
    assert " ".join(route.name for route in found.virtual_hosts[0].routes) == expected


def test_the_routes_to_the_application_are_changed_where_they_stand(seen):
    found = seen(
        change("HTTP_ROUTE", "MERGE", "{context: SIDECAR_INBOUND, routeConfiguration: {portNumber: 80}}", "{route: {timeout: 3s}}")
    )
    timeouts = [
        found.manager("virtualInbound", chain).route_config.virtual_hosts[0].routes[0].route.timeout
        for chain in ("0.0.0.0_80", "virtualInbound-catchall-http")
    ]
    assert [one.seconds for one in timeouts] == [3, 0]


# Whose, and in which order


def renamed(text, **how):
    return patches(change("CLUSTER", "MERGE", "{cluster: {name: BlackHoleCluster}}", f"{{alt_stat_name: {text}}}"), **how)


@pytest.mark.parametrize(
    ("filters", "last"),
    [
        ([renamed("own", name="a"), renamed("root", name="b", namespace="istio-system")], "own"),
        ([renamed("late", name="a", priority=1), renamed("early", name="b", priority=-1)], "late"),
        ([renamed("b", name="b"), renamed("a", name="a")], "b"),
        ([renamed("elsewhere", name="a", namespace="other")], ""),
        ([renamed("chosen", name="a", more="workloadSelector: {labels: {app: a}}")], "chosen"),
        ([renamed("other", name="a", more="workloadSelector: {labels: {app: b}}")], ""),
    ],
)
def test_which_are_applied_and_in_which_order(mesh, view, filters, last):
    assert mesh(MESH + "".join(filters)).clusters(view(LABELS={"app": "a"}))["BlackHoleCluster"].alt_stat_name == last


@pytest.mark.parametrize(
    ("match", "node", "applied"),
    [
        ("{proxyVersion: '^1\\.2.*'}", {"ISTIO_VERSION": "1.26.1"}, True),
        ("{proxyVersion: '^1\\.3.*'}", {"ISTIO_VERSION": "1.26.1"}, False),
        ("{proxyVersion: '^1'}", {}, False),
        ("{metadata: {ROLE: x}}", {"ROLE": "x"}, True),
        ("{metadata: {ROLE: x}}", {"ROLE": "y"}, False),
    ],
)
def test_proxies_are_chosen_by_version_and_metadata(seen, match, node, applied):
    found = seen(change("CLUSTER", "REMOVE", f"{{proxy: {match}, cluster: {{name: BlackHoleCluster}}}}"), **node)
    assert ("BlackHoleCluster" not in found.clusters) is applied


# What it costs, and what is refused


@pytest.mark.parametrize(
    ("target", "place", "value"),
    [
        ("HTTP_FILTER", f"{{filterChain: {{filter: {{name: {MANAGER}, subFilter: {{name: stats}}}}}}}}", GRPC_STATS),
        ("NETWORK_FILTER", "{filterChain: {filter: {name: tcp}}}", TCP),
        ("LISTENER_FILTER", "{listenerFilter: new}", "{name: new}"),
    ],
)
@pytest.mark.parametrize("operation", ["ADD", "INSERT_FIRST"])
def test_what_is_added_and_removed_leaves_no_trace(mesh, view, target, place, value, operation):
    text = MESH + patches(change(target, operation, value=value), change(target, "REMOVE", f"{{listener: {place}}}"))
    versions = [
        {name: one.version for name, one in generate(mesh(whole).snapshot, view(LABELS={"app": "a"}), types.LISTENER, None).items()}
        for whole in (MESH, text)
    ]
    assert versions[0] == versions[1]


def test_what_is_not_patched_is_the_very_same(mesh, view):
    plain, patched = (mesh(text) for text in (MESH, MESH + patches(change("CLUSTER", "REMOVE", f"{{cluster: {{name: '{CLUSTER}'}}}}"))))
    other = patched.snapshot, view(NAMESPACE="elsewhere")
    assert generate(*other, types.CLUSTER, None)[CLUSTER] is generate(*other, types.CLUSTER, None)[CLUSTER]
    versions = [
        {name: one.version for name, one in generate(built.snapshot, view(), types.LISTENER, None).items()} for built in (plain, patched)
    ]
    assert versions[0] == versions[1]


def test_proxies_with_the_same_patches_share_what_was_made(mesh, view):
    built = mesh(MESH + patches(change("CLUSTER", "MERGE", value="{alt_stat_name: x}")))
    one, two = (generate(built.snapshot, view(LABELS={"app": name}), types.CLUSTER, None)[CLUSTER] for name in ("b", "c"))
    assert one is two


def test_values_are_read_once_for_all_snapshots():
    parsed = parse_text(patches(change("CLUSTER", "MERGE", value="{alt_stat_name: x}")), "mesh.yaml")
    one, two = (from_resource(resource).patches[0] for resource in (*parsed.resources, *parsed.resources))
    assert one is two


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (patches(change("BOOTSTRAP", "MERGE", value="{}")), "configPatches[0].applyTo: BOOTSTRAP is not supported"),
        (patches(change("EXTENSION_CONFIG", "ADD", value="{}")), "configPatches[0].applyTo: EXTENSION_CONFIG is not supported"),
        (patches(change("CLUSTER", "REMOVE"), more="targetRefs: [{kind: Service, name: a}]"), "targetRefs is not supported"),
    ],
)
def test_what_cannot_be_honoured_is_refused(mesh, view, text, sentence):
    built = mesh(MESH + text)
    assert any(sentence in problem.message for problem in built.problems if problem.severity == "error")
    assert CLUSTER in built.clusters(view())
