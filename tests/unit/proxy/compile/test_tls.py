"""TLS contexts of both sides, and secrets."""

import pytest
import yaml

from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.compile.secrets import compile_secret
from pymesh_proxy.tls.config import CertificateSource

URL = "type.googleapis.com/envoy.extensions."
PAIR = {"certificate_chain": {"inline_string": "CHAIN"}, "private_key": {"inline_bytes": "S0VZ"}}
CA = {"trusted_ca": {"inline_string": "CA"}}


def socket(side, **context):
    return {"name": "tls", "typed_config": {"@type": f"{URL}transport_sockets.tls.v3.{side}TlsContext", **context}}


def cluster(**context):
    return yaml.safe_dump({"name": "c", "type": "STATIC", "transport_socket": socket("Upstream", **context)})


def listener(**context):
    tcp = {"name": "t", "typed_config": {"@type": f"{URL}filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "up"}}
    chain = {"filters": [tcp], "transport_socket": socket("Downstream", **context)}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 80}}
    return yaml.safe_dump({"name": "l", "address": address, "filter_chains": [chain]})


@pytest.fixture
def upstream(parse):
    return lambda common=None, **rest: compile_cluster(parse("cluster", cluster(common_tls_context=common or {}, **rest))).tls


@pytest.fixture
def downstream(parse, ctx):
    def read(common, **rest):
        return compile_listener(parse("listener", listener(common_tls_context=common, **rest)), ctx).chains[0].tls

    return read


@pytest.fixture
def refused(parse, problems):
    def collect(common, **rest):
        found = problems(compile_cluster, parse("cluster", cluster(common_tls_context=common, **rest)))
        return {path.removeprefix("transport_socket.typed_config.").removeprefix("common_tls_context.") for path in found}

    return collect


def test_clients_speak_at_most_tls_1_2_unless_told(upstream):
    assert (upstream().parameters.minimum, upstream().parameters.maximum) == ("TLSv1_2", "TLSv1_2")
    assert upstream({"tls_params": {"tls_maximum_protocol_version": "TLSv1_3"}}).parameters.maximum == "TLSv1_3"


def test_servers_speak_up_to_tls_1_3(downstream):
    assert downstream({"tls_certificates": [PAIR]}).parameters.maximum == "TLSv1_3"


def test_a_server_context_is_read_whole(downstream):
    common = {
        "tls_certificates": [PAIR],
        "alpn_protocols": ["h2", "http/1.1"],
        "validation_context": CA,
        "tls_params": {"cipher_suites": ["[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]", "AES128-GCM-SHA256"]},
    }
    context = downstream(common, require_client_certificate=True)
    assert context.certificates == (CertificateSource(chain=b"CHAIN", key=b"KEY"),)
    assert (context.require_client_certificate, context.alpn, context.validation.trusted_ca) == (True, ("h2", "http/1.1"), b"CA")
    assert context.parameters.ciphers == ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305", "AES128-GCM-SHA256")


def test_files_are_read_when_configuration_arrives(upstream, tmp_path):
    (tmp_path / "ca.pem").write_text("PEM")
    assert upstream({"validation_context": {"trusted_ca": {"filename": str(tmp_path / "ca.pem")}}}).validation.trusted_ca == b"PEM"


def test_an_unreadable_file_is_named(parse, problems, tmp_path):
    missing = str(tmp_path / "none.pem")
    text = cluster(common_tls_context={"validation_context": {"trusted_ca": {"filename": missing}}})
    (message,) = problems(compile_cluster, parse("cluster", text)).values()
    assert missing in message


