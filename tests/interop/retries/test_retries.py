"""One policy after the other in a real Envoy and in our proxy: what the client gets, how often the upstream is asked and with which
headers, what the log says and what was counted."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pymesh.local.ports import HOST, FreePorts
from tests.interop.connections.twins import Twin, Twins, twins
from tests.waiting import eventually

from .bootstrap import bootstrap
from .cases import CASES, SITES, TIMED, Case
from .upstream import Http1Upstream, Http2Upstream, Memory

_EXPECTED = "x-envoy-expected-rq-timeout-ms"
_WHY = re.compile(r"(protocol_error|connection_termination)\|[^}]*")
"""Our log says what was wrong with an answer, or with its connection."""
_COUNTED = re.compile(
    r"cluster\.[^.]*\.((upstream_internal_redirect.*|upstream_rq_(retry.*|per_try.*|timeout|max_duration_reached|total|[1-5]xx|active_overflow))|retry_or_shadow_abandoned"
    r"|circuit_breakers\.(default|high)\.((cx|rq|rq_pending)_open|remaining_(rq|pending|retries)))"
)
"""Without rq_retry_open, which Envoy only looks at when a retry begins or ends."""
WITHIN = {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
"""Whose requests may say how they are tried."""
_COMPARED = ("x-envoy-overloaded", "x-envoy-attempt-count", "x-envoy-ratelimited", "grpc-status", "location")


@dataclass
class Story:
    """Everything that can be seen of one case."""

    status: str
    headers: list[str]
    body: str
    attempts: list[dict[str, str]]
    log: list[str] = field(default_factory=list)
    """A line for each redirect that was followed, too."""


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Twins, Memory]]:
    memory = Memory()
    async with Http1Upstream(memory) as up, Http2Upstream(memory) as up2:
        known = {"UP": up.port, "UP2": up2.port, "DEAD": FreePorts().take()}
        async with twins(folder, bootstrap(SITES, internal_address_config=WITHIN), "HTTP", **known) as both:
            yield both, memory


async def play(twin: Twin, memory: Memory, number: int, case: Case) -> Story:
    name = f"{twin.name}-{number}"
    reader, writer = await asyncio.open_connection(HOST, twin.ports["HTTP"])
    sent = {"host": case.site, "x-id": name, "x-plan": case.plan, "connection": "close", **case.headers}
    if case.body:
        sent |= {"transfer-encoding": "chunked"} if case.chunked else {"content-length": str(len(case.body))}
    head = f"{case.method} {case.path} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in sent.items()) + "\r\n"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(case.body), case.body) if case.chunked else case.body
    writer.write(head.encode() if case.held_back else head.encode() + body)
    if case.held_back:
        await asyncio.sleep(case.held_back)
        writer.write(body)
    try:
        answer = (await asyncio.wait_for(reader.read(), 30)).decode("latin-1")
    except (ConnectionError, TimeoutError) as error:
        answer = repr(error)
    writer.close()
    top, _, text = answer.partition("\r\n\r\n")
    status, *fields = top.split("\r\n")
    kept = sorted(line for line in fields if line.partition(":")[0].lower() in _COMPARED)
    return Story(" ".join(status.split(" ")[:2]), kept, text, memory.attempts[name])


async def tell(twin: Twin, memory: Memory, cases: list[Case]) -> list[Story]:
    """Play the cases and read the log. Those that wait for timeouts are played side by side, but for those of one site."""
    at_once, timed = list[int](), dict[str, list[int]]()
    for number, case in enumerate(cases):
        (timed.setdefault(case.site, []) if case.site in TIMED else at_once).append(number)

    async def in_turn(numbers: list[int]) -> list[tuple[int, Story]]:
        return [(number, await play(twin, memory, number, cases[number])) for number in numbers]

    played = dict(await in_turn(at_once))
    for of_site in await asyncio.gather(*map(in_turn, timed.values())):
        played |= dict(of_site)
    last = [f"{twin.name}-{number}" for number in range(len(cases))]

    async def read() -> list[tuple[str, str]]:
        return [(name, line) for name, _, line in (line.partition(" ") for line in await twin.logged(len(cases)))]

    def whole(lines: list[tuple[str, str]]) -> bool:
        return {name for name, line in lines if "internal_redirect" not in line} >= set(last)

    lines = await eventually(read, whole)
    for number, story in played.items():
        story.log = [_WHY.sub(r"\1", line) for name, line in lines if name == f"{twin.name}-{number}"]
    return [played[number] for number in range(len(cases))]


def alike(their: Story, our: Story) -> bool:
    """Equal but for the moments at which attempts were made."""
    told = (their.attempts, our.attempts)
    theirs, ours = (replace(story, attempts=[{**attempt, _EXPECTED: ""} for attempt in story.attempts]) for story in (their, our))
    left = [[int(attempt[_EXPECTED]) for attempt in attempts] for attempts in told]
    return theirs == ours and all(abs(one - other) <= 20 + max(one, other) // 5 for one, other in zip(*left, strict=True))


async def counted(twin: Twin) -> dict[str, int]:
    return {name: value for name, value in (await twin.stats()).items() if _COUNTED.fullmatch(name)}


async def test_what_is_tried_again_and_what_comes_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (both, memory):
        theirs, ours = await asyncio.gather(tell(both.envoy, memory, CASES), tell(both.ours, memory, CASES))
        pairs = zip(CASES, theirs, ours, strict=True)
        different = [f"\n{case}\n  envoy {their}\n  ours  {our}" for case, their, our in pairs if not alike(their, our)]
        assert not different, "".join(different)
        their_counts, our_counts = await counted(both.envoy), await counted(both.ours)
        assert {name: (value, our_counts.get(name)) for name, value in their_counts.items() if our_counts.get(name) != value} == {}
        for twin in (both.envoy, both.ours):
            tries = [await play(twin, memory, len(CASES) + number, Case("half-dead", "200", "POST", b"hello")) for number in range(6)]
            assert {story.status for story in tries} == {"HTTP/1.1 200"}
            assert {story.headers[0] for story in tries} <= {f"x-envoy-attempt-count: {number}" for number in (1, 2)}, "the dead one once"
