"""What there is in the mesh, counted under Istiod's names for it."""

from collections import Counter
from collections.abc import Mapping

from pymesh.api import hosts

from .snapshot import Snapshot
from .virtual import MESH
from .workload import Health


def census(snapshot: Snapshot) -> Mapping[str, int]:
    """Numbers by the names of Istiod's gauges; each is counted anew only when what it counts has changed."""
    counted = {
        "pilot_services": lambda: len(snapshot.services),
        "pilot_virt_services": lambda: len(snapshot.virtual_services),
        "pilot_vservice_dup_domain": lambda: _contested_hosts(snapshot),
        "pilot_eds_no_instances": lambda: _clusters_without_instances(snapshot),
        "pilot_endpoint_not_ready": lambda: _unready(snapshot),
        "pilot_no_ip": lambda: sum(not one.ip for one in snapshot.workloads),
        "pilot_destrule_subsets": lambda: snapshot.rules.repeated_subsets,
    }
    return {name: snapshot.cached(("census", name), count) for name, count in counted.items()}


def _contested_hosts(snapshot: Snapshot) -> int:
    """Hosts that several VirtualServices would rule for sidecars of one namespace or other."""
    claims = Counter(host for one in snapshot.virtual_services if MESH in one.gateways for host in set(one.hosts))
    return sum(number > 1 for number in claims.values())


def _clusters_without_instances(snapshot: Snapshot) -> int:
    """Service ports that clients are sent the instances of, and there are none."""
    told = (one for one in snapshot.services if one.resolution == "STATIC" and not hosts.is_wildcard(one.host))
    return sum(not snapshot.instances(one).get(port.number) for one in told for port in one.ports)


def _unready(snapshot: Snapshot) -> int:
    """Instances that are there and not to be called yet."""
    found = {
        (one.workload.namespace, one.workload.ip, one.port)
        for instances in snapshot.endpoints.values()
        for endpoints in instances.values()
        for one in endpoints
        if one.workload.health is Health.UNHEALTHY
    }
    return len(found)
