"""LDS towards the mesh: one listener for each HTTP port, one for each address of other services, one for all the rest."""

import pytest

from pymesh.xds import proto


def entry(name, ports, more="", host=None):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{host or name + ".default.svc.cluster.local"}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: {ports}
  endpoints: [{{address: 10.0.0.1}}]
  {more}
"""


REGISTRY_ONLY = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"
"""


def config(chain):
    return proto.unpack(chain.filters[-1].typed_config)


@pytest.mark.parametrize(("more", "cluster"), [("", "PassthroughCluster"), (REGISTRY_ONLY, "BlackHoleCluster")])
def test_captured_connections_arrive_at_one_listener(mesh, view, more, cluster):
    listener = mesh(entry("a", "[{number: 80, name: http}]") + more).listeners(view())["virtualOutbound"]
    assert listener.use_original_dst.value
    assert listener.address.socket_address.port_value == 15001
    assert [chain.name for chain in listener.filter_chains] == ["virtualOutbound-blackhole", "virtualOutbound-catchall-tcp"]
    assert [config(chain).cluster for chain in listener.filter_chains] == ["BlackHoleCluster", cluster]
    assert listener.filter_chains[0].filter_chain_match.destination_port.value == 15001


def test_http_services_share_the_listener_of_their_port(mesh, view):
    text = entry("a", "[{number: 80, name: http}]", "addresses: [10.96.0.1]") + entry("b", "[{number: 80, name: http}]")
    listeners = mesh(text).listeners(view(agent="envoy"))
    assert set(listeners) == {"0.0.0.0_80", "virtualInbound", "virtualOutbound"}
    listener = listeners["0.0.0.0_80"]
    assert not listener.bind_to_port.value
    assert listener.HasField("bind_to_port")
    match = listener.filter_chains[0].filter_chain_match
    assert (match.transport_protocol, list(match.application_protocols)) == ("raw_buffer", ["http/1.1", "h2c"])
    manager = config(listener.filter_chains[0])
    assert (manager.rds.route_config_name, manager.stat_prefix) == ("80", "outbound_0.0.0.0_80;")
    assert manager.rds.config_source.HasField("ads")
    assert listener.default_filter_chain.name == "PassthroughFilterChain"
    assert config(listener.default_filter_chain).cluster == "PassthroughCluster"


def test_a_connection_manager_has_istios_settings(mesh, view):
    manager = config(mesh(entry("a", "[{number: 80, name: http}]")).listeners(view())["0.0.0.0_80"].filter_chains[0])
    assert manager.server_name == ""  # as Istio leaves it: towards its own application a sidecar calls itself envoy
    assert manager.normalize_path.value
    assert not manager.use_remote_address.value
    assert manager.HasField("stream_idle_timeout")
    assert manager.proxy_100_continue
    assert [upgrade.upgrade_type for upgrade in manager.upgrade_configs] == ["websocket"]
    assert not manager.access_log


def test_istios_own_filters_are_sent_only_to_our_proxy(mesh, view):
    built = mesh(entry("a", "[{number: 80, name: http}, {number: 90, name: tcp}]"))
    names = {}
    for agent in ("pymesh", "envoy"):
        listeners = built.listeners(view(agent=agent))
        names[agent] = [one.name for one in config(listeners["0.0.0.0_80"].filter_chains[0]).http_filters]
        names[agent] += [one.name for one in listeners["0.0.0.0_90"].filter_chains[0].filters]
    both = ["istio.alpn", "envoy.filters.http.fault", "envoy.filters.http.cors"]
    ends, tcp = ["envoy.filters.http.stateful_session", "envoy.filters.http.router"], "envoy.filters.network.tcp_proxy"
    assert names["envoy"] == ["envoy.filters.http.grpc_stats", *both, *ends, tcp]
    assert names["pymesh"] == ["istio.metadata_exchange", *both, "istio.stats", *ends, "istio.stats", tcp]


