"""Messages as plain values for people and tools, without what must stay secret (Envoy's `[redacted]`)."""

import base64
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

REDACTED = "[redacted]"
_REDACTED_BYTES = base64.b64encode(REDACTED.encode()).decode()

_BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap"

_SENSITIVE = frozenset({
    "access_token", "generic_secret", "google_refresh_token", "initial_metadata", "json_key", "keys", "password", "private_key",
    "session_ticket_keys", "token_secret",
})  # fmt: skip
"""Fields whose texts are not shown: keys, passwords and tokens wherever they stand in Envoy's messages."""
_SHOWN = frozenset({"@type", "filename", "key", "name", "path", "sds_config"})
"""Fields inside those that are: where a secret comes from, and headers' names."""


def plain(message: Any) -> dict[str, Any]:
    """A message as JSON values with proto field names, secrets redacted, its `@type` first."""
    try:
        values = json_format.MessageToDict(message, preserving_proto_field_name=True)
    except TypeError as error:  # an Any of a type that this build does not know
        values = {"error": f"cannot be shown: {error}"}
    redacted: dict[str, Any] = redact(values)
    if message.DESCRIPTOR.full_name == _BOOTSTRAP:  # the one resource that Envoy's dump does not wrap in an Any
        return redacted
    return {"@type": f"type.googleapis.com/{message.DESCRIPTOR.full_name}", **redacted}


def redact(value: Any) -> Any:
    """A copy without secrets."""
    if isinstance(value, Mapping):
        return {key: _hide(item) if key in _SENSITIVE else redact(item) for key, item in value.items()}
    return [redact(item) for item in value] if isinstance(value, list) else value


def _hide(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: item if key in _SHOWN else _hide(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_hide(item, name) for item in value]
    return _REDACTED_BYTES if name == "inline_bytes" else REDACTED


def materialize(value: Any) -> Any:
    """A copy in which every message is plain values; slow for large configurations."""
    if isinstance(value, Message):
        return plain(value)
    if isinstance(value, Mapping):
        return {key: materialize(item) for key, item in value.items()}
    return [materialize(item) for item in value] if isinstance(value, list) else value
