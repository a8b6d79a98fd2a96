"""PROXY headers as bytes: what is read back is what was written, however it is cut, and nothing else ever raises anything else."""

import asyncio
import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh_proxy.http.exchange import Downstream
from pymesh_proxy.listener.accept import Accepted
from pymesh_proxy.listener.config import ChainMatch, FilterChain, ListenerConfig
from pymesh_proxy.listener.detect import Verdict
from pymesh_proxy.listener.manager import Listener, Listeners
from pymesh_proxy.listener.match import build
from pymesh_proxy.listener.proxy_protocol import SIGNATURE, Header, Malformed, Rules, parse, version_1, version_2
from pymesh_proxy.tcp.config import TcpOptions
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer, static_cluster
from pymesh_proxy.tls.config import UpstreamTls
from pymesh_proxy.upstream.config import ProxyHeader
from pymesh_proxy.upstream.introduction import introduction

PORTS = st.integers(0, 65535)
FOUR = st.tuples(st.ip_addresses(v=4).map(str), PORTS)
SIX = st.tuples(st.integers(1 << 64, (1 << 128) - 1).map(lambda number: str(ipaddress.IPv6Address(number))), PORTS)
PAIRS = st.one_of(st.tuples(FOUR, FOUR), st.tuples(SIX, SIX))
TLVS = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=4).map(tuple)
HEADERS = st.one_of(
    PAIRS.map(lambda pair: version_1(*pair)),
    st.builds(lambda pair, tlvs: version_2(*pair, tlvs), PAIRS, TLVS),
    st.sampled_from([version_1(None, None), version_2(None, None), b"PROXY UNKNOWN ffff::1 x y\r\n"]),
)


@given(PAIRS, TLVS)
def test_what_is_written_is_read_back(pair, tlvs):
    source, destination = pair
    for data, carried in ((version_1(*pair), ()), (version_2(*pair, tlvs), tlvs)):
        header = parse(data + b"more", Rules())
        assert (header.source, header.destination, header.tlvs, header.size) == (source, destination, carried, len(data))


@given(HEADERS)
def test_every_beginning_of_a_header_needs_more(data):
    assert all(parse(data[:end], Rules()) is Verdict.NEED_MORE for end in range(len(data)))


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\x00"]), st.binary(max_size=300))
def test_arbitrary_bytes_are_a_header_or_not_or_malformed(start, rest):
    for rules in (Rules(), Rules(optional=True), Rules(versions=frozenset({2}))):
        with contextlib.suppress(Malformed):
            assert isinstance(parse(start + rest, rules), Header | Verdict)


def test_addresses_of_two_families_are_not_told():
    assert version_1(("1.2.3.4", 1), ("::1", 2)) == b"PROXY UNKNOWN\r\n"
    assert parse(version_2(("1.2.3.4", 1), ("::1", 2)), Rules()) == Header(version=2, size=16)
    assert version_1(("", 0), ("1.2.3.4", 2)) == b"PROXY UNKNOWN\r\n", "a Unix socket's peer has no address"


def test_only_the_types_that_are_asked_for_are_passed():
    header = Header(version=2, size=0, tlvs=((1, b"a"), (5, b"b")))
    assert header.passed(Rules()) == ()
    assert header.passed(Rules(passed=frozenset({5}))) == ((5, b"b"),)
    assert header.passed(Rules(passed=None)) == header.tlvs


def test_an_endpoint_is_told_of_the_client_and_of_nobody_for_our_own_connections():
    client = Downstream(
        remote_address="[::1]:7", local_address="[::2]:80", original_destination=("::2", 80), proxied_tlvs=((1, b"a"), (5, b"b"))
    )
    assert introduction(ProxyHeader(version=1), client) == b"PROXY TCP6 ::1 ::2 7 80\r\n"
    told = parse(introduction(ProxyHeader(version=2, tlvs=frozenset({5})), client), Rules())
    assert (told.source, told.destination, told.tlvs) == (("::1", 7), ("::2", 80), ((5, b"b"),))
    assert introduction(ProxyHeader(version=1), None) == b"PROXY UNKNOWN\r\n"
    assert parse(introduction(ProxyHeader(version=2), None), Rules()).source is None


def listener(mesh, **settings):
    chains = (FilterChain(name="far", terminal=TcpOptions(clusters=(("up", 1),)), match=ChainMatch(destination_port=2222)),)
    config = ListenerConfig(
        name="l", host="0.0.0.0", port=1, chains=chains, matcher=build(chains, None), proxy_protocol=Rules(), **settings
    )
    return Listener(mesh.runtime, Listeners(mesh.runtime), config)


def connect(receiving):
    theirs, ours = MemoryTransport.pair(peername=("192.0.2.9", 4711), sockname=("192.0.2.1", 1), socket=None)
    client = Peer(theirs)
    ours.attach(Accepted(receiving))
    return client


async def test_the_destination_that_a_header_names_chooses_the_chain_and_sniffing_goes_on_behind_it():
    async with Mesh() as mesh:
        client = connect(listener(mesh, http_inspector=True))
        client.send(b"PROXY TCP4 1.2.3.4 5.6.7.8 11")
        await mesh.settle()
        client.send(b"11 2222\r\n")
        await mesh.settle()
        assert mesh.loop.accepted.empty()
        client.send(b"\x00")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received == b"\x00"


async def test_a_server_that_speaks_first_is_heard_after_a_header_alone():
    async with Mesh() as mesh:
        client = connect(listener(mesh))
        client.send(b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n")
        upstream = await mesh.accepted()
        upstream.send(b"220 hello\r\n")
        await mesh.settle()
        assert client.received == b"220 hello\r\n"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"PROXY TCP4 x y 1 2\r\n", SIGNATURE + b"\x11\x11\x00\x00"])
async def test_who_does_not_introduce_itself_is_refused_and_counted(data):
    async with Mesh() as mesh:
        receiving = listener(mesh)
        client = connect(receiving)
        client.send(data)
        await mesh.settle()
        assert client.hung_up
        assert receiving.counts["downstream_cx_proxy_proto_error"] == 1
        assert receiving.manager.active_connections == 0


async def test_the_header_goes_before_the_clients_hello_of_tls():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), tls=UpstreamTls(), proxy_header=ProxyHeader(version=1))) as mesh:
        client = connect(listener(mesh))
        client.send(b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received.startswith(b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n\x16\x03")


async def test_no_other_request_follows_on_a_connection_that_was_introduced():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), proxy_header=ProxyHeader(version=1))) as mesh:
        client = mesh.connect()
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            upstream = await mesh.accepted()
            await mesh.settle()
            assert upstream.received.startswith(b"PROXY ")
            upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await mesh.settle()
            assert upstream.hung_up
        assert client.received.count(b"200 OK") == 2
        await asyncio.sleep(0)
        assert mesh.runtime.clusters.get("up").breaker.connections == 0
