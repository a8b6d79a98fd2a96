import pytest

from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.errors import ConfigError
from pymesh_proxy.listener.proxy_protocol import Rules
from pymesh_proxy.tcp.config import TcpOptions

URL = "type.googleapis.com/"
TCP = f"{{name: t, typed_config: {{'@type': {URL}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: up}}}}"
STATS = f"{{name: istio.stats, typed_config: {{'@type': {URL}udpa.type.v1.TypedStruct, type_url: {URL}stats.PluginConfig}}}}"


def listener(chains=f"[{{filters: [{TCP}]}}]", extra=""):
    return f"name: l\naddress: {{socket_address: {{address: 0.0.0.0, port_value: 15006}}}}\nfilter_chains: {chains}\n{extra}\n"


def listener_filter(name, options=""):
    kind = "".join(word.capitalize() for word in name.split("_"))
    return f"{{name: {name}, typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.listener.{name}.v3.{kind}{options}}}}}"


def test_a_listener_has_envoys_defaults(parse, ctx):
    made = compile_listener(parse("listener", listener()), ctx)
    assert (made.name, made.address, made.direction, made.bind_to_port) == ("l", "0.0.0.0:15006", "", True)
    assert (made.filters_timeout, made.continue_on_timeout, made.reuse_port, made.buffer_limit) == (15.0, False, True, 1024 * 1024)
    assert (made.original_dst, made.tls_inspector, made.http_inspector) == (False, False, False)
    assert made.chains[0].terminal == TcpOptions(clusters=(("up", 1),))


def test_an_istio_inbound_listener_is_read(parse, ctx, process):
    filters = ", ".join(listener_filter(name) for name in ("original_dst", "tls_inspector", "http_inspector"))
    extra = f"""
traffic_direction: INBOUND
use_original_dst: true
bind_to_port: false
listener_filters: [{filters}]
listener_filters_timeout: 0s
continue_on_listener_filters_timeout: true
default_filter_chain: {{name: rest, filters: [{TCP}]}}
"""
    chains = f"[{{name: mtls, filter_chain_match: {{destination_port: 80, transport_protocol: tls}}, filters: [{STATS}, {TCP}]}}]"
    made = compile_listener(parse("listener", listener(chains, extra)), ctx)
    assert (made.direction, made.use_original_dst, made.bind_to_port) == ("INBOUND", True, False)
    assert (made.original_dst, made.tls_inspector, made.http_inspector) == (True, True, True)
    assert (made.filters_timeout, made.continue_on_timeout) == (0.0, True)
    assert made.default_chain.name == "rest"
    assert process.stats == ["INBOUND"]
    assert len(made.chains[0].terminal.observers) == 1


@pytest.mark.parametrize(("settings", "mark"), [(", mark: 1337", 1337), ("", 0)])
def test_endpoints_may_be_called_from_clients_addresses(parse, ctx, settings, mark):
    made = compile_listener(parse("listener", listener(extra=f"listener_filters: [{listener_filter('original_src', settings)}]")), ctx)
    assert made.original_src == mark
    assert compile_listener(parse("listener", listener()), ctx).original_src is None


def test_clients_ports_are_not_taken(parse, ctx):
    taking = f"listener_filters: [{listener_filter('original_src', ', bind_port: true')}]"
    with pytest.raises(ConfigError, match="bind_port"):
        compile_listener(parse("listener", listener(extra=taking)), ctx)


def test_who_hands_connections_on_finds_out_where_to_without_being_told(parse, ctx):
    assert compile_listener(parse("listener", listener(extra="use_original_dst: true")), ctx).original_dst
    assert not compile_listener(parse("listener", listener(extra="use_original_dst: false")), ctx).original_dst


