"""`pymesh blocked`: hosts that applications called and that the mesh did not let through (REGISTRY_ONLY), as their proxies count them.

Proxies tell requests with their host. Of connections that are not HTTP, HTTPS among them, they tell only how many there were.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import click
import yaml

from pymesh import address
from pymesh.xds.names import BLACKHOLE_CLUSTER

from .control import ask_text, endpoint
from .table import show

_REQUESTS, _CONNECTIONS = "istio_requests_total", "istio_tcp_connections_opened_total"
_HTTP_PORT = 80


@click.command()
@click.argument("proxies", nargs=-1, required=True, type=endpoint, metavar="HOST:PORT...")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "yaml"]),
    default="table",
    show_default=True,
    help="A table, or a ServiceEntry for each host.",
)
def blocked(proxies: tuple[address.Address, ...], output: str) -> None:
    """List the hosts that were called through the proxies with these admin addresses and that nothing declares.

    With -o yaml each is a ServiceEntry that lets it be called: read it before you apply it.
    """  # fmt: skip
    requests, connections = Counter[tuple[str, str]](), 0
    for proxy in proxies:
        for name, labels, value in _samples(ask_text(proxy, "/stats/prometheus")):
            if name == _REQUESTS:
                requests[labels["destination_service"], labels["source_workload"]] += value
            elif name == _CONNECTIONS:
                connections += value
    if output == "yaml":
        click.echo(yaml.safe_dump_all([_entry(host) for host in sorted({host for host, _ in requests})], sort_keys=False), nl=False)
        return
    show(("HOST", "REQUESTS", "SOURCE"), [(host, str(number), source) for (host, source), number in sorted(requests.items())])
    if connections:
        click.echo(f"and {connections} connections that were not HTTP: the access log of their proxies tells where they went")


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """What was blocked, of Istio's metrics."""
    from prometheus_client.parser import text_string_to_metric_families  # here, as other commands should not wait for it

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in (_REQUESTS, _CONNECTIONS) and sample.labels.get("destination_service_name") == BLACKHOLE_CLUSTER:
                yield sample.name, sample.labels, int(sample.value)


def _entry(called: str) -> dict[str, Any]:
    """The ServiceEntry of a host as it was called, with or without a port."""
    host, port = _host_and_port(called)
    spec: dict[str, Any] = {
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [{"number": port, "name": "http", "protocol": "HTTP"}],
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
    host, colon, port = called.rpartition(":")
    if colon and port.isdecimal() and not host.count(":") - host.count("["):
        return host.strip("[]"), int(port)
    return called.strip("[]"), _HTTP_PORT


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name(text: str) -> str:
    """A name that Kubernetes takes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63] or "host"
