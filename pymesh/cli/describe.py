"""`pymesh describe`: a service or a proxy's workload in sentences, as the people who own it ask."""

from collections.abc import Iterator
from typing import Any

import click

from pymesh.address import Address

from .asked import named
from .control import ask, control_option
from .table import show_json

Told = dict[str, Any]

_output = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
_namespace = click.option("-n", "--namespace", default="", help="Where it is; unnecessary for names that only one has.")


@click.group()
def describe() -> None:
    """Tell what governs calls to a service, or what a pod serves."""


@describe.command()
@click.argument("name")
@control_option
@_namespace
@_output
def service(name: str, control: Address, namespace: str, output: str) -> None:
    """A service by its host (web.shop.svc.cluster.local), as NAME.NAMESPACE, or by NAME, with -n where several namespaces have one: what
    declares it, its ports, the rules for it and the gateways that lead to it."""
    told = _service(control, name, namespace)
    if output == "json":
        show_json(told)
    else:
        click.echo("\n".join(_lines(told)))


@describe.command()
@click.argument("name")
@control_option
@_namespace
@_output
def pod(name: str, control: Address, namespace: str, output: str) -> None:
    """The workload of a connected proxy (NAME.NAMESPACE, NAME or a node id): its Sidecar, and every service that it is an instance of."""
    name = named(name, namespace)
    seen = ask(control, "/debug/sidecarz", proxyID=name)
    served = ask(control, "/debug/instancesz", proxyID=name)["services"]
    services = [_service(control, one["host"], one["namespace"]) for one in served]
    if output == "json":
        show_json({**seen, "serves": services})
        return
    click.echo(f"Pod: {seen['proxy'].split('~')[2] if seen['proxy'].count('~') == 3 else seen['proxy']}")
    click.echo(f"   Sidecar: {seen['sidecar'] or 'none, it sees every service that is exported to it'}")
    click.echo(f"   Sees {len(seen['services'])} services; others: {seen['outbound_traffic_policy']} ({seen['unknown_hosts_go_to']})")
    for call in seen["undeclared_calls"]:
        click.echo(f"   Calls {call}, which nothing in its sight declares: its port for that is closed")
    for one in services:
        click.echo("-" * 20)
        click.echo("\n".join(_lines(one)))
    if not services:
        click.echo("   It is an instance of no service.")


def _service(control: Address, name: str, namespace: str) -> Told:
    told: Told = ask(control, "/debug/servicez", name=name, namespace=namespace)
    return told


def _lines(told: Told) -> Iterator[str]:
    yield f"Service: {told['host']}{' (outside of the mesh)' if told['external'] else ''}"
    yield f"   Declared by: {', '.join(told['origins'])}"
    yield from _addresses(told)
    for port in told["ports"]:
        yield f"   Port: {_port(port)}"
    yield from _rules(told)
    yield _routes(told["virtual_service"])
    for one in told["exposed_by"]:
        yield f"Exposed by Gateway {one['gateway']}, port {one['port']}: {', '.join(one['hosts'])} ({one['virtual_service']})"


def _routes(told: str | None) -> str:
    """What routes requests to a service: a VirtualService, or routes of the Gateway API."""
    if told is None:
        return "VirtualService: none; requests go to all instances"
    return f"VirtualService: {_short(told)}" if told.startswith("VirtualService ") else f"Routes: {told}"


def _addresses(told: Told) -> Iterator[str]:
    """Where clients call it, if that is not one of its instances."""
    if told["addresses"]:
        yield f"   Addresses: {', '.join(told['addresses'])}"
    if told["allocated"]:
        yield f"   Addresses for sidecars that answer DNS queries: {', '.join(told['allocated'])}"


def _port(port: Told) -> str:
    modes = ", ".join(f"{mode} in {number}" for mode, number in sorted(port["mutual_tls"].items()))
    place = f"{port['name'] or 'unnamed'} {port['number']}/{port['protocol']} targets port {port['target']}"
    return f"{place}; instances: {port['instances']}{f'; mutual TLS: {modes}' if modes else ''}"


def _rules(told: Told) -> Iterator[str]:
    if not told["destination_rules"]:
        yield "DestinationRule: none"
        return
    yield f"DestinationRule: {', '.join(map(_short, told['destination_rules']))}"
    if told["tls"]:
        yield f"   TLS of clients: {told['tls']}"
    for one in told["subsets"]:
        labels = ", ".join(f"{key}={value}" for key, value in one["labels"].items())
        yield f"   Subset {one['name']} ({labels or 'every instance'}): {_instances(one['instances'])}"
    if outliers := told["outlier_detection"]:
        most = f"{outliers['ejected_at_most'] or 'NONE'} of {_instances(told['instances'])}"
        yield f"   Outlier detection throws out at most {most} (maxEjectionPercent: {outliers['max_ejection_percent']})"


def _instances(number: int) -> str:
    return "1 instance" if number == 1 else f"{number or 'NO'} instances"


def _short(origin: str) -> str:
    """`shop/web` of `DestinationRule shop/web`."""
    return origin.partition(" ")[2]
