"""The resources in use, what is wrong with the files, and how far the present snapshot has come."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from pymesh.api import Resource

from ..ads.stream import Stream
from ..registration.standing import Standing
from ..world import World
from . import registered
from .clients import standings as by_type


def configz(world: World, standings: Iterable[Standing]) -> dict[str, Any]:
    """The resources in use, with where they stand, those that workloads registered, and everything wrong with the files."""
    return {
        "version": world.snapshot.version,
        "resources": [*map(described, world.resources_used), *registered.entries(world.snapshot, standings)],
        "problems": [{**dataclasses.asdict(problem), "text": str(problem)} for problem in world.problems],
    }


def described(resource: Resource) -> dict[str, Any]:
    """One resource as its file has it, defaults left out, with the place."""
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {
            "name": resource.name, "namespace": resource.namespace, "labels": resource.labels, "annotations": resource.annotations,
        },
        "spec": resource.spec.model_dump(mode="json", exclude_none=True),
        "file": str(resource.where),
    }


def push_status(world: World, streams: Iterable[Stream]) -> dict[str, Any]:
    """The present snapshot, what is wrong with it, and how many clients have taken it in."""
    snapshot = world.snapshot
    known = list(streams)
    return {
        "version": snapshot.version,
        "clients": len(known),
        "types": by_type(known),
        "services": len(snapshot.services),
        "endpoints": sum(len(found) for instances in snapshot.endpoints.values() for found in instances.values()),
        "virtual_services": len(snapshot.virtual_services),
        "gateways": len(snapshot.gateways),
        "workloads": len(snapshot.workloads),
        "problems": {level: [str(one) for one in world.problems if one.severity == level] for level in ("error", "warning", "info")},
    }
