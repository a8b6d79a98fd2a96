"""`pymesh get`: the resources of a mesh and what has become of each."""

import re
from typing import Any

import click
import yaml

from pymesh.address import Address
from pymesh.api.configmap import NETWORKS
from pymesh.api.kinds import KINDS, KUBERNETES_KINDS

from .control import ask, control_option
from .table import show, show_json

_SHORT = {
    "vs": "VirtualService", "dr": "DestinationRule", "gw": "Gateway", "se": "ServiceEntry", "we": "WorkloadEntry", "wg": "WorkloadGroup",
    "pa": "PeerAuthentication", "ra": "RequestAuthentication", "ap": "AuthorizationPolicy", "svc": "Service", "cm": "ConfigMap",
}  # fmt: skip
"""kubectl's and Istio's short names."""

_PARTS = ("apiVersion", "kind", "metadata", "spec", "status")
_ALL = "all"
_HEAD = ("NAMESPACE", "NAME", "ACCEPTED", "PROGRAMMED", "ACKED", "SHADOWED BY", "FILE")


@click.command()
@click.argument("kind")
@click.argument("name", required=False)
@control_option
@click.option("-n", "--namespace", help="Only of this namespace.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def get(kind: str, name: str | None, control: Address, namespace: str | None, output: str) -> None:
    """List the resources of a KIND (`all` for every kind), or the one of a NAME.

    Accepted: the mesh can honour it. Programmed: some proxy has something that was made of it. Acked: how many of those that have
    it accepted it. Shadowed by: what has the hosts that it claims.
    """
    wanted = _kind(kind)
    if output == "table":
        found = _chosen(ask(control, "/debug/statusz"), wanted, name, namespace)
        _print(found, with_kind=wanted is None)
        if name is None:
            _print_unread(ask(control, "/debug/configz")["problems"], found, wanted)
        return
    told = ask(control, "/debug/configz")["resources"]
    found = _chosen([{**one["metadata"], **one} for one in told], wanted, name, namespace)
    plain = [{key: one[key] for key in _PARTS if key in one} for one in found]
    if output == "json":
        show_json(plain)
    else:
        click.echo(yaml.safe_dump_all(plain, sort_keys=False), nl=False)


def _kind(text: str) -> str | None:
    """The kind that is meant, in any case, in the plural or by its short name; None for all of them. Raises BadParameter."""
    known = {name.lower(): name for name in (*KINDS, *KUBERNETES_KINDS, "ConfigMap", NETWORKS)}
    plurals = {_plural(lower): name for lower, name in known.items()}
    if text.lower() == _ALL:
        return None
    found = {**known, **plurals, **_SHORT}.get(text.lower())
    if found is None:
        raise click.BadParameter(f"{text!r} is none of {', '.join(known.values())}, {_ALL}", param_hint="KIND")
    return found


def _plural(lower: str) -> str:
    if lower.endswith("s"):
        return lower
    return f"{lower[:-1]}ies" if re.search(r"[^aeiou]y$", lower) else f"{lower}s"


def _chosen(told: list[dict[str, Any]], kind: str | None, name: str | None, namespace: str | None) -> list[dict[str, Any]]:
    found = [
        one for one in told
        if kind in (None, one["kind"]) and name in (None, one["name"]) and namespace in (None, one["namespace"])
    ]  # fmt: skip
    if name is not None and not found:
        raise click.ClickException(f"there is no {kind or 'resource'} {name}" + (f" in namespace {namespace}" if namespace else ""))
    return found


def _print(found: list[dict[str, Any]], *, with_kind: bool) -> None:
    rows = [([one["kind"]] if with_kind else []) + _row(one) for one in found]
    show((*(("KIND",) if with_kind else ()), *_HEAD), sorted(rows))
    for problem in dict.fromkeys(problem for one in found for problem in one["problems"]):
        click.echo(problem)


def _print_unread(problems: list[dict[str, Any]], found: list[dict[str, Any]], kind: str | None) -> None:
    """Errors of files that left no resource behind to tell of, so that what is missing above has its reason; of one kind, if asked for."""
    told = {problem for one in found for problem in one["problems"]}
    for problem in problems:
        subject = problem["message"].partition(" ")[0]
        about = subject == kind or subject not in (*KINDS, *KUBERNETES_KINDS)  # what cannot be read at all may be of any kind
        if problem["severity"] == "error" and problem["text"] not in told and (kind is None or about):
            click.echo(problem["text"])


def _row(one: dict[str, Any]) -> list[str]:
    acked = f"{one['acked']} of {one['proxies']}" if one["proxies"] else "-"
    shadows = ", ".join(one["shadowed_by"]) or "-"
    return [one["namespace"], one["name"], _word(one["accepted"]), _word(one["programmed"]), acked, shadows, one["file"]]


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "-"}[value]