def test_a_tcp_service_is_told_by_its_address(mesh, view):
    text = entry("db", "[{number: 5432, name: tcp}]", "addresses: [10.96.0.7, 10.97.0.0/24]")
    listeners = mesh(text).listeners(view())
    assert config(listeners["10.96.0.7_5432"].filter_chains[0]).cluster == "outbound|5432||db.default.svc.cluster.local"
    block = listeners["0.0.0.0_5432"].filter_chains[0].filter_chain_match.prefix_ranges[0]
    assert (block.address_prefix, block.prefix_len.value) == ("10.97.0.0", 24)
    assert config(listeners["0.0.0.0_5432"].default_filter_chain).cluster == "PassthroughCluster"


def test_http_and_tcp_on_one_port_are_told_apart_by_their_first_bytes(mesh, view):
    text = entry("web", "[{number: 80, name: http}]") + entry("db", "[{number: 80, name: tcp}]")
    listener = mesh(text).listeners(view())["0.0.0.0_80"]
    assert config(listener.filter_chains[0]).rds.route_config_name == "80"
    assert config(listener.default_filter_chain).cluster == "outbound|80||db.default.svc.cluster.local"


PORTS = "[{number: 15001, name: http-a}, {number: 15006, name: http-b}, {number: 15021, name: http-c}, {number: 15090, name: tcp}]"


def test_no_service_takes_the_ports_at_which_the_sidecar_itself_listens(mesh, view, envoy):
    built = mesh(entry("a", PORTS).replace("10.0.0.1", "10.0.0.9"))
    seen = view(agent="envoy")
    assert set(built.listeners(seen)) == {"virtualInbound", "virtualOutbound"}
    envoy(built, seen)
    clusters = built.clusters(seen)
    assert not {name for name in clusters if name.startswith("inbound|")}
    elsewhere = view(ENVOY_STATUS_PORT=16021, ENVOY_PROMETHEUS_PORT="16090")
    assert set(built.listeners(elsewhere)) == {"0.0.0.0_15021", "0.0.0.0_15090", "virtualInbound", "virtualOutbound"}


@pytest.mark.parametrize(
    ("first", "second", "http"),
    [("mysql", "http", False), ("http", "mysql", True), ("mongo", "any", False), ("tcp", "mysql", False), ("mysql", "tcp", False)],
)
def test_where_servers_speak_first_nothing_else_shares_the_listener(mesh, view, first, second, http):
    text = entry("a", f"[{{number: 9000, name: {first}}}]") + entry("b", f"[{{number: 9000, name: {second}}}]")
    listener = mesh(text).listeners(view())["0.0.0.0_9000"]
    filters = [*listener.filter_chains[0].filters, *listener.default_filter_chain.filters]
    assert ("envoy.filters.network.http_connection_manager" in [one.name for one in filters]) is http
    assert bool(listener.listener_filters) is http
    clusters = {getattr(proto.unpack(one.typed_config), "cluster", "") for one in filters}
    assert not clusters & {"outbound|9000||b.default.svc.cluster.local"}


