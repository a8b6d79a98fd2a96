import pytest
import yaml

from pymesh_proxy.compile.context import LogFormat
from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.http.options import ClientCert, Codec, EscapedSlashes, ServerHeader, Underscores
from pymesh_proxy.http2.settings import Keepalive

URL = "type.googleapis.com/envoy.extensions."
ROUTER = {"name": "router", "typed_config": {"@type": f"{URL}filters.http.router.v3.Router"}}
UNKNOWN = {"name": "mine", "typed_config": {"@type": "type.googleapis.com/envoy.config.core.v3.Address"}}  # no filter, now or ever
MINIMAL = {"stat_prefix": "h", "route_config": {"name": "r"}, "http_filters": [ROUTER]}


def typed_struct(name, kind, value=None):
    return {
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
            "type_url": f"type.googleapis.com/{kind}",
            "value": value or {},
        },
    }


STDOUT = {"name": "log", "typed_config": {"@type": f"{URL}access_loggers.stream.v3.StdoutAccessLog"}}
STATS = typed_struct("istio.stats", "stats.PluginConfig")
PEERS = typed_struct("istio.metadata_exchange", "io.istio.http.peer_metadata.Config")


def listener(manager):
    config = {"@type": f"{URL}filters.network.http_connection_manager.v3.HttpConnectionManager", **manager}
    return yaml.safe_dump(
        {
            "name": "l",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 80}},
            "traffic_direction": "OUTBOUND",
            "filter_chains": [{"filters": [{"name": "h", "typed_config": config}]}],
        }
    )


@pytest.fixture
def options(parse, ctx):
    return lambda **manager: compile_listener(parse("listener", listener({**MINIMAL, **manager})), ctx).chains[0].terminal


@pytest.fixture
def refused(parse, ctx, problems):
    def collect(**manager):
        found = problems(compile_listener, parse("listener", listener({**MINIMAL, **manager})), ctx)
        return {path.removeprefix("filter_chains[0].filters[0].typed_config."): message for path, message in found.items()}

    return collect


def test_a_minimal_manager_has_envoys_defaults(options):
    made = options()
    assert (made.server_name, made.server_header) == (b"envoy", ServerHeader.OVERWRITE)
    assert (made.idle_timeout, made.stream_idle_timeout) == (3600.0, 300.0)
    assert (made.max_request_headers, made.max_headers_count, made.generate_request_id) == (60 * 1024, 100, True)
    assert (made.chain.links, made.observers, made.upgrades, made.suppress_envoy_headers) == ((), (), frozenset(), False)


def test_an_upgrade_may_have_filters_of_its_own(options):
    made = options(upgrade_configs=[{"upgrade_type": "WebSocket", "filters": [PEERS, ROUTER]}, {"upgrade_type": "other"}])
    assert made.upgrades == {b"websocket", b"other"}
    assert [link.name for link in made.upgrade_chains[b"websocket"].links] == ["istio.metadata_exchange"]
    assert set(made.upgrade_chains) == {b"websocket"}
    assert made.decorates


def test_istios_manager_is_honoured_whole(options):
    made = options(
        server_name="istio-envoy",
        server_header_transformation="PASS_THROUGH",
        use_remote_address=False,
        append_x_forwarded_port=True,
        normalize_path=True,
        path_with_escaped_slashes_action="UNESCAPE_AND_FORWARD",
        stream_idle_timeout="0s",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        forward_client_cert_details="APPEND_FORWARD",
        set_current_client_cert_details={"subject": True, "uri": True, "dns": True},
        common_http_protocol_options={"idle_timeout": "5s", "headers_with_underscores_action": "DROP_HEADER", "max_headers_count": 7},
        http_protocol_options={"accept_http_10": True},
        request_timeout="0s",
        drain_timeout="5s",
        max_request_headers_kb=96,
        stream_error_on_invalid_http_message=True,
    )
    assert (made.server_name, made.server_header, made.normalize_path) == (b"istio-envoy", ServerHeader.PASS_THROUGH, True)
    assert (made.escaped_slashes, made.stream_idle_timeout, made.upgrades) == (EscapedSlashes.UNESCAPE_AND_FORWARD, 0.0, {b"websocket"})
    assert made.forward_client_cert is ClientCert.APPEND_FORWARD
    assert made.append_x_forwarded_port
    assert (made.client_cert_subject, made.client_cert_uri, made.client_cert_dns, made.client_cert_cert) == (True, True, True, False)
    assert (made.idle_timeout, made.underscores, made.max_headers_count) == (5.0, Underscores.DROP_HEADER, 7)
    assert (made.accept_http_10, made.max_request_headers, made.stream_error) == (True, 96 * 1024, True)


