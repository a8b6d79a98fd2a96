"""A rule's zoneAwareLbSetting at a gateway that knows where its like run: ours, and a real Envoy."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.interop.upstream.named import answers, named_hosts
from tests.waiting import eventually

from .stage import ENVOY, OURS, resource, staged

HOST, CALLERS = "up.default.svc.cluster.local", "callers.default.svc.cluster.local"
PLACES = {"z1": "eu/z1", "z2": "eu/z2", "far": "us/z1"}


def entry(host: str, port: int, app: dict[str, str]) -> dict[str, Any]:
    ports = [{"number": port, "name": "http", "protocol": "HTTP"}]
    spec = {"hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": ports, "workloadSelector": {"labels": app}}
    return resource("ServiceEntry", host.partition(".")[0], spec)


def members(app: str, labels: dict[str, str], net: int, **zones: int) -> list[dict[str, Any]]:
    """So many workloads in each zone; the third octet of an address is its zone's."""
    return [
        resource("WorkloadEntry", f"{app}-{zone}-{index}", {
            "address": f"127.{net}.{place}.{index + 1}", "labels": {"app": app, **labels}, "locality": PLACES[zone],
        })
        for place, (zone, number) in enumerate(zones.items(), 1)
        for index in range(number)
    ]  # fmt: skip


def edge(port: int) -> list[dict[str, Any]]:
    server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    route = {"hosts": ["*"], "gateways": ["edge"], "http": [{"route": [{"destination": {"host": HOST}}]}]}
    return [
        resource("Gateway", "edge", {"selector": {"edge": "zoned"}, "servers": [server]}),
        resource("VirtualService", "edge", route),
    ]


def rule(**setting: object) -> dict[str, Any]:
    policy = {"loadBalancer": {"simple": "RANDOM", "zoneAwareLbSetting": setting}, "tls": {"mode": "DISABLE"}}
    return resource("DestinationRule", "up", {"host": HOST, "trafficPolicy": policy})


@pytest.mark.parametrize("flavor", [OURS, ENVOY])
async def test_requests_stay_in_their_zone_as_far_as_is_fair(tmp_path: Path, flavor: str) -> None:
    """Two thirds of the gateways are in z1, and half of the instances: a quarter of the requests goes to z2, none to another region."""
    async with named_hosts() as port, staged(tmp_path) as stage:
        [gateway] = [stage.ports.take()]
        stage.configure("up.yaml", entry(HOST, port, {"app": "up"}), *members("up", {}, 20, z1=2, z2=2, far=2), *edge(gateway))
        named = {"edge": "zoned", "service.istio.io/workload-name": "zoned"}
        stage.configure("callers.yaml", entry(CALLERS, gateway, {"edge": "zoned"}), *members("callers", named, 21, z1=2, z2=1, far=4))
        stage.configure("rule.yaml", rule(minClusterSize=1))
        await stage.start_control()
        await stage.start_gateway("zoned", flavor, "eu.z1", ISTIO_META_ENABLE_SELF_DISCOVERY="true")

        async def zones() -> Counter[str]:
            counted = await answers(gateway, "/", 400, 1)
            found: Counter[str] = Counter()
            for address, count in counted.items():
                found["z" + address.split(".")[2] if address.startswith("127.20.") else address] += count
            return found

        await eventually(zones, lambda found: set(found) == {"z1", "z2"} and 50 <= found["z2"] <= 150)
        stage.configure("rule.yaml", rule(enabled=False))
        await eventually(zones, lambda found: set(found) == {"z1", "z2", "z3"})
        stage.configure("rule.yaml", rule(minClusterSize=1))
        await eventually(zones, lambda found: set(found) == {"z1", "z2"} and 50 <= found["z2"] <= 150)
        stage.configure("callers.yaml", entry(CALLERS, gateway, {"edge": "zoned"}), *members("callers", named, 21, z1=1, z2=2))
        await eventually(zones, lambda found: set(found) == {"z1"})