@pytest.mark.parametrize(
    ("predicate", "looked_at"),
    [
        ("{any_match: true}", []),
        ("{destination_port_range: {start: 80, end: 81}}", [79, 81, 90]),
        ("{destination_port_range: {start: 80, end: 90}}", [79, 90]),
        ("{not_match: {destination_port_range: {start: 80, end: 81}}}", [80]),
        ("{or_match: {rules: [{destination_port_range: {start: 79, end: 80}}, {destination_port_range: {start: 90, end: 91}}]}}", [80, 81]),
        ("{and_match: {rules: [{destination_port_range: {start: 79, end: 82}}, {not_match: {any_match: true}}]}}", [79, 80, 81, 90]),
        ("{and_match: {rules: [{destination_port_range: {start: 79, end: 82}}, {any_match: true}]}}", [90]),
    ],
)
def test_inspectors_are_switched_off_by_port(parse, ctx, predicate, looked_at):
    filters = [listener_filter(name)[:-1] + f", filter_disabled: {predicate}}}" for name in ("tls_inspector", "http_inspector")]
    made = compile_listener(parse("listener", listener(extra=f"listener_filters: [{', '.join(filters)}]")), ctx)
    ports = (79, 80, 81, 90)
    assert [port for port in ports if made.looks_for_tls(port)] == looked_at
    assert [port for port in ports if made.looks_for_http(port)] == looked_at


@pytest.mark.parametrize(
    ("name", "predicate", "sentence"),
    [
        ("tls_inspector", "{}", "filter_disabled.rule: is required"),
        ("tls_inspector", "{any_match: false}", "filter_disabled.any_match: value must equal true"),
        ("tls_inspector", "{or_match: {rules: [{any_match: true}]}}", "or_match.rules: value must contain at least 2 item(s)"),
        ("original_dst", "{any_match: true}", "filter_disabled: is supported for tls_inspector and http_inspector only"),
    ],
)
def test_what_cannot_switch_a_filter_off_is_refused(parse, ctx, name, predicate, sentence):
    text = listener(extra=f"listener_filters: [{listener_filter(name)[:-1]}, filter_disabled: {predicate}}}]")
    with pytest.raises(ConfigError) as caught:
        compile_listener(parse("listener", text), ctx)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ("", Rules()),
        (", allow_requests_without_proxy_protocol: true, disallowed_versions: [V1]", Rules(optional=True, versions=frozenset({2}))),
        (", pass_through_tlvs: {match_type: INCLUDE_ALL}", Rules(passed=None)),
        (", pass_through_tlvs: {match_type: INCLUDE, tlv_type: [5, 224]}", Rules(passed=frozenset({5, 224}))),
    ],
)
def test_what_a_proxy_header_may_be_is_read(parse, ctx, options, rules):
    made = compile_listener(parse("listener", listener(extra=f"listener_filters: [{listener_filter('proxy_protocol', options)}]")), ctx)
    assert made.proxy_protocol == rules


def test_a_transparent_listener_is_read(parse, ctx):
    made = compile_listener(parse("listener", listener(extra="transparent: true\nfreebind: true")), ctx)
    assert (made.transparent, made.freebind) == (True, True)


def test_a_listener_whose_chains_alone_differ_has_the_same_frame(parse, ctx):
    one = compile_listener(parse("listener", listener()), ctx)
    two = compile_listener(parse("listener", listener(f"[{{name: b, filters: [{TCP}]}}]")), ctx)
    three = compile_listener(parse("listener", listener(extra="listener_filters_timeout: 1s")), ctx)
    assert one.frame == two.frame != three.frame
    assert one.chains[0].identity == three.chains[0].identity != two.chains[0].identity


def test_a_tcp_proxy_is_read_whole(parse, ctx):
    chain = """
    - filters:
      - name: t
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          weighted_clusters: {clusters: [{name: a, weight: 1}, {name: b, weight: 3}]}
          idle_timeout: 0s
          max_connect_attempts: 3
          max_downstream_connection_duration: 7s
    """
    options = compile_listener(parse("listener", listener(f"\n{chain}")), ctx).chains[0].terminal
    assert options == TcpOptions(clusters=(("a", 1), ("b", 3)), idle_timeout=0.0, max_connect_attempts=3, max_duration=7.0)


def test_the_log_of_refused_connections_is_kept(parse, ctx, process):
    log = "{name: f, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /tmp/nr}"
    made = compile_listener(
        parse("listener", listener(extra=f"access_log: [{log}, filter: {{response_flag_filter: {{flags: [NR]}}}}}}]")), ctx
    )
    assert len(made.observers) == 1
    assert made.watchers == (), "no connection that is served needs to be counted for it"
    assert process.logs[0][0] == "/tmp/nr"


@pytest.mark.parametrize(
    "condition", ["", ", filter: {response_flag_filter: {flags: [NR, UF]}}", ", filter: {not_health_check_filter: {}}"]
)
def test_other_logs_are_told_of_every_connection(parse, ctx, condition):
    log = "{name: f, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /tmp/all}"
    made = compile_listener(parse("listener", listener(extra=f"access_log: [{log}{condition}}}]")), ctx)
    assert (len(made.observers), len(made.watchers)) == (1, 1)


