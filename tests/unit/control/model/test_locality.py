"""Which endpoints a client prefers by where it runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh.api.models.destinationrule import LocalityLbSetting
from pymesh_control.model.locality import Client, arranged, plain
from pymesh_control.model.service import Endpoint
from pymesh_control.model.workload import Workload

PLACES = ("eu/west/a", "eu/west/b", "eu/south/a", "us/east/a", "ap/east/a", "")


def endpoint(place, weight=1, **labels):
    return Endpoint(Workload(name=place, namespace="default", ip="10.0.0.1", locality=place, weight=weight, labels=labels), 80)


def setting(**fields):
    return LocalityLbSetting.model_validate(fields)


def priorities(client, fields=None, endpoints=None):
    groups = arranged(endpoints or map(endpoint, PLACES), client, setting(**fields) if fields else None, failover=True)
    return {group.locality: group.priority for group in groups}


def test_the_nearer_the_earlier():
    assert priorities(Client("eu/west/a")) == {
        "eu/west/a": 0, "eu/west/b": 1, "eu/south/a": 2, "us/east/a": 3, "ap/east/a": 3, "": 3,
    }  # fmt: skip


def test_priorities_have_no_gaps():
    assert priorities(Client("ap/east/a")) == {"ap/east/a": 0, **dict.fromkeys(PLACES[:4], 1), "": 1}


def test_a_region_fails_over_to_the_one_that_is_named_first():
    found = priorities(Client("eu/west/a"), {"failover": [{"from": "eu", "to": "us"}]})
    assert (found["us/east/a"], found["ap/east/a"]) == (3, 4)


def test_labels_are_compared_up_to_the_first_that_differs():
    ends = [endpoint("one", app="a", tier="x"), endpoint("two", app="a", tier="y"), endpoint("three", app="b", tier="x")]
    client = Client("", {"app": "a", "tier": "x"})
    assert priorities(client, {"failover_priority": ["app", "tier"]}, ends) == {"one": 0, "two": 1, "three": 2}


def test_a_label_with_a_value_is_asked_of_the_endpoint_alone():
    ends = [endpoint("one", version="v1"), endpoint("two", version="v2")]
    assert priorities(Client(), {"failover_priority": ["version=v2"]}, ends) == {"two": 0, "one": 1}


def test_region_and_zone_are_labels_that_everything_has():
    wanted = {"failover_priority": ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"]}
    found = priorities(Client("eu/west/a"), wanted)
    assert (found["eu/west/b"], found["eu/south/a"], found["us/east/a"]) == (0, 1, 2)


def test_endpoints_of_one_locality_may_have_several_priorities():
    ends = [endpoint("eu/west/a", version="v1"), endpoint("eu/west/a", version="v2")]
    groups = arranged(ends, Client(), setting(failover_priority=["version=v1"]), failover=True)
    assert [(group.priority, group.locality, len(group.endpoints)) for group in groups] == [(0, "eu/west/a", 1), (1, "eu/west/a", 1)]


def test_shares_go_to_localities_by_their_weight():
    share = {"distribute": [{"from": "eu/*", "to": {"eu/west/*": 80, "us/*": 20}}]}
    ends = [endpoint("eu/west/a", 3), endpoint("eu/west/b", 1), endpoint("us/east/a"), endpoint("ap/east/a")]
    groups = arranged(ends, Client("eu/south/a"), setting(**share), failover=False)
    assert [(group.locality, group.weight) for group in groups] == [("eu/west/a", 60), ("eu/west/b", 20), ("us/east/a", 20)]


def test_a_localitys_part_of_a_share_is_rounded_up():
    wanted = setting(distribute=[{"from": "*", "to": {"eu/*": 10, "us/*": 90}}])
    ends = [endpoint("eu/west/a", 1), endpoint("eu/west/b", 2), endpoint("us/east/a")]
    assert [group.weight for group in arranged(ends, Client("eu/west/a"), wanted, failover=False)] == [4, 7, 90]


def test_a_client_elsewhere_is_not_concerned():
    share = {"distribute": [{"from": "us/*", "to": {"us/*": 100}}]}
    assert arranged(map(endpoint, PLACES), Client("eu/west/a"), setting(**share), failover=False) == plain(map(endpoint, PLACES))


def test_nobody_fails_over_where_sickness_is_not_found_out():
    assert arranged(map(endpoint, PLACES), Client("eu/west/a"), None, failover=False) == plain(map(endpoint, PLACES))


@pytest.mark.parametrize("failover", [True, False])
@given(places=st.lists(st.sampled_from(PLACES)), client=st.sampled_from(PLACES))
def test_every_endpoint_stays_and_priorities_count_up(failover, places, client):
    ends = [endpoint(place) for place in places]
    groups = arranged(ends, Client(client), None, failover=failover)
    assert sorted(id(one) for group in groups for one in group.endpoints) == sorted(map(id, ends))
    found = {group.priority for group in groups}
    assert found == set(range(len(found)))
    assert sum(group.weight for group in groups) == len(ends)
