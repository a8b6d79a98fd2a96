"""The shared table of malformed, ambiguous, slow and oversized HTTP/1 (each case says what a safe proxy must do, and why)."""

import base64
import json
import re
from pathlib import Path

import h11
import pytest

from pymesh_proxy.testing import Mesh, Peer

CASES = [json.loads(line) for line in (Path(__file__).parents[2] / "data" / "http1_negative.jsonl").read_text().splitlines()]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def named(*kinds):
    return [pytest.param(case, id=f"{case['id']} {case['name']}") for case in CASES if case["kind"] in kinds]


def stimulus(case):
    if case.get("b64"):
        return base64.b64decode(case["b64"])
    return b"".join(base64.b64decode(piece) * times for piece, times in case["b64_runs"])


class Origin:
    """An upstream that answers every complete request, as h11 counts them."""

    def __init__(self, peer: Peer):
        self.peer = peer
        self.complete = 0
        self._seen = 0
        self._parser = h11.Connection(h11.SERVER)

    def turn(self):
        fresh = self.peer.received[self._seen :]
        self._seen = len(self.peer.received)
        if fresh:
            self._parser.receive_data(fresh)
        while True:
            event = self._parser.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return
            if isinstance(event, h11.EndOfMessage):
                self.complete += 1
                self._parser.send(h11.Response(status_code=200, headers=[("content-length", "2")]))
                self._parser.send(h11.Data(data=b"ok"))
                self._parser.send(h11.EndOfMessage())
                self.peer.send(OK)
                if self._parser.our_state is h11.DONE:
                    self._parser.start_next_cycle()


async def serve(mesh, origins, turns=6):
    for _ in range(turns):
        await mesh.settle()
        while not mesh.loop.accepted.empty():
            origins.append(Origin(mesh.loop.accepted.get_nowait()))
        for origin in origins:
            origin.turn()


def statuses(received):
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


def judge(case, client, origins):
    codes = [code for code in statuses(client.received) if code != 100]
    allowed = case.get("status") or []
    complete = sum(origin.complete for origin in origins)
    if case["expect"] == "reject":
        assert codes == [] or codes[-1] in allowed, f"{codes} is not one of {allowed}: {client.received[:200]!r}"
        assert codes or client.hung_up, "neither answered nor closed"
    elif case["expect"] == "accept":
        assert codes, "no answer"
        assert not allowed or codes[0] in allowed, client.received[:200]
    if case.get("close") and not (case["expect"] == "either" and codes and codes[-1] < 400):
        assert client.hung_up, "the connection must close"
    if "upstream_max" in case and case["expect"] != "either":
        assert complete <= case["upstream_max"], f"the origin saw {complete} requests"
    if case.get("responses_max"):
        assert len(codes) <= case["responses_max"], codes
    forwarded = b"".join(origin.peer.received for origin in origins)
    for pattern in [case["fwd_must"]] if isinstance(case.get("fwd_must"), str) else case.get("fwd_must") or []:
        assert not forwarded or re.search(pattern.encode(), forwarded), f"{pattern!r} not in {forwarded!r}"
    for pattern in [case["fwd_must_not"]] if isinstance(case.get("fwd_must_not"), str) else case.get("fwd_must_not") or []:
        assert not re.search(pattern.encode(), forwarded), f"{pattern!r} in {forwarded!r}"


@pytest.mark.parametrize("case", named("request", "request-fin"))
async def test_a_bad_request_is_refused_and_a_good_one_passes(case):
    async with Mesh(normalize_path=True) as mesh:
        client = mesh.connect()
        origins = []
        client.send(stimulus(case))
        if case["kind"] == "request-fin":
            client.finish()
        await serve(mesh, origins)
        await mesh.advance(2)
        judge(case, client, origins)


@pytest.mark.parametrize("case", named("timed"))
async def test_a_slow_request_is_timed_from_its_first_byte(case):
    async with Mesh(request_headers_timeout=3.0) as mesh:
        client = mesh.connect()
        origins = []
        for part in case["parts"]:
            await mesh.advance(part["delay_ms"] / 1000)
            if not client.hung_up:
                client.send(base64.b64decode(part["b64"]))
            await mesh.settle()
        await serve(mesh, origins)
        judge(case, client, origins)


@pytest.mark.parametrize("case", named("response"))
async def test_a_bad_answer_never_passes_for_a_good_one(case):
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(base64.b64decode(case["client_b64"]) if case.get("client_b64") else b"GET / HTTP/1.1\r\nHost: mesh.test\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received, "the request never reached the upstream"
        upstream.send(stimulus(case) if case.get("b64") or case.get("b64_runs") else b"")
        upstream.finish()
        await mesh.settle()
        await mesh.advance(2)
        codes = [code for code in statuses(client.received) if code != 100]
        allowed = case.get("status") or []
        assert (not codes and "close" in allowed) or codes[0] in allowed, client.received[:200]
