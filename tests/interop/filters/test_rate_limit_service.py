"""Rate limits that a service keeps, asked by a real Envoy and by ours: what it is asked, and what its answers become."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh.local.ports import FreePorts
from tests.interop.connections.twins import Twin, Twins, twins
from tests.interop.differential.upstream import Upstream

from .compared import answers, counted, logged
from .rate_limit_service import Asked, RateLimitService

_BOOTSTRAP = (Path(__file__).parent / "ratelimit.yaml").read_text()
_GRPC = "content-type: application/grpc"
_INSIDE = "x-envoy-internal: true"
_KINDS = {"": "plainly", _GRPC: "of gRPC", _INSIDE: "inside"}

RULES = {
    "host": "GET /host",
    "route": "GET /route",
    "both": "GET /both",
    "host included": "GET /host-included",
    "host ignored": "GET /host-ignored",
    "other domain": "GET /other-domain",
    "own rules": "GET /own-rules|x-user: a|x-user: b",
    "an answer from configuration": "GET /direct",
    "a weighted cluster": "GET /weighted",
    "all actions": "GET /actions?q=1|x-user: a|x-user: b|x-tag: t|x-forwarded-for: 198.51.100.7",
    "few actions": "GET /actions?q=%31&q=2|x-forwarded-for: 198.51.100.7",
    "a client of version 6": "GET /actions|x-forwarded-for: 2001:db8::7",
    "nothing to say": "GET /dropped",
    "no route": "GET /direct/none",
}
ANSWERS = {
    f"{answer} {filter_} {_KINDS[header]}": f"GET /{filter_}/{answer}|{header}"
    for filter_, answers_, headers in (
        ("plain", ("ok", "over", "over-body", "error", "unknown"), ("", _GRPC)),
        ("strict", ("ok", "over", "over-body", "error", "unknown"), ("", _GRPC)),
        ("inside", ("over",), ("", _INSIDE)),
        ("outside", ("over",), ("", _INSIDE)),
        ("hasty", ("silent",), ("", _GRPC)),
        ("lenient", ("over",), ("",)),
        ("nowhere", ("ok",), ("",)),
    )
    for answer in answers_
    for header in headers
}


@dataclass(frozen=True)
class Asking:
    pair: Twins
    service: RateLimitService


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asking]:
    async with Upstream() as upstream, RateLimitService() as service:
        known = {"UP": upstream.port, "LIMITS": service.port, "DEAD": FreePorts().take()}
        async with twins(tmp_path_factory.mktemp("limits"), _BOOTSTRAP, "ASKING", **known) as pair:
            yield Asking(pair, service)


async def _asked(asking: Asking, twin: Twin, cases: dict[str, str]) -> tuple[dict[str, object], list[Asked]]:
    """What clients got, and what the service was asked meanwhile."""
    asking.service.asked.clear()
    got = await answers(twin.ports["ASKING"], cases)
    return got, list(asking.service.asked)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("cases", [RULES, ANSWERS], ids=["rules", "answers"])
async def test_the_service_is_asked_and_heeded_as_by_envoy(asking: Asking, cases: dict[str, str]) -> None:
    before = [len(await logged(each)) for each in (asking.pair.envoy, asking.pair.ours)]
    theirs, they_asked = await _asked(asking, asking.pair.envoy, cases)
    ours, we_asked = await _asked(asking, asking.pair.ours, cases)
    assert they_asked
    for ours_said, theirs_said in zip(we_asked, they_asked, strict=True):
        assert ours_said[0] == theirs_said[0]
        assert dict(enumerate(ours_said[1])) == dict(enumerate(theirs_said[1]))
    for name in cases:
        assert ours[name] == theirs[name], name
    their_log, our_log = [
        (await logged(each, start + len(cases)))[start:] for each, start in zip((asking.pair.envoy, asking.pair.ours), before, strict=True)
    ]
    assert our_log == their_log
    theirs_counted, ours_counted = [await counted(each, r"cluster\..*\.ratelimit\.") for each in (asking.pair.envoy, asking.pair.ours)]
    assert ours_counted == theirs_counted != {}
