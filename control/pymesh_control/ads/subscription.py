"""What one client asked for, was sent and has accepted of one resource type; the same for both forms of the protocol."""

import enum
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MAX_OUTSTANDING = 64
"""Responses of one type that may wait for their ACK; Envoy withholds its ACKs while clusters warm, so there can be several."""

WILDCARD_NAME = "*"


class Built(Protocol):
    """One resource as the generators make it: the packed message, and a version that changes with its content only."""

    @property
    def any(self) -> Any: ...

    @property
    def version(self) -> str: ...


Resources = Callable[[str, frozenset[str] | None], Mapping[str, Built]]
"""`(type_url, names)` -> resources by name, all from one snapshot; names None means every resource of the type."""


class Heard(enum.Enum):
    """What a request says about the responses sent before it."""

    NEW = "carries no nonce"
    ACK = "accepts an outstanding response"
    NACK = "rejects an outstanding response"
    REPEAT = "carries the nonce of the last response, which it had answered already"
    STALE = "answers a response that was superseded"


class Status(enum.Enum):
    """How a client stands, in the words of `istioctl proxy-status`."""

    NOT_SENT = "NOT SENT"
    STALE = "STALE"
    SYNCED = "SYNCED"
    NACKED = "NACKED"


@dataclass(slots=True)
class Subscription:
    """One type on one stream. `sent` maps each resource the client holds, or is about to, to its content version."""

    type_url: str
    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    named: bool = False
    """Whether names were ever given: from then on an empty state-of-the-world list means none, and no longer all."""
    sent: dict[str, str] = field(default_factory=dict)
    nonce: str = ""
    version: str = ""
    accepted_version: str = ""
    accepted_at: float | None = None
    error: str | None = None
    _rejected: set[str] = field(default_factory=set)
    _outstanding: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        if self.error is not None:
            return Status.NACKED
        if self._outstanding:
            return Status.STALE
        return Status.SYNCED if self.accepted_at is not None else Status.NOT_SENT

    def standing(self, name: str) -> Status:
        """How the client stands with one resource."""
        if name in self._rejected:
            return Status.NACKED
        if name not in self.sent:
            return Status.NOT_SENT
        return Status.STALE if any(name in names for _, names in self._outstanding.values()) else Status.SYNCED

    @property
    def interest(self) -> frozenset[str]:
        """The names asked for, `*` among them when that is everything."""
        return frozenset(self.names | {WILDCARD_NAME} if self.wildcard else self.names)

    def fetch(self, resources: Resources) -> Mapping[str, Built]:
        """Everything the client is subscribed to and that exists."""
        if not self.wildcard and not self.names:
            return {}
        return resources(self.type_url, None if self.wildcard else frozenset(self.names))

    def changed(self, current: Mapping[str, Built]) -> set[str]:
        """Names whose content the client has not been sent. A refused resource counts as sent until its content changes."""
        return {name for name, built in current.items() if self.sent.get(name) != built.version}

    def record(self, nonce: str, version: str, names: Iterable[str]) -> None:
        """A response about these names leaves for the client."""
        self.nonce, self.version = nonce, version
        self._outstanding[nonce] = (version, frozenset(names))
        if len(self._outstanding) > MAX_OUTSTANDING:
            del self._outstanding[next(iter(self._outstanding))]

    def unanswered(self) -> set[str]:
        """Names in responses that the client may still have to take in, subscribed to or not."""
        return {name for _, names in self._outstanding.values() for name in names}

    def supersede(self) -> None:
        """Let only the next response count, for it says everything that the earlier ones did."""
        self._outstanding.clear()

    def pass_over(self, nonce: str) -> None:
        """Wait no longer for the answers to what was sent before this response: a client that answers in order leaves them out."""
        if nonce in self._outstanding:
            for earlier in list(itertools.takewhile(lambda sent: sent != nonce, self._outstanding)):
                del self._outstanding[earlier]

    def hear(self, nonce: str, error: str | None, now: float) -> Heard:
        """Take in a request's verdict; `error` is the text of its error_detail, `now` a wall-clock time in seconds."""
        if not nonce:
            return Heard.NEW
        if nonce not in self._outstanding:
            return Heard.REPEAT if nonce == self.nonce else Heard.STALE
        version, names = self._outstanding.pop(nonce)
        if error is not None:
            self.error = error
            self._rejected |= names
            return Heard.NACK
        self._accept(version, names, now)
        return Heard.ACK

    def _accept(self, version: str, names: frozenset[str], now: float) -> None:
        self.accepted_version, self.accepted_at = version, now
        # A delta client may accept other resources while it still refuses these: only their own acceptance clears the error.
        self._rejected -= names
        if not self._rejected:
            self.error = None
