"""The probe again and again, on a clock that does not run."""

import asyncio

import pytest

from pymesh.bootstrap.probe import ReadinessProbe
from pymesh.bootstrap.proxy_config import parse
from pymesh.readiness.prober import UNKNOWN, keep_probing
from pymesh.readiness.probes import ProbeFailed


class Over(Exception):
    """The script of results has come to its end."""


async def probed(results, **settings):
    """What is told, and the times slept, while probes come to these results: a reason, or none."""
    told, slept, left = [], [], list(results)

    async def attempt(_probe):
        if not left:
            raise Over
        result = left.pop(0)
        if result == "late":
            await asyncio.Event().wait()
        if result:
            raise ProbeFailed(result)

    async def sleep(seconds):
        slept.append(seconds)

    probe = ReadinessProbe(tcp_socket={"port": 1}, **settings)
    with pytest.raises(Over):
        await keep_probing(probe, told.append, attempt, sleep)
    return told, slept


async def test_an_application_is_unwell_until_a_probe_succeeds():
    assert await probed(["refused", "refused", ""]) == ([UNKNOWN, ""], [0, 10, 10, 10])


async def test_failures_have_to_come_in_a_row():
    told, _ = await probed(["", "a", "b", "", "c", "d", "e", "f", ""])
    assert told == [UNKNOWN, "", "e", ""]


async def test_thresholds_and_times_are_those_of_the_settings():
    told, slept = await probed(["", "", "a", ""], success_threshold=2, failure_threshold=1, initial_delay_seconds=7, period_seconds=3)
    assert told == [UNKNOWN, "", "a"]
    assert slept == [7, 3, 3, 3, 3]


async def test_no_answer_in_time_is_a_failure():
    told, _ = await probed(["", "late"], timeout_seconds=1, failure_threshold=1)
    assert told == [UNKNOWN, "", "no answer to the probe in 1 s"]


@pytest.mark.parametrize(
    ("probe", "mistake"),
    [
        ("{}", "needs one of httpGet, tcpSocket, exec and grpc"),
        ("{tcpSocket: {port: 1}, grpc: {port: 1}}", "needs one of httpGet, tcpSocket, exec and grpc"),
        ("{tcpSocket: {}}", "PROXY_CONFIG.readinessProbe.tcpSocket.port"),
        ("{exec: {command: []}}", "PROXY_CONFIG.readinessProbe.exec.command"),
        ("{tcpSocket: {port: 1}, period: 1}", "PROXY_CONFIG.readinessProbe.period: not supported"),
    ],
)
def test_a_probe_that_cannot_be_is_told(probe, mistake):
    _, problems = parse(f"readinessProbe: {probe}")
    assert any(mistake in one for one in problems)
