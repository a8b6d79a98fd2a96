"""The proxy on real sockets of the loopback, with a DNS server behind it that the test plays."""

import asyncio
import contextlib

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from pymesh.address import Address
from pymesh.bootstrap.environment import DnsSettings
from pymesh.local.ports import FreePorts
from pymesh.xds import nds
from pymesh_proxy.discovery import fairness
from pymesh_proxy.dns_proxy import forwarder, server
from pymesh_proxy.dns_proxy.server import DnsProxy
from pymesh_proxy.errors import StartupError
from tests.dns import HOST, Upstream, answered, failed, silent

LARGE = [f"192.0.2.{n}" for n in range(1, 201)]


def with_other_id(query):
    """A forged answer before the real one."""
    good, bad = answered(query, ["192.0.2.1"]), answered(query, ["6.6.6.6"])
    bad.id = query.id ^ 1
    return [bad.to_wire(), good.to_wire()]


def about_another(query):
    other = dns.message.make_query("evil.com", "A")
    other.id = query.id
    return [answered(other, ["6.6.6.6"]).to_wire(), answered(query, ["192.0.2.1"]).to_wire()]


RECORDS = {"out.com": ["192.0.2.1"], "large.com": LARGE, "empty.com": []}
ODD = {"forged.com": with_other_id, "other.com": about_another, "bad.com": failed("SERVFAIL"), "silent.com": silent}


@pytest.fixture
async def upstream():
    async with Upstream(RECORDS, ODD).running() as running:
        yield running


class Sidecar:
    """A running proxy, and how to ask it."""

    def __init__(self, proxy, port):
        self.proxy = proxy
        self.port = port

    async def udp(self, name, kind="A", **more):
        query = dns.message.make_query(name, kind, **more)
        return await dns.asyncquery.udp(query, HOST, timeout=10, port=self.port)

    async def tcp(self, name, kind="A"):
        return await dns.asyncquery.tcp(dns.message.make_query(name, kind), HOST, timeout=10, port=self.port)


