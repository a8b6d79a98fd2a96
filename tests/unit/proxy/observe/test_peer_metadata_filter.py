"""The metadata exchange filter: who is told what, and what applications never see."""

from typing import Any

import pytest

from pymesh_proxy.filters.peer_metadata import PeerMetadata
from pymesh_proxy.observe.peers import METADATA, METADATA_ID, encode

OWN = {"WORKLOAD_NAME": "me", "NAMESPACE": "prod"}
THEIRS = [(b"X-Envoy-Peer-Metadata", encode({"WORKLOAD_NAME": "them"})), (METADATA_ID, b"sidecar~them"), (b"x-kept", b"1")]
MESH = {"istio": {"services": [{"host": "shop.prod.svc", "name": "shop", "namespace": "prod"}]}}


@pytest.fixture
def shared() -> PeerMetadata:
    return PeerMetadata("sidecar~10.0.0.1~me.prod~prod.svc.cluster.local", OWN)


def test_inbound_takes_the_clients_metadata_before_the_application_sees_them(shared: PeerMetadata, make: Any) -> None:
    exchange = make.exchange(fields=list(THEIRS))
    shared.filter("INBOUND").on_request(exchange)
    assert exchange.source_peer.workload == "them"
    assert exchange.head.fields == [(b"x-kept", b"1")]


def test_inbound_tells_its_own_only_to_those_who_told_theirs(shared: PeerMetadata, make: Any) -> None:
    peer, stranger = make.exchange(fields=list(THEIRS)), make.exchange()
    for exchange in (peer, stranger):
        shared.filter("INBOUND").on_request(exchange)
        shared.filter("INBOUND").on_response(exchange)
    assert peer.response.get(METADATA) == encode(OWN)
    assert peer.response.get(METADATA_ID).startswith(b"sidecar~10.0.0.1~me.prod")
    assert stranger.response.fields == []


def test_inbound_ignores_garbage_but_still_takes_it_away(shared: PeerMetadata, make: Any) -> None:
    exchange = make.exchange(fields=[(METADATA, b"\xff not base64"), (METADATA_ID, b"x")])
    shared.filter("INBOUND").on_request(exchange)
    assert exchange.source_peer is None
    assert exchange.head.fields == []


def test_outbound_tells_its_own_inside_the_mesh(shared: PeerMetadata, make: Any) -> None:
    exchange = make.exchange(cluster_name="outbound|80||shop", cluster=make.cluster("outbound|80||shop", metadata=MESH))
    shared.filter("OUTBOUND").on_request(exchange)
    shared.filter("OUTBOUND").on_route(exchange)
    assert exchange.head.get(METADATA) == encode(OWN)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("PassthroughCluster", MESH),
        ("outbound|443||s3.example", {"istio": {"services": [{"host": "s3.example"}], "external": True}}),
        ("outbound|443||s3.example", {}),
    ],
)
def test_outbound_tells_the_outside_world_nothing(shared: PeerMetadata, make: Any, name: str, metadata: Any) -> None:
    exchange = make.exchange(fields=list(THEIRS), response=list(THEIRS), cluster_name=name, cluster=make.cluster(name, metadata=metadata))
    outbound = shared.filter("OUTBOUND")
    outbound.on_request(exchange)
    outbound.on_route(exchange)
    assert exchange.head.fields == [(b"x-kept", b"1")]
    outbound.on_response(exchange)
    assert exchange.destination_peer is None
    assert exchange.response.fields == [(b"x-kept", b"1")]


def test_outbound_takes_the_servers_metadata_off_the_answer(shared: PeerMetadata, make: Any) -> None:
    exchange = make.exchange(response=list(THEIRS), cluster_name="outbound|80||shop", cluster=make.cluster("c", metadata=MESH))
    shared.filter("").on_response(exchange)
    assert exchange.destination_peer.workload == "them"
    assert exchange.response.fields == [(b"x-kept", b"1")]


def test_a_request_that_found_no_cluster_or_no_answer_breaks_nothing(shared: PeerMetadata, make: Any) -> None:
    exchange = make.exchange()
    exchange.response = None
    for direction in ("INBOUND", "OUTBOUND"):
        shared.filter(direction).on_route(exchange)
        shared.filter(direction).on_response(exchange)
    assert exchange.head.fields == []
