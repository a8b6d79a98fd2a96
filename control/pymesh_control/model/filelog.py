"""Access logs in files: what MeshConfig's own fields say, or the providers that it makes the default."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

STANDARD_OUTPUT = "/dev/stdout"
BUILT_IN = "envoy"
"""Istio's own provider: it writes to standard output, in the form that the MeshConfig's fields say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLog:
    """One log. `labels` is the JSON text of an object, which stands over `text`; both empty mean Istio's own."""

    path: str
    text: str = ""
    labels: str = ""
    is_json: bool = False
    omits_empty: bool = False


def from_config(spec: Any) -> tuple[FileLog, ...]:
    """The logs of all proxies. Default providers stand over the field `accessLogFile`, as in Istio."""
    wanted = list(spec.default_providers.access_logging) if spec.default_providers else []
    if not wanted:
        return (_own(spec, spec.access_log_file),) if spec.access_log_file else ()
    known = {one.name: one for one in spec.extension_providers}
    return tuple(log for name in dict.fromkeys(wanted) for log in _provided(spec, name, known))


def _provided(spec: Any, name: str, known: Mapping[str, Any]) -> Iterator[FileLog]:
    """The log of a provider; none of one that is not there, or writes elsewhere, of which loading warns."""
    provider = known.get(name)
    file = provider.envoy_file_access_log if provider is not None else None
    if name == BUILT_IN and (provider is None or (file is not None and file.log_format is None)):
        yield _own(spec, (file and file.path) or STANDARD_OUTPUT)
    elif file is not None:
        form = file.log_format
        labels = json.dumps(form.labels, sort_keys=True) if form and form.labels else ""
        yield FileLog(
            path=file.path or STANDARD_OUTPUT,
            text=(form and form.text) or "",
            labels=labels,
            is_json=bool(labels),
            omits_empty=bool(file.omit_empty_values),
        )


def _own(spec: Any, path: str) -> FileLog:
    is_json = bool(spec.access_log_encoding and spec.access_log_encoding.value == "JSON")
    form = spec.access_log_format or ""
    return FileLog(path=path, text="" if is_json else form, labels=form if is_json else "", is_json=is_json)
