"""The buffering of requests, of a manager or of a route."""

from typing import TYPE_CHECKING

from ..filters.buffer import OFF, BufferFilter
from .fields import Reader

if TYPE_CHECKING:
    from .http_filters import Manager


def buffer_filter(reader: Reader, manager: "Manager") -> BufferFilter:
    """A Buffer message; that it has a limit above 0, its constraints see to."""
    return BufferFilter(_limit(reader))


def buffer_limit(reader: Reader) -> int:
    """A BufferPerRoute."""
    reader.only("disabled", "buffer")
    own = reader.child("buffer")
    return OFF if own is None else _limit(own)


def _limit(reader: Reader) -> int:
    reader.only("max_request_bytes")
    return int(reader.message.max_request_bytes.value)
