"""Access log formats: Envoy's operators over requests and TCP connections."""

import json
import time
from typing import Any

import pytest

from pymesh_control.generate.accesslog import ISTIO_JSON, ISTIO_TEXT
from pymesh_proxy.errors import ConfigError
from pymesh_proxy.observe.format import compile_http, compile_tcp, compile_value
from pymesh_proxy.observe.operators import HTTP
from pymesh_proxy.observe.written_out import ENVOY_DEFAULT
from pymesh_proxy.route.table import DirectReply, Route
from pymesh_proxy.tls.peer import PeerCertificate


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.25)


def test_envoys_default_line_is_written_field_by_field(make: Any) -> None:
    exchange = make.exchange(
        fields=[(b"user-agent", b"curl/8"), (b"x-request-id", b"r-1"), (b"x-forwarded-for", b"10.9.9.9")],
        response=[(b"x-envoy-upstream-service-time", b"7")],
        endpoint=make.endpoint(),
        request_bytes=3,
        response_bytes=11,
    )
    assert compile_http(ENVOY_DEFAULT)(exchange) == (
        '[2023-11-14T22:13:20.123Z] "GET /items?x=1 HTTP/1.1" 200 - 3 11 250 7 "10.9.9.9" "curl/8" "r-1" "shop.example" "10.1.1.1:80"\n'
    )


def test_istios_default_line_tells_of_a_request_that_found_no_upstream(make: Any) -> None:
    exchange = make.exchange(
        status=503, flags="UF,URX", details="upstream_reset_before_response_started{connection_failure}",
        upstream_failure="connection refused", cluster_name="outbound|80||shop",
        route=Route(name="default", action=DirectReply(status=200)),
    )  # fmt: skip
    assert compile_http(ISTIO_TEXT)(exchange) == (
        '[2023-11-14T22:13:20.123Z] "GET /items?x=1 HTTP/1.1" 503 UF,URX upstream_reset_before_response_started{connection_failure} - '
        '"connection_refused" 0 0 250 - "-" "-" "-" "shop.example" "-" outbound|80||shop - 10.0.0.2:8080 10.0.0.1:40000 - default\n'
    )


def test_istios_default_line_serves_tcp_connections_too(make: Any) -> None:
    session = make.session(
        cluster_name="PassthroughCluster", endpoint=make.endpoint("10.7.7.7", 5432), bytes_received=10, bytes_sent=20,
        upstream_local_address="10.0.0.2:50000", downstream=make.downstream(sni="db.example"),
    )  # fmt: skip
    assert compile_tcp(ISTIO_TEXT)(session) == (
        '[2023-11-14T22:13:20.123Z] "- - -" 0 - - - "-" 10 20 1500 - "-" "-" "-" "-" "10.7.7.7:5432" '
        "PassthroughCluster 10.0.0.2:50000 10.0.0.2:8080 10.0.0.1:40000 db.example -\n"
    )


def test_a_connection_that_no_filter_chain_took_tells_why(make: Any) -> None:
    line = compile_tcp(ISTIO_TEXT)(make.session(flags="NR", details="filter_chain_not_found"))
    assert '"- - -" 0 NR filter_chain_not_found - "-" 0 0 1500 ' in line


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("%START_TIME(%s.%6f)%", "1700000000.123456"),
        ("%START_TIME(%d/%b/%Y %H:%M)%", "14/Nov/2023 22:13"),
        ("%START_TIME(%1f and %3f)%", "1 and 123"),
        ("%REQ(X-LONG):4%", "abcd"),
        ("%REQ(X-ABSENT?X-LONG)%", "abcdefgh"),
        ("%REQ(X-LONG?:PATH)%", "abcdefgh"),
        ("%RESP(:STATUS)%", "404"),
        ("%PATH(NQ)%", "/items"),
        ("%QUERY_PARAMS%", "x=1"),
        ("%RESPONSE_FLAGS_LONG%", "UpstreamRetryLimitExceeded,UpstreamConnectionFailure"),
        ("%RESPONSE_DURATION%", "125"),
        ("%RESPONSE_TX_DURATION%", "125"),
        ("%UPSTREAM_CLUSTER%", "shop.stat"),
        ("%UPSTREAM_CLUSTER_RAW%", "shop"),
        ("%UPSTREAM_HOST_NAME%", "shop.internal"),
        ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.1.1.1"),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "192.0.2.1:0"),
        ("%DOWNSTREAM_DIRECT_REMOTE_PORT%", "40000"),
        ("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "::1"),
        ("%DOWNSTREAM_PEER_URI_SAN%", "spiffe://a,spiffe://b"),
        ("%DOWNSTREAM_PEER_SUBJECT%", "CN=x"),
        ("%DOWNSTREAM_TLS_VERSION%", "TLSv1.3"),
        ("%GRPC_STATUS%", "PermissionDenied"),
        ("%GRPC_STATUS(SNAKE_STRING)%", "PERMISSION_DENIED"),
        ("%GRPC_STATUS_NUMBER%", "7"),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "2"),
        ("%CONNECTION_ID%", "9"),
        ("100%%", "100%"),
    ],
)
def test_an_operator_reads_its_fact(make: Any, operator: str, expected: str) -> None:
    peer = PeerCertificate(uri_sans=("spiffe://a", "spiffe://b"), subject="CN=x")
    exchange = make.exchange(
        fields=[(b"X-Long", b"abcdefgh")], response=[(b"grpc-status", b"7")], status=404, flags="URX,UF", response_started=100.125,
        attempt=2,
        cluster=make.cluster("shop", alt_stat_name="shop.stat"), cluster_name="shop", endpoint=make.endpoint(hostname="shop.internal"),
        remote_address="192.0.2.1:0",
        downstream=make.downstream(local_address="[::1]:443", peer=peer, tls_version="TLSv1.3", connection_id=9),
    )  # fmt: skip
    assert compile_http(operator)(exchange) == expected


