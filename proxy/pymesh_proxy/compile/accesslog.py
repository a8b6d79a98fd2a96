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
    logs: list[Observers] = []
    for entry in reader.items("access_log"):
        entry.only("name", "typed_config", "filter")
        log = _one(entry, ctx)
        condition = entry.child("filter")
        if log is not None:
            logs.append(log if condition is None else Filtered(log, log_filter(condition)))
    return logs


def refused_connection_logs(reader: Reader, ctx: Context) -> list[Observers]:
    """A listener's own logs: written for connections that no filter chain took, so the filter must ask for just these (flag NR)."""
    logs = []
    for entry in reader.items("access_log"):
        entry.only("name", "typed_config", "filter")
        if list(entry.message.filter.response_flag_filter.flags) != ["NR"]:
            entry.refuse("filter", "a listener's access log needs response_flag_filter with the flag NR: nothing else is logged there")
        logs.append(_one(entry, ctx))
    return [log for log in logs if log is not None]


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
