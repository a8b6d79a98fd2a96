"""The admin interface of one process: a table of commands behind a door."""

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..observe.istio import IstioStats
from ..observe.views import DiscoveryView
from . import certs, clusters, config_dump, life, listeners, loggers, statistics
from .door import Door
from .facts import Answer, Command, Facts, LifeView, Query

if TYPE_CHECKING:
    from ..runtime import Runtime


def show_help(facts: Facts, query: Query) -> Answer:
    return Answer(body="admin commands are:\n" + _listing())


def _listing() -> str:
    return "".join(f"  {path}{' (POST)' if command.mutates else ''}: {command.help}\n" for path, command in sorted(COMMANDS.items()))


COMMANDS: dict[str, Command] = {
    command.path: command
    for command in (
        *certs.COMMANDS,
        *clusters.COMMANDS,
        *config_dump.COMMANDS,
        *life.COMMANDS,
        *listeners.COMMANDS,
        *loggers.COMMANDS,
        *statistics.COMMANDS,
        Command(path="/", help="print this list", run=show_help),
        Command(path="/help", help="print this list", run=show_help),
    )
}


def refuse(path: str, method: str) -> Answer | None:
    """The answer to a path or method that there is not, None when there is a command to run."""
    command = COMMANDS.get(path)
    if command is None:
        return Answer(body="invalid path. admin commands are:\n" + _listing(), status=404)
    if method == "POST" or (method in ("GET", "HEAD") and not command.mutates):
        return None
    return Answer(body=f"Method {method} not allowed, {'POST' if command.mutates else 'GET'} required.", status=405)


class Admin(Door):
    """The admin interface of one process."""

    def __init__(
        self,
        runtime: "Runtime",
        *,
        life: LifeView,
        istio: Iterable[IstioStats] = (),
        discovery: DiscoveryView | None = None,
        bootstrap: Any = None,
        warming: Callable[[str], Iterable[Any]] = lambda type_url: (),
        stop: Callable[[], None] = lambda: None,
        reopen_logs: Callable[[], None] = lambda: None,
    ) -> None:
        """The arguments are those of `Facts`."""
        self.facts = Facts(
            runtime=runtime, life=life, istio=istio, discovery=discovery, bootstrap=bootstrap, warming=warming, stop=stop,
            reopen_logs=reopen_logs,
        )  # fmt: skip
        super().__init__()

    async def answer(self, request: web.Request) -> Answer:
        if (refused := refuse(request.path, request.method)) is not None:
            return refused
        answer = COMMANDS[request.path].run(self.facts, request.query)
        return await answer if inspect.isawaitable(answer) else answer
