"""Endpoints with several addresses: in which order they are tried, and who wins."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.config import Eyeballs
from pymesh_proxy.upstream.eyeballs import in_order, race
from tests.waiting import eventually

A, B, C = ("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 1)
X, Y = ("fd00::1", 1), ("fd00::2", 1)


@pytest.mark.parametrize(
    ("addresses", "config", "expected"),
    [
        ([A, B, X, Y], Eyeballs(), [A, X, B, Y]),
        ([X, A, B, Y], Eyeballs(), [X, A, Y, B]),
        ([X, A, B, Y], Eyeballs(family=4), [A, X, B, Y]),
        ([A, B, C, X, Y], Eyeballs(count=2), [A, B, X, C, Y]),
        ([A, B], Eyeballs(family=6), [A, B]),
    ],
)
def test_families_take_turns(addresses, config, expected):
    assert in_order(addresses, config) == expected


@settings(deadline=None)
@given(st.lists(st.sampled_from([A, B, C, X, Y]), min_size=1), st.sampled_from([0, 4, 6]), st.integers(1, 4))
def test_no_address_is_lost_or_overtakes_one_of_its_family(addresses, family, count):
    ordered = in_order(addresses, Eyeballs(family=family, count=count))
    for colon in (True, False):
        assert [one for one in ordered if (":" in one[0]) == colon] == [one for one in addresses if (":" in one[0]) == colon]


class Network:
    """Connections that answer, fail or hang as a test says, and are counted until they are closed."""

    def __init__(self, **ways):
        self.tried = []
        self.standing = set()
        self.ways = ways

    async def __call__(self, where):
        self.tried.append(where[0])
        way = self.ways.get(where[0].rpartition(".")[2])
        if way == "fails":
            raise ConnectionRefusedError(where[0])
        if way == "hangs":
            await asyncio.Event().wait()
        network, name = self, where[0]

        class Connection:
            def close(self):
                network.standing.discard(name)

        self.standing.add(name)
        return Connection()


def network(first="answers", second="answers", third="answers"):
    made = Network()
    made.ways = {"1": first, "2": second, "3": third}
    return made


async def test_the_first_that_answers_is_taken_and_the_others_are_left_alone():
    net = network()
    await race([A, B], net, delay=60)
    assert (net.tried, net.standing) == (["10.0.0.1"], {"10.0.0.1"})


async def test_a_failure_is_followed_by_the_next_at_once():
    net = network("fails", "fails")
    async with asyncio.timeout(30):
        await race([A, B, C], net, delay=60)
    assert net.standing == {"10.0.0.3"}


async def test_one_that_hangs_is_overtaken_after_a_while():
    net = network("hangs", "answers")
    async with asyncio.timeout(30):
        await race([A, B, C], net, delay=0.01)
    assert (net.tried, net.standing) == (["10.0.0.1", "10.0.0.2"], {"10.0.0.2"})


async def test_when_none_answers_the_last_failure_is_told():
    with pytest.raises(ConnectionRefusedError, match=r"10\.0\.0\.2"):
        await race([A, B], network("fails", "fails"), delay=60)


async def test_a_race_that_is_given_up_leaves_no_connection():
    net = network("hangs", "hangs")
    running = asyncio.get_running_loop().create_task(race([A, B], net, delay=0.001))

    async def tried():
        return len(net.tried)

    await eventually(tried, lambda count: count == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert net.standing == set()
