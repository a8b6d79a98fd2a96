"""Merging as Istio does it: protobuf's rules, but durations are replaced whole, and typed configurations are merged inside."""

from typing import Any

from pymesh.xds import proto

_WHOLE = frozenset({"google.protobuf.Duration"})
"""Field by field, `0s` would leave what it is merged into."""


def merge(target: Any, source: Any, *, replace_lists: bool = False) -> None:
    """Merge one message into another of its type: lists grow, or are replaced; entries of maps are replaced."""
    for field, value in source.ListFields():
        if field.is_repeated:
            _merge_many(target, field, value, replace_lists=replace_lists)
        elif field.message_type is None:
            setattr(target, field.name, value)
        elif field.message_type.full_name in _WHOLE:
            getattr(target, field.name).CopyFrom(value)
        else:
            inner = getattr(target, field.name)
            inner.SetInParent()
            merge(inner, value, replace_lists=replace_lists)


def _merge_many(target: Any, field: Any, value: Any, *, replace_lists: bool) -> None:
    held = getattr(target, field.name)
    if not _is_map(field):
        if replace_lists:
            del held[:]
        held.extend(value)
        return
    for key, item in value.items():
        if field.message_type.fields_by_name["value"].message_type is None:
            held[key] = item
        else:
            held[key].CopyFrom(item)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def merge_any(target: Any, source: Any, *, replace_lists: bool = False) -> str:
    """Merge what one `Any` holds into what another holds; what is of another type cannot be merged and changes nothing: gives that type."""
    if target.type_url != source.type_url:
        return str(target.type_url.rpartition("/")[2])
    inside = proto.unpack(target)
    merge(inside, proto.unpack(source), replace_lists=replace_lists)
    target.CopyFrom(proto.pack(inside))
    return ""


def merge_filter(target: Any, source: Any, *, replace_lists: bool = False) -> str:
    """Merge a network or HTTP filter: its name is replaced, its configuration merged. One without configuration stays.

    Gives what was met instead of a configuration of the same type.
    """
    if not target.HasField("typed_config"):
        return _NOTHING
    if source.name:
        target.name = source.name
    return merge_any(target.typed_config, source.typed_config, replace_lists=replace_lists) if source.HasField("typed_config") else ""


def merge_socket(target: Any, source: Any, *, replace_lists: bool = False) -> str:
    """Merge the configuration of a transport socket into another's of its name. Gives what was met instead of one of the same type."""
    if not source.HasField("typed_config"):
        return ""
    return merge_any(target.typed_config, source.typed_config, replace_lists=replace_lists) if target.HasField("typed_config") else _NOTHING


_NOTHING = "no configuration"
