"""An answer's body, compressed on its way to the client."""

import zlib
from typing import TYPE_CHECKING

from .headers import Fields, ResponseHead
from .stream import DownstreamStream, Framing
from .translated import TranslatedStream

if TYPE_CHECKING:
    from ..filters.compressor import Decision
    from ..filters.counts import CompressionCounts


class GzipAnswer(TranslatedStream):
    """The client's side of an exchange whose answer is compressed, if `decide` says so of its head."""

    __slots__ = ("_compress", "_counts", "_decide")

    def __init__(self, inner: DownstreamStream, decide: "Decision", counts: "CompressionCounts") -> None:
        super().__init__(inner)
        self._counts = counts
        self._decide = decide
        self._compress: zlib._Compress | None = None

    def __repr__(self) -> str:
        return f"<GzipAnswer {'on' if self._compress is not None else 'off'}>"

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        self._compress = self._decide(response, framing)
        self._inner.send_head(response, framing if self._compress is None else Framing.CHUNKED)

    def send_body(self, data: bytes) -> None:
        if self._compress is not None:
            self._counts.total_uncompressed_bytes += len(data)
            data = self._compress.compress(data) + self._compress.flush(zlib.Z_SYNC_FLUSH)
            self._counts.total_compressed_bytes += len(data)
        if data:
            self._inner.send_body(data)

    def send_trailers(self, fields: Fields) -> None:
        self._last()
        self._inner.send_trailers(fields)

    def finish(self) -> None:
        self._last()
        self._inner.finish()

    def _last(self) -> None:
        compress, self._compress = self._compress, None
        if compress is not None:
            last = compress.flush()
            self._counts.total_compressed_bytes += len(last)
            self._inner.send_body(last)
