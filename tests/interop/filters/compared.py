"""What is compared of two proxies: answers, log lines, counters."""

import re
from dataclasses import replace

from tests.interop.connections.twins import Twin
from tests.interop.differential.wire import Answer, ask
from tests.waiting import eventually

_TIMES = ("date", "x-envoy-upstream-service-time")
_TRANSPORT_REASON = re.compile(r"\|[^}]*")
"""The transport's own words, which are the system's in Envoy and ours in ours."""
_NO_ROUTE = "no route matches this host and path"


def request(case: str, name: str) -> bytes:
    """`METHOD /path|header: value|...||body` as bytes; the name goes along for the log."""
    head, _, body = case.partition("||")
    line, *headers = head.split("|")
    told = [header for header in headers if header]
    return "\r\n".join([f"{line} HTTP/1.1", "Host: any.org", f"x-case: {name.replace(' ', '-')}", *told, "", body]).encode()


async def answers(port: int, cases: dict[str, str]) -> dict[str, Answer]:
    """Each case's answer, one after the other, without times and without our sentence where Envoy has an empty body."""
    return {name: _comparable(await ask(port, request(case, name))) for name, case in cases.items()}


def _comparable(answer: Answer) -> Answer:
    headers = tuple(pair for pair in answer.headers if pair[0] not in _TIMES)
    if answer.status == 404:
        headers = tuple(pair for pair in headers if pair[0] not in ("content-length", "content-type"))
    return replace(answer, headers=headers, body="" if answer.body == _NO_ROUTE else answer.body)


async def logged(twin: Twin, lines: int = 0) -> list[str]:
    """The access log once it has that many lines, without the transport's own words."""
    return [_TRANSPORT_REASON.sub("", line) for line in await twin.logged(lines)]


async def logged_of(twin: Twin, case: str) -> list[str]:
    """The lines of one case, once there is one."""

    async def read() -> list[str]:
        return [line for line in await logged(twin) if line.startswith(f"{case} ")]

    return await eventually(read, bool)


async def counted(twin: Twin, names: str) -> dict[str, int]:
    """Counters whose names match a pattern, zeros left out."""
    return {name: value for name, value in (await twin.stats()).items() if value and re.match(names, name)}
