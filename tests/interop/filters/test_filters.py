"""HTTP filters in a real Envoy and in ours, from one bootstrap: what clients get, what is logged, what is counted."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts
from tests.interop.connections.twins import Twins, twins
from tests.interop.differential.upstream import Upstream
from tests.waiting import eventually

from .compared import answers, counted, logged, logged_of, request

_BOOTSTRAP = (Path(__file__).parent / "bootstrap.yaml").read_text()
_GRPC = "content-type: application/grpc"
_MESSAGE = "\0\0\0\0\2hi"
_ORIGIN = "origin: http://a"
_OTHER = "origin: http://c"
_PREFLIGHT = "access-control-request-method: PUT"
_ACTIVE = "http.p.fault.active_faults"
_PATIENCE = 20.0  # seconds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async with Upstream() as upstream:
        folder = tmp_path_factory.mktemp("filters")
        async with twins(folder, _BOOTSTRAP, "FILTERED", UP=upstream.port, DEAD=FreePorts().take()) as both:
            yield both


FAULTS = {
    "abort": "GET /abort",
    "abort of gRPC": f"GET /abort|{_GRPC}",
    "abort of HEAD": "HEAD /abort",
    "abort before an answer from configuration": "GET /abort-direct|x-abort: 1",
    "no abort before an answer from configuration": "GET /abort-direct",
    "gRPC abort": f"GET /abort-grpc|{_GRPC}",
    "gRPC abort of plain HTTP": "GET /abort-grpc",
    "faults without a percentage": "GET /never",
    "delay before nobody": "GET /delay-dead",
    "delay and abort": "POST /delay-abort|content-length: 2||hi",
    "asked for an abort": "GET /asked|x-envoy-fault-abort-request: 404",
    "asked for an abort twice": "GET /asked|x-envoy-fault-abort-request: 404|x-envoy-fault-abort-request: 405",
    "asked for both": "GET /asked|x-envoy-fault-abort-request: 404|x-envoy-fault-delay-request: 20",
    "asked for a delay": "GET /asked|x-envoy-fault-delay-request: 20",
    "asked for a delay that is none": "GET /asked|x-envoy-fault-delay-request: soon",
    "asked for no delay": "GET /asked|x-envoy-fault-delay-request: 0",
    "asked for a status that is too low": "GET /asked|x-envoy-fault-abort-request: 199",
    "asked for a status that is too high": "GET /asked|x-envoy-fault-abort-request: 600",
    "asked for the highest status": "GET /asked|x-envoy-fault-abort-request: 599",
    "asked for a gRPC status": f"GET /asked|x-envoy-fault-abort-grpc-request: 7|{_GRPC}",
    "asked for an unknown gRPC status": f"GET /asked|x-envoy-fault-abort-grpc-request: 77|{_GRPC}",
    "asked for none of the requests": "GET /asked|x-envoy-fault-abort-request: 404|x-envoy-fault-abort-request-percentage: 0",
    "asked for a strange share": "GET /asked|x-envoy-fault-abort-request: 404|x-envoy-fault-abort-request-percentage: many",
    "delay of none of the requests": "GET /asked|x-envoy-fault-delay-request: 20|x-envoy-fault-delay-request-percentage: 0",
    "all criteria met": "GET /matched|x-a: 1|x-envoy-downstream-service-node: one",
    "a header that differs": "GET /matched|x-a: 2|x-envoy-downstream-service-node: one",
    "a node that differs": "GET /matched|x-a: 1|x-envoy-downstream-service-node: two",
    "no node": "GET /matched|x-a: 1",
    "no active fault allowed": "GET /none-active",
    "a filter switched on": "GET /switched-on",
    "a weighted entry's own": "GET /weighted",
    "a gRPC call": f"POST /plain|{_GRPC}|content-length: 14||{_MESSAGE * 2}",
    "a gRPC call of a counted method": f"POST /pkg.Echo/Say?a|{_GRPC}|content-length: 7||{_MESSAGE}",
    "a gRPC call of another method": f"POST /pkg.Echo/Hear|{_GRPC}|content-length: 7||{_MESSAGE}",
    "a gRPC call that is aborted": f"POST /pkg.Echo/Say|{_GRPC}|x-envoy-fault-abort-request: 503|content-length: 7||{_MESSAGE}",
    "a gRPC call with an unknown end": f"POST /pkg.Echo/Say|{_GRPC}|x-envoy-fault-abort-grpc-request: 77|content-length: 7||{_MESSAGE}",
    "a gRPC call with a good end": f"POST /pkg.Echo/Say|{_GRPC}|x-envoy-fault-abort-grpc-request: 0|content-length: 7||{_MESSAGE}",
}
CROSS_ORIGIN = {
    "preflight": f"OPTIONS /cors|{_ORIGIN}|{_PREFLIGHT}",
    "preflight of a suffix": f"OPTIONS /cors|origin: https://www.b.org|{_PREFLIGHT}",
    "preflight into a private network": f"OPTIONS /cors|{_ORIGIN}|{_PREFLIGHT}|access-control-request-private-network: true",
    "preflight of another origin": f"OPTIONS /cors|{_OTHER}|{_PREFLIGHT}",
    "preflight without an origin": f"OPTIONS /cors|{_PREFLIGHT}",
    "preflight of an empty origin": f"OPTIONS /cors|origin: |{_PREFLIGHT}",
    "OPTIONS that is no preflight": f"OPTIONS /cors|{_ORIGIN}",
    "preflight answered here": f"OPTIONS /cors-here|{_ORIGIN}|{_PREFLIGHT}",
    "preflight answered here that asks for headers": f"OPTIONS /cors-here|{_ORIGIN}|{_PREFLIGHT}|access-control-request-headers: x-q,x-r",
    "preflight of another origin answered here": f"OPTIONS /cors-here|{_OTHER}|{_PREFLIGHT}",
    "request": f"GET /cors|{_ORIGIN}",
    "request of another origin": f"GET /cors|{_OTHER}",
    "request of no origin": "GET /cors|origin: null",
    "preflight of two origins answered here": f"OPTIONS /cors-here|{_ORIGIN}|{_OTHER}|{_PREFLIGHT}",
    "request to the host's policy": f"GET /plain|{_ORIGIN}",
    "request in the shadow": f"GET /cors-shadow|{_ORIGIN}",
    "preflight switched off": f"OPTIONS /switched-off|{_ORIGIN}|{_PREFLIGHT}",
    "preflight to an answer from configuration": f"OPTIONS /abort-direct|{_ORIGIN}|{_PREFLIGHT}",
}
LIMITS = {
    "first": "GET /limited",
    "second": "GET /limited",
    "third": "GET /limited",
    "third of gRPC": f"GET /limited|{_GRPC}",
    "one to another status": "GET /limited-otherwise",
    "two to another status": "GET /limited-otherwise",
    "two of gRPC to another status": f"GET /limited-otherwise|{_GRPC}",
    "one without force": "GET /limit-not-enforced",
    "two without force": "GET /limit-not-enforced",
    "user one": "GET /limit-by-descriptor|x-user: one",
    "user one again": "GET /limit-by-descriptor|x-user: one",
    "user two": "GET /limit-by-descriptor|x-user: two",
    "nobody": "GET /limit-by-descriptor",
    "user two again": "GET /limit-by-descriptor|x-user: two",
    "user two a third time": "GET /limit-by-descriptor|x-user: two",
    "user two a fourth time": "GET /limit-by-descriptor|x-user: two",
    "nobody again": "GET /limit-by-descriptor",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("cases", "counters"),
    [(FAULTS, r"http\.p\.fault\.|cluster\.up\.grpc\."), (CROSS_ORIGIN, r"http\.p\.cors\."), (LIMITS, r".*\.http_local_rate_limit\.")],
    ids=["faults", "cross-origin", "limits"],
)
async def test_filters_answer_log_and_count_as_envoys(pair: Twins, cases: dict[str, str], counters: str) -> None:
    both = (pair.envoy, pair.ours)
    before = [len(await logged(each)) for each in both]
    theirs, ours = await asyncio.gather(*(answers(each.ports["FILTERED"], cases) for each in both))
    for name in cases:
        assert ours[name] == theirs[name], name
    their_log, our_log = [(await logged(each, start + len(cases)))[start:] for each, start in zip(both, before, strict=True)]
    assert our_log == their_log
    theirs_counted, ours_counted = [await counted(each, counters) for each in both]
    assert ours_counted == theirs_counted != {}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_limit_by_connection_begins_anew_on_another(pair: Twins) -> None:
    twice = request("GET /limit-by-connection", "one") + request("GET /limit-by-connection|connection: close", "two")
    for _ in range(2):
        theirs, ours = [await _statuses(each.ports["FILTERED"], twice) for each in (pair.envoy, pair.ours)]
        assert ours == theirs == [b"200", b"429"]


async def _statuses(port: int, requests: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(requests)
        async with asyncio.timeout(_PATIENCE):
            return re.findall(rb"HTTP/1\.1 (\d+) ", await reader.read(-1))
    finally:
        writer.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_client_that_leaves_during_a_delay_is_logged_as_by_envoy(pair: Twins) -> None:
    delayed = request("GET /asked|x-envoy-fault-delay-request: 60000", "left")
    for each in (pair.envoy, pair.ours):
        _, writer = await asyncio.open_connection(HOST, each.ports["FILTERED"])
        writer.write(delayed)
        await eventually(each.stats, lambda found: found.get(_ACTIVE) == 1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()  # with a reset: our proxy lets a client that only says no more read on
        await eventually(each.stats, lambda found: found.get(_ACTIVE) == 0)
    theirs, ours = [await logged_of(each, "left") for each in (pair.envoy, pair.ours)]
    assert ours == theirs