@pytest.mark.parametrize("name", sorted(HTTP))
def test_an_operator_survives_a_request_of_which_nothing_is_known(make: Any, name: str) -> None:
    exchange = make.exchange(status=0)
    exchange.response = None
    needs_argument = name in ("REQ", "RESP", "REQUEST_HEADER", "RESPONSE_HEADER", "ENVIRONMENT")
    text = f"%{name}(x-none)%" if needs_argument else f"%{name}%"
    assert compile_http(text)(exchange)
    assert compile_tcp(text)(make.session())


def test_the_cached_second_gives_way_to_the_next(make: Any) -> None:
    line = compile_http("%START_TIME%")
    later = make.exchange()
    later.started_wall += 1.5
    assert [line(make.exchange()), line(later), line(make.exchange())] == [
        "2023-11-14T22:13:20.123Z",
        "2023-11-14T22:13:21.623Z",
        "2023-11-14T22:13:20.123Z",
    ]


def test_every_operator_that_is_not_supported_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_http("%NO_SUCH_THING% %DURATION% %DYNAMIC_METADATA(a:b)%")
    assert [problem.message for problem in caught.value.problems] == [
        "format operator %NO_SUCH_THING% is not supported",
        "format operator %DYNAMIC_METADATA% is not supported",
    ]


@pytest.mark.parametrize("text", ["50% off", "%REQ()%", "%REQ%", "%PROTOCOL(x)%", "%GRPC_STATUS(ROMAN)%", "%PATH(XX)%", "%", "%REQ(a"])
def test_a_malformed_format_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        compile_http(text)


def test_what_a_peer_sent_cannot_forge_a_line_or_end_a_quoted_field(make: Any) -> None:
    evil = b'x"\r\n[2023] "GET /admin\x1b[31m\\ \xff caf\xc3\xa9'
    line = compile_http('"%REQ(USER-AGENT)%"\n')(make.exchange(fields=[(b"user-agent", evil)]))
    assert line == '"x\\"\\r\\n[2023] \\"GET /admin\\x1b[31m\\\\ \\xff café"\n'


def test_json_keeps_numbers_nesting_and_null(make: Any) -> None:
    layout = {
        "code": "%RESPONSE_CODE%", "path": "%PATH%", "absent": "%REQ(X)%", "mixed": "%PROTOCOL% %REQ(X)%",
        "nested": {"ms": "%DURATION%", "list": ["%BYTES_SENT%", "plain", 2.0, True, None]}, "quote": "%REQ(Q)%",
    }  # fmt: skip
    line = compile_http(layout)(make.exchange(fields=[(b"q", b'"\n\xff')]))
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "code": 200, "path": "/items?x=1", "absent": None, "mixed": "HTTP/1.1 -",
        "nested": {"ms": 250, "list": [0, "plain", 2, True, None]}, "quote": '"\n\\xff',
    }  # fmt: skip


def test_json_leaves_absent_values_out_when_told_to(make: Any) -> None:
    line = compile_http({"a": "%REQ(X)%", "b": "x%REQ(X)%", "c": "%BYTES_SENT%"}, omit_empty=True)(make.exchange())
    assert json.loads(line) == {"b": "x", "c": 0}


def test_istios_json_has_its_24_keys(make: Any) -> None:
    assert len(json.loads(compile_http(ISTIO_JSON)(make.exchange()))) == 24


def test_a_header_value_is_bytes_and_what_is_absent_is_empty(make: Any) -> None:
    value = compile_value("for=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%;id=%REQ(X-ID)%;none=%REQ(X-NONE)%;code=%RESPONSE_CODE%")
    assert value(make.exchange(fields=[(b"x-id", b"\xe9")])) == b"for=10.0.0.1;id=\xe9;none=;code=200"
    assert compile_value("plain")(make.exchange()) == b"plain"


def test_a_header_value_cannot_hold_a_line_end(make: Any) -> None:
    assert compile_value("%UPSTREAM_TRANSPORT_FAILURE_REASON%")(make.exchange(upstream_failure="a\r\nb: c")) == b"a  b:_c"
