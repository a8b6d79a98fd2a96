"""An exchange on its way through the filters: the route is chosen first, so that each runs as the route configures it."""

import logging
import random
from abc import abstractmethod
from collections.abc import Awaitable
from typing import Final

from pymesh.tasks import spawn

from ..filters import Hold, LocalReply, Translation
from ..route.table import Forward, Target
from .answer import Answer
from .grpc_frames import BodyTap
from .stream import Phase
from .whole_body import WholeBody

_DONE: Final = Phase.DONE

_log = logging.getLogger("pymesh.proxy.http")


class Filtering(Answer):
    """One exchange until its filters have let it pass. `Router` does what follows."""

    __slots__ = ()

    @abstractmethod
    def proceed(self) -> None:
        """The filters let the request pass: do what its route says. Envoy's router filter begins here."""

    def choose(self) -> None:
        """Route, cluster and the filters' configuration on that route. Where there is no route, filters still may answer first."""
        exchange = self.exchange
        chain = self.options.chain
        if self.upgrade and self.options.upgrade_chains:
            chain = self.options.upgrade_chains.get(self.upgrade.lower(), chain)
            self._filters = chain.default
        table = self.options.route.table
        if table is None:
            return
        draw = random.getrandbits(32)
        if table.internal_only:
            self._strip(table.internal_only)
        exchange.route = route = table.match(exchange.head, draw, exchange)
        if route is None:
            return
        overrides = route.overrides
        action = route.action
        if isinstance(action, Forward):
            target = self.aim(action, draw)
            if target.overrides is not None:
                overrides = target.overrides
            self._edits_answer = (
                target.edit_response is not None or route.edit_response is not None or action.attempt_count_in_response
            )
        if overrides is not None:
            self._filters = chain.on(table, overrides)

    def aim(self, action: Forward, draw: int) -> Target:
        """Where the request goes: one of the route's targets, and its cluster if there is one of that name."""
        exchange = self.exchange
        self._forward = action
        if action.draws is not None and (drawn := action.draws(exchange)) is not None:
            draw = drawn
        self._target = target = action.only or action.choose(draw)
        name = target.cluster
        if target.cluster_header:
            name = (exchange.head.index.get(target.cluster_header) or b"").decode("latin-1")
        exchange.cluster_name = name
        exchange.cluster = self._runtime.clusters.by_name.get(name)
        return target

    def _strip(self, names: tuple[bytes, ...]) -> None:
        head = self.exchange.head
        if b"x-envoy-internal" not in head.index:
            for name in names:
                head.remove(name)

    def filter_from(self, position: int) -> None:
        """Ask the filters, from one on, until one answers or has to wait."""
        filters = self._filters
        for index in range(position, len(filters)):
            verdict = filters[index].on_request(self.exchange)
            if verdict is None:
                continue
            if isinstance(verdict, Translation):
                self._translate(verdict)
                if self.phase is _DONE:
                    return
                continue
            if isinstance(verdict, Hold):
                if self.complete and self._body is None:
                    continue
                self._hold(verdict, index + 1)
                return
            if isinstance(verdict, LocalReply):
                self._filtered(verdict)
            else:
                self._wait_for(verdict, index + 1)
            return
        self.proceed()

    def _translate(self, translation: Translation) -> None:
        self._downstream = translation.answer(self._downstream)
        if translation.unsized and not (self.complete and self._body is None):
            self.chunked = True
        if translation.request is not None:
            self._tap(translation.request)
            self._catch_up(translation.request)

    def _hold(self, hold: Hold, following: int) -> None:
        """The filters go on when the body has come; it then has a length."""
        whole = WholeBody(hold.limit)
        self._tap(whole).on_end = lambda: self._released(whole.size, following)
        self._catch_up(whole)
        if self.phase is _DONE:
            return
        if self.complete:
            self._released(whole.size, following)
        else:
            self._begin_to_wait()

    def _catch_up(self, tap: BodyTap) -> None:
        """What of the body came while a filter waited goes through a tap of one behind it, too."""
        if self._body is None:
            return
        kept, self._body, self._body_size = self._body, None, 0
        data = tap.feed(b"".join(kept), self.complete)
        if data:
            self._keep(data)
        elif self.held:
            self.held = False
            self._downstream.resume_request()
        if tap.refusal is not None:
            self.refuse(tap.refusal)

    def _released(self, size: int, following: int) -> None:
        head = self.exchange.head
        if b"content-length" not in head.index:
            head.add(b"content-length", b"%d" % size)
        self.chunked = False
        self._go_to(following)

    def _tap(self, tap: BodyTap) -> BodyTap:
        """Have the request's body go through one more; the first of them."""
        exchange = self.exchange
        exchange.request_tap = tap if exchange.request_tap is None else exchange.request_tap.then(tap)
        return exchange.request_tap

    def _filtered(self, answer: LocalReply) -> None:
        """A filter answers; that no attempt was made is not told."""
        self._forward = None
        self.reply(answer)

    def _wait_for(self, verdict: "Awaitable[LocalReply | None]", following: int) -> None:
        """A filter waits, so the exchange becomes a task; idleness and the duration of the stream count meanwhile."""
        self._begin_to_wait()
        self._waiting = spawn(self._go_on(verdict, following), name="http filter")

    async def _go_on(self, verdict: "Awaitable[LocalReply | None]", following: int) -> None:
        try:
            answer = await verdict
        except Exception:  # noqa: BLE001  the end of one task of many; an exchange must not pass a filter that failed
            _log.exception("an HTTP filter failed")
            answer = LocalReply(status=500, details="filter_failed")
        self._waiting = None
        if self.phase is _DONE:
            return
        if answer is not None:
            self._filtered(answer)
            return
        self._go_to(following)

    def _begin_to_wait(self) -> None:
        self._active = now = self._runtime.loop.time()
        longest = self.longest()
        if longest:
            self.ends = now + longest
        self._arm(now)

    def _go_to(self, following: int) -> None:
        """On with the filters, after a while."""
        if self.exchange.cluster is not None:  # it may have been replaced meanwhile
            self.exchange.cluster = self._runtime.clusters.by_name.get(self.exchange.cluster_name)
        self.filter_from(following)

    def longest(self) -> float:
        """Seconds that the whole stream may last, as the route or the manager says; 0 for no limit."""
        forward = self._forward
        if forward is not None and forward.max_stream_duration is not None:
            return forward.max_stream_duration
        return self.options.max_stream_duration
