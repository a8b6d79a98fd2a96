"""`pymesh blocked`: hosts that applications called and that the mesh did not let through (REGISTRY_ONLY).

Our proxies count requests by their host, and of connections that are not HTTP, HTTPS among them, only how many there were. Envoys report
both to the control plane, connections by their server name or address.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import yaml

from pymesh import address
from pymesh.xds.names import BLACKHOLE_CLUSTER

from .control import ask, ask_text, control_option, endpoint
from .table import show

_REQUESTS, _CONNECTIONS = "istio_requests_total", "istio_tcp_connections_opened_total"
_HTTP_PORT = 80


@dataclass(frozen=True, slots=True, order=True)
class Blocked:
    """A destination and one of its callers; port 0 where none was named."""

    host: str
    port: int
    protocol: str
    source: str

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else self.host

    @property
    def entry(self) -> dict[str, Any]:
        """The ServiceEntry that lets it be called."""
        return _entry(self.host, self.port or _HTTP_PORT, self.protocol)


@click.command()
@click.argument("proxies", nargs=-1, type=endpoint, metavar="[HOST:PORT]...")
@control_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "yaml"]),
    default="table",
    show_default=True,
    help="A table, or a ServiceEntry for each host.",
)
def blocked(proxies: tuple[address.Address, ...], control: address.Address, output: str) -> None:
    """List the hosts that were called and that nothing declares: through the proxies with these admin addresses, or, without any, as
    Envoys have reported it to the control plane.

    With -o yaml each is a ServiceEntry that lets it be called: read it before you apply it.
    """
    calls, connections = _counted(proxies) if proxies else (_reported(control), 0)
    if output == "yaml":
        entries = {one["metadata"]["name"]: one for one in (found.entry for found in sorted(calls))}
        click.echo(yaml.safe_dump_all(entries.values(), sort_keys=False), nl=False)
        return
    rows = [(one.shown, one.protocol, str(number), one.source) for one, number in sorted(calls.items())]
    show(("HOST", "PROTOCOL", "CALLS", "SOURCE"), rows)
    if connections:
        click.echo(f"and {connections} connections that were not HTTP: the access log of their proxies tells where they went")


def _reported(control: address.Address) -> Counter[Blocked]:
    """What the control plane was told."""
    calls = Counter[Blocked]()
    for one in ask(control, "/debug/blockedz"):
        for source, number in one["sources"].items():
            calls[Blocked(one["host"], one["port"], one["protocol"], source or "others")] += number
    return calls


def _counted(proxies: Iterable[address.Address]) -> tuple[Counter[Blocked], int]:
    """What proxies count of requests, and how many other connections there were."""
    calls, connections = Counter[Blocked](), 0
    for proxy in proxies:
        for name, labels, value in _samples(ask_text(proxy, "/stats/prometheus")):
            if name == _REQUESTS:
                host, port = _host_and_port(labels["destination_service"])
                calls[Blocked(host, port, "HTTP", labels["source_workload"])] += value
            elif name == _CONNECTIONS:
                connections += value
    return calls, connections


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """What was blocked, of Istio's metrics."""
    from prometheus_client.parser import text_string_to_metric_families  # here, as other commands should not wait for it

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in (_REQUESTS, _CONNECTIONS) and sample.labels.get("destination_service_name") == BLACKHOLE_CLUSTER:
                yield sample.name, sample.labels, int(sample.value)


def _entry(host: str, port: int, protocol: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [{"number": port, "name": protocol.lower(), "protocol": protocol}],
    }
    if _is_address(host):
        spec |= {"hosts": [f"{_name(host)}.address.internal"], "addresses": [host], "resolution": "NONE"}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": _name(f"{host}-{port}" if port != _HTTP_PORT else host)},
        "spec": spec,
    }


def _host_and_port(called: str) -> tuple[str, int]:
    """The port is 0 where none is named."""
    host, colon, port = called.rpartition(":")
    if colon and port.isdecimal() and not host.count(":") - host.count("["):
        return host.strip("[]"), int(port)
    return called.strip("[]"), 0


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name(text: str) -> str:
    """A name that Kubernetes takes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63] or "host"
