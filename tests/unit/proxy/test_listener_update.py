"""A listener gets a new configuration: connections of chains that stay the same live on, the others are asked to leave."""

from pymesh_proxy.listener.accept import Accepted
from pymesh_proxy.listener.config import ChainMatch, FilterChain, ListenerConfig
from pymesh_proxy.listener.manager import Listeners
from pymesh_proxy.listener.match import build
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer


def chain(mesh, name, port, version=b"1"):
    return FilterChain(name=name, terminal=mesh.options, match=ChainMatch(destination_port=port), identity=name.encode() + version)


def config(*chains, frame=b"frame", **settings):
    return ListenerConfig(
        name="l", host="0.0.0.0", port=15001, chains=chains, matcher=build(chains, None), bind_to_port=False, frame=frame, **settings
    )


async def served(mesh, listener, port):
    """A client that has had an answer and keeps its connection."""
    client = connect(listener, port)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await mesh.settle()
    if not mesh.loop.accepted.empty():  # later ones find the connection to the upstream that the first opened
        mesh.upstream = mesh.loop.accepted.get_nowait()
        await mesh.settle()
    mesh.upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    await mesh.settle()
    return client


def connect(listener, port):
    theirs, ours = MemoryTransport.pair(peername=("192.0.2.9", 4711), sockname=("192.0.2.1", port), socket=None)
    client = Peer(theirs)
    ours.attach(Accepted(listener))
    return client


async def test_only_connections_of_a_changed_chain_are_asked_to_leave():
    async with Mesh() as mesh:
        listeners = Listeners(mesh.runtime)
        listener = await listeners.put(config(chain(mesh, "a", 1), chain(mesh, "b", 2)))
        stays, goes = await served(mesh, listener, 1), await served(mesh, listener, 2)
        await listeners.put(config(chain(mesh, "a", 1), chain(mesh, "b", 2, version=b"2")))
        await mesh.settle()
        assert (stays.hung_up, goes.hung_up) == (False, True)
        assert (listener.connections, listeners.active_connections, listener.counts.total) == (1, 1, 2)


async def test_connections_of_a_removed_chain_are_asked_to_leave_and_those_of_its_neighbour_stay():
    async with Mesh() as mesh:
        listeners = Listeners(mesh.runtime)
        listener = await listeners.put(config(chain(mesh, "a", 1), chain(mesh, "b", 2)))
        stays, goes = await served(mesh, listener, 1), await served(mesh, listener, 2)
        await listeners.put(config(chain(mesh, "a", 1)))
        await mesh.settle()
        assert (stays.hung_up, goes.hung_up) == (False, True)


async def test_what_a_listener_says_of_all_its_chains_concerns_all_connections():
    async with Mesh() as mesh:
        listeners = Listeners(mesh.runtime)
        listener = await listeners.put(config(chain(mesh, "a", 1)))
        client = await served(mesh, listener, 1)
        await listeners.put(config(chain(mesh, "a", 1), frame=b"other"))
        await mesh.settle()
        assert client.hung_up


async def test_a_connection_that_is_busy_leaves_after_its_answer():
    async with Mesh() as mesh:
        listeners = Listeners(mesh.runtime)
        listener = await listeners.put(config(chain(mesh, "a", 1)))
        client = connect(listener, 1)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await listeners.put(config(chain(mesh, "a", 1, version=b"2")))
        await mesh.settle()
        assert (client.hung_up, listeners.active_connections) == (False, 1)
        assert (listener.connections, listener.counts.active) == (0, 1), "the listener still counts whom it asked to leave"
        upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await mesh.settle()
        assert b"connection: close" in client.received.lower()
        assert (client.hung_up, listeners.active_connections, listener.counts.active) == (True, 0, 0)


async def test_a_chain_that_was_drained_starts_anew():
    async with Mesh() as mesh:
        listeners = Listeners(mesh.runtime)
        listener = await listeners.put(config(chain(mesh, "a", 1)))
        listeners.drain()
        assert listener.draining
        await listeners.put(config(chain(mesh, "a", 1)))
        assert not listener.draining


async def test_a_removed_listener_is_not_found_by_address_and_asks_all_to_leave():
    async with Mesh() as mesh:
        listeners = Listeners(mesh.runtime)
        listener = await listeners.put(config(chain(mesh, "a", 1)))
        client = await served(mesh, listener, 1)
        assert listeners.virtual(("10.0.0.1", 15001)) is listener
        await listeners.remove("l")
        await mesh.settle()
        assert client.hung_up
        assert listeners.virtual(("10.0.0.1", 15001)) is None
