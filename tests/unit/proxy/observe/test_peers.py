"""Istio's peer metadata: encoding, decoding, and what garbage does."""

import base64

import pytest

from pymesh.xds import proto
from pymesh_proxy.observe import peers
from pymesh_proxy.observe.peers import Decoder, encode, peer_of, peer_of_endpoint

METADATA = {
    "NAME": "shop-1",
    "NAMESPACE": "prod",
    "WORKLOAD_NAME": "shop",
    "CLUSTER_ID": "Kubernetes",
    "INSTANCE_IPS": "10.0.0.1",
    "LABELS": {
        "app": "shop", "version": "v2", "service.istio.io/canonical-name": "shop-svc", "service.istio.io/canonical-revision": "r2",
        "team": "blue",
    },
}  # fmt: skip


def test_a_peer_survives_the_wire() -> None:
    peer = Decoder().decode(encode(METADATA))
    assert peer is not None
    assert (peer.workload, peer.namespace, peer.cluster) == ("shop", "prod", "Kubernetes")
    assert (peer.canonical_service, peer.canonical_revision, peer.app, peer.version) == ("shop-svc", "r2", "shop", "v2")


def test_only_the_keys_that_istio_sends_are_sent() -> None:
    message = proto.struct_pb2.Struct.FromString(base64.b64decode(encode(METADATA)))
    assert set(message.fields) == {"NAME", "NAMESPACE", "WORKLOAD_NAME", "CLUSTER_ID", "LABELS"}
    assert "team" not in message["LABELS"]


def test_a_workload_without_canonical_labels_is_named_by_its_app_and_version() -> None:
    peer = peer_of({"WORKLOAD_NAME": "w", "LABELS": {"app": "a", "version": "v1"}})
    assert (peer.canonical_service, peer.canonical_revision) == ("a", "v1")
    assert (peer_of({"WORKLOAD_NAME": "w"}).canonical_service, peer_of({}).workload, peer_of({}).canonical_revision) == (
        "w",
        "unknown",
        "latest",
    )


def test_the_same_header_gives_the_same_peer_object() -> None:
    decoder = Decoder()
    assert decoder.decode(encode(METADATA)) is decoder.decode(bytes(bytearray(encode(METADATA))))


@pytest.mark.parametrize("raw", [b"", b"!!!", b"YQ==", base64.b64encode(b"\xff" * 40), b"A" * 20_000, "é".encode()])
def test_garbage_is_nobody_or_an_unknown_peer(raw: bytes) -> None:
    peer = Decoder().decode(raw)
    assert peer is None or peer.workload == "unknown"


def test_metadata_of_wrong_types_counts_as_absent() -> None:
    message = proto.struct_pb2.Struct()
    message.update({"WORKLOAD_NAME": 7, "LABELS": "none", "NAMESPACE": {"a": "b"}})
    peer = Decoder().decode(base64.b64encode(message.SerializeToString()))
    assert peer is not None
    assert (peer.workload, peer.namespace, peer.app) == ("unknown", "unknown", "unknown")
    assert peer_of({"LABELS": ["app"], "WORKLOAD_NAME": 3}).workload == "unknown"


def test_the_peers_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "CACHE_LIMIT", 2)
    decoder = Decoder()
    raw = [encode({"WORKLOAD_NAME": f"w{number}"}) for number in range(3)]
    first, second, third = [decoder.decode(value) for value in raw]
    assert decoder.decode(raw[2]) is third
    assert decoder.decode(raw[1]) is second
    assert decoder.decode(raw[0]) is not first


def test_long_values_are_cut_before_they_become_labels() -> None:
    assert len(peer_of({"WORKLOAD_NAME": "w" * 5000}).workload) == peers.MAX_LABEL


def test_an_endpoints_metadata_name_the_peer_behind_it() -> None:
    peer = peer_of_endpoint("shop-v2;prod;shop;v2;Kubernetes")
    assert (peer.workload, peer.namespace, peer.canonical_service, peer.canonical_revision, peer.cluster) == (
        "shop-v2", "prod", "shop", "v2", "Kubernetes",
    )  # fmt: skip
    assert peer_of_endpoint("only;two").canonical_revision == "latest"
    assert peer_of_endpoint("").workload == "unknown"
