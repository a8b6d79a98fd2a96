"""The probe again and again, and what becomes of its results."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..bootstrap.probe import ReadinessProbe
from .judge import Judge
from .probes import ProbeFailed, attempt

_log = logging.getLogger("pymesh.readiness")

UNKNOWN = "no probe has succeeded yet"


async def keep_probing(
    probe: ReadinessProbe,
    tell: Callable[[str], None],
    attempt: Callable[[ReadinessProbe], Awaitable[None]] = attempt,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Probe until cancelled. `tell` hears at once that nothing is known yet, then of each change why the workload is unwell; "" is well."""
    judge = Judge(probe.successes, probe.failures)
    tell(UNKNOWN)
    await sleep(probe.initial_delay_seconds)
    while True:
        reason = await _result(probe, attempt)
        if judge.judge(good=not reason):
            _log.info("the application is %s", f"not ready: {reason}" if reason else "ready")
            tell(reason)
        await sleep(probe.period)


async def _result(probe: ReadinessProbe, attempt: Callable[[ReadinessProbe], Awaitable[None]]) -> str:
    """Why the probe failed; empty when it did not."""
    try:
        async with asyncio.timeout(probe.timeout):
            await attempt(probe)
    except TimeoutError:
        return f"no answer to the probe in {probe.timeout} s"
    except ProbeFailed as failed:
        return str(failed)
    return ""
