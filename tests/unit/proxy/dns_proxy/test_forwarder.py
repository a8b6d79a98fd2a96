"""Which servers are asked, in which order, and whose answer counts. Time and sockets are the test's."""

import asyncio

import dns.message
import dns.rcode
import pytest

from pymesh_proxy.dns_proxy import forwarder as room
from pymesh_proxy.dns_proxy.counts import DnsCounts
from pymesh_proxy.dns_proxy.forwarder import Forwarder
from pymesh_proxy.dns_proxy.query import Query

MESSAGE = dns.message.make_query("a.com", "A")
QUERY = Query(MESSAGE.to_wire(), False, 512)
ONE, TWO, THREE = (("10.0.0.1", 53), ("10.0.0.2", 53), ("10.0.0.3", 53))


class Servers:
    """Each server's answer: a response code, an error to raise, or a future of either."""

    def __init__(self, **behaviour):
        self.behaviour = {f"10.0.0.{name[1]}": what for name, what in behaviour.items()}
        self.asked = []
        self.cancelled = []

    async def exchange(self, query, number, server):
        self.asked.append(server[0][-1])
        what = self.behaviour[server[0]]
        try:
            what = await what if isinstance(what, asyncio.Future) else what
        except asyncio.CancelledError:
            self.cancelled.append(server[0][-1])
            raise
        if isinstance(what, Exception):
            raise what
        answer = dns.message.make_response(MESSAGE)
        answer.id = number
        answer.set_rcode(dns.rcode.from_text(what))
        return answer.to_wire()


@pytest.fixture
def counts():
    return DnsCounts()


@pytest.fixture
def asking(counts):
    """The code of the answer, with its id checked."""

    async def ask(servers, *, parallel=False, those=(ONE, TWO, THREE)):
        found = await Forwarder(those, counts, parallel=parallel, exchange=servers.exchange).ask(QUERY)
        message = dns.message.from_wire(found)
        assert MESSAGE.is_response(message)
        return dns.rcode.to_text(message.rcode())

    return ask


@pytest.mark.parametrize("code", ["NOERROR", "NXDOMAIN"])
async def test_the_first_server_has_the_first_word(asking, code):
    servers = Servers(s1=code)
    assert await asking(servers) == code
    assert servers.asked == ["1"]


@pytest.mark.parametrize("first", [OSError("refused"), TimeoutError(), EOFError(), "SERVFAIL", "REFUSED", "NOTIMP"])
async def test_the_next_one_is_asked_when_the_first_is_no_help(asking, first):
    servers = Servers(s1=first, s2="NOERROR")
    assert await asking(servers) == "NOERROR"
    assert servers.asked == ["1", "2"]


async def test_a_bad_answer_is_better_than_none(asking):
    assert await asking(Servers(s1="REFUSED", s2=TimeoutError(), s3=TimeoutError())) == "REFUSED"


async def test_each_server_is_asked_once(asking, counts):
    servers = Servers(s1=TimeoutError(), s2=TimeoutError(), s3=TimeoutError())
    assert await asking(servers) == "SERVFAIL"
    assert servers.asked == ["1", "2", "3"]
    assert (counts.upstream_requests, counts.upstream_failures) == (1, 3)


async def test_without_servers_there_is_a_failure(asking):
    assert await asking(Servers(), those=()) == "SERVFAIL"


async def test_a_server_has_its_time(asking, counts, monkeypatch):
    monkeypatch.setattr(room, "TIMEOUT", 0.0)
    never = asyncio.get_running_loop().create_future()
    assert await asking(Servers(s1=never), those=(ONE,)) == "SERVFAIL"
    assert counts.upstream_failures == 1


async def test_all_at_once_the_first_good_answer_counts(asking):
    loop = asyncio.get_running_loop()
    slow, never = loop.create_future(), loop.create_future()
    servers = Servers(s1=never, s2="SERVFAIL", s3=slow)
    loop.call_soon(slow.set_result, "NOERROR")
    assert await asking(servers, parallel=True) == "NOERROR"
    assert servers.asked == ["1", "2", "3"]
    await asyncio.sleep(0)
    assert servers.cancelled == ["1"]


async def test_all_at_once_without_a_good_answer(asking):
    assert await asking(Servers(s1=OSError(), s2="REFUSED", s3=OSError()), parallel=True) == "REFUSED"
    assert await asking(Servers(s1=OSError(), s2=OSError(), s3=OSError()), parallel=True) == "SERVFAIL"


async def test_beyond_the_bound_queries_fail_at_once(counts, monkeypatch):
    monkeypatch.setattr(room, "MAX_IN_FLIGHT", 2)
    waiting = asyncio.get_running_loop().create_future()
    servers = Servers(s1=waiting)
    forwarder = Forwarder((ONE,), counts, parallel=False, exchange=servers.exchange)
    first = [asyncio.get_running_loop().create_task(forwarder.ask(QUERY)) for _ in range(2)]
    await asyncio.sleep(0)
    refused = dns.message.from_wire(await forwarder.ask(QUERY))
    assert (refused.rcode(), len(servers.asked), repr(forwarder).endswith("2 in flight>")) == (dns.rcode.SERVFAIL, 2, True)
    waiting.set_result("NOERROR")
    assert [dns.message.from_wire(one).rcode() for one in await asyncio.gather(*first)] == [0, 0]
    assert dns.message.from_wire(await forwarder.ask(QUERY)).rcode() == 0


async def test_what_goes_out_has_an_id_that_cannot_be_guessed(counts):
    numbers = set()

    async def exchange(_query, number, _server):
        numbers.add(number)
        raise OSError

    forwarder = Forwarder((ONE,), counts, parallel=False, exchange=exchange)
    for _ in range(20):
        await forwarder.ask(QUERY)
    assert len(numbers) > 10
