from pymesh_proxy.compile.bootstrap import compile_static
from pymesh_proxy.compile.context import LogFormat
from pymesh_proxy.http.headers import RequestHead
from pymesh_proxy.http.options import HttpOptions
from pymesh_proxy.listener.match import Traits

HTTP = """
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 18080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          access_log:
          - name: envoy.access_loggers.file
            typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /tmp/a.log}
          route_config:
            name: r
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: "/"}
                route: {cluster: up, timeout: 3s, retry_policy: {retry_on: "connect-failure,unavailable", num_retries: 2}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: up
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: up
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9000}}}}]}]
"""


def test_a_plain_http_bootstrap_compiles_end_to_end(parse, ctx, process):
    (cluster,), (listener,), secrets = compile_static(parse("bootstrap", HTTP), ctx)
    assert secrets == []
    assert (cluster.name, cluster.connect_timeout) == ("up", 1.0)
    assert [endpoint.address for endpoint in cluster.assignment.endpoints] == ["127.0.0.1:9000"]
    assert listener.address == "127.0.0.1:18080"
    assert process.logs == [("/tmp/a.log", LogFormat())]
    chain = listener.matcher.find(Traits(destination_ip="127.0.0.1", destination_port=18080, source_ip="127.0.0.1", source_port=1))
    assert isinstance(chain.terminal, HttpOptions)
    route = chain.terminal.route.table.match(RequestHead(b"GET", b"/", b"any.host", []), 0)
    assert (route.action.choose(0).cluster, route.action.timeout, route.action.retry.num_retries) == ("up", 3.0, 2)


def test_every_problem_of_every_static_resource_comes_at_once(parse, ctx, problems):
    broken = HTTP.replace("connect_timeout: 1s", "connect_timeout: 0s").replace("cluster: up,", "cluster: '',")
    found = problems(compile_static, parse("bootstrap", broken), ctx)
    assert set(found) == {
        "static_resources.clusters[0].connect_timeout",
        "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.cluster",
    }


def test_two_static_resources_cannot_share_a_name(parse, ctx, problems):
    message = parse("bootstrap", HTTP)
    message.static_resources.clusters.add().CopyFrom(message.static_resources.clusters[0])
    assert set(problems(compile_static, message, ctx)) == {"static_resources.clusters[1].name"}


def test_inline_routes_name_static_clusters_only(parse, ctx, problems):
    found = problems(compile_static, parse("bootstrap", HTTP.replace("cluster: up,", "cluster: nope,")), ctx)
    ((path, message),) = found.items()
    assert path.endswith("filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.cluster")
    assert message == "unknown cluster 'nope'"


def test_routes_can_ask_for_clusters_not_to_be_checked(parse, ctx):
    text = HTTP.replace("cluster: up,", "cluster: nope,").replace("name: r\n", "name: r\n            validate_clusters: false\n")
    assert compile_static(parse("bootstrap", text), ctx)[1]
