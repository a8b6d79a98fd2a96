"""How much of what is legal a peer may do: counters against floods, with Envoy's limits and arithmetic.

Each limit broken raises ConnectionBroken with ENHANCE_YOUR_CALM. No I/O: the connection tells what it saw and what it wrote.
"""

from collections import deque
from typing import Final

from .errors import ConnectionBroken
from .frames import ENHANCE_YOUR_CALM
from .settings import Http2Options

MAX_CONTINUATIONS: Final = 512
"""CONTINUATION frames of one field section (CVE-2024-27919, CVE-2024-30255)."""

PREMATURE_RESET_TOTAL: Final = 500
"""Streams after which half of them reset in their first second ends the connection (Envoy's
overload.premature_reset_total_stream_count); half of this number does so at once (CVE-2023-44487)."""

PREMATURE_RESET_LIFETIME: Final = 1.0
"""Seconds; a stream that is reset later, or after its answer began, was given up for a reason."""

_WINDOW_UPDATES_FREE: Final = 5
"""Envoy's allowance before the first stream."""


def _calm(reason: str) -> ConnectionBroken:
    return ConnectionBroken(ENHANCE_YOUR_CALM, reason)


class Flood:
    """The counters of one connection."""

    __slots__ = (
        "_control_written", "_data_written", "_max_control", "_max_empty", "_max_frames", "_offset", "_priority_per_stream",
        "_updates_per_data", "_writes", "control_unsent", "data_sent", "empty_frames", "frames_unsent", "opened", "premature_resets",
        "priorities", "streams_ended", "window_updates",
    )  # fmt: skip

    def __init__(self, options: Http2Options) -> None:
        self._max_control = options.max_outbound_control_frames
        self._max_frames = options.max_outbound_frames
        self._max_empty = options.max_consecutive_inbound_frames_with_empty_payload
        self._priority_per_stream = options.max_inbound_priority_frames_per_stream
        self._updates_per_data = options.max_inbound_window_update_frames_per_data_frame_sent
        self.control_unsent = 0
        """PING and SETTINGS answers and RST_STREAMs that have not left."""
        self.frames_unsent = 0
        """All frames that have not left, but for those of the turn."""
        self._writes: deque[tuple[int, int, int]] = deque()
        """Former writes that have not left: the offset of their end, their frames, the control frames among these."""
        self._offset = 0
        """Octets written in all."""
        self._control_written = 0
        """Control frames in `_writes`."""
        self._data_written = 0
        """DATA frames written before this turn."""
        self.empty_frames = 0
        """Consecutive HEADERS, CONTINUATION and DATA frames with nothing in them that end nothing."""
        self.priorities = 0
        self.window_updates = 0
        self.opened = 0
        """Streams of either side."""
        self.data_sent = 0
        """DATA frames."""
        self.streams_ended = 0
        self.premature_resets = 0

    def __repr__(self) -> str:
        return f"<Flood opened={self.opened} premature={self.premature_resets} control={self.control_unsent}>"

    def on_control(self) -> None:
        """An answer was written that the peer can ask for without limit (CVE-2019-9512, 9514, 9515)."""
        self.control_unsent += 1
        self.check_control()

    def check_control(self) -> None:
        """The bound of `on_control`, for answers that were counted as they were written."""
        if self.control_unsent > self._max_control:
            raise _calm(f"more than {self._max_control} control frames wait for a peer that does not read")

    def on_write(self, pieces: int, size: int, waiting: int) -> None:
        """A turn's write of `size` octets: `pieces` count DATA twice, as header and body; the transport still holds `waiting` octets."""
        writes = self._writes
        left = self._offset - waiting
        while writes and writes[0][0] <= left:
            _, frames, control = writes.popleft()
            self.frames_unsent -= frames
            self.control_unsent -= control
            self._control_written -= control
        frames = pieces - (self.data_sent - self._data_written)
        control = self.control_unsent - self._control_written
        self._offset += size
        self.frames_unsent += frames
        self._control_written += control
        self._data_written = self.data_sent
        writes.append((self._offset, frames, control))

    def check_unsent(self) -> None:
        """Whether the peer reads at all, asked once a read."""
        if self.frames_unsent > self._max_frames:
            raise _calm(f"more than {self._max_frames} frames wait for a peer that does not read")

    def on_payload(self, *, empty: bool) -> None:
        """HEADERS, CONTINUATION or DATA; `empty` ones carry nothing and end nothing (CVE-2019-9518)."""
        if not empty:
            self.empty_frames = 0
            return
        self.empty_frames += 1
        if self.empty_frames > self._max_empty:
            raise _calm(f"more than {self._max_empty} consecutive frames without payload")

    def on_priority(self) -> None:
        """PRIORITY (CVE-2019-9513)."""
        self.priorities += 1
        if self.priorities > self._priority_per_stream * (1 + self.opened):
            raise _calm(f"{self.priorities} PRIORITY frames for {self.opened} streams")

    def on_window_update(self) -> None:
        """WINDOW_UPDATE: what is more than two for each stream and some for each DATA frame is no flow control."""
        self.window_updates += 1
        if self.window_updates > _WINDOW_UPDATES_FREE + 2 * (self.opened + self._updates_per_data * self.data_sent):
            raise _calm(f"{self.window_updates} WINDOW_UPDATE frames for {self.data_sent} DATA frames")

    def on_continuation(self, count: int) -> None:
        """The `count`th CONTINUATION of a field section."""
        if count > MAX_CONTINUATIONS:
            raise _calm(f"more than {MAX_CONTINUATIONS} CONTINUATION frames")

    def on_premature_reset(self) -> None:
        """A stream has ended by the peer's doing before it was any use (CVE-2023-44487, CVE-2025-8671)."""
        self.premature_resets += 1
        total = max(self.streams_ended, PREMATURE_RESET_TOTAL)
        if self.premature_resets * 2 >= total:
            raise _calm(f"{self.premature_resets} of {self.streams_ended} streams were reset prematurely")
