"""When file descriptors run out, and how often that is said."""

import resource
from types import SimpleNamespace

import pytest

from pymesh_proxy.listener import capacity
from pymesh_proxy.listener.accept import Accepted
from pymesh_proxy.listener.capacity import Capacity
from pymesh_proxy.listener.config import FilterChain, ListenerConfig
from pymesh_proxy.listener.manager import Listener, Listeners
from pymesh_proxy.listener.match import build
from pymesh_proxy.listener.seldom import PERIOD, Seldom
from pymesh_proxy.tcp.config import TcpOptions
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer


@pytest.fixture
def limit(monkeypatch):
    """Set the process's limit, as the proxy sees it."""

    def put(number):
        monkeypatch.setattr(capacity.resource, "getrlimit", lambda what: {resource.RLIMIT_NOFILE: (number, number)}[what])

    return put


@pytest.mark.parametrize(("most", "admitted", "refused"), [(128, 111, 112), (65536, 65279, 65280)])
def test_an_eighth_or_a_fixed_number_is_kept_back(limit, most, admitted, refused):
    limit(most)
    assert Capacity().admits(admitted)
    assert not Capacity().admits(refused)


def test_a_limit_that_was_raised_counts_at_once(limit):
    limit(128)
    known = Capacity()
    assert not known.admits(120)
    limit(1024)
    assert known.admits(120)


def test_the_same_is_said_once_in_a_while_with_how_often_it_was_not():
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    assert seldom.due("a") == ""
    assert [seldom.due("a") for _ in range(3)] == [None] * 3
    assert seldom.due("b") == ""
    now[0] = PERIOD
    assert seldom.due("a") == " (3 more since the last such line)"
    assert seldom.due("a") is None


async def test_a_connection_beyond_the_limit_ends_and_is_counted_and_named(limit, caplog):
    limit(128)
    async with Mesh() as mesh:
        chain = FilterChain(name="c", terminal=TcpOptions(clusters=(("up", 1),)))
        config = ListenerConfig(name="l", host="0.0.0.0", port=1, chains=(chain,), matcher=build((chain,), None))
        listener = Listener(mesh.runtime, Listeners(mesh.runtime), config)
        for descriptor in (120, 121, 7):
            sock = SimpleNamespace(fileno=lambda number=descriptor: number, setsockopt=lambda *_: None)
            theirs, ours = MemoryTransport.pair(peername=("192.0.2.9", 4711), sockname=("192.0.2.1", 1), socket=sock)
            client = Peer(theirs)
            ours.attach(Accepted(listener))
            await mesh.settle()
            assert client.hung_up is (descriptor > 100)
        assert listener.counts["downstream_cx_overflow"] == 2
        assert listener.connections == 1
        assert [record.message for record in caplog.records if "descriptors" in record.message] == [
            "listener l: connection from 192.0.2.9:4711 refused, file descriptors run out (ulimit -n is 128)"
        ]
