"""From accept to the filter chain: destination, sniffing, choice, hand-over."""

import ssl
from dataclasses import replace

import pytest

from pymesh_proxy.listener import accept
from pymesh_proxy.listener.accept import Accepted
from pymesh_proxy.listener.config import ChainMatch, FilterChain, ListenerConfig
from pymesh_proxy.listener.manager import Listener, Listeners
from pymesh_proxy.listener.match import build
from pymesh_proxy.tcp.config import TcpOptions
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer
from pymesh_proxy.tls.config import CertificateSource, DownstreamTls


def listener(mesh, *chains, default=None, logged=None, virtual=(), **settings):
    observers = (logged.append,) if logged is not None else ()
    config = ListenerConfig(
        name="l", host="0.0.0.0", port=15006, chains=chains, default_chain=default, matcher=build(chains, default),
        observers=observers, **settings,
    )
    manager = Listeners(mesh.runtime)
    for other in virtual:
        manager._virtual[other.config.host, other.config.port] = other
    return Listener(mesh.runtime, manager, config)


def tcp_chain(name, cluster="up", **match):
    return FilterChain(name=name, terminal=TcpOptions(clusters=((cluster, 1),)), match=ChainMatch(**match))


def http_chain(mesh, name, **match):
    return FilterChain(name=name, terminal=mesh.options, match=ChainMatch(**match))


def connect(receiving):
    theirs, ours = MemoryTransport.pair(peername=("192.0.2.9", 4711), sockname=("192.0.2.1", 15006), socket=None)
    client = Peer(theirs)
    ours.attach(Accepted(receiving))
    return client


async def test_a_certificate_that_is_none_costs_its_chain_the_connections():
    async with Mesh() as mesh:
        tls = DownstreamTls(certificates=(CertificateSource(chain=b"garbage", key=b"garbage"),))
        chain = replace(tcp_chain("one"), tls=tls)
        receiving = listener(mesh, chain)
        client = connect(receiving)
        await mesh.settle()
        assert client.hung_up
        assert receiving.counts.tls["ssl.connection_error"] == 1


def client_hello():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="db.test")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


async def test_without_inspection_the_chain_is_chosen_before_a_byte_arrives():
    async with Mesh() as mesh:
        connect(listener(mesh, tcp_chain("only")))
        assert await mesh.accepted()


async def test_a_port_at_which_inspection_is_switched_off_is_not_waited_for():
    async with Mesh() as mesh:
        chains = (tcp_chain("db"), tcp_chain("tls", transport_protocol="tls"))
        connect(listener(mesh, *chains, tls_inspector=True, http_inspector=True, filters_timeout=0.0,
                         tls_inspector_skips=lambda port: port == 15006, http_inspector_skips=lambda port: port == 15006))  # fmt: skip
        assert await mesh.accepted()


async def test_sniffed_bytes_are_not_lost():
    async with Mesh() as mesh:
        chain = tcp_chain("db", transport_protocol="tls", server_names=("db.test",))
        client = connect(listener(mesh, chain, tls_inspector=True))
        hello = client_hello()
        for position in range(0, len(hello), 50):
            client.send(hello[position : position + 50])
            await mesh.settle()
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received == hello, "a TLS connection that is not terminated passes through unchanged"


async def test_http_is_told_from_other_protocols_on_one_port():
    async with Mesh() as mesh:
        chains = (http_chain(mesh, "http", application_protocols=("http/1.0", "http/1.1", "h2c")), tcp_chain("tcp"))
        receiving = listener(mesh, *chains, http_inspector=True)
        web, other = connect(receiving), connect(receiving)
        web.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert b"x-request-id" in upstream.received
        other.send(b"\x00\x01binary")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received == b"\x00\x01binary"


async def test_a_connection_without_a_chain_is_reset_and_logged_with_NR():  # noqa: N802  the flag's name
    async with Mesh() as mesh:
        logged = []
        client = connect(listener(mesh, tcp_chain("tls only", transport_protocol="tls"), tls_inspector=True, logged=logged))
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await mesh.settle()
        assert client.hung_up
        assert (logged[0].flags, logged[0].details) == ("NR", "filter_chain_not_found")


@pytest.mark.parametrize("continues", [True, False])
async def test_a_silent_client_is_judged_when_the_filters_time_out(continues):
    async with Mesh() as mesh:
        client = connect(listener(mesh, tcp_chain("any"), tls_inspector=True, filters_timeout=2.0, continue_on_timeout=continues))
        await mesh.settle()
        assert not client.hung_up
        await mesh.advance(2.1)
        assert client.hung_up is not continues
        assert mesh.loop.accepted.empty() is not continues


async def test_a_redirected_connection_goes_to_the_listener_of_its_destination(monkeypatch):
    async with Mesh() as mesh:
        monkeypatch.setattr(accept, "original_destination", lambda sock: ("10.1.1.1", 3306))
        meant = listener(mesh, tcp_chain("mysql"))
        meant.config = ListenerConfig(
            name="0.0.0.0_3306", host="0.0.0.0", port=3306, chains=meant.config.chains, matcher=meant.config.matcher, bind_to_port=False
        )
        catch_all = listener(mesh, tcp_chain("blackhole", cluster="gone"), original_dst=True, use_original_dst=True, virtual=(meant,))
        connect(catch_all)
        assert await mesh.accepted()


async def test_an_unknown_destination_stays_with_the_listener_that_took_it(monkeypatch):
    async with Mesh() as mesh:
        monkeypatch.setattr(accept, "original_destination", lambda sock: ("10.1.1.1", 9999))
        client = connect(listener(mesh, tcp_chain("blackhole", cluster="gone"), original_dst=True, use_original_dst=True))
        await mesh.settle()
        assert client.hung_up


async def test_a_connection_counts_from_its_accept_to_its_end():
    async with Mesh() as mesh:
        receiving = listener(mesh, tcp_chain("db", transport_protocol="tls"), tls_inspector=True)
        client = connect(receiving)
        await mesh.settle()
        assert receiving.manager.active_connections == 1
        client.send(b"plaintext, for which there is no chain")
        await mesh.settle()
        assert client.hung_up
        assert receiving.manager.active_connections == 0
