"""Requests and answers that hypothesis makes up: what we pass on is what h11 reads in the same bytes, and nothing else."""

import asyncio
import re

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pymesh_proxy.testing import Mesh
from tests.http1 import Message, Read, answers, broken, broken_answers, messages, read_answer, read_requests

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
ADDED = {b"x-forwarded-proto", b"x-request-id", b"transfer-encoding", b"content-length", b"te"}
ADDED_DOWN = {b"date", b"server", b"x-envoy-upstream-service-time", b"connection", b"transfer-encoding", b"content-length"}


async def served(data):
    """The requests that reached upstreams, as h11 reads them, what the client got, and whether it was hung up on."""
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(data)
        upstreams, answered = [], 0
        await mesh.settle()
        while True:
            while not mesh.loop.accepted.empty():
                upstreams.append(await mesh.accepted())
            whole = [len(read_requests(each.received)[0]) for each in upstreams]
            if sum(whole) == answered:
                break
            upstreams[-1].send(OK)
            answered += 1
            await mesh.settle()
        reads = [read_requests(each.received) for each in upstreams]
        assert not any(refused for _, refused in reads), "what goes up is well-formed"
        return [one for found, _ in reads for one in found], client.received, client.hung_up


def run(data):
    return asyncio.run(served(data))


def own(headers):
    """Headers without those that belong to one hop or are ours."""
    return [pair for pair in headers if pair[0] not in ADDED]


def as_sent(message: Message):
    host = (b"host", b"any.org")
    return own([host, *((name.lower(), value.strip(b" \t")) for name, value in message.headers)])


@settings(max_examples=100, deadline=None)
@given(st.lists(messages(), min_size=1, max_size=4))
def test_well_formed_requests_are_passed_on_as_they_are(sent):
    seen, received, _ = run(b"".join(message.wire() for message in sent))
    assert [(one.method, one.target, one.body) for one in seen] == [(message.method, message.target, message.body) for message in sent]
    assert [own(one.headers) for one in seen] == [as_sent(message) for message in sent]
    assert STATUS.findall(received) == [b"200"] * len(sent)


def essence(read: Read):
    return read.method, read.target, read.body, dict(read.headers).get(b"host")


@settings(max_examples=300, deadline=None)
@given(broken())
def test_what_is_passed_on_is_what_another_parser_reads(data):
    seen, received, hung_up = run(data)
    expected, _ = read_requests(data)
    assert [essence(one) for one in seen] == [essence(one) for one in expected][: len(seen)]
    statuses = [int(code) for code in STATUS.findall(received) if code != b"100"]
    assert statuses.count(200) == len(seen)
    if any(status in (400, 426, 431, 501) for status in statuses):
        assert hung_up, "nothing is read behind what was malformed"


async def relayed(data):
    """What a client of ours gets of an upstream's answer that ends with its connection."""
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(data)
        upstream.finish()
        await mesh.settle()
        assert client.hung_up
        return read_answer(client.received), client.received


def own_answer(headers):
    return [pair for pair in headers if pair[0] not in ADDED_DOWN]


@settings(max_examples=100, deadline=None)
@given(answers())
def test_well_formed_answers_are_passed_on_as_they_are(sent):
    read, received = asyncio.run(relayed(sent.wire()))
    assert (read.status, read.body, read.whole) == (sent.status, sent.body, True)
    expected = [(name.lower(), value.strip(b" \t")) for name, value in sent.headers]
    assert own_answer(read.headers) == [pair for pair in expected if pair[0] not in ADDED_DOWN]
    assert b"x-early" not in received


@settings(max_examples=300, deadline=None)
@given(broken_answers())
def test_an_answer_is_passed_on_as_another_parser_reads_it_or_not_at_all(data):
    assume(not re.search(rb"\r\n\r\n[\r\n]+HTTP/1", data))  # empty lines before an answer are skipped, but not by h11
    read, received = asyncio.run(relayed(data))
    assert read is not None, received
    if dict(read.headers).get(b"server") == b"envoy" and b"upstream connect error" in read.body:
        return  # refused, or never whole
    theirs = read_answer(data)
    assert theirs is not None, received
    assert read.status == theirs.status
    if read.whole:
        assert (theirs.body, theirs.whole) == (read.body, True)
    else:
        assert theirs.body.startswith(read.body)