SELECTED = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: selected}
spec: {hosts: [selected.test], location: MESH_INTERNAL, ports: [{number: 90, name: tcp}], workloadSelector: {labels: {app: a}}}
"""
INSTANCES = "".join(
    f"""
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: w{index}}}
spec: {{address: {address}, labels: {{app: a}}}}
"""
    for index, address in enumerate(("10.1.0.1", "10.1.0.2", "host.test"))
)


@pytest.mark.parametrize(("more", "expected"), [(INSTANCES, {"10.1.0.1_90", "10.1.0.2_90"}), ("", set())])
def test_what_goes_by_addresses_and_selects_instances_is_told_by_theirs(mesh, view, more, expected):
    listeners = mesh(SELECTED + more).listeners(view())
    assert {name for name in listeners if name.endswith("_90")} == expected
    assert "0.0.0.0_90" in mesh(SELECTED.replace(", workloadSelector: {labels: {app: a}}", "")).listeners(view())


def test_listeners_are_given_to_services_for_few_before_those_for_all(mesh, view):
    text = entry("all", "[{number: 90, name: tcp}]") + entry("few", "[{number: 90, name: tcp}]", "exportTo: ['.']")
    (chain,) = mesh(text).listeners(view())["0.0.0.0_90"].filter_chains
    assert config(chain).cluster == "outbound|90||few.default.svc.cluster.local"


def test_an_unsaid_protocol_with_an_address_has_routes_of_its_own(mesh, view):
    listener = mesh(entry("any", "[{number: 7000, name: web}]", "addresses: [10.96.0.8]")).listeners(view())["10.96.0.8_7000"]
    assert config(listener.filter_chains[0]).rds.route_config_name == "any.default.svc.cluster.local:7000"
    assert config(listener.default_filter_chain).cluster == "outbound|7000||any.default.svc.cluster.local"


def test_tls_on_a_shared_port_is_told_by_server_name(mesh, view):
    text = entry("a", "[{number: 443, name: tls}]", host="a.example.com") + entry("b", "[{number: 443, name: https}]", host="b.example.com")
    listener = mesh(text).listeners(view())["0.0.0.0_443"]
    found = {tuple(chain.filter_chain_match.server_names): config(chain).cluster for chain in listener.filter_chains}
    assert found == {("a.example.com",): "outbound|443||a.example.com", ("b.example.com",): "outbound|443||b.example.com"}


ROUTES = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: split}
spec:
  hosts: [db, db.example.com]
  tcp:
  - match: [{port: 5432}]
    route:
    - {destination: {host: db, subset: v1}, weight: 70}
    - {destination: {host: db, subset: v2}, weight: 30}
    - {destination: {host: db, subset: v3}, weight: 0}
  tls:
  - match: [{port: 443, sniHosts: [db.example.com]}]
    route: [{destination: {host: db, subset: v1}}]
"""


def test_tcp_and_tls_rules_route_connections(mesh, view):
    text = entry("db", "[{number: 5432, name: tcp}, {number: 443, name: tls}]", "addresses: [10.96.0.7]") + ROUTES
    listeners = mesh(text).listeners(view())
    shares = config(listeners["10.96.0.7_5432"].filter_chains[0]).weighted_clusters.clusters
    host = "db.default.svc.cluster.local"
    assert [(one.name, one.weight) for one in shares] == [(f"outbound|5432|v1|{host}", 70), (f"outbound|5432|v2|{host}", 30)]
    named = listeners["10.96.0.7_443"].filter_chains[0]
    assert list(named.filter_chain_match.server_names) == ["db.example.com"]
    assert config(named).cluster == f"outbound|443|v1|{host}"


@pytest.mark.parametrize(("more", "cluster"), [("", "PassthroughCluster"), (REGISTRY_ONLY, "BlackHoleCluster")])
def test_what_no_rule_for_a_services_address_takes_is_an_unknown_hosts(mesh, view, more, cluster):
    text = entry("db", "[{number: 443, name: tls}]", "addresses: [10.96.0.7]") + ROUTES + more
    listener = mesh(text).listeners(view())["10.96.0.7_443"]
    assert listener.default_filter_chain.name == "PassthroughFilterChain"
    assert config(listener.default_filter_chain).cluster == cluster


def test_a_tcp_rule_may_be_for_some_addresses_only(mesh, view):
    rule = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: some}
spec:
  hosts: [db]
  tcp:
  - match: [{destinationSubnets: [10.0.0.0/8, 10.0.0.0/8]}]
    route: [{destination: {host: db, subset: v1}}]