@pytest.mark.parametrize(
    ("matcher", "sans", "expected"),
    [
        ({"san_type": "URI", "matcher": {"exact": "spiffe://a/b"}}, (("URI", "spiffe://a/b"),), True),
        ({"san_type": "URI", "matcher": {"prefix": "spiffe://a/"}}, (("URI", "spiffe://a/b"),), True),
        ({"san_type": "URI", "matcher": {"exact": "x"}}, (("DNS", "x"),), False),
        ({"san_type": "DNS", "matcher": {"exact": "api.test"}}, (("DNS", "*.test"),), True),
        ({"san_type": "DNS", "matcher": {"exact": "a.b.test"}}, (("DNS", "*.test"),), False),
        ({"san_type": "DNS", "matcher": {"suffix": ".test"}}, (("DNS", "api.test"),), True),
        ({"san_type": "DNS", "matcher": {"safe_regex": {"regex": "a.*"}}}, (("DNS", "xa"), ("DNS", "ab")), True),
        ({"san_type": "IP_ADDRESS", "matcher": {"exact": "1.2.3.4"}}, (("IP_ADDRESS", "1.2.3.4"),), True),
        ({"san_type": "URI", "matcher": {"prefix": "spiffe"}}, (("URI", "spiffe\0evil"),), False),
    ],
)
def test_names_of_the_peer_are_matched_by_type(upstream, matcher, sans, expected):
    context = upstream({"validation_context": {**CA, "match_typed_subject_alt_names": [matcher]}})
    assert context.validation.sans[0].matches(sans) is expected


def test_the_older_name_matchers_look_at_every_type(upstream):
    sans = upstream({"validation_context": {**CA, "match_subject_alt_names": [{"exact": "x"}]}}).validation.sans
    assert [matcher.kind for matcher in sans if matcher.matches(((matcher.kind, "x"),))] == ["DNS", "URI", "EMAIL", "IP_ADDRESS"]


def test_pins_are_read_in_one_spelling(upstream):
    validation = upstream({"validation_context": {"verify_certificate_hash": [":".join(["AB"] * 32)], **CA}}).validation
    assert validation.hashes == ("ab" * 32,)


def test_the_server_name_can_be_the_endpoints_hostname(upstream):
    assert upstream({}, auto_host_sni=True).auto_host_sni is True


