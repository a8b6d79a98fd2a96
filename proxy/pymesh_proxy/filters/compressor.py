"""Answers are compressed for clients that take it. Envoy's `envoy.filters.http.compressor`, towards the client, with gzip."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..http.gzip_answer import GzipAnswer
from ..http.headers import ResponseHead
from ..http.stream import Framing
from . import Translation, encodings
from .counts import AcceptCounts, CompressionCounts, UncompressedCounts

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from .services import Services

Decision = Callable[[ResponseHead, Framing], "zlib._Compress | None"]
"""What an answer is compressed with, if it is; edits its head accordingly."""

_ENCODING: Final = b"gzip"
_GZIP: Final = 16
"""What zlib adds to the window's bits for gzip's own frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gzip:
    """A Gzip message, with Envoy's defaults."""

    level: int = zlib.Z_DEFAULT_COMPRESSION
    strategy: int = zlib.Z_DEFAULT_STRATEGY
    memory_level: int = 5
    window_bits: int = 12

    def begin(self) -> "zlib._Compress":
        return zlib.compressobj(self.level, zlib.DEFLATED, self.window_bits + _GZIP, self.memory_level, self.strategy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What of the answers is compressed, and how."""

    label: str
    """What its counters are named by."""
    direction: str = ".response"
    """What stands behind that for the answers'; empty for the older form."""
    gzip: Gzip = field(default_factory=Gzip)
    enabled: bool = True
    min_length: int = 30
    types: frozenset[bytes] = frozenset()
    spares_etags: bool = False
    hides_accept: bool = False
    """Servers are not told what the client takes."""
    spared_statuses: frozenset[int] = frozenset()
    off: bool = False
    """Nothing is looked at, nor counted."""


@dataclass(frozen=True, slots=True)
class RouteChange:
    """What a route says otherwise, by the names of Compression's fields."""

    changes: dict[str, Any]


class CompressorFilter:
    """Compresses answers of a kind and size for which it is worth while."""

    __slots__ = ("_accept", "_config", "_counts", "_requests", "_services")

    def __init__(self, config: Compression, services: "Services") -> None:
        self._config = config
        self._services = services
        self._accept = services.counts.of(AcceptCounts, config.label)
        self._counts = services.counts.of(CompressionCounts, config.label + config.direction)
        self._requests = services.counts.of(UncompressedCounts, f"{config.label}.request")

    def for_route(self, config: object) -> "CompressorFilter":
        return CompressorFilter(replace(self._config, **config.changes), self._services) if isinstance(config, RouteChange) else self

    def on_request(self, exchange: "Exchange") -> Translation | None:
        self._requests.not_compressed += 1
        if self._config.off:
            self._counts.not_compressed += 1
            return None
        head = exchange.head
        accepted = head.index.get(b"accept-encoding")
        if self._config.hides_accept:
            head.remove(b"accept-encoding")
        decide = partial(self._decide, accepted)
        return Translation(answer=lambda downstream: GzipAnswer(downstream, decide, self._counts))

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: it is about answers."""

    def on_response(self, exchange: "Exchange") -> None:
        """Nothing: the answer is looked at on its way down."""

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing: nothing is remembered."""

    def _decide(self, accepted: bytes | None, response: ResponseHead, framing: Framing) -> "zlib._Compress | None":
        large = self._config.enabled and self._large(response, framing)
        fit = large and self._fit(response)
        wanted = large and framing is not Framing.NONE and self._wanted(accepted, response)
        if fit:
            _vary(response)
        if not (fit and wanted):
            self._counts.not_compressed += 1
            return None
        self._counts.compressed += 1
        tag = response.index.get(b"etag")
        if tag is not None and not tag.startswith((b"W/", b"w/")):
            response.remove(b"etag")
        response.remove(b"content-length")
        response.add(b"content-encoding", _ENCODING)
        return self._config.gzip.begin()

    def _large(self, response: ResponseHead, framing: Framing) -> bool:
        length = response.index.get(b"content-length")
        if length is None:
            return framing is Framing.CHUNKED
        if length.isdigit() and int(length) >= self._config.min_length:
            return True
        self._counts.content_length_too_small += 1
        return False

    def _fit(self, response: ResponseHead) -> bool:
        config, index = self._config, response.index
        if config.spares_etags and b"etag" in index:
            self._accept.not_compressed_etag += 1
            return False
        return (
            self._named(response)
            and b"content-encoding" not in index
            and b"no-transform" not in index.get(b"cache-control", b"").lower()
            and response.status not in config.spared_statuses
            and response.status != 101
        )

    def _named(self, response: ResponseHead) -> bool:
        """Whether its type is one of those that are compressed."""
        kind = response.index.get(b"content-type")
        return kind is None or kind.partition(b";")[0].strip().lower() in self._config.types

    def _wanted(self, accepted: bytes | None, response: ResponseHead) -> bool:
        counts = self._accept
        if accepted is None:
            counts.no_accept_header += 1
            return False
        asked = encodings.read(accepted, _ENCODING if self._named(response) else b"")
        setattr(counts, asked.value, getattr(counts, asked.value) + 1)
        return encodings.compresses(asked)


def _vary(response: ResponseHead) -> None:
    """Caches must know that the answer depends on what the client takes."""
    told = response.index.get(b"vary")
    if told is None:
        response.set(b"vary", b"Accept-Encoding")
    elif b"Accept-Encoding" not in told:  # in these very letters, as in Envoy
        response.set(b"vary", told + b", Accept-Encoding")
