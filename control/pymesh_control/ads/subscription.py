"""What one client asked for, was sent and has accepted of one resource type; the same for both forms of the protocol."""

import enum
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..built import Built
from ..holding import EMPTY, Difference, Held, difference, merged

MAX_OUTSTANDING = 64
"""Responses of one type that may wait for their ACK; Envoy withholds its ACKs while clusters warm, so there can be several."""

WILDCARD_NAME = "*"


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


def mentioned(names: Iterable[str], text: str) -> frozenset[str]:
    """The names that stand in a text, each as a whole: `a.test` is not in `a.test.example`."""
    return frozenset(name for name in names if name in text and re.search(rf"(?<![\w.|-]){re.escape(name)}(?![\w|-]|\.\w)", text))


@dataclass(slots=True)
class Subscription:
    """One type on one stream. `sent` is what the client holds or is about to.

    Both `names` and `sent` are shared with other clients: they are replaced, never changed.
    """

    type_url: str
    names: frozenset[str] = frozenset()
    wildcard: bool = False
    named: bool = False
    """Whether names were ever given: from then on an empty state-of-the-world list means none, and no longer all."""
    sent: Held = field(default_factory=lambda: EMPTY)
    nonce: str = ""
    version: str = ""
    accepted_version: str = ""
    accepted_at: float | None = None
    error: str | None = None
    suspended: frozenset[str] = frozenset()
    """Names of the response that was refused last for the sake of others, by the refusal's own words."""
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
        return self.names | {WILDCARD_NAME} if self.wildcard else self.names

    def fetch(self, resources: Resources) -> Mapping[str, Built]:
        """Everything the client is subscribed to and that exists."""
        if not self.wildcard and not self.names:
            return EMPTY
        return resources(self.type_url, None if self.wildcard else self.names)

    def forget(self, names: Iterable[str]) -> None:
        """The client drops what it holds of these names."""
        if dropped := self.sent.keys() & set(names):
            self.sent = {name: one for name, one in self.sent.items() if name not in dropped}

    def after(self, step: Difference, whole: Mapping[str, Built]) -> Held:
        """What the client holds after a step. Where that is the whole state it is that very object, as it is for other clients."""
        return whole if difference(self.sent, whole).names <= step.names else merged(self.sent, step)

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
            culprits = mentioned(names, error) or names
            self._rejected |= culprits
            self.suspended = names - culprits
            return Heard.NACK
        self._accept(version, names, now)
        return Heard.ACK

    def _accept(self, version: str, names: frozenset[str], now: float) -> None:
        self.accepted_version, self.accepted_at = version, now
        # A delta client may accept other resources while it still refuses these: only their own acceptance clears the error.
        # What is not there any more, or not asked for, needs none.
        self._rejected = {name for name in self._rejected - names if name in self.sent}
        if not self._rejected:
            self.error = None
