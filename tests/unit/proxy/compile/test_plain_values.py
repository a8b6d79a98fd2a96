"""Fields whose value is handed on as it is: what is written in the configuration stands in the object that the proxy runs on."""

from operator import attrgetter

import pytest
import yaml

from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.http.headers import RequestHead
from pymesh_proxy.upstream.balancing.config import Balancing
from pymesh_proxy.upstream.dns_config import Family

URL = "type.googleapis.com/envoy"
ROUTER = {"name": "r", "typed_config": {"@type": f"{URL}.extensions.filters.http.router.v3.Router"}}
PROXY = {"@type": f"{URL}.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "c"}
TCP = {"name": "t", "typed_config": PROXY}


def cluster(parse, **fields):
    return compile_cluster(parse("cluster", yaml.safe_dump({"name": "c", "type": "STATIC", **fields})))


def listener(parse, ctx, chain=None, **fields):
    chains = [{"filters": [TCP], **(chain or {})}]
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 1}}
    return compile_listener(parse("listener", yaml.safe_dump({"name": "l", "address": address, "filter_chains": chains, **fields})), ctx)


def manager(parse, ctx, **fields):
    config = {
        "@type": f"{URL}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "s",
        "route_config": {},
        "http_filters": [ROUTER],
        **fields,
    }
    return listener(parse, ctx, {"filters": [{"name": "h", "typed_config": config}]}).chains[0].terminal


def action(parse, **fields):
    route = {"match": {"prefix": "/"}, "route": {"cluster": "c", **fields}}
    text = yaml.safe_dump({"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]})
    return compile_routes(parse("routes", text)).match(head(), 0).action


def head(*headers, authority=b"a.com"):
    return RequestHead(b"GET", b"/", authority, list(headers))


@pytest.mark.parametrize(
    ("fields", "where", "expected"),
    [
        ({"per_connection_buffer_limit_bytes": 7}, "buffer_limit", 7),
        ({"dns_lookup_family": "V6_ONLY"}, "dns.family", Family.V6_ONLY),
        ({"dns_refresh_rate": "60s"}, "dns.refresh", 60.0),
        ({"dns_jitter": "0.1s"}, "dns.jitter", 0.1),
        ({"respect_dns_ttl": True}, "dns.respect_ttl", True),
        ({"wait_for_warm_on_init": False}, "dns.wait", False),
        ({"lb_policy": "ROUND_ROBIN", "round_robin_lb_config": {}}, "balancing.policy", Balancing.ROUND_ROBIN),
        ({"common_http_protocol_options": {"max_response_headers_kb": 3}}, "max_response_headers", 3 * 1024),
        (
            {"upstream_connection_options": {"tcp_keepalive": {"keepalive_probes": 2, "keepalive_time": 3, "keepalive_interval": 4}}},
            "keepalive",
            (2, 3, 4),
        ),
        *(
            ({"http2_protocol_options": {name: 77777}}, f"http2.{name}", 77777)
            for name in (
                "max_inbound_priority_frames_per_stream",
                "max_inbound_window_update_frames_per_data_frame_sent",
                "initial_stream_window_size",
            )
        ),
        ({"http2_protocol_options": {"hpack_table_size": 5}}, "http2.hpack_table_size", 5),
    ],
)
def test_of_a_cluster(parse, fields, where, expected):
    assert attrgetter(where)(cluster(parse, **fields)) == expected


@pytest.mark.parametrize(
    ("fields", "where", "expected"),
    [
        ({"per_connection_buffer_limit_bytes": 7}, "buffer_limit", 7),
        ({"enable_reuse_port": False}, "reuse_port", False),
        ({"tcp_backlog_size": 9}, "backlog", 9),
        ({"freebind": True}, "freebind", True),
        ({"deprecated_v1": {"bind_to_port": False}}, "bind_to_port", False),
        ({"deprecated_v1": {"bind_to_port": False}, "bind_to_port": True}, "bind_to_port", True),
        ({"deprecated_v1": {}}, "bind_to_port", True),
    ],
)
def test_of_a_listener(parse, ctx, fields, where, expected):
    assert getattr(listener(parse, ctx, **fields), where) == expected


def test_of_a_filter_chain(parse, ctx):
    assert listener(parse, ctx, {"transport_socket_connect_timeout": "7s"}).chains[0].tls_handshake_timeout == 7.0


def test_of_a_manager(parse, ctx):
    assert manager(parse, ctx, delayed_close_timeout="7s").delayed_close_timeout == 7.0


def test_of_an_access_log(parse, ctx, process):
    fields = {"path": "/dev/null", "typed_json_format": {"status": "%RESPONSE_CODE%"}}
    log = {"name": "l", "typed_config": {"@type": f"{URL}.extensions.access_loggers.file.v3.FileAccessLog", **fields}}
    manager(parse, ctx, access_log=[log])
    assert [(path, said.json) for path, said in process.logs] == [("/dev/null", {"status": "%RESPONSE_CODE%"})]


def test_of_a_routes_grpc_timeouts(parse):
    older = action(parse, max_grpc_timeout="7s", grpc_timeout_offset="2s").grpc_timeout
    assert (older.apply(5.0), older.apply(60.0)) == (3.0, 7.0)
    newer = action(parse, max_stream_duration={"grpc_timeout_header_max": "7s", "grpc_timeout_header_offset": "2s"}).grpc_duration
    assert (newer.apply(5.0), newer.apply(60.0)) == (3.0, 7.0)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"exact_match": "ab"}, {"exact": "ab"}),
        ({"prefix_match": "a"}, {"prefix": "a"}),
        ({"suffix_match": "b"}, {"suffix": "b"}),
        ({"contains_match": "b"}, {"contains": "b"}),
        ({"safe_regex_match": {"regex": "a.*", "google_re2": {"max_program_size": 1}}}, {"safe_regex": {"regex": "a.*"}}),
    ],
)
def test_of_the_older_header_matchers(parse, older, newer):
    def table(how):
        match = {"prefix": "/", "headers": [{"name": "x", **how}]}
        host = {"name": "v", "domains": ["*"], "routes": [{"match": match, "direct_response": {"status": 200}}]}
        return compile_routes(parse("routes", yaml.safe_dump({"virtual_hosts": [host]})))

    values = [b"", b"a", b"b", b"ab", b"abc", b"cab", b"AB"]
    taken = [value for value in values if table(older).match(head((b"x", value)), 0)]
    assert taken == [value for value in values if table({"string_match": newer}).match(head((b"x", value)), 0)]
    assert 0 < len(taken) < len(values)


