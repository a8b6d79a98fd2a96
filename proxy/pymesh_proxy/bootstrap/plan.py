"""What the process starts with: a Bootstrap checked field by field, flags applied, nothing compiled or opened yet."""

from dataclasses import dataclass, field
from typing import Any

import pymesh
from pymesh.xds import proto

from ..discovery.source import Fetch, GrpcSource, compile_fetch, compile_grpc
from ..errors import ConfigError, Problem

_HONOURED = frozenset({"node", "static_resources", "dynamic_resources", "admin", "cluster_manager"})
_HARMLESS = {
    "stats_flush_interval": "statistics are made when they are asked for",
    "stats_flush_on_admin": "statistics are made when they are asked for",
    "watchdogs": "the event loop has no watchdog threads",
    "default_regex_engine": "regular expressions always run in RE2",
}
"""Fields that ask for nothing this proxy could do differently: told in the log, so that one file serves Envoy and us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A bootstrap as far as it can be understood without compiling its resources."""

    node: Any
    bootstrap: Any = field(repr=False)
    """The whole message: its static resources are compiled later, and /config_dump shows it."""
    admin: tuple[str, int] | None = None
    ads: GrpcSource | None = None
    clusters: Fetch | None = None
    """Where CDS comes from, None when it is not asked for."""
    listeners: Fetch | None = None
    outlier_log: str = ""
    """The file for the events of outlier detection; empty for none."""
    local_cluster: str = ""
    """The static cluster of this proxy's like, which tells how callers are spread over zones; empty for none."""
    notes: tuple[str, ...] = ()
    """What was accepted without effect; for the log."""
    problems: tuple[Problem, ...] = ()
    """What cannot be honoured; told together with the problems of the static resources."""


def make_plan(bootstrap: Any, *, node_id: str = "", node_cluster: str = "") -> Plan:
    """Check a Bootstrap and apply the flags."""
    problems: list[Problem] = []
    present = {descriptor.name for descriptor, _ in bootstrap.ListFields()}
    problems += [Problem(name, "not supported") for name in sorted(present - _HONOURED - _HARMLESS.keys())]
    node = _node(bootstrap.node, node_id, node_cluster)
    admin = _collect(problems, _admin, bootstrap.admin)
    outlier_log = _collect(problems, _outlier_log, bootstrap.cluster_manager) or ""
    local_cluster = _collect(problems, _local_cluster, bootstrap) or ""
    ads, clusters, listeners = _dynamic(problems, bootstrap.dynamic_resources)
    if (ads or clusters or listeners) and not (node.id and node.cluster):
        problems.append(Problem("node", "id and cluster are required; set them here or by --service-node and --service-cluster"))
    return Plan(
        node=node,
        bootstrap=bootstrap,
        admin=admin,
        ads=ads,
        clusters=clusters,
        listeners=listeners,
        outlier_log=outlier_log,
        local_cluster=local_cluster,
        notes=tuple(f"{name} has no effect: {_HARMLESS[name]}" for name in sorted(present & _HARMLESS.keys())),
        problems=tuple(problems),
    )


def _node(given: Any, node_id: str, node_cluster: str) -> Any:
    node = proto.base.Node()
    node.CopyFrom(given)
    node.id = node_id or node.id
    node.cluster = node_cluster or node.cluster
    node.user_agent_name = "pymesh"
    node.user_agent_version = pymesh.__version__
    return node


def _admin(admin: Any) -> tuple[str, int] | None:
    present = {descriptor.name for descriptor, _ in admin.ListFields()}
    if refused := sorted(present - {"address"}):
        raise ConfigError(*(Problem(f"admin.{name}", "not supported") for name in refused))
    if not present:
        return None
    match admin.address.WhichOneof("address"):
        case "socket_address":
            address = admin.address.socket_address
            if address.WhichOneof("port_specifier") != "port_value":
                raise ConfigError(Problem("admin.address.socket_address", "port_value is required"))
            return str(address.address), int(address.port_value)
        case "pipe":
            return str(admin.address.pipe.path), 0
    raise ConfigError(Problem("admin.address", "one of socket_address, pipe is required"))


def _outlier_log(manager: Any) -> str:
    """Where cluster_manager wants the events of outlier detection; all else but the local cluster is refused."""
    elsewhere = ("outlier_detection", "local_cluster_name")
    present = [descriptor.name for descriptor, _ in manager.ListFields() if descriptor.name not in elsewhere]
    inside = [f"outlier_detection.{descriptor.name}" for descriptor, _ in manager.outlier_detection.ListFields()]
    if refused := sorted({*present, *inside} - {"outlier_detection.event_log_path"}):
        raise ConfigError(*(Problem(f"cluster_manager.{name}", "not supported") for name in refused))
    return str(manager.outlier_detection.event_log_path)


def _local_cluster(bootstrap: Any) -> str:
    name = str(bootstrap.cluster_manager.local_cluster_name)
    if name and name not in {cluster.name for cluster in bootstrap.static_resources.clusters}:
        raise ConfigError(Problem("cluster_manager.local_cluster_name", f"{name!r} is no static cluster"))
    return name


def _dynamic(problems: list[Problem], dynamic: Any) -> tuple[GrpcSource | None, Fetch | None, Fetch | None]:
    present = {descriptor.name for descriptor, _ in dynamic.ListFields()}
    locators = sorted(present & {"lds_resources_locator", "cds_resources_locator"})
    problems += [Problem(f"dynamic_resources.{name}", "not supported") for name in locators]
    ads = _collect(problems, compile_grpc, dynamic.ads_config, "dynamic_resources.ads_config") if "ads_config" in present else None
    clusters, listeners = (_over_ads(problems, dynamic, name, present) for name in ("cds_config", "lds_config"))
    return ads, clusters, listeners


def _over_ads(problems: list[Problem], dynamic: Any, name: str, present: set[str]) -> Fetch | None:
    path = f"dynamic_resources.{name}"
    if name not in present:
        return None
    fetch: Fetch | None = _collect(problems, compile_fetch, getattr(dynamic, name), path)
    if fetch is not None and not fetch.ads:
        problems.append(Problem(path, "only ads is supported"))
    if fetch is not None and fetch.ads and "ads_config" not in present:
        problems.append(Problem(path, "ads is named, and dynamic_resources.ads_config is missing"))
    return fetch


def _collect(problems: list[Problem], check: Any, *arguments: Any) -> Any:
    try:
        return check(*arguments)
    except ConfigError as error:
        problems.extend(error.problems)
        return None