def test_the_protocols_limits_and_repairs_are_honoured(options):
    made = options(
        request_timeout="1.5s",
        drain_timeout="6s",
        http1_safe_max_connection_duration=True,
        common_http_protocol_options={"max_stream_duration": "9s", "max_connection_duration": "60s", "max_requests_per_connection": 3},
        proxy_100_continue=True,
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        http_protocol_options={"allow_absolute_url": False, "enable_trailers": True, "header_key_format": {"proper_case_words": {}}},
    )
    assert (made.request_timeout, made.drain_timeout, made.max_stream_duration) == (1.5, 6.0, 9.0)
    assert (made.max_connection_duration, made.safe_connection_duration, made.max_requests_per_connection) == (60.0, True, 3)
    assert (made.allow_absolute_url, made.proper_case, made.enable_trailers) == (False, True, True)
    assert (made.proxy_100_continue, made.upgrades) == (True, {b"connect"})


def test_names_keep_their_case_without_a_formatter_and_with_one_that_preserves_it(options):
    kind = "type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
    preserving = {"stateful_formatter": {"name": "preserve_case", "typed_config": {"@type": kind}}}
    assert options().proper_case is False
    assert options(http_protocol_options={"header_key_format": preserving}).proper_case is False


def test_a_user_agent_is_added_in_the_nodes_name(options):
    assert options().user_agent == b""
    made = options(add_user_agent=True)
    assert (made.user_agent, made.service_node) == (b"shop", b"shop-1")


def test_http2_is_spoken_by_the_managers_options(options):
    keepalive = {"interval": "30s", "timeout": "5s", "interval_jitter": {"value": 20}}
    made = options(
        codec_type="HTTP2",
        drain_timeout="6s",
        http2_protocol_options={"max_concurrent_streams": 5, "allow_connect": True, "connection_keepalive": keepalive},
    )
    assert (made.codec, made.drain_timeout, made.http2.max_concurrent_streams, made.http2.allow_connect) == (Codec.HTTP2, 6.0, 5, True)
    assert made.http2.connection_keepalive == Keepalive(interval=30.0, timeout=5.0, interval_jitter=20.0)
    assert options().codec is Codec.AUTO


def test_istios_filters_become_a_filter_and_an_observer(options, process):
    made = options(http_filters=[PEERS, STATS, ROUTER])
    assert made.chain.default == ("peer metadata OUTBOUND",)
    assert [observer.__self__.what for observer in made.observers] == ["OUTBOUND"]
    assert process.stats == ["OUTBOUND"]


def test_the_router_can_keep_envoys_headers_back(options):
    router = {"name": "r", "typed_config": {**ROUTER["typed_config"], "suppress_envoy_headers": True}}
    assert options(http_filters=[router]).suppress_envoy_headers is True


def test_an_unknown_filter_is_left_out_only_if_optional(options, refused):
    assert options(http_filters=[{**UNKNOWN, "is_optional": True}, ROUTER]).chain.links == ()
    assert "no implementation of 'mine'" in refused(http_filters=[UNKNOWN, ROUTER])["http_filters[0].typed_config"]


