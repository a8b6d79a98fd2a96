"""The admin interface of a parent: it asks every worker on its Unix socket and gives one answer for all of them."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp
from aiohttp import web

from ..observe import merge
from .door import Door
from .facts import Answer
from .server import refuse

TIMEOUT = 5.0
"""Seconds that a worker has to answer; one that does not is left out."""

_QUIT = "/quitquitquit"


class Front(Door):
    """One address for several workers."""

    def __init__(self, sockets: Sequence[Path], *, stop: Callable[[], None]) -> None:
        """`sockets` are the workers' admin addresses; `stop` ends the parent and with it all of them."""
        self._sockets = tuple(sockets)
        self._stop = stop
        super().__init__()

    async def answer(self, request: web.Request) -> Answer:
        if (refused := refuse(request.path, request.method)) is not None:
            return refused
        if request.path == _QUIT:  # a worker that quits by itself would be started again
            self._stop()
            return Answer(body="OK\n")
        asked = await asyncio.gather(*(_ask(socket, request.method, request.path_qs) for socket in self._sockets))
        answers = [answer for answer in asked if answer is not None]
        if not answers:
            return Answer(body="PRE_INITIALIZING\n", status=503)
        return combine(request.path, request.query.get("format", "text"), answers)


async def _ask(socket: Path, method: str, target: str) -> Answer | None:
    """One worker's answer; None while it is starting or gone."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout) as session,
            session.request(method, f"http://worker{target}") as answer,
        ):
            return Answer(body=await answer.read(), status=answer.status, content_type=answer.headers["content-type"])
    except (aiohttp.ClientError, TimeoutError):
        return None


def combine(path: str, shape: str, answers: Sequence[Answer]) -> Answer:
    """One answer from the workers'; where there is nothing to add up, and for errors, the first worker speaks for all."""
    if path == "/ready":
        status, text = merge.ready((answer.status, _text(answer)) for answer in answers)
        return Answer(body=text, status=status)
    first = next((answer for answer in answers if answer.status != 200), answers[0])
    if first.status != 200:
        return first
    if path == "/stats/prometheus" or (path == "/stats" and shape == "prometheus"):
        return Answer(body=merge.prometheus(_bytes(answer) for answer in answers), content_type=first.content_type)
    join = _JOIN.get((path, shape))
    return Answer(body=join(map(_text, answers)), content_type=first.content_type) if join is not None else first


_JOIN = {
    ("/stats", "text"): merge.stats_text,
    ("/stats", "json"): merge.stats_json,
    ("/clusters", "text"): merge.clusters_text,
    ("/clusters", "json"): merge.clusters_json,
    ("/server_info", "text"): merge.server_info,
}


def _bytes(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else answer.body.encode()


def _text(answer: Answer) -> str:
    return _bytes(answer).decode()
