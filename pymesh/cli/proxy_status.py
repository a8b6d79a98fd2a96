"""`pymesh proxy-status`: which proxies are connected, and how far each has followed the control plane."""

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from pymesh.address import Address

from .asked import Asked, named
from .control import ask, control_option, endpoint
from .dump import Dump
from .table import show, show_json, show_yaml

TYPES = ("cds", "lds", "eds", "rds", "sds")
_WORST_FIRST = ("NACKED", "STALE", "NOT SENT", "SYNCED")
_SECTIONS = {"clusters": "Clusters", "listeners": "Listeners", "routes": "Routes"}


@click.command("proxy-status")
@click.argument("proxy", required=False)
@control_option
@click.option(
    "--admin", type=endpoint, metavar="HOST:PORT", help="The proxy's admin interface: what it has is compared with what it was sent."
)
@click.option("-f", "--file", type=click.Path(path_type=Path), metavar="FILE", help="The same with a dump (/config_dump) that was kept.")
@click.option("-n", "--namespace", default="", help="Only of this namespace.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
@click.pass_context
def proxy_status(
    context: click.Context, proxy: str | None, control: Address, admin: Address | None, file: Path | None, namespace: str, output: str
) -> None:
    """Tell how far the proxies of the mesh are; PROXY (NAME.NAMESPACE, NAME or a node id) tells of one.

    Exits with 1 when a proxy refused something, or has something else than it was sent.
    """
    if admin is not None or file is not None:
        if proxy is None:
            raise click.UsageError("--admin and --file belong to one proxy: name it")
        asked = Asked(named(proxy, namespace), namespace, control, admin, file, output)
        context.exit(_compare(Dump.of(ask(control, "/debug/config_dump", proxyID=asked.name)), asked.dump()))
    told = _chosen(ask(control, "/debug/syncz"), proxy and named(proxy, namespace), namespace)
    if output == "json":
        show_json(told)
    elif output == "yaml":
        show_yaml(told)
    else:
        _print(told, control)
    context.exit(1 if any(_errors(told)) else 0)


def _chosen(told: list[dict[str, Any]], proxy: str | None, namespace: str) -> list[dict[str, Any]]:
    if proxy is None:
        return [one for one in told if not namespace or one["name"].rpartition(".")[2] == namespace]
    found = [one for one in told if proxy in (one["proxy"], one["name"], one["name"].partition(".")[0])]
    if not found:
        there = ", ".join(sorted({one["name"] for one in told})) or "none"
        raise click.ClickException(f"no proxy {proxy!r} is connected (connected: {there})")
    return found


def _print(told: list[dict[str, Any]], control: Address) -> None:
    now = datetime.datetime.now(datetime.UTC)
    streams: dict[str, list[dict[str, Any]]] = {}
    for one in told:
        streams.setdefault(one["proxy"], []).append(one)
    head = ["NAME", "CLUSTER", *(name.upper() for name in TYPES), "ISTIOD", "VERSION"]
    show(head, sorted(_row(group, control, now) for group in streams.values()))
    for line in dict.fromkeys(_errors(told)):
        click.echo(line)


def _row(streams: list[dict[str, Any]], control: Address, now: datetime.datetime) -> list[str]:
    """One proxy, whose workers have a stream each: of every type the one that is worst off counts."""
    first = streams[0]
    cells = [_cell([one["types"][name] for one in streams if name in one["types"]], now) for name in TYPES]
    return [first["name"], first["cluster_id"], *cells, str(control), first["istio_version"] or first["user_agent"]]


def _cell(found: list[dict[str, Any]], now: datetime.datetime) -> str:
    if not found:
        return "IGNORED"  # istioctl's word for a type that the proxy has not asked for
    worst = min(found, key=lambda one: _WORST_FIRST.index(one["status"]))
    if worst["last_ack"] is None:
        return str(worst["status"])
    return f"{worst['status']} ({_age(now - datetime.datetime.fromisoformat(worst['last_ack']))})"


def _age(since: datetime.timedelta) -> str:
    seconds = max(0, int(since.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _errors(told: list[dict[str, Any]]) -> Iterable[str]:
    for one in told:
        for name, found in one["types"].items():
            if found["error"] is not None:
                yield f"{one['name']} refused {name.upper()}: {found['error']}"


def _compare(sent: Dump, held: Dump) -> int:
    """Say of each section whether the proxy has what it was sent; 1 when it has not."""
    differs = False
    for section, word in _SECTIONS.items():
        lines = list(_differences(sent.dynamic(section), held.dynamic(section)))
        click.echo(f"{word} {'Differ' if lines else 'Match'}")
        for line in lines:
            click.echo(f"  {line}")
        differs = differs or bool(lines)
    return 1 if differs else 0


def _differences(sent: dict[str, Any], held: dict[str, Any]) -> Iterable[str]:
    for name in sorted(sent.keys() | held.keys()):
        if name not in held:
            yield f"{name}: the proxy does not have it"
        elif name not in sent:
            yield f"{name}: only the proxy has it"
        elif sent[name] != held[name]:
            yield f"{name}: the proxy has another version of it"
