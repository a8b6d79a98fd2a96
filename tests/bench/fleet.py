"""Our own proxies under a control plane, many of them; what they have taken in is read from the control plane's metrics and debug pages."""

import json
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from .candidates import run
from .configs import upstream_protocol
from .processes import Stable, free_ports

_POLL = 0.02


class Fleet:
    """Proxies without capture that call one service each; they know all others as every sidecar does."""

    def __init__(self, stable: Stable, xds: int, monitoring: int, hosts: list[str]) -> None:
        """`hosts`: the service that each calls."""
        self._stable = stable
        self._xds = xds
        self._monitoring = monitoring
        self._hosts = hosts
        self._before: dict[str, int] = {}
        self._expected: tuple[str, ...] = ()

    def tell(self, command: str, *types: str) -> None:
        """`connect` starts the proxies; both commands say which types each is to acknowledge from now on."""
        self._before = {kind: self._pushed(kind) for kind in types}
        self._expected = types
        if command == "connect":
            for number, host in enumerate(self._hosts):
                run(self._stable, "pymesh", self._bootstrap(number, host))

    def over(self) -> tuple[float, int]:
        """The moment at which all have acknowledged, and the bytes that went out (not known here)."""
        while not all(self._taken(kind) for kind in self._expected):
            time.sleep(_POLL)
        return time.monotonic(), 0

    def stop(self) -> None:
        """The stable ends the processes."""

    def _taken(self, kind: str) -> bool:
        standing = json.loads(self._get("/debug/push_status"))["types"].get(kind, {})
        told = self._pushed(kind) - self._before[kind] >= len(self._hosts)
        return told and standing == {"SYNCED": len(self._hosts)}

    def _pushed(self, kind: str) -> int:
        found = re.search(rf'^pilot_xds_pushes\{{type="{kind}"\}} ([\d.]+)$', self._get("/metrics"), re.MULTILINE)
        return int(float(found[1])) if found else 0

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._monitoring}{path}", timeout=10) as answer:
            return str(answer.read(), "utf-8")

    def _bootstrap(self, number: int, host: str) -> Path:
        local, admin = free_ports(2)
        name, namespace = f"caller-{number}", host.split(".")[1]
        address = f"10.{number // 250 + 1}.{number % 250}.0"
        metadata = {"INTERCEPTION_MODE": "NONE", "OUTBOUND_PORTS": json.dumps({f"{host}:8080": local}), "INBOUND_PORTS": "{}"}
        ads = {"ads": {}, "resource_api_version": "V3"}
        config: dict[str, Any] = {
            "node": {"id": f"sidecar~{address}~{name}.{namespace}~{namespace}.svc.cluster.local", "cluster": name, "metadata": metadata},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "DELTA_GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
                },
                "cds_config": ads,
                "lds_config": ads,
            },
            "static_resources": {"clusters": [self._control_plane()]},
        }
        path = self._stable.folder / f"proxy-{number}.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def _control_plane(self) -> dict[str, Any]:
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self._xds}}
        return {
            "name": "xds",
            "type": "STATIC",
            "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
            **upstream_protocol(h2=True),
        }