"""
    listener = mesh(entry("db", "[{number: 90, name: tcp}]") + rule).listeners(view())["0.0.0.0_90"]
    assert [one.address_prefix for one in listener.filter_chains[0].filter_chain_match.prefix_ranges] == ["10.0.0.0"]
    assert config(listener.filter_chains[0]).cluster == "outbound|90|v1|db.default.svc.cluster.local"
    assert config(listener.default_filter_chain).cluster == "outbound|90||db.default.svc.cluster.local"


def test_server_names_that_overlap_belong_to_the_first_rule(mesh, view):
    host = "db.default.svc.cluster.local"
    second = f"  - match: [{{port: 443, sniHosts: [db.example.com, {host}]}}]\n    route: [{{destination: {{host: db}}}}]\n"
    text = (
        entry("db", "[{number: 443, name: tls}]", "addresses: [10.96.0.7]")
        + ROUTES.replace("[db, db.example.com]", f"[{host}, db.example.com]")
        + second
    )
    chains = mesh(text).listeners(view())["10.96.0.7_443"].filter_chains
    assert [list(chain.filter_chain_match.server_names) for chain in chains] == [["db.example.com"], [host]]


def test_without_capture_listeners_are_bound_on_loopback(mesh, view):
    listeners = mesh(entry("a", "[{number: 80, name: http}]")).listeners(view(INTERCEPTION_MODE="NONE", HTTP_PROXY_PORT="15007"))
    assert {name for name in listeners if name.startswith("127.0.0.1")} == {"127.0.0.1_80", "127.0.0.1_15007"}
    assert not listeners["127.0.0.1_80"].HasField("bind_to_port")
    assert config(listeners["127.0.0.1_15007"].filter_chains[0]).rds.route_config_name == "http_proxy"


def test_outbound_ports_give_a_service_a_loopback_port_of_its_own(mesh, view):
    text = entry("a", "[{number: 80, name: http}, {number: 90, name: tcp}, {number: 91, name: any}]") + entry(
        "b", "[{number: 81, name: http}]"
    )
    host = "a.default.svc.cluster.local"
    ports = {f"{host}:80": 21010, f"{host}:90": 21011, f"{host}:91": 21012, "nobody.default:80": 21013}
    listeners = mesh(text).listeners(view(INTERCEPTION_MODE="NONE", OUTBOUND_PORTS=ports))
    assert set(listeners) == {"127.0.0.1_21010", "127.0.0.1_21011", "127.0.0.1_21012"}
    either = listeners["127.0.0.1_21012"]
    assert [config(one).rds.route_config_name for one in either.filter_chains] == [f"{host}:91"]
    assert config(either.default_filter_chain).cluster == f"outbound|91||{host}"
    assert config(listeners["127.0.0.1_21010"].filter_chains[0]).rds.route_config_name == f"{host}:80"
    assert config(listeners["127.0.0.1_21011"].filter_chains[0]).cluster == f"outbound|90||{host}"


def test_an_access_log_has_istios_line_and_refusals_are_logged_at_the_listener(mesh, view):
    text = REGISTRY_ONLY.replace('"outbound', '"accessLogFile: /dev/stdout\\noutbound') + entry("a", "[{number: 80, name: http}]")
    listener = mesh(text).listeners(view())["0.0.0.0_80"]
    log = proto.unpack(config(listener.filter_chains[0]).access_log[0].typed_config)
    assert log.path == "/dev/stdout"
    line = log.log_format.text_format_source.inline_string
    assert line.startswith('[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE%')
    assert line.endswith("%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n")
    assert list(listener.access_log[0].filter.response_flag_filter.flags) == ["NR"]
    assert not config(listener.filter_chains[0]).access_log[0].HasField("filter")


def test_a_rules_idle_timeout_holds_for_connections(mesh, view):
    rule = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db}
spec: {host: db, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 90s, maxConnectionDuration: 5s}}}}
"""
    proxy = config(mesh(entry("db", "[{number: 90, name: tcp}]") + rule).listeners(view())["0.0.0.0_90"].filter_chains[0])
    assert (proxy.idle_timeout.seconds, proxy.max_downstream_connection_duration.seconds) == (90, 5)