def test_of_a_tables_ports(parse):
    host = {"name": "v", "domains": ["a.com"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}
    for ignores in (False, True):
        table = compile_routes(parse("routes", yaml.safe_dump({"virtual_hosts": [host], "ignore_port_in_host_matching": ignores})))
        assert (table.match(head(authority=b"a.com:80"), 0) is not None) is ignores


def test_of_a_tables_bodies(parse, problems):
    response = {"status": 200, "body": {"inline_string": "12345"}}
    host = {"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": response}]}
    for limit, refused in ((5, set()), (4, {"virtual_hosts[0].routes[0].direct_response.body"})):
        message = parse("routes", yaml.safe_dump({"virtual_hosts": [host], "max_direct_response_body_size_bytes": limit}))
        assert set(problems(compile_routes, message) if refused else compile_routes(message).match(head(), 0).name) == refused


def test_of_a_headers_raw_value(parse):
    added = {"header": {"key": "x", "raw_value": "JUFCJQ=="}}  # %AB%: no format is looked for in it
    host = {"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}
    host["routes"][0]["response_headers_to_add"] = [added]
    assert compile_routes(parse("routes", yaml.safe_dump({"virtual_hosts": [host]}))).match(head(), 0).edit_response is not None


def test_of_a_validation_context(parse):
    context = {
        "trusted_ca": {"inline_string": "CA"},
        "crl": {"inline_string": "CRL"},
        "verify_certificate_spki": ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="],
    }
    tls = {"@type": f"{URL}.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": {"validation_context": context}}
    made = cluster(parse, transport_socket={"name": "tls", "typed_config": tls}).tls.validation
    assert made.crl == b"CRL"
    assert made.spki == ("NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=",)


@pytest.mark.parametrize("independent", [False, True])
def test_of_a_runtime_filter(parse, ctx, independent):
    share = {"runtime_key": "k", "percent_sampled": {"numerator": 100}, "use_independent_randomness": independent}
    log = {
        "name": "l",
        "filter": {"runtime_filter": share},
        "typed_config": {"@type": f"{URL}.extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/null"},
    }
    assert len(manager(parse, ctx, access_log=[log]).observers) == 1


@pytest.mark.parametrize(("name", "where"), [("request_body_buffer_limit", "body_limit"), ("per_request_buffer_limit_bytes", "body_cap")])
def test_of_what_is_kept_of_bodies(parse, name, where):
    """The route's own limit, or else its virtual host's."""
    for host, route, expected in ((None, None, None), (7, None, 7), (7, 5, 5)):
        routes = [{"match": {"prefix": "/"}, "route": {"cluster": "c"}, name: route}]
        text = yaml.safe_dump({"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes, name: host}]})
        assert getattr(compile_routes(parse("routes", text)).match(head(), 0).action, where) == expected


def test_of_internal_redirects(parse):
    policy = {
        "max_internal_redirects": 3,
        "redirect_response_codes": [301, 307],
        "allow_cross_scheme_redirect": True,
        "response_headers_to_copy": ["X-One"],
    }
    made = action(parse, internal_redirect_policy=policy).internal_redirects
    assert (made.maximum, made.statuses, made.cross_scheme, made.copied) == (3, {301, 307}, True, (b"x-one",))
