"""Names of networks' gateways, looked up again and again, on a clock that does not run and at a DNS server of ours."""

import asyncio

import dns.asyncresolver
import dns.message
import dns.nameserver
import dns.rcode
import pytest

from pymesh_control.gateway_names import Answer, Dns, GatewayNames, LookupFailed
from pymesh_control.plane import ControlPlane
from tests.dns import HOST, Upstream
from tests.waiting import eventually

from .started import options


class Told:
    """Answers lookups from a list, and lets time pass when it is told to."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.slept = asyncio.Queue()
        self.passed = asyncio.Semaphore(0)
        self.changes = 0

    async def look(self, name):
        self.asked.append(name)
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            raise LookupFailed(answer)
        return answer

    async def sleep(self, seconds):
        self.slept.put_nowait(seconds)
        await self.passed.acquire()

    def changed(self):
        self.changes += 1

    def names(self):
        return GatewayNames(self.changed, self.look, self.sleep)


A, B = Answer(("192.0.2.1",), 60.0), Answer(("192.0.2.2", "2001:db8::2"), 5.0)


async def test_a_name_is_looked_up_when_its_time_is_over_and_only_changes_are_told():
    told = Told(A, A, B, Answer((), 7200.0), A)
    names = told.names()
    names.want(frozenset({"gateway"}))
    seen = []
    for _ in range(4):
        await told.slept.get()
        seen.append(names.addresses["gateway"])
        told.passed.release()
    assert (seen, told.changes) == ([A.addresses, A.addresses, B.addresses, ()], 3)
    names.close()


@pytest.mark.parametrize(("holds", "wait"), [(5.0, 30.0), (60.0, 60.0), (7200.0, 3600.0)])
async def test_neither_short_nor_long_promises_count(holds, wait):
    told = Told(Answer(("192.0.2.1",), holds))
    names = told.names()
    names.want(frozenset({"gateway"}))
    assert await told.slept.get() == wait
    names.close()


async def test_addresses_stay_while_nobody_can_tell(caplog):
    told = Told(A, "SERVFAIL")
    names = told.names()
    names.want(frozenset({"gateway"}))
    await told.slept.get()
    told.passed.release()
    assert await told.slept.get() == 30.0
    assert (names.addresses, told.changes) == ({"gateway": A.addresses}, 1)
    assert "gateway cannot be looked up: SERVFAIL" in caplog.text
    names.close()


async def test_what_is_wanted_no_more_is_forgotten():
    told = Told(A, B)
    names = told.names()
    names.want(frozenset({"one"}))
    await names.tried()
    names.want(frozenset({"two"}))
    assert names.addresses == {}
    await names.tried()
    assert (names.addresses, told.asked) == ({"two": B.addresses}, ["one", "two"])
    names.close()


NETWORKS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  meshNetworks: |
    networks: {far: {endpoints: [{fromCidr: 10.1.0.0/16}], gateways: [{address: gateway.example.com, port: 15443}]}}
"""


async def test_a_control_plane_serves_nobody_before_it_knows_and_follows_what_changes(tmp_path, monkeypatch):
    told = Told(A, B, B)
    monkeypatch.setattr("pymesh_control.plane.Dns", lambda: told)
    chosen = options(tmp_path)
    (chosen.config / "mesh.yaml").write_text(NETWORKS)
    async with ControlPlane(chosen) as plane:
        assert [one.address for one in plane.world.snapshot.networks.gateways] == list(A.addresses)
        (chosen.config / "mesh.yaml").write_text(NETWORKS.replace("gateway.", "other."))

        async def known():
            return [one.address for one in plane.world.snapshot.networks.gateways]

        await eventually(known, lambda found: found == list(B.addresses))
    assert told.asked == ["gateway.example.com", "other.example.com"]


def broken(query):
    answer = dns.message.make_response(query)
    answer.set_rcode(dns.rcode.SERVFAIL)
    return [answer.to_wire()]


async def test_a_dns_server_is_asked_for_the_name_as_it_is():
    records = {"gateway.example.com": ["192.0.2.2", "192.0.2.1"]}
    async with Upstream(records, {"broken.example.com": broken}).running() as server:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [dns.nameserver.Do53Nameserver(HOST, server.port)]
        servers = Dns(resolver)
        assert (await servers.look("gateway.example.com")).addresses == ("192.0.2.1", "192.0.2.2")
        assert (await servers.look("unknown.example.com")).addresses == ()
        with pytest.raises(LookupFailed):
            await servers.look("broken.example.com")
        assert {name for _, name in server.asked} == {*records, "unknown.example.com", "broken.example.com"}
