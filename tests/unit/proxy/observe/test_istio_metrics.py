"""Istio's standard metrics: labels as Istio spells them, numbers that add up, and a bound on how many there are."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from pymesh_proxy.observe.istio import IstioRegistry, IstioStats
from pymesh_proxy.observe.labels import HTTP_LABELS, TCP_LABELS
from pymesh_proxy.observe.peers import Peer
from pymesh_proxy.observe.series import BOUNDS
from pymesh_proxy.route.table import DirectReply, Route
from pymesh_proxy.tcp.session import Phase
from pymesh_proxy.tls.config import CertificateSource, UpstreamTls
from pymesh_proxy.tls.peer import PeerCertificate

ME = Peer(
    workload="me", namespace="prod", canonical_service="me-svc", canonical_revision="v1", app="me-app", version="v1", cluster="Kubernetes"
)
THEM = Peer(workload="them", namespace="dev", canonical_service="them-svc", app="them-app", version="v9", cluster="Other")
MESH = {"istio": {"services": [{"host": "shop.prod.svc.cluster.local", "name": "shop", "namespace": "prod"}]}}


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.25)


def only(stats: IstioStats) -> dict[str, str]:
    """The labels of the one series that there is."""
    (series,) = stats.requests
    return dict(zip(HTTP_LABELS, series.labels, strict=True))


def test_the_client_reports_all_25_labels(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    stats.http(make.exchange(cluster_name="outbound|80||shop", cluster=make.cluster("c", metadata=MESH), destination_peer=THEM))
    assert only(stats) == {
        "reporter": "source", "source_workload": "me", "source_canonical_service": "me-svc", "source_canonical_revision": "v1",
        "source_workload_namespace": "prod", "source_principal": "unknown", "source_app": "me-app", "source_version": "v1",
        "source_cluster": "Kubernetes", "destination_workload": "them", "destination_workload_namespace": "dev",
        "destination_principal": "unknown", "destination_app": "them-app", "destination_version": "v9",
        "destination_service": "shop.prod.svc.cluster.local", "destination_canonical_service": "them-svc",
        "destination_canonical_revision": "latest", "destination_service_name": "shop", "destination_service_namespace": "prod",
        "destination_cluster": "Other", "request_protocol": "http", "response_code": "200", "grpc_response_status": "",
        "response_flags": "-", "connection_security_policy": "unknown",
    }  # fmt: skip


def test_the_server_reports_the_certificates_principal_and_namespace(make: Any) -> None:
    stats = IstioStats(ME, "INBOUND")
    certificate = PeerCertificate(uri_sans=("spiffe://cluster.local/ns/certified/sa/them",))
    downstream = make.downstream(peer=certificate, local_uri_san="spiffe://cluster.local/ns/prod/sa/me")
    stats.http(make.exchange(source_peer=THEM, downstream=downstream, cluster_name="inbound|80||"))
    labels = only(stats)
    assert labels["reporter"] == "destination"
    assert labels["connection_security_policy"] == "mutual_tls"
    assert labels["source_principal"] == "spiffe://cluster.local/ns/certified/sa/them"
    assert labels["source_workload_namespace"] == "certified"
    assert labels["destination_principal"] == "spiffe://cluster.local/ns/prod/sa/me"
    assert (labels["source_workload"], labels["destination_workload"]) == ("them", "me")
    assert labels["destination_service"] == "unknown"


def test_a_plaintext_client_has_no_principal(make: Any) -> None:
    stats = IstioStats(ME, "INBOUND")
    stats.http(make.exchange(downstream=make.downstream(local_uri_san="spiffe://cluster.local/ns/prod/sa/me")))
    labels = only(stats)
    assert (labels["connection_security_policy"], labels["source_principal"], labels["destination_principal"]) == (
        "none",
        "unknown",
        "unknown",
    )


def test_a_server_that_told_nothing_is_named_by_its_endpoint(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    stats.http(make.exchange(status=503, flags="UF,URX", endpoint=make.endpoint(workload="shop-v2;prod;shop;v2;Kubernetes")))
    labels = only(stats)
    assert (labels["destination_workload"], labels["destination_version"], labels["response_flags"]) == ("shop-v2", "v2", "UF,URX")


def test_hosts_outside_the_mesh_are_named_by_the_host_header(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    for _ in range(2):
        stats.http(make.exchange(cluster_name="PassthroughCluster"))
    other = make.exchange(cluster_name="PassthroughCluster")
    other.head.authority = b"else.example"
    stats.http(other)
    assert sorted((series.requests, series.labels[HTTP_LABELS.index("destination_service")]) for series in stats.requests) == [
        (1, "else.example"),
        (2, "shop.example"),
    ]
    assert {series.labels[HTTP_LABELS.index("destination_service_name")] for series in stats.requests} == {"PassthroughCluster"}


def test_a_gateway_does_not_believe_the_host_header(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND", host_fallback=False)
    stats.http(make.exchange())
    assert only(stats)["destination_service"] == "unknown"


@pytest.mark.parametrize(("route", "name"), [("block_all", "BlackHoleCluster"), ("allow_any", "PassthroughCluster")])
def test_istios_special_routes_count_as_their_clusters(make: Any, route: str, name: str) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    stats.http(make.exchange(status=502, route=Route(name=route, action=DirectReply(status=502))))
    assert only(stats)["destination_service_name"] == name


def test_grpc_requests_carry_their_own_status(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    stats.http(make.exchange(fields=[(b"content-type", b"application/grpc+proto")], response=[(b"grpc-status", b"14")]))
    labels = only(stats)
    assert (labels["request_protocol"], labels["grpc_response_status"]) == ("grpc", "14")


def test_equal_requests_are_counted_in_one_series_and_its_histograms(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    for size in (10, 400, 10**9):
        stats.http(make.exchange(request_wire_bytes=size, response_wire_bytes=2 * size))
    (series,) = stats.requests
    assert series.requests == 3
    assert series.duration.counts[BOUNDS.index(250)] == 3
    assert series.duration.total == 750
    assert series.request_bytes.counts[BOUNDS.index(10)] == 1
    assert series.request_bytes.counts[BOUNDS.index(500)] == 1
    assert series.request_bytes.counts[-1] == 1
    assert series.response_bytes.total == 2 * (10 + 400 + 10**9)


@pytest.mark.parametrize("change", [{"status": 503}, {"flags": "UC"}, {"destination_peer": THEM}, {"cluster_name": "PassthroughCluster"}])
def test_whatever_differs_in_a_label_is_another_series(make: Any, change: dict[str, Any]) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    stats.http(make.exchange())
    stats.http(make.exchange(**change))
    assert [series.requests for series in stats.requests] == [1, 1]


def test_a_scrape_forgets_shortcuts_but_no_number(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    stats.http(make.exchange(endpoint=make.endpoint()))
    stats.settle()
    stats.http(make.exchange(endpoint=make.endpoint()))
    (series,) = stats.requests
    assert series.requests == 2


def test_the_number_of_series_is_bounded_and_nothing_is_lost(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND", series_limit=2)
    for status in (200, 201, 202, 203, 203):
        stats.http(make.exchange(status=status))
    assert sum(series.requests for series in stats.requests) == 5
    overflow = list(stats.requests)[-1]
    assert set(overflow.labels) == {"source", "overflow"}
    assert overflow.requests == 3
    assert stats.requests.overflowed == 2


def test_a_client_has_a_principal_where_it_shows_its_certificate(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND", principal="spiffe://cluster.local/ns/prod/sa/me")
    shown, hidden = make.endpoint(), make.endpoint()
    shown.tls = SimpleNamespace(config=UpstreamTls(certificates=(CertificateSource(secret="default"),)))
    for endpoint in (shown, hidden):
        stats.http(make.exchange(endpoint=endpoint))
    place = HTTP_LABELS.index("source_principal")
    assert [series.labels[place] for series in stats.requests] == ["spiffe://cluster.local/ns/prod/sa/me", "unknown"]


def test_a_client_reports_the_principal_that_the_server_showed(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    endpoint, server = make.endpoint(), PeerCertificate(uri_sans=("spiffe://cluster.local/ns/prod/sa/shop",))
    stats.http(make.exchange(endpoint=endpoint))
    stats.http(make.exchange(endpoint=endpoint, upstream_peer=server))
    place = HTTP_LABELS.index("destination_principal")
    assert [series.labels[place] for series in stats.requests] == ["unknown", "spiffe://cluster.local/ns/prod/sa/shop"]
    session = make.session(endpoint=endpoint, upstream_peer=server, phase=Phase.CLOSED)
    stats.tcp(session)
    (series,) = stats.connections
    assert series.labels[TCP_LABELS.index("destination_principal")] == "spiffe://cluster.local/ns/prod/sa/shop"


def test_a_tcp_connection_is_counted_when_its_server_is_known_while_it_lives_and_when_it_ends(make: Any) -> None:
    stats = IstioStats(ME, "OUTBOUND")
    session = make.session(ended=0.0)
    stats.tcp(session)
    stats.settle()
    assert list(stats.connections) == []
    session.cluster_name, session.endpoint = "PassthroughCluster", make.endpoint()
    session.bytes_sent, session.bytes_received = 7, 3
    stats.settle()
    (series,) = stats.connections
    assert (series.opened, series.closed, series.sent, series.received) == (1, 0, 7, 3)
    session.bytes_sent, session.phase = 10, Phase.CLOSED
    stats.tcp(session)
    assert (series.opened, series.closed, series.sent, series.received) == (1, 1, 10, 3)
    labels = dict(zip(TCP_LABELS, series.labels, strict=True))
    assert (labels["request_protocol"], labels["destination_service_name"]) == ("tcp", "PassthroughCluster")


def test_a_tcp_connection_that_found_no_server_is_counted_as_both(make: Any) -> None:
    stats = IstioStats(ME, "INBOUND")
    stats.tcp(make.session(phase=Phase.CLOSED, flags="UF", bytes_received=1))
    (series,) = stats.connections
    assert (series.opened, series.closed, series.received) == (1, 1, 1)


def test_all_listeners_of_a_direction_share_one_reporter() -> None:
    registry = IstioRegistry(ME)
    assert registry.of("OUTBOUND") is registry.of("")
    assert registry.of("INBOUND") is not registry.of("OUTBOUND")
    assert len(list(registry)) == 2
