"""Which workloads are registered now, from the comings and goings of their streams."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pymesh.identity import SpiffeId

from ..errors import PermissionDenied
from ..model.view import ProxyView
from ..model.workload import Workload
from .standing import Feeling, Standing
from .workload import is_probed, registers, workload_of

DEFAULT_GRACE = 10.0
"""Seconds from the end of a proxy's last stream until its workload is removed; a reconnect meanwhile changes nothing."""

RESTART_GRACE = 45.0
"""Seconds that a registration kept from an earlier process waits for its proxy. Proxies that lost the control plane try again
after up to 30 s (Envoy's longest back-off), then have a connection and a handshake to make."""

_log = logging.getLogger("pymesh.registration")


class Timer(Protocol):
    """What `loop.call_later` returns."""

    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]
"""`loop.call_later`, or a test's stand-in."""


@dataclass(slots=True)
class _Entry:
    workload: Workload
    identity: SpiffeId | None = None
    """Who stands behind it by certificate, as long as there are streams."""
    streams: int = 0
    unwell: int = 0
    """How many of the streams said that the workload is not well; when all have, it is not offered to anybody."""
    removal: Timer | None = None
    probed: bool = False
    since: datetime | None = None
    feeling: Feeling | None = None

    @property
    def offered(self) -> bool:
        return not 0 < self.streams == self.unwell

    @property
    def standing(self) -> Standing:
        return Standing(
            workload=self.workload, probed=self.probed, connected=self.streams > 0, since=self.since, feeling=self.feeling
        )  # fmt: skip


class Registry:
    """Workloads by node id. `on_change` is called whenever `workloads()` would answer differently."""

    def __init__(
        self, grace: float, later: Later, on_change: Callable[[], None], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._grace = grace
        self._now = now
        self._later = later
        self._on_change = on_change
        self._entries: dict[str, _Entry] = {}

    def workloads(self) -> tuple[Workload, ...]:
        """The registered workloads, in the order of their node ids so that equal sets are equal."""
        return tuple(entry.workload for _, entry in sorted(self._entries.items()) if entry.offered)

    def standings(self) -> tuple[Standing, ...]:
        """All that are registered, in the same order, those too that are not offered to anybody now."""
        return tuple(entry.standing for _, entry in sorted(self._entries.items()))

    def restore(self, workloads: Iterable[Workload]) -> None:
        """Begin with what an earlier process knew; whoever does not reconnect in time is removed."""
        grace = max(self._grace, RESTART_GRACE)
        for workload in workloads:
            self._entries[workload.node_id] = _Entry(workload)
            self._remove_later(workload.node_id, grace)

    def arrived(self, node: Any, view: ProxyView, identity: SpiffeId | None) -> None:
        """A proxy's stream opened. Raises PermissionDenied when somebody else is connected under its node id with a certificate."""
        if not registers(view):
            return
        workload = workload_of(node, view, identity)
        known = self._entries.get(node.id)
        if known is not None and known.streams and known.identity not in (None, identity):
            raise PermissionDenied(f"node {node.id!r} is connected as {known.identity}, and this stream is not of that identity")
        entry = self._entries[node.id] = known or _Entry(workload)
        former = known.workload if known is not None and known.offered else None
        if entry.removal is not None:
            entry.removal.cancel()
            entry.removal = None
        entry.workload, entry.identity, entry.probed = workload, identity, is_probed(view)
        if not entry.streams:
            entry.since = self._now()
        entry.streams += 1
        if former != workload:
            self._told("changed" if former else "registered", workload)

    def felt(self, node: Any, view: ProxyView, reason: str) -> None:
        """A proxy said on one of its streams why its workload is not well any more (it drains, say), or nothing: that it is again."""
        if registers(view):
            entry = self._entries[node.id]
            offered = entry.offered
            entry.unwell += 1 if reason else -1
            entry.feeling = Feeling(reason=reason, since=self._now())
            self._tell_change(entry, offered)

    def left(self, node: Any, view: ProxyView, *, well: bool) -> None:
        """A proxy's stream ended, in whatever way; `well` is what was last said on it."""
        if not registers(view):
            return
        entry = self._entries[node.id]
        offered = entry.offered
        entry.streams -= 1
        entry.unwell -= not well
        # Each worker of a proxy has a stream, and a proxy that reconnects before its old one is found dead has two for a while.
        if entry.streams:
            self._tell_change(entry, offered)
        elif well:
            entry.since = self._now()
            self._remove_later(node.id, self._grace)
        else:
            del self._entries[node.id]  # it said goodbye: nobody is sent there any more, and nobody is waited for

    def _tell_change(self, entry: _Entry, offered: bool) -> None:
        if entry.offered is not offered:
            self._told("registered" if entry.offered else "withdrawn", entry.workload)

    def _remove_later(self, node_id: str, grace: float) -> None:
        self._entries[node_id].removal = self._later(grace, lambda: self._remove(node_id))

    def _remove(self, node_id: str) -> None:
        self._told("removed", self._entries.pop(node_id).workload)

    def _told(self, what: str, workload: Workload) -> None:
        _log.info("workload %s/%s at %s %s (%s)", workload.namespace, workload.name, workload.ip, what, workload.node_id)
        self._on_change()
