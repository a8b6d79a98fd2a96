"""/config_dump: all of it, or what `resource`, `mask` and `name_regex` leave over."""

import asyncio
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from pymesh.xds import proto

from .dump import SECTIONS, Section
from .facts import Answer, BadQuery, Command, Facts, NotThere, Query, as_json, flag, pattern
from .redact import materialize

_PREFIX = "type.googleapis.com/envoy.admin.v3."
_NAMES = ("name", "cluster_name")


async def config_dump(facts: Facts, query: Query) -> Answer:
    """`resource` takes one list (`dynamic_listeners`), `mask` keeps the fields named, `name_regex` (RE2) the resources named."""
    wanted, mask, resource = pattern(query, "name_regex"), query.get("mask"), query.get("resource")
    with_endpoints = flag(query, "include_eds")
    sections = {name: make(facts) for name, make in SECTIONS.items() if name != "EndpointsConfigDump" or with_endpoints}
    if wanted is not None:
        sections = {name: _named(section, wanted) for name, section in sections.items()}
    configs = _whole(sections, mask) if resource is None else _resource(sections, resource, mask)
    # A thread, because a large configuration takes a second to print; resources are immutable, so it may read them.
    return await asyncio.to_thread(_print, configs, mask.split(",") if mask else [])


def _print(configs: list[Section], paths: list[str]) -> Answer:
    shown = [materialize(config) for config in configs]
    if paths:
        shown = [masked for config in shown if (masked := _masked(config, paths)).keys() != {"@type"}]
    return as_json({"configs": shown})


def _whole(sections: Mapping[str, Section], mask: str | None) -> list[Section]:
    """Every section as an `Any`; empty lists are left out, as protobuf's JSON does. Raises BadQuery for a mask that fits none."""
    fields = {field for name in SECTIONS for field in _message(name).DESCRIPTOR.fields_by_name}
    if mask and not any(path.partition(".")[0] in fields for path in mask.split(",")):
        raise BadQuery(f"FieldMask {mask} could not be successfully applied to any configs.\n")
    return [{"@type": _PREFIX + name, **_present(section)} for name, section in sections.items() if section]


def _message(name: str) -> Any:
    return getattr(proto.config_dump, name, None) or getattr(proto.config_dump_shared, name)


def _present(section: Section) -> Section:
    return {key: value for key, value in section.items() if value}


def _named(section: Section, wanted: Any) -> Section:
    """A section whose lists hold only resources with a matching name (the whole name, as Envoy's matchers do)."""
    return {
        key: [item for item in value if any(wanted.fullmatch(name) for name in _names_of(item))] if isinstance(value, list) else value
        for key, value in section.items()
    }


def _names_of(item: Mapping[str, Any]) -> set[str]:
    """An item's own name, and that of the resource in it."""
    found = {getattr(value, key, "") for value in item.values() if isinstance(value, Message) for key in _NAMES}
    return {item.get("name", ""), *found} - {""}


def _resource(sections: Mapping[str, Section], resource: str, mask: str | None) -> list[Section]:
    """The items of one list, each as an `Any` of its own message; raises BadQuery."""
    name, field = _find(resource)
    if not field.is_repeated:
        raise BadQuery(f"{resource} is not a repeated field. Use ?mask={resource} to get only this field\n")
    if mask is not None:
        _check(mask, field.message_type)
    kind = f"type.googleapis.com/{field.message_type.full_name}"
    return [{"@type": kind, **item} for item in sections.get(name, {}).get(resource, [])]


def _find(resource: str) -> tuple[str, Any]:
    for name in SECTIONS:
        fields = _message(name).DESCRIPTOR.fields_by_name
        if resource in fields and resource not in ("version_info", "last_updated"):
            return name, fields[resource]
    raise NotThere(f"{resource} not found in config dump\n")


def _check(mask: str, descriptor: Any) -> None:
    """Raises BadQuery for a path that the message cannot have; what lies inside an `Any` is not known before it is looked at."""
    for path in mask.split(","):
        message = descriptor
        for part in path.split("."):
            if message is None or part not in message.fields_by_name:
                raise BadQuery(f"FieldMask paths: {path!r} could not be successfully used\n")
            message = message.fields_by_name[part].message_type
            if message is not None and message.full_name == "google.protobuf.Any":
                break


def _masked(config: Mapping[str, Any], paths: list[str]) -> Section:
    """Only the fields on `paths`; a path through a list goes through each of its items."""
    kept: Section = {"@type": config["@type"]} if "@type" in config else {}
    for path in paths:
        first, _, rest = path.partition(".")
        if first in config:
            kept[first] = _merge(kept.get(first), _below(config[first], rest))
    return kept


def _below(value: Any, path: str) -> Any:
    if not path:
        return value
    if isinstance(value, list):
        return [_below(item, path) for item in value]
    return _masked(value, [path]) if isinstance(value, Mapping) else value


def _merge(one: Any, other: Any) -> Any:
    """Two views of the same value, from two paths of a mask."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {key: _merge(one.get(key), value) for key, value in other.items()}
    if isinstance(one, list) and isinstance(other, list):
        return [_merge(mine, theirs) for mine, theirs in zip(one, other, strict=True)]
    return other


COMMANDS = (Command(path="/config_dump", help="dump the configuration (resource, mask, name_regex, include_eds)", run=config_dump),)