def test_further_addresses_are_listened_on_too(parse, ctx):
    more = "[{address: {socket_address: {address: '::1', port_value: 81}}}]"
    made = compile_listener(parse("listener", listener(extra=f"additional_addresses: {more}")), ctx)
    assert made.addresses == ((made.host, made.port), ("::1", 81))


def test_a_listener_names_what_it_waits_for(parse, ctx, process):
    manager = """
        '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: h
        rds: {route_config_name: "80", config_source: {ads: {}}}
        http_filters: [{name: r, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
    """
    secured = """
      transport_socket:
        name: tls
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context: {tls_certificate_sds_secret_configs: [{name: default, sds_config: {ads: {}}}]}
    """
    text = listener(f"\n    - filters:\n      - name: h\n        typed_config:\n  {manager.replace(chr(10), chr(10) + '  ')}\n{secured}")
    (chain,) = compile_listener(parse("listener", text), ctx).chains
    assert chain.terminal.route is process.slots["80"]
    assert chain.tls.certificates[0].secret == "default"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (listener(chains="[]"), "filter_chains"),
        (listener(chains="[{}]"), "filter_chains[0].filters"),
        (listener(chains=f"[{{filters: [{TCP}]}}, {{filters: [{TCP}]}}]"), "filter_chains[1].filter_chain_match"),
        (listener(chains=f"[{{filters: [{TCP}, {TCP}]}}]"), "filter_chains[0].filters[0].typed_config"),
        (
            listener(chains=f"[{{filter_chain_match: {{server_names: ['a*.com']}}, filters: [{TCP}]}}]"),
            "filter_chains[0].filter_chain_match.server_names[0]",
        ),
        (
            listener(chains=f"[{{filter_chain_match: {{prefix_ranges: [{{address_prefix: x, prefix_len: 8}}]}}, filters: [{TCP}]}}]"),
            "filter_chains[0].filter_chain_match.prefix_ranges[0]",
        ),
        (listener(extra="access_log: [{name: x, typed_config: {}}]"), "access_log[0].typed_config"),
        (listener(extra="socket_options: [{level: 1, name: 2, int_value: 3}]"), "socket_options"),
        (listener(extra="additional_addresses: [{socket_options: {}}]"), "additional_addresses[0].socket_options"),
        (listener(extra="connection_balance_config: {exact_balance: {}}"), "connection_balance_config"),
        (listener(extra="listener_filters: [{name: x}]"), "listener_filters[0].typed_config"),
        (
            listener(extra=f"listener_filters: [{listener_filter('tls_inspector')}, {listener_filter('proxy_protocol')}]"),
            "listener_filters[1]",
        ),
        (
            listener(extra=f"listener_filters: [{listener_filter('proxy_protocol', ', disallowed_versions: [V1, V2]')}]"),
            "listener_filters[0].typed_config.disallowed_versions",
        ),
        (
            listener(extra=f"listener_filters: [{listener_filter('proxy_protocol', ', rules: [{tlv_type: 1}]')}]"),
            "listener_filters[0].typed_config.rules",
        ),
        (f"{{name: l, filter_chains: [{{filters: [{TCP}]}}]}}", "address"),
        (f"{{name: l, address: {{pipe: {{path: /x}}}}, filter_chains: [{{filters: [{TCP}]}}]}}", "address"),
        (
            f"{{name: l, address: {{socket_address: {{address: 1.1.1.1, port_value: 70000}}}}, filter_chains: [{{filters: [{TCP}]}}]}}",
            "address.socket_address.port_value",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(parse, ctx, problems, text, field):
    assert field in problems(compile_listener, parse("listener", text), ctx)


def test_an_unknown_filter_is_named_with_its_type(parse, ctx, problems):
    text = listener(chains="[{filters: [{name: mine, typed_config: {'@type': type.googleapis.com/google.protobuf.Duration, value: 1s}}]}]")
    found = problems(compile_listener, parse("listener", text), ctx)
    assert found == {
        "filter_chains[0].filters[0].typed_config": (
            "no implementation of 'mine' with type URL 'type.googleapis.com/google.protobuf.Duration'"
        )
    }
