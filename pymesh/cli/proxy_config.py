"""`pymesh proxy-config`: what one proxy has, or was sent, in istioctl's tables."""

from collections.abc import Callable
from typing import Any

import click

from pymesh.address import Address

from . import rows
from .control import ask, ask_proxy, control_option, endpoint
from .dump import Dump
from .table import show, show_json

_ALIASES = {
    "cluster": "clusters", "c": "clusters", "listener": "listeners", "l": "listeners", "route": "routes", "r": "routes",
    "endpoint": "endpoints", "ep": "endpoints", "secret": "secrets", "s": "secrets", "b": "bootstrap", "a": "all",
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


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and options that every section has."""
    for decorate in (
        click.option("-o", "--output", type=click.Choice(["short", "json"]), default="short", show_default=True),
        click.option(
            "--admin", type=endpoint, metavar="HOST:PORT", help="Ask the proxy's own admin interface instead of the control plane."
        ),
        control_option,
        click.argument("proxy", required=False),
    ):
        command = decorate(command)
    return command


_origins = click.option("--origins", is_flag=True, help="Tell of what it was made, and where that stands: a column FROM.")


def _told(proxy: str | None, control: Address, admin: Address | None) -> Any:
    """The dump in whole: of the proxy itself when its admin interface is given."""
    if admin is not None:
        return ask_proxy(admin, "/config_dump", include_eds="")
    if proxy is None:
        raise click.UsageError("name the proxy, or give its --admin address")
    return ask(control, "/debug/config_dump", proxyID=proxy)


def _print(section: str, dump: Dump, output: str, filters: rows.Filters, places: dict[str, str] | None = None) -> None:
    """`places` are the files of resources; given, they and the resources are one more column."""
    table = rows.TABLES[section]
    if output == "json":
        show_json([message for message in dump.all(section) if table.admits(message, filters)])
    elif places is None:
        show(table.head, [cells for cells, _ in table.rows(dump, filters)])
    else:
        show((*table.head, "FROM"), [[*cells, _from(message, places)] for cells, message in table.rows(dump, filters)])


def _from(message: Any, places: dict[str, str]) -> str:
    return ", ".join(f"{one} ({places[one]})" if one in places else one for one in rows.origins(message))


def _places(control: Address) -> dict[str, str]:
    """Where each resource stands now, by `KIND NAMESPACE/NAME`."""
    told = ask(control, "/debug/configz")["resources"]
    return {f"{one['kind']} {one['metadata']['namespace']}/{one['metadata']['name']}": one["file"] for one in told}


@proxy_config.command()
@_asking
@_origins
@click.option("--fqdn", help="Of this service.")
@click.option("--port", type=int)
@click.option("--subset")
@click.option("--direction", type=click.Choice(["inbound", "outbound"]))
@click.option("--name", help="The cluster of this name.")
def clusters(proxy: str | None, control: Address, admin: Address | None, output: str, origins: bool, **filters: Any) -> None:
    """Where requests and connections can be sent."""
    dump = Dump.of(_told(proxy, control, admin))
    _print("clusters", dump, output, filters, _places(control) if origins else None)


@proxy_config.command()
@_asking
@_origins
@click.option("--address", help="That listen on this address.")
@click.option("--port", type=int)
@click.option("--name", help="The listener of this name.")
def listeners(proxy: str | None, control: Address, admin: Address | None, output: str, origins: bool, **filters: Any) -> None:
    """Where connections arrive, and what becomes of each kind."""
    dump = Dump.of(_told(proxy, control, admin))
    _print("listeners", dump, output, filters, _places(control) if origins else None)


@proxy_config.command()
@_asking
@_origins
@click.option("--name", help="The route configuration of this name.")
@click.option("--fqdn", help="With a virtual host for this name.")
def routes(proxy: str | None, control: Address, admin: Address | None, output: str, origins: bool, **filters: Any) -> None:
    """Which requests go where."""
    dump = Dump.of(_told(proxy, control, admin))
    _print("routes", dump, output, filters, _places(control) if origins else None)


@proxy_config.command()
@_asking
@click.option("--fqdn", help="Of this service.")
@click.option("--port", type=int, help="Of this port of the service.")
@click.option("--subset")
@click.option("--cluster", "name", help="Of the cluster of this name.")
@click.option("--address", help="With this address.")
def endpoints(proxy: str | None, control: Address, admin: Address | None, output: str, **filters: Any) -> None:
    """The instances behind clusters."""
    _print("endpoints", Dump.of(_told(proxy, control, admin)), output, filters)


@proxy_config.command()
@_asking
@click.option("--name", help="The secret of this name.")
def secrets(proxy: str | None, control: Address, admin: Address | None, output: str, **filters: Any) -> None:
    """Certificates and authorities; keys are not shown by anybody."""
    _print("secrets", Dump.of(_told(proxy, control, admin)), output, filters)


@proxy_config.command()
@_asking
def bootstrap(proxy: str | None, control: Address, admin: Address | None, output: str) -> None:
    """What the proxy was started with, as JSON in either form; only the proxy knows it."""
    if admin is None:
        raise click.UsageError("a bootstrap is known to the proxy alone: give its --admin address")
    found = Dump.of(_told(proxy, control, admin)).bootstrap
    if found is None:
        raise click.ClickException(f"{admin} tells no bootstrap")
    show_json({"bootstrap": found})


@proxy_config.command("all")
@_asking
def everything(proxy: str | None, control: Address, admin: Address | None, output: str) -> None:
    """Every section, one after the other."""
    told = _told(proxy, control, admin)
    if output == "json":
        show_json(told)
        return
    dump = Dump.of(told)
    for section in _SECTIONS:
        _print(section, dump, output, {})
        click.echo()