@pytest.mark.parametrize(
    ("port", "looks"),
    [
        ("{number: 90, name: tcp-a}", []),  # the server may speak first
        ("{number: 90, name: tls-a}", ["envoy.filters.listener.tls_inspector"]),
        ("{number: 90, name: a}", ["envoy.filters.listener.tls_inspector", "envoy.filters.listener.http_inspector"]),
    ],
)
def test_first_bytes_are_looked_at_only_where_something_depends_on_them(mesh, view, port, looks):
    built = mesh(entry("a", f"[{port}]"))
    filters = built.listeners(view())["0.0.0.0_90"].listener_filters
    assert [one.name for one in filters] == looks


def test_a_tcp_port_of_its_own_looks_at_nothing(mesh, view):
    built = mesh(entry("a", "[{number: 90, name: tcp-a}]"))
    listeners = built.listeners(view(INTERCEPTION_MODE="NONE", OUTBOUND_PORTS={"a.default.svc.cluster.local:90": 21000}))
    assert not listeners["127.0.0.1_21000"].listener_filters


def addresses(listener):
    """Where it listens, its first address first."""
    others = (one.address for one in listener.additional_addresses)
    return [one.socket_address.address for one in (listener.address, *others)]


VERSIONS = [
    ("10.0.0.9", ["0.0.0.0"], ["127.0.0.1"]),
    ("fd00::9", ["::"], ["::1"]),
    ("fd00::9,10.0.0.9", ["0.0.0.0", "::"], ["127.0.0.1", "::1"]),
]


@pytest.mark.parametrize(("ips", "wildcards", "loopbacks"), VERSIONS)
def test_a_sidecar_listens_in_every_ip_version_that_it_has_addresses_of(mesh, view, ips, wildcards, loopbacks):
    text = entry("web", "[{number: 80, name: http}]") + entry("db", "[{number: 90, name: tcp}]", "addresses: [10.96.0.7, 'fd00::/64']")
    built = mesh(text)
    captured = built.listeners(view(INSTANCE_IPS=ips, HTTP_PROXY_PORT="15007"))
    wide = {f"{wildcards[0]}_80", f"{wildcards[0]}_90", "virtualInbound", "virtualOutbound"}
    assert set(captured) == {*wide, "10.96.0.7_90", f"{loopbacks[0]}_15007"}
    assert all(addresses(captured[name]) == wildcards for name in wide)
    assert addresses(captured[f"{loopbacks[0]}_15007"]) == loopbacks
    assert addresses(captured["10.96.0.7_90"]) == ["10.96.0.7"]
    called = built.listeners(view(INSTANCE_IPS=ips, INTERCEPTION_MODE="NONE"))
    assert all(addresses(called[f"{loopbacks[0]}_{port}"]) == loopbacks for port in (80, 90))


def loggers(filters):
    return [one.name.rpartition(".")[2] for one in proto.unpack(filters[-1].typed_config).access_log]


def test_an_envoy_reports_what_goes_nowhere_by_the_cluster_that_it_names(mesh, view, envoy):
    text = entry("a", "[{number: 80, name: http}]") + REGISTRY_ONLY
    reporting = view(agent="envoy", BLOCKED_REPORTS="PassthroughCluster")
    found = mesh(text).listeners(reporting)
    guard, catchall = found["virtualOutbound"].filter_chains
    assert (loggers(guard.filters), loggers(catchall.filters)) == ([], ["tcp_grpc"])
    web = found["0.0.0.0_80"]
    assert (loggers(web.filter_chains[0].filters), loggers(web.default_filter_chain.filters)) == (["http_grpc"], ["tcp_grpc"])
    envoy(mesh(text), reporting)


@pytest.mark.parametrize(
    ("more", "agent", "cluster"), [("", "envoy", "c"), (REGISTRY_ONLY, "envoy", ""), (REGISTRY_ONLY, "pymesh", "c")]
)
def test_nothing_is_reported_of_what_goes_on_by_who_names_no_cluster_and_by_our_proxies_who_count(mesh, view, more, agent, cluster):
    listeners = mesh(entry("a", "[{number: 80, name: http}]") + more).listeners(view(agent=agent, BLOCKED_REPORTS=cluster))
    assert b"access_loggers" not in b"".join(one.SerializeToString() for one in listeners.values())
