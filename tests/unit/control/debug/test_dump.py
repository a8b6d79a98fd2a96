"""Dumps of what a client was sent, made without a stream."""

import dataclasses

import pytest
from google.protobuf import json_format

from pymesh.cli.dump import Dump
from pymesh.cli.rows import TABLES
from pymesh.xds import proto, types
from pymesh_control.ads.delta import DeltaSession
from pymesh_control.built import pack
from pymesh_control.debug.dump import config_dump
from pymesh_control.metrics import Metrics

from ..ads.client import ask_delta

PAIR = proto.secret.Secret(
    name="kubernetes://edge",
    tls_certificate={"certificate_chain": {"inline_bytes": b"chain"}, "private_key": {"inline_bytes": b"the key"}},
)


@dataclasses.dataclass
class Connected:
    session: DeltaSession


@pytest.fixture
def connected():
    held = {types.SECRET: {PAIR.name: pack(PAIR)}, types.CLUSTER: {"a": pack(proto.cluster.Cluster(name="a"))}}
    return Connected(DeltaSession(lambda type_url, _names: held.get(type_url, {}), Metrics(), clock=lambda: 1700000000.5))


def test_a_key_is_not_shown(connected):
    connected.session.request(ask_delta(types.SECRET, PAIR.name))
    [packed] = config_dump(connected).configs
    [shown] = proto.unpack(packed).dynamic_active_secrets
    assert b"the key" not in packed.value
    assert proto.unpack(shown.secret).tls_certificate.certificate_chain.inline_bytes == b"chain"


def test_a_secret_that_is_waited_for_is_warming(connected):
    connected.session.request(ask_delta(types.SECRET, PAIR.name, "kubernetes://gone"))
    dump = config_dump(connected)
    [shown] = proto.unpack(dump.configs[0]).dynamic_warming_secrets
    assert shown.name == "kubernetes://gone"
    told = Dump.of(json_format.MessageToDict(dump, preserving_proto_field_name=True))
    assert [cells[:3] for cells, _ in TABLES["secrets"].rows(told, {"name": "kubernetes://gone"})] == [["kubernetes://gone", "", "WARMING"]]


def test_a_refused_resource_has_the_reason(connected):
    [sent] = connected.session.request(ask_delta(types.CLUSTER))
    connected.session.request(ask_delta(types.CLUSTER, nonce=sent.head.nonce, error="a: too wide"))
    [cluster] = proto.unpack(config_dump(connected).configs[0]).dynamic_active_clusters
    assert (cluster.client_status, cluster.error_state.details) == (proto.config_dump_shared.ClientResourceStatus.NACKED, "a: too wide")


def test_an_accepted_resource_has_the_time_of_it(connected):
    [sent] = connected.session.request(ask_delta(types.CLUSTER))
    connected.session.request(ask_delta(types.CLUSTER, nonce=sent.head.nonce))
    [cluster] = proto.unpack(config_dump(connected).configs[0]).dynamic_active_clusters
    assert (cluster.last_updated.seconds, bool(cluster.version_info)) == (1700000000, True)
