"""Virtual IPs for services that have none."""

import dataclasses
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh_control.model import allocation
from pymesh_control.model.service import Service
from pymesh_control.model.visibility import exported

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %s, labels: {%s}}
spec: {hosts: [%s], ports: [{number: 5432, name: tcp, protocol: TCP}], resolution: %s, addresses: [%s]}
"""
V4, V6 = ipaddress.ip_network("240.240.0.0/16"), ipaddress.ip_network("2001:2::/48")


def service(host, **fields):
    first = Service(
        host=host, namespace="n", name=host, ports=(), resolution="DNS", external=True, visibility=exported([], "n"), wants_address=True
    )
    return dataclasses.replace(first, **fields)


def given_to(services):
    return {one.host: one.allocated for one in allocation.allocated(services)}


@pytest.fixture
def entry(built):
    """The addresses that a ServiceEntry is given."""

    def make(host="db.example.com", label="", resolution="DNS", addresses="", more=""):
        snapshot, _ = built(ENTRY % ("a", label, host, resolution, addresses) + more)
        return snapshot.services[0].allocated

    return make


def test_a_service_without_addresses_has_one_of_each_family(entry):
    v4, v6 = map(ipaddress.ip_address, entry())
    assert v4 in V4
    assert v6 in V6
    assert v4.packed[2:] == v6.packed[-2:]


@pytest.mark.parametrize(
    "settings",
    [
        {"resolution": "NONE"},
        {"host": "'*.example.com'", "resolution": "NONE"},
        {"addresses": "10.0.0.1"},
        {"label": "networking.istio.io/enable-autoallocate-ip: 'false'"},
        {"more": "---" + ENTRY % ("b", "", "db.example.com", "DNS", "10.0.0.1")},
        {"more": "---" + ENTRY % ("b", "networking.istio.io/enable-autoallocate-ip: 'FALSE'", "db.example.com", "DNS", "")},
    ],
)
def test_others_have_none(entry, settings):
    assert entry(**settings) == ()


def test_the_label_that_asks_for_it_changes_nothing(entry):
    assert entry(label="networking.istio.io/enable-autoallocate-ip: 'true'") == entry()


def test_services_of_the_cluster_have_none(built):
    snapshot, _ = built("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: None, ports: [{port: 80}]}\n")
    assert [one.allocated for one in snapshot.services] == [()]


def test_an_address_stays_through_releases():
    """Applications and DNS caches may know it when the control plane is replaced by a newer one."""
    assert given_to([service("db.example.com")]) == {"db.example.com": ("240.240.0.155", "2001:2::f0f0:9b")}


def test_an_address_stays_when_others_come():
    before = given_to([service("a"), service("b")])
    after = given_to([service("a"), service("b"), *(service(f"x{number}") for number in range(500))])
    assert {host: after[host] for host in before} == before


def test_of_two_that_begin_at_one_place_the_elder_has_it(monkeypatch):
    monkeypatch.setattr(allocation, "SIZE", 1_000)
    hosts = [f"h{number}" for number in range(500)]
    alone = {host: given_to([service(host)])[host] for host in hosts}
    together = given_to(map(service, hosts))
    moved = [host for host in hosts if alone[host] != together[host]]
    assert moved
    assert all(alone[host] in [together[elder] for elder in hosts[: hosts.index(host)]] for host in moved)


@given(st.sets(st.text("abc", min_size=1), max_size=40), st.integers(1, 60))
def test_no_two_share_one_and_a_full_block_gives_no_more(hosts, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allocation, "SIZE", size)
        found = given_to(map(service, sorted(hosts)))
    addresses = [address for pair in found.values() for address in pair]
    assert len(addresses) == len(set(addresses)) == 2 * min(len(hosts), size)


def test_the_last_place_is_inside_of_both_blocks():
    v4, v6 = map(ipaddress.ip_address, allocation._addresses(allocation.SIZE - 1))
    assert (str(v4), str(v6)) == ("240.240.255.254", "2001:2::f0f0:fffe")


STATUS = "status: {addresses: [%s], conditions: [{type: x}]}\n"


def test_addresses_that_a_status_records_are_kept(entry):
    own = "{value: 240.240.7.7, host: db.example.com}, {value: '2001:2::f0f0:707', host: db.example.com}"
    recorded = f"{own}, {{value: 240.240.9.9, host: b}}"
    assert entry(more=STATUS % recorded) == ("240.240.7.7", "2001:2::f0f0:707")
    assert entry(more=STATUS % "{value: 192.0.2.9}") == ("192.0.2.9",)
    assert entry(addresses="10.0.0.1", more=STATUS % recorded) == ()
    assert entry(more=STATUS % "{value: 240.240.9.9, host: b}") == entry()


def test_of_two_that_record_one_address_the_elder_keeps_it():
    first, second = service("a", recorded=("240.240.0.1",)), service("b", recorded=("240.240.0.1",))
    found = given_to([first, second])
    assert found["a"] == ("240.240.0.1",)
    assert found["b"][0] not in ("", "240.240.0.1")


def test_what_is_recorded_is_given_to_nobody_else():
    """Not even to an elder one that would have it otherwise."""
    wanted = given_to([service("b")])["b"]
    found = given_to([service("b"), service("a", recorded=wanted)])
    assert found["a"] == wanted
    assert set(found["b"]).isdisjoint(wanted)
