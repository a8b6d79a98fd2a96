"""How the load is shared among priorities: Envoy's measured answers, and a slow model that hands out percents one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.priorities import Level, Loads, Priorities, availability

HEALTHY, DEGRADED, UNHEALTHY = "H", "D", "U"


def level(text, factor=140):
    """One letter an endpoint."""
    healthy, degraded = text.count(HEALTHY), text.count(DEGRADED)
    health, degraded_health = (availability(count, len(text), factor) for count in (healthy, degraded))
    return Level(hosts=len(text), excluded=0, healthy=healthy, degraded=degraded, health=health, degraded_health=degraded_health)


def priorities(text, threshold=50):
    return Priorities([level(one.strip()) for one in text.split("/")], threshold)


@pytest.mark.parametrize(
    ("text", "healthy", "degraded", "panics"),
    [
        ("HU/H", (70, 30), (0, 0), ""),
        ("HUU/H", (46, 54), (0, 0), ""),
        ("HHU/H", (93, 7), (0, 0), ""),
        ("HHHUU/H", (84, 16), (0, 0), ""),
        ("HHHHHHHUUU/H", (98, 2), (0, 0), ""),
        ("HHHHHHHHUU/H", (100, 0), (0, 0), ""),
        ("HUUU/HU/HU", (35, 65, 0), (0, 0, 0), ""),
        ("HUU/HUU/HUU", (46, 46, 8), (0, 0, 0), ""),
        ("UU/H", (0, 100), (0, 0), ""),
        ("UU/UU", (50, 50), (0, 0), "01"),
        ("HU/HUUUUU", (76, 24), (0, 0), "1"),
        ("HUUUUU/HU", (25, 75), (0, 0), "0"),
        ("U/HUUUUU", (15, 85), (0, 0), "01"),
        ("HUUUU/UUUD", (56, 44), (0, 0), "01"),
        ("HUU/DUU/H", (46, 0, 54), (0, 0, 0), ""),
        ("DU/H", (0, 100), (0, 0), ""),
        ("HDU/HU", (46, 54), (0, 0), ""),
        ("D/D", (0, 0), (100, 0), ""),
        ("DU/DU", (0, 0), (70, 30), ""),
        ("HUUUU/DD", (28, 0), (0, 72), ""),
        ("HDDU/U", (35, 0), (65, 0), ""),
    ],
)
def test_the_load_is_shared_as_envoy_shares_it(text, healthy, degraded, panics):
    made = priorities(text)
    assert made.loads() == Loads(healthy, degraded)
    assert made.panics == tuple(str(index) in panics for index in range(len(healthy)))


def test_two_priorities_that_panic_with_degraded_endpoints_share_by_count():
    made = priorities("HUU/DUU")
    assert made.panics == (True, True)
    assert made.loads() == Loads((50, 50), (0, 0))


@pytest.mark.parametrize(("text", "threshold"), [("UU/UU", 0), ("/", 50), ("", 50), ("/", 0)])
def test_where_nothing_can_be_used_the_first_priority_is_asked(text, threshold):
    assert priorities(text, threshold).loads().healthy[0] == 100


def test_without_a_threshold_nothing_panics():
    made = priorities("HUUUUU/HU", 0)
    assert made.panics == (False, False)
    assert made.loads() == Loads((25, 75), (0, 0))


def test_excluded_endpoints_do_not_count_as_sick():
    lonely = Level(hosts=4, excluded=3, healthy=1, degraded=0, health=availability(1, 1, 140), degraded_health=0)
    assert not Priorities([lonely], 50).panics[0]
    assert lonely.health == 100


@pytest.mark.parametrize(
    ("text", "excluding", "expected"),
    [
        ("H/H", {0}, Loads((0, 100), (0, 0))),
        ("H/H/H", {0, 1}, Loads((0, 0, 100), (0, 0, 0))),
        ("H/HU/HU", {0}, Loads((0, 70, 30), (0, 0, 0))),
        ("H/HUU/HUUUU", {0}, Loads((0, 63, 37), (0, 0, 0))),
        ("H/D", {0}, Loads((0, 0), (0, 100))),
        ("H/U", {0}, Loads((100, 0), (0, 0))),
        ("H/H", {0, 1}, Loads((100, 0), (0, 0))),
        ("UU/UU", {0}, Loads((50, 50), (0, 0))),
    ],
)
def test_a_retry_may_leave_priorities_out(text, excluding, expected):
    assert priorities(text).loads(frozenset(excluding)) == expected


clusters = st.lists(st.text(alphabet="HDU", max_size=12), min_size=1, max_size=5)


def one_by_one(able, total):
    """Each percent of the load goes to the first that still has room; what nobody has room for, to the first that is able."""
    room = [100 * health // total for health in able]
    given_to = [0] * len(able)
    healthy = able[: len(able) // 2]
    spare = next(index for index, health in enumerate(able) if health) if any(able) else 0
    assert not any(healthy) or spare < len(healthy)
    for _ in range(100):
        taker = next((index for index in range(len(able)) if given_to[index] < room[index]), spare)
        given_to[taker] += 1
    return given_to


@settings(deadline=None)
@given(clusters, st.sampled_from([100, 140, 300]), st.integers(0, 100))
def test_the_load_is_what_a_slow_model_hands_out(texts, factor, threshold):
    levels = [level(text, factor) for text in texts]
    made = Priorities(levels, threshold)
    loads = made.loads()
    assert sum(loads.healthy) + sum(loads.degraded) == 100
    if all(made.panics):
        return
    able = [one.health for one in levels] + [one.degraded_health for one in levels]
    total = min(100, sum(able))
    if total:
        assert [*loads.healthy, *loads.degraded] == one_by_one(able, total)


@settings(deadline=None)
@given(clusters, st.integers(0, 100))
def test_only_what_is_short_of_usable_endpoints_panics(texts, threshold):
    levels = [level(text) for text in texts]
    made = Priorities(levels, threshold)
    enough = sum(one.health + one.degraded_health for one in levels) >= 100
    for text, panics in zip(texts, made.panics, strict=True):
        usable = 100 * sum(letter != UNHEALTHY for letter in text) / len(text) if text else 0
        assert panics == (not enough and usable < threshold)


@settings(deadline=None)
@given(clusters, st.sets(st.integers(0, 4)))
def test_a_left_out_priority_gets_nothing_unless_all_others_are_useless(texts, excluded):
    levels = [level(text) for text in texts]
    loads = Priorities(levels, 50).loads(frozenset(excluded))
    assert sum(loads.healthy) + sum(loads.degraded) == 100
    others = any(one.health + one.degraded_health for index, one in enumerate(levels) if index not in excluded)
    if others:
        assert all(loads.healthy[index] == loads.degraded[index] == 0 for index in excluded if index < len(levels))