@pytest.fixture
async def made(tmp_path, upstream):
    """A sidecar with these servers, by default the test's."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(*servers, parallel=False, names=True):
            port = FreePorts().take()
            text = "".join(f"nameserver [{HOST}]:{one}\n" for one in (servers or (upstream.port,)))
            path = tmp_path / "resolv.conf"
            path.write_text(text + "search shop.svc.cluster.local\n")
            settings = DnsSettings(listen=Address(HOST, port), parallel=parallel, resolv_conf=path)
            proxy = DnsProxy(settings, namespace="shop", domain="shop.svc.cluster.local")
            if names:
                await proxy.use(one_host("10.0.0.1"))
            await proxy.start(stack)
            return Sidecar(proxy, port)

        yield make


def one_host(address):
    """A name table with one host."""
    return nds.NameTable(table={"in.com": nds.NameTable.NameInfo(ips=[address])})


def addresses(answer):
    return sorted(record.address for rrset in answer.answer for record in rrset if hasattr(record, "address"))


@pytest.mark.parametrize("over", ["udp", "tcp"])
async def test_hosts_of_the_table_are_answered_here_and_others_there(made, upstream, over):
    sidecar = await made()
    ask = getattr(sidecar, over)
    assert addresses(await ask("in.com")) == ["10.0.0.1"]
    assert addresses(await ask("in.com.shop.svc.cluster.local")) == ["10.0.0.1"]
    assert addresses(await ask("out.com")) == ["192.0.2.1"]
    assert dns.rcode.to_text((await ask("nowhere.com")).rcode()) == "NXDOMAIN"
    assert upstream.asked == {(over, "out.com"): 1, (over, "nowhere.com"): 1}
    assert (sidecar.proxy.counts.requests, sidecar.proxy.counts.upstream_requests) == (4, 2)


async def test_before_the_table_has_come_everything_is_passed_on(made):
    sidecar = await made(names=False)
    assert dns.rcode.to_text((await sidecar.udp("in.com")).rcode()) == "NXDOMAIN"


async def test_a_large_table_lets_others_run_while_it_is_read(made, monkeypatch):
    monkeypatch.setattr(fairness, "SLICE", 0.0)
    sidecar = await made()
    info = nds.NameTable.NameInfo(ips=["10.0.0.2"])
    coming = asyncio.get_running_loop().create_task(sidecar.proxy.use(nds.NameTable(table={f"h{n}.com": info for n in range(50)})))
    turns = 0
    while not coming.done():
        assert sidecar.proxy._table.find("in.com"), "the former table serves until the new one is whole"
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 50
    assert sidecar.proxy._table.find("in.com") is None


async def test_a_new_table_counts_at_once(made):
    sidecar = await made()
    await sidecar.proxy.use(one_host("10.0.0.2"))
    assert addresses(await sidecar.udp("in.com")) == ["10.0.0.2"]


@pytest.mark.parametrize("name", ["forged.com", "other.com"])
async def test_what_is_no_answer_to_the_query_is_not_listened_to(made, name):
    assert addresses(await (await made()).udp(name)) == ["192.0.2.1"]


async def test_a_large_answer_is_asked_for_again_over_tcp_on_both_sides(made, upstream):
    sidecar = await made()
    query = dns.message.make_query("large.com", "A")
    answer, over_tcp = await dns.asyncquery.udp_with_fallback(query, HOST, timeout=10, port=sidecar.port)
    assert (over_tcp, addresses(answer)) == (True, sorted(LARGE))
    assert upstream.asked == {("udp", "large.com"): 1, ("tcp", "large.com"): 1}


async def test_a_client_that_takes_large_answers_has_it_at_once(made, upstream):
    answer = await (await made()).udp("large.com", payload=4096)
    assert (addresses(answer), upstream.asked) == (sorted(LARGE), {("udp", "large.com"): 1})


async def test_a_server_that_is_not_there_is_passed_by(made, upstream):
    sidecar = await made(FreePorts().take(), upstream.port)
    assert addresses(await sidecar.udp("out.com")) == addresses(await sidecar.tcp("out.com")) == ["192.0.2.1"]
    assert sidecar.proxy.counts.upstream_failures == 2


async def test_all_servers_may_be_asked_at_once(made, upstream):
    async with Upstream({}, {"silent.com": lambda query: [answered(query, ["192.0.2.9"]).to_wire()]}).running() as other:
        sidecar = await made(upstream.port, other.port, parallel=True)
        assert addresses(await sidecar.udp("silent.com")) == ["192.0.2.9"]
    assert upstream.asked == {("udp", "silent.com"): 1}


async def test_without_an_answer_the_client_is_told_so(made, monkeypatch):
    monkeypatch.setattr(forwarder, "TIMEOUT", 0.05)
    sidecar = await made()
    assert dns.rcode.to_text((await sidecar.udp("silent.com")).rcode()) == "SERVFAIL"
    assert dns.rcode.to_text((await sidecar.tcp("silent.com")).rcode()) == "SERVFAIL"
    assert dns.rcode.to_text((await sidecar.udp("bad.com")).rcode()) == "SERVFAIL"


async def test_queries_for_ourselves_do_not_go_round(tmp_path, caplog):
    port = FreePorts().take()
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver [{HOST}]:{port}\n")
    async with contextlib.AsyncExitStack() as stack:
        proxy = DnsProxy(DnsSettings(listen=Address("0.0.0.0", port), parallel=False, resolv_conf=path), namespace="n", domain="n.svc")
        await proxy.start(stack)
        assert dns.rcode.to_text((await Sidecar(proxy, port).udp("out.com")).rcode()) == "SERVFAIL"
    assert proxy.counts.requests == 1
    assert "names no other DNS server" in caplog.text


async def test_answers_get_no_answer_and_rubbish_one_that_says_so(made):
    sidecar = await made()
    reply = dns.message.make_response(dns.message.make_query("in.com", "A")).to_wire()
    for wire in (reply, b"", b"\0" * 11):
        assert sidecar.proxy.ask(wire, stream=False) is None
    assert dns.message.from_wire(sidecar.proxy.ask(b"\7\7" + b"\0" * 10, stream=False)).rcode() == dns.rcode.FORMERR
    assert sidecar.proxy.counts.requests == 1


async def test_a_connection_carries_queries_one_after_the_other(made):
    sidecar = await made()
    reader, writer = await asyncio.open_connection(HOST, sidecar.port)
    queries = [dns.message.make_query(name, "A") for name in ("in.com", "out.com", "in.com")]
    writer.write(b"".join(len(wire).to_bytes(2) + wire for wire in (query.to_wire() for query in queries)))
    writer.write_eof()
    for query in queries:
        wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        assert query.is_response(dns.message.from_wire(wire))
    assert await reader.read() == b""
    writer.close()


async def test_a_silent_connection_is_closed(made, monkeypatch):
    monkeypatch.setattr(server, "IDLE", 0.05)
    sidecar = await made()
    reader, writer = await asyncio.open_connection(HOST, sidecar.port)
    writer.write(b"\0")
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()


async def test_one_connection_too_many_is_closed_and_leaves_the_others(made, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    sidecar = await made()
    reader, writer = await asyncio.open_connection(HOST, sidecar.port)
    wire = dns.message.make_query("in.com", "A").to_wire()
    writer.write(len(wire).to_bytes(2) + wire)
    await reader.readexactly(2)
    second, other = await asyncio.open_connection(HOST, sidecar.port)
    with contextlib.suppress(ConnectionResetError):
        assert await second.read() == b""
    writer.write(len(wire).to_bytes(2) + wire)
    assert await reader.readexactly(10)
    for each in (writer, other):
        each.close()


async def test_a_taken_port_is_told(made, tmp_path):
    sidecar = await made()
    settings = DnsSettings(listen=Address(HOST, sidecar.port), parallel=False, resolv_conf=tmp_path / "resolv.conf")
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(StartupError, match=f"DNS_PROXY_ADDR: cannot listen on {HOST}:{sidecar.port}: Address already in use"):
            await DnsProxy(settings, namespace="n", domain="n.svc").start(stack)


async def test_localhost_is_both_loopback_addresses_as_far_as_there_are_two(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n")
    port = FreePorts().take()
    async with contextlib.AsyncExitStack() as stack:
        proxy = DnsProxy(DnsSettings(listen=Address("localhost", port), parallel=False, resolv_conf=path), namespace="n", domain="n.svc")
        await proxy.use(one_host("10.0.0.1"))
        await proxy.start(stack)
        query = dns.message.make_query("in.com", "A")
        assert addresses(await dns.asyncquery.udp(query, HOST, timeout=10, port=port)) == ["10.0.0.1"]


@pytest.mark.parametrize(("port", "asked"), [(53, True), (15053, False)])
def test_the_system_asks_us_only_on_the_port_that_it_knows(tmp_path, port, asked):
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver {HOST}\nnameserver 192.0.2.1\n")
    proxy = DnsProxy(DnsSettings(listen=Address(HOST, port), parallel=False, resolv_conf=path), namespace="n", domain="n.svc")
    assert proxy.is_the_systems is asked
    assert proxy.servers[-1:] == (("192.0.2.1", 53),)
    assert ((HOST, 53) in proxy.servers) is not asked


def test_without_resolv_conf_nothing_starts(tmp_path):
    settings = DnsSettings(listen=Address(HOST, 1), parallel=False, resolv_conf=tmp_path / "absent")
    with pytest.raises(StartupError, match=r"ISTIO_META_DNS_CAPTURE: cannot read .*absent"):
        DnsProxy(settings, namespace="n", domain="n.svc")