def test_the_server_name_cannot_be_the_requests_host(parse, problems):
    options = {"@type": f"{URL}upstreams.http.v3.HttpProtocolOptions", "upstream_http_protocol_options": {"auto_sni": True}}
    options["explicit_http_config"] = {"http_protocol_options": {}}
    message = yaml.safe_load(cluster(common_tls_context={}))
    message["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
    (field,) = problems(compile_cluster, parse("cluster", yaml.safe_dump(message)))
    assert field.endswith("upstream_http_protocol_options.auto_sni")


@pytest.mark.parametrize(
    ("common", "field"),
    [
        ({"tls_params": {"tls_minimum_protocol_version": "TLSv1_0"}}, "tls_params.tls_minimum_protocol_version"),
        ({"tls_params": {"tls_minimum_protocol_version": "TLSv1_3"}}, "tls_params.tls_minimum_protocol_version"),
        ({"tls_params": {"ecdh_curves": ["X25519", "P-256"]}}, "tls_params.ecdh_curves"),
        ({"tls_params": {"ecdh_curves": ["X25519MLKEM768"]}}, "tls_params.ecdh_curves"),
        ({"tls_params": {"cipher_suites": ["ECDHE-RSA-AES128-GCM-SHA"]}}, "tls_params.cipher_suites[0]"),
        ({"tls_params": {"cipher_suites": ["AES128-SHA", "[AES256-SHA|TLS_AES_128_GCM_SHA256]"]}}, "tls_params.cipher_suites[1]"),
        ({"tls_params": {"compliance_policies": ["FIPS_202205"]}}, "tls_params.compliance_policies"),
        ({"tls_params": {"signature_algorithms": ["x"]}}, "tls_params.signature_algorithms"),
        ({"tls_certificates": [{"certificate_chain": {"inline_string": "x"}}]}, "tls_certificates[0].private_key"),
        ({"tls_certificates": [{**PAIR, "password": {"inline_string": "x"}}]}, "tls_certificates[0].password"),
        ({"tls_certificates": [PAIR, PAIR]}, "tls_certificates"),
        ({"validation_context": {**CA, "trust_chain_verification": "ACCEPT_UNTRUSTED"}}, "validation_context.trust_chain_verification"),
        ({"validation_context": {**CA, "allow_expired_certificate": True}}, "validation_context.allow_expired_certificate"),
        (
            {"validation_context": {"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "a"}}]}},
            "validation_context.match_typed_subject_alt_names",
        ),
        (
            {"validation_context": {"trusted_ca": {"environment_variable": "PYMESH_NOT_SET"}}},
            "validation_context.trusted_ca.environment_variable",
        ),
        ({"key_log": {"path": "/x"}}, "key_log"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(refused, common, field):
    assert field in refused(common)


@pytest.mark.parametrize(
    ("context", "field"),
    [
        ({"common_tls_context": {}}, "common_tls_context.tls_certificates"),
        ({"common_tls_context": {"tls_certificates": [PAIR]}, "require_client_certificate": True}, "common_tls_context.validation_context"),
        ({"common_tls_context": {"tls_certificates": [PAIR]}, "session_ticket_keys": {}}, "session_ticket_keys"),
        (
            {"common_tls_context": {"tls_certificates": [PAIR]}, "disable_stateful_session_resumption": True},
            "disable_stateful_session_resumption",
        ),
        ({"common_tls_context": {"tls_certificates": [PAIR]}, "session_timeout": "5s"}, "session_timeout"),
    ],
)
def test_what_a_server_cannot_honour_is_refused_by_its_field(parse, ctx, problems, context, field):
    found = problems(compile_listener, parse("listener", listener(**context)), ctx)
    assert f"filter_chains[0].transport_socket.typed_config.{field}" in found


def test_what_a_server_is_told_of_names_sessions_and_ciphers_is_read(parse, ctx):
    context = {
        "common_tls_context": {
            "tls_certificates": [PAIR, PAIR],
            "tls_params": {"cipher_suites": ["[AES128-SHA|AES256-SHA]", "ECDHE-RSA-AES128-SHA"], "ecdh_curves": ["P-384"]},
        },
        "require_sni": True,
        "prefer_client_ciphers": True,
        "full_scan_certs_on_sni_mismatch": True,
        "disable_stateless_session_resumption": True,
    }
    (chain,) = compile_listener(parse("listener", listener(**context)), ctx).chains
    tls = chain.tls
    assert (tls.require_sni, tls.prefer_client_ciphers, tls.scan_all, tls.tickets, len(tls.certificates)) == (True, True, True, False, 2)
    assert tls.parameters.ciphers == ("AES128-SHA", "AES256-SHA", "ECDHE-RSA-AES128-SHA")
    assert tls.parameters.curve == "secp384r1"


def test_a_client_keeps_as_many_sessions_as_it_is_told(upstream):
    assert (upstream({}).sessions, upstream({}, max_session_keys=0).sessions) == (1, 0)


def test_an_unknown_transport_socket_is_named(parse, problems):
    alts = {"name": "alts", "typed_config": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}
    text = yaml.safe_dump({"name": "c", "type": "STATIC", "transport_socket": alts})
    assert "no implementation of 'alts'" in problems(compile_cluster, parse("cluster", text))["transport_socket.typed_config"]


def test_secrets_are_key_pairs_or_anchors(parse):
    pair = compile_secret(parse("secret", yaml.safe_dump({"name": "default", "tls_certificate": PAIR})))
    assert (pair.name, pair.chain, pair.key) == ("default", b"CHAIN", b"KEY")
    anchors = compile_secret(parse("secret", yaml.safe_dump({"name": "ROOTCA", "validation_context": CA})))
    assert (anchors.name, anchors.trusted_ca, anchors.key) == ("ROOTCA", b"CA", b"")


@pytest.mark.parametrize(
    ("secret", "field"),
    [
        ({"name": "x"}, ""),
        ({"name": "x", "generic_secret": {}}, "generic_secret"),
        ({"name": "x", "tls_certificate": {}}, "tls_certificate.certificate_chain"),
        ({"name": "x", "validation_context": {**CA, "verify_certificate_hash": ["ab" * 32]}}, "validation_context.verify_certificate_hash"),
    ],
)
def test_other_secrets_are_refused(parse, problems, secret, field):
    assert field in problems(compile_secret, parse("secret", yaml.safe_dump(secret)))
