"""The resources in use, what is wrong with the files, and how far the present snapshot has come."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from pymesh.api import Resource

from ..ads.stream import Stream
from ..model.origin import Origin
from ..model.snapshot import Snapshot
from ..registration.standing import Standing
from ..world import World
from . import registered
from .clients import standings as by_type


def configz(world: World, standings: Iterable[Standing]) -> dict[str, Any]:
    """The resources in use, with where they stand, those that workloads registered, and everything wrong with the files."""
    return {
        "version": world.snapshot.version,
        "resources": [*_read(world), *registered.entries(world.snapshot, standings)],
        "problems": [{**dataclasses.asdict(problem), "text": str(problem)} for problem in world.problems],
    }


def _read(world: World) -> Iterator[dict[str, Any]]:
    """What files say, and what has been given to it."""
    given = _given(world.snapshot)
    for resource in world.resources_used:
        addresses = given.get(Origin(resource.kind, resource.namespace, resource.name))
        yield {**described(resource), "status": {"addresses": addresses}} if addresses else described(resource)


def _given(snapshot: Snapshot) -> dict[Origin, list[dict[str, str]]]:
    """The addresses of the mesh's own by the ServiceEntry that has them, in the form of its status."""
    found: dict[Origin, list[dict[str, str]]] = {}
    for service in snapshot.services:
        for origin in service.origins if service.allocated else ():
            found.setdefault(origin, []).extend({"value": address, "host": service.host} for address in service.allocated)
    return found


def authorizationz(world: World) -> dict[str, Any]:
    """Every AuthorizationPolicy that is in use."""
    return {"authorization_policies": [described(one) for one in world.resources_used if one.kind == "AuthorizationPolicy"]}


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
