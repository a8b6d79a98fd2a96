"""The compression of answers, of a manager or of a route."""

import zlib
from typing import TYPE_CHECKING, Any

from ..filters.compressor import Compression, CompressorFilter, Gzip, RouteChange
from .fields import Reader

if TYPE_CHECKING:
    from .http_filters import Manager

_GZIP = "envoy.extensions.compression.gzip.compressor.v3.Gzip"
_TYPES = (
    "text/html", "text/plain", "text/css", "text/xml", "text/javascript", "text/x-javascript", "text/ecmascript", "text/js", "text/jscript",
    "text/x-js", "application/javascript", "application/x-javascript", "application/ecmascript", "application/x-json", "application/json",
    "application/xml", "application/xhtml+xml", "image/svg+xml",
)  # fmt: skip
"""What is compressed unless configuration names other types."""
_LEVELS = {"DEFAULT_COMPRESSION": zlib.Z_DEFAULT_COMPRESSION, "BEST_SPEED": 1, "BEST_COMPRESSION": 9}
_STRATEGIES = {
    "DEFAULT_STRATEGY": zlib.Z_DEFAULT_STRATEGY, "FILTERED": zlib.Z_FILTERED, "HUFFMAN_ONLY": zlib.Z_HUFFMAN_ONLY, "RLE": zlib.Z_RLE,
    "FIXED": zlib.Z_FIXED,
}  # fmt: skip


def compressor_filter(reader: Reader, manager: "Manager") -> CompressorFilter:
    """A Compressor message; older fields count where `response_direction_config` is missing."""
    reader.only(
        "content_length", "content_type", "disable_on_etag_header", "remove_accept_encoding_header", "runtime_enabled",
        "compressor_library", "response_direction_config", "request_direction_config",
        harmless={"choose_first": "there is one encoding, gzip, to choose"},
    )  # fmt: skip
    _requests(reader.child("request_direction_config"))
    library = Reader(reader.message.compressor_library, reader.at("compressor_library"), reader.problems)
    library.only("name", "typed_config")
    gzip = library.extend({_GZIP: _gzip}) or Gzip()
    answers = reader.child("response_direction_config")
    prefix = f"{manager.stat_prefix}.compressor.{library.message.name}.gzip"
    found = _older(reader) if answers is None else _answers(answers)
    return CompressorFilter(Compression(label=prefix, gzip=gzip, **found), manager.ctx.services)


def route_compression(reader: Reader) -> RouteChange:
    """A CompressorPerRoute."""
    reader.only("disabled", "overrides")
    if reader.message.disabled:
        return RouteChange({"off": True})
    overrides = reader.child("overrides")
    answers = None
    if overrides is not None:
        overrides.only("response_direction_config")
        answers = overrides.child("response_direction_config")
    if answers is None:
        return RouteChange({})
    answers.only("remove_accept_encoding_header")
    hides = answers.has("remove_accept_encoding_header")
    said = {"hides_accept": answers.wrapped("remove_accept_encoding_header", False)} if hides else {}
    return RouteChange({"enabled": True, **said})  # that anything is said of answers switches them on, as in Envoy


def _requests(reader: Reader | None) -> None:
    """Requests stay as they are, which has to be what is asked for."""
    common = reader.child("common_config") if reader is not None else None
    if reader is not None:
        reader.only("common_config")
    if common is not None and _flag(common, "enabled", unset=False):
        common.refuse("enabled", "requests are not compressed")


def _answers(reader: Reader) -> dict[str, Any]:
    reader.only("common_config", "disable_on_etag_header", "remove_accept_encoding_header", "uncompressible_response_codes")
    common = reader.child("common_config")
    if common is not None:
        common.only("enabled", "min_content_length", "content_type")
    message = reader.message
    return {
        "enabled": common is None or _flag(common, "enabled", unset=True),
        "min_length": 30 if common is None else common.wrapped("min_content_length", 30),
        "types": _types(() if common is None else common.message.content_type),
        "spares_etags": message.disable_on_etag_header,
        "hides_accept": message.remove_accept_encoding_header,
        "spared_statuses": frozenset(message.uncompressible_response_codes),
    }


def _older(reader: Reader) -> dict[str, Any]:
    message = reader.message
    return {
        "direction": "",
        "enabled": _flag(reader, "runtime_enabled", unset=True),
        "min_length": reader.wrapped("content_length", 30),
        "types": _types(message.content_type),
        "spares_etags": message.disable_on_etag_header,
        "hides_accept": message.remove_accept_encoding_header,
    }


def _types(named: Any) -> frozenset[bytes]:
    return frozenset(name.lower().encode() for name in named or _TYPES)


def _flag(reader: Reader, name: str, *, unset: bool) -> bool:
    flag = reader.child(name)
    if flag is None:
        return unset
    flag.only("default_value", harmless={"runtime_key": "there is no runtime that could override the default"})
    return bool(flag.wrapped("default_value", True))


def _gzip(reader: Reader) -> Gzip:
    reader.only(
        "memory_level", "compression_level", "compression_strategy", "window_bits",
        harmless={"chunk_size": "buffers have the size that they need"},
    )  # fmt: skip
    level = reader.choice("compression_level")
    return Gzip(
        level=_LEVELS.get(level, 0) or int(level.rpartition("_")[2]),
        strategy=_STRATEGIES[reader.choice("compression_strategy")],
        memory_level=reader.wrapped("memory_level", 5),
        window_bits=reader.wrapped("window_bits", 12),
    )
