"""What a cluster or listener refers to and therefore waits for: assignments, route tables, secrets, and where each comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from pymesh.xds import proto, types

from ..errors import ConfigError, Problem
from .source import Fetch, compile_fetch


@dataclass(frozen=True, slots=True)
class Need:
    """A resource by type and name."""

    type_url: str
    name: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A need, and how to fetch it."""

    need: Need
    fetch: Fetch


def references_of(message: Any) -> tuple[Reference, ...]:
    """Every reference inside a Cluster or Listener; raises ConfigError for a source that cannot be honoured."""
    found: dict[Need, Reference] = {}
    problems: list[Problem] = []
    for path, one in _walk(message, ""):
        try:
            if (reference := _reference(one, path, message.name)) is not None:
                found[reference.need] = reference
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return tuple(found.values())


def grpc_services(bootstrap: Any) -> frozenset[str]:
    """The clusters that xDS streams of a bootstrap are opened to."""
    return frozenset(one.cluster_name for _, one in _walk(bootstrap, "") if one.DESCRIPTOR.name == "EnvoyGrpc")


def _reference(message: Any, path: str, owner: str) -> Reference | None:
    match message.DESCRIPTOR.name:
        case "SdsSecretConfig":
            return Reference(Need(types.SECRET, message.name), compile_fetch(message.sds_config, f"{path}.sds_config"))
        case "Rds":
            return Reference(Need(types.ROUTE, message.route_config_name), _ads(message.config_source, f"{path}.config_source"))
        case "EdsClusterConfig":
            return Reference(Need(types.ENDPOINT, message.service_name or owner), _ads(message.eds_config, f"{path}.eds_config"))
    return None


def _ads(source: Any, path: str) -> Fetch:
    fetch = compile_fetch(source, path)
    if not fetch.ads:
        raise ConfigError(Problem(path, "only ads is supported"))
    return fetch


def _walk(message: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The message and all messages inside it, through `Any`, each with its path."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any":
        try:
            message = proto.unpack(message)
        except (proto.UnknownType, DecodeError):
            return  # the compiler refuses it, with a better sentence
    yield path, message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        name = f"{path}.{descriptor.name}" if path else descriptor.name
        if isinstance(value, Message):
            yield from _walk(value, name)
        elif descriptor.message_type.GetOptions().map_entry:
            yield from _walk_map(value, name)
        else:
            for index, item in enumerate(value):
                yield from _walk(item, f"{name}[{index}]")


def _walk_map(values: Any, path: str) -> Iterator[tuple[str, Any]]:
    for key, item in values.items():
        if isinstance(item, Message):
            yield from _walk(item, f"{path}.{key}")
