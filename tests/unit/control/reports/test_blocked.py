"""Destinations that were not let through: bounded, the last call first."""

from pymesh_control.reports.blocked import LIMIT, SOURCES, Blocked, Destination


def at(number):
    return Destination("TCP", "10.0.0.1", number)


def test_calls_are_counted_by_destination_and_source_the_last_called_first():
    blocked = Blocked()
    for when, (port, source) in enumerate([(1, "shop/web"), (2, "shop/web"), (1, "shop/api"), (1, "shop/web")]):
        blocked.note(at(port), source, when)
    assert list(blocked.told()) == [
        (at(1), {"calls": 3, "last": 3, "sources": {"shop/web": 2, "shop/api": 1}}),
        (at(2), {"calls": 1, "last": 1, "sources": {"shop/web": 1}}),
    ]


def test_a_destination_more_than_there_is_room_for_takes_the_place_of_the_one_called_longest_ago():
    blocked = Blocked()
    for number in range(LIMIT):
        blocked.note(at(number), "a/b", number)
    blocked.note(at(0), "a/b", LIMIT)
    blocked.note(at(LIMIT), "a/b", LIMIT)
    known = [one.port for one, _ in blocked.told()]
    assert (len(known), known[:2], 1 in known) == (LIMIT, [LIMIT, 0], False)


def test_callers_beyond_the_bound_are_counted_without_their_names():
    blocked = Blocked()
    for number in range(SOURCES + 5):
        blocked.note(at(1), f"a/{number}", 0)
    ((_, told),) = blocked.told()
    assert (len(told["sources"]), told["sources"][""], told["calls"]) == (SOURCES + 1, 5, SOURCES + 5)
