"""What the commands of the admin interface work with, and what they give back."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pymesh.patterns import InvalidPattern, parse_pattern

from ..errors import ProxyError
from ..listener.config import FilterChain, ListenerConfig
from ..observe.istio import IstioStats
from ..observe.views import DiscoveryView

if TYPE_CHECKING:
    from ..runtime import Runtime

TEXT = "text/plain; charset=UTF-8"
JSON = "application/json"


class BadQuery(ProxyError):
    """The request's parameters make no sense; the message is the answer's body."""

    status = 400


class NotThere(BadQuery):
    """What the parameters ask for does not exist."""

    status = 404


class PhaseView(Protocol):
    """The phase of the process; its value is the text of /ready."""

    @property
    def value(self) -> str: ...


class LifeView(Protocol):
    """The life of the process."""

    @property
    def phase(self) -> PhaseView: ...


@dataclass(slots=True, kw_only=True)
class Facts:
    """The process as the admin interface sees it."""

    runtime: "Runtime"
    life: LifeView
    istio: Iterable[IstioStats] = ()
    discovery: DiscoveryView | None = None
    bootstrap: Any = None
    """The protobuf Bootstrap, None when there is none to show."""
    warming: Callable[[str], Iterable[Any]] = lambda type_url: ()
    """By type URL: the accepted resources (protobufs) that do not serve yet."""
    stop: Callable[[], None] = lambda: None
    """Leave in order."""
    reopen_logs: Callable[[], None] = lambda: None
    failed: bool = False
    """POST /healthcheck/fail was the last word: the proxy says that it is draining, and serves on."""

    @property
    def dynamic(self) -> bool:
        """Whether anything comes from a control plane."""
        return self.bootstrap is None or self.bootstrap.HasField("dynamic_resources")

    @property
    def state(self) -> str:
        """LIVE, DRAINING, PRE_INITIALIZING or INITIALIZING."""
        state = self.life.phase.value
        return "DRAINING" if self.failed or state == "STOPPED" else state


Query = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer."""

    body: str | bytes
    status: int = 200
    content_type: str = TEXT


def as_json(value: Any) -> Answer:
    return Answer(body=json.dumps(value, indent=1) + "\n", content_type=JSON)


OK = Answer(body="OK\n")

Handler = Callable[[Facts, Query], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One path."""

    path: str
    help: str
    run: Handler = field(repr=False)
    mutates: bool = False
    """Changes something: only by POST."""


def pattern(query: Query, name: str) -> Any:
    """A parameter compiled as a regular expression (RE2), None when it is absent; raises BadQuery."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse_pattern(text)
    except InvalidPattern as invalid:
        raise BadQuery(f"Invalid {name}: {invalid}\n") from invalid


def flag(query: Query, name: str) -> bool:
    """Whether a parameter is given, with any value but `false` and `0`."""
    return query.get(name, "false").lower() not in ("false", "0")


def choice(query: Query, name: str, allowed: tuple[str, ...]) -> str:
    """A parameter that is one of `allowed`, the first when absent; raises BadQuery."""
    value = query.get(name, allowed[0])
    if value not in allowed:
        raise BadQuery(f"usage: {name} must be one of {', '.join(allowed)}\n")
    return value


def chains_of(config: ListenerConfig) -> list[FilterChain]:
    """A listener's filter chains, the default chain last."""
    return [*config.chains, *filter(None, [config.default_chain])]
