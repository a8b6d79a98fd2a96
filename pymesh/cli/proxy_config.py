"""`pymesh proxy-config`: what one proxy has, or was sent, in istioctl's tables."""

from collections.abc import Callable
from typing import Any

import click

from . import hosts, rows
from .asked import Asked, asking
from .control import ask_proxy
from .dump import Dump
from .table import show, show_json, show_yaml

_ALIASES = {
    "cluster": "clusters", "c": "clusters", "listener": "listeners", "l": "listeners", "route": "routes", "r": "routes",
    "endpoint": "endpoints", "ep": "endpoints", "eds": "endpoints", "secret": "secrets", "s": "secrets", "b": "bootstrap", "a": "all",
}  # fmt: skip
"""istioctl's names for the same."""

_SECTIONS = ("clusters", "listeners", "routes", "endpoints", "secrets")


class _Sections(click.Group):
    """Commands that can be called by istioctl's names, too."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, _ALIASES.get(cmd_name, cmd_name))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        _, command, rest = super().resolve_command(ctx, args)
        return command.name if command else None, command, rest


@click.group("proxy-config", cls=_Sections)
def proxy_config() -> None:
    """Show the configuration of a PROXY (NAME.NAMESPACE, NAME or a node id): what the control plane sent it, or, with --admin, what
    the proxy itself says that it has."""


_FILTERS = {
    "fqdn": click.option("--fqdn", help="Of services whose name has this in it."),
    "port": click.option("--port", type=int, help="Of this port."),
    "subset": click.option("--subset", help="Of subsets whose name has this in it."),
    "direction": click.option("--direction", type=click.Choice(["inbound", "outbound"])),
    "address": click.option("--address", help="At this address."),
    "type": click.option("--type", type=click.Choice(["HTTP", "TCP", "HTTP+TCP"], case_sensitive=False), help="Listeners that speak this."),
    "status": click.option("--status", help="Of this health, such as HEALTHY."),
    "cluster": click.option("--cluster", help="Of the cluster of this name."),
    "name": click.option("--name", help="Of this name."),
    "origins": click.option("--origins", is_flag=True, help="Tell of what it was made, and where that stands: a column FROM."),
}


def _with(*filters: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command with these filters beside what all have."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        made = asking(command)
        for name in reversed(filters):
            made = _FILTERS[name](made)
        return made

    return decorate


def _print(section: str, asked: Asked, dump: Dump, filters: rows.Filters, *, origins: bool = False) -> None:
    """`origins`: the resources that it was made of, and their files, are one more column."""
    table = rows.TABLES[section]
    wanted = {name: value for name, value in filters.items() if name in table.filters}
    if asked.output != "short":
        _show(asked, [message for message in dump.all(section) if table.admits(message, wanted)])
    elif origins:
        places = asked.places()
        show((*table.head, "FROM"), [[*cells, _from(message, places)] for cells, message in table.rows(dump, wanted)])
    else:
        show(table.head, [cells for cells, _ in table.rows(dump, wanted)])


def _show(asked: Asked, value: Any) -> None:
    (show_yaml if asked.output == "yaml" else show_json)(value)


def _from(message: Any, places: dict[str, str]) -> str:
    return ", ".join(f"{one} ({places[one]})" if one in places else one for one in rows.origins(message))


@proxy_config.command()
@_with("fqdn", "port", "subset", "direction", "name", "origins")
def clusters(asked: Asked, origins: bool, **filters: Any) -> None:
    """Where requests and connections can be sent."""
    _print("clusters", asked, asked.dump(), filters, origins=origins)


@proxy_config.command()
@_with("address", "port", "type", "name", "origins")
def listeners(asked: Asked, origins: bool, **filters: Any) -> None:
    """Where connections arrive, and what becomes of each kind."""
    _print("listeners", asked, asked.dump(), filters, origins=origins)


@proxy_config.command()
@_with("name", "fqdn", "origins")
def routes(asked: Asked, origins: bool, **filters: Any) -> None:
    """Which requests go where."""
    _print("routes", asked, asked.dump(), filters, origins=origins)


@proxy_config.command()
@_with("fqdn", "subset", "cluster", "address", "port", "status")
def endpoints(asked: Asked, **filters: Any) -> None:
    """The instances behind clusters: those that the control plane sent, or, with --admin, all that the proxy has, as it sees them."""
    if asked.admin is None or asked.file is not None:
        _print("endpoints", asked, asked.dump(), filters)
        return
    found = list(hosts.wanted(ask_proxy(asked.admin, "/clusters", format="json"), filters))
    if asked.output == "short":
        show(hosts.HEAD, sorted(hosts.row(*one) for one in found))
    else:
        _show(asked, [host for host, _ in found])


@proxy_config.command()
@_with("name")
def secrets(asked: Asked, **filters: Any) -> None:
    """Certificates and authorities; keys are not shown by anybody."""
    _print("secrets", asked, asked.dump(), filters)


@proxy_config.command()
@_with()
def bootstrap(asked: Asked) -> None:
    """What the proxy was started with, as JSON or YAML; only the proxy knows it."""
    if asked.admin is None and asked.file is None:
        raise click.UsageError("a bootstrap is known to the proxy alone: give its --admin address, or a --file that it was kept in")
    found = asked.dump().bootstrap
    if found is None:
        raise click.ClickException(f"{asked.file or asked.admin} tells no bootstrap")
    _show(asked, {"bootstrap": found})


@proxy_config.command("all")
@_with("fqdn", "port", "subset", "direction", "address", "type", "status", "name")
def everything(asked: Asked, **filters: Any) -> None:
    """Every section, one after the other; each heeds those of the filters that are for it."""
    if asked.output != "short":
        _show(asked, asked.whole())
        return
    dump = asked.dump()
    for section in _SECTIONS:
        _print(section, asked, dump, filters)
        click.echo()
