"""Retries that leave out priorities, against the sentences of Envoy's documentation."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.previous_priorities import PreviousPriorities
from pymesh_proxy.upstream.priorities import Level, Priorities


def priorities(*healths):
    return Priorities([Level(hosts=1, excluded=0, healthy=1, degraded=0, health=health, degraded_health=0) for health in healths], 50)


def test_priorities_are_left_out_once_so_many_attempts_have_failed():
    previous, all_well = PreviousPriorities(2), priorities(100, 100, 100)
    assert previous.excluded(all_well) == frozenset()
    previous.attempted(0)
    assert previous.excluded(all_well) == frozenset()
    previous.attempted(0)
    assert previous.excluded(all_well) == {0}
    previous.attempted(1)
    assert previous.excluded(all_well) == {0}, "not before the next two"
    previous.attempted(1)
    assert previous.excluded(all_well) == {0, 1}


def test_when_none_is_left_all_begins_anew():
    previous, two = PreviousPriorities(1), priorities(100, 100, 0)
    previous.attempted(0)
    assert previous.excluded(two) == {0}
    previous.attempted(1)
    assert previous.excluded(two) == frozenset(), "the third has nobody who is well"
    previous.attempted(0)
    assert previous.excluded(two) == {0}


@settings(deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(0, 3), max_size=12), st.lists(st.sampled_from([0, 50, 100]), min_size=4, max_size=4))
def test_something_usable_is_always_left_where_there_is_any(frequency, attempts, healths):
    previous, known = PreviousPriorities(frequency), priorities(*healths)
    for priority in attempts:
        previous.attempted(priority)
        excluded = previous.excluded(known)
        assert not excluded or any(health and index not in excluded for index, health in enumerate(healths))
        loads = known.loads(excluded)
        assert sum(loads.healthy) + sum(loads.degraded) == 100
        assert all(loads.healthy[index] == 0 for index in excluded)