def test_routes_by_name_share_the_processs_slot(options, process):
    rds = {"route_config_name": "80", "config_source": {"ads": {}}}
    manager = {"rds": rds, "route_config": None}
    assert options(**manager).route is process.slots["80"]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ({"path": "/a"}, ("/a", LogFormat())),
        ({"path": "/a", "log_format": {"text_format_source": {"inline_string": "%PROTOCOL%\n"}}}, ("/a", LogFormat(text="%PROTOCOL%\n"))),
        ({"path": "/a", "log_format": {"text_format": "x"}}, ("/a", LogFormat(text="x"))),
        (
            {"path": "/a", "log_format": {"json_format": {"p": "%PROTOCOL%"}, "omit_empty_values": True}},
            ("/a", LogFormat(json={"p": "%PROTOCOL%"}, omit_empty_values=True)),
        ),
        ({}, ("/dev/stdout", LogFormat())),
    ],
)
def test_access_logs_are_opened_with_their_format(options, process, log, expected):
    kind = "file.v3.FileAccessLog" if log else "stream.v3.StdoutAccessLog"
    made = options(access_log=[{"name": "log", "typed_config": {"@type": f"{URL}access_loggers.{kind}", **log}}])
    assert process.logs == [expected]
    assert len(made.observers) == 1


@pytest.mark.parametrize(
    ("manager", "field"),
    [
        ({"codec_type": "HTTP3"}, "codec_type"),
        ({"stat_prefix": ""}, "stat_prefix"),
        ({"http_filters": []}, "http_filters"),
        ({"http_filters": [STATS]}, "http_filters[0]"),
        ({"http_filters": [ROUTER, ROUTER]}, "http_filters[0]"),
        (
            {"http_filters": [typed_struct("istio.stats", "stats.PluginConfig", {"metrics": []}), ROUTER]},
            "http_filters[0].typed_config.value",
        ),
        ({"request_timeout": "-1s"}, "request_timeout"),
        ({"set_current_client_cert_details": {"chain": True}}, "set_current_client_cert_details.chain"),
        ({"tracing": {}}, "tracing"),
        ({"internal_address_config": {"unix_sockets": True}}, "internal_address_config.unix_sockets"),
        ({"internal_address_config": {"cidr_ranges": [{"address_prefix": "10.0.0"}]}}, "internal_address_config.cidr_ranges[0]"),
        (
            {"local_reply_config": {"body_format": {"text_format": "%UNHEARD_OF%"}}},
            "local_reply_config.body_format.text_format",
        ),
        (
            {"local_reply_config": {"mappers": [{"filter": {"traceable_filter": {}}}]}},
            "local_reply_config.mappers[0].filter.traceable_filter",
        ),
        ({"http_protocol_options": {"header_key_format": {}}}, "http_protocol_options.header_key_format.header_format"),
        (
            {"http_protocol_options": {"header_key_format": {"stateful_formatter": UNKNOWN}}},
            "http_protocol_options.header_key_format.stateful_formatter.typed_config",
        ),
        ({"max_request_headers_kb": 9000}, "max_request_headers_kb"),
        ({"upgrade_configs": [{"upgrade_type": "a", "filters": [STATS, ROUTER]}]}, "upgrade_configs[0].filters"),
        ({"upgrade_configs": [{"upgrade_type": "a", "filters": [STATS]}]}, "upgrade_configs[0].filters[0]"),
        ({"route_config": None}, "route_specifier"),
        ({"route_config": None, "scoped_routes": {"name": "x"}}, "scoped_routes"),
        ({"route_config": None, "rds": {"route_config_name": "", "config_source": {"ads": {}}}}, "rds.route_config_name"),
        (
            {"access_log": [{**STDOUT, "filter": {"traceable_filter": {}}}]},
            "access_log[0].filter.traceable_filter",
        ),
        ({"route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "cors": {}}]}}, "route_config.virtual_hosts[0].cors"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(refused, manager, field):
    assert field in refused(**manager)
