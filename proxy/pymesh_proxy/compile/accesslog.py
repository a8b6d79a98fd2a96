"""Access logs: from an AccessLog's typed_config to the observers that write its lines."""

from google.protobuf import json_format

from ..errors import ConfigError
from ..observe.log_filters import Filtered
from .context import Context, LogFormat, Observers
from .fields import Reader
from .log_filters import log_filter
from .sources import data

_STREAMS = {
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog": "/dev/stdout",
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog": "/dev/stderr",
}


def access_logs(reader: Reader, ctx: Context) -> list[Observers]:
    """The observers of a message's `access_log` list."""
    return [log for entry in reader.items("access_log") if (log := _filtered(entry, ctx)) is not None]


def listener_logs(reader: Reader, ctx: Context) -> tuple[list[Observers], list[Observers]]:
    """A listener's own logs: all of them, and those that may have something to say of a connection that a filter chain took.

    What asks for the flag NR alone, as Istio's do, has nothing to say then, and connections need not be counted for it.
    """
    logs: list[Observers] = []
    watching: list[Observers] = []
    for entry in reader.items("access_log"):
        log = _filtered(entry, ctx)
        if log is None:
            continue
        logs.append(log)
        if list(entry.message.filter.response_flag_filter.flags) != ["NR"]:
            watching.append(log)
    return logs, watching


def _filtered(entry: Reader, ctx: Context) -> Observers | None:
    entry.only("name", "typed_config", "filter")
    log = _one(entry, ctx)
    condition = entry.child("filter")
    test = log_filter(condition) if condition is not None else None
    return log if log is None or test is None else Filtered(log, test)


def _one(entry: Reader, ctx: Context) -> Observers | None:
    config = entry.extension()
    if config is None:
        return None
    if config.kind in _STREAMS:
        config.only("log_format")
        return _open(config, _STREAMS[config.kind], _log_format(config), ctx)
    if config.kind == "envoy.extensions.access_loggers.file.v3.FileAccessLog":
        config.only("path", "format", "json_format", "typed_json_format", "log_format")
        return _open(config, config.message.path, _file_format(config), ctx)
    entry.no_implementation("typed_config", entry.message.typed_config.type_url)
    return None


def _open(config: Reader, path: str, log_format: LogFormat, ctx: Context) -> Observers | None:
    try:
        return ctx.file_log(path, log_format)
    except ConfigError as error:
        config.adopt(error, config.which("access_log_format"))
        return None


def _file_format(config: Reader) -> LogFormat:
    message = config.message
    match config.which("access_log_format"):
        case "format":
            return LogFormat(text=message.format)
        case "json_format" | "typed_json_format" as name:
            return LogFormat(json=json_format.MessageToDict(getattr(message, name)))
    return _log_format(config)


def _log_format(config: Reader) -> LogFormat:
    reader = config.child("log_format")
    if reader is None:
        return LogFormat()
    reader.only(
        "text_format",
        "text_format_source",
        "json_format",
        "omit_empty_values",
        harmless={"content_type": "a log line has none", "json_format_options": "it only orders the keys"},
    )
    message = reader.message
    omit = message.omit_empty_values
    match reader.which("format"):
        case "json_format":
            return LogFormat(json=json_format.MessageToDict(message.json_format), omit_empty_values=omit)
        case "text_format_source":
            from_source = reader.child("text_format_source")
            return LogFormat(text=data(from_source).decode("utf-8", "replace"), omit_empty_values=omit)
    return LogFormat(text=message.text_format, omit_empty_values=omit)
