"""Whose configuration is asked for, from whom, and in which form it is shown: what all commands of `pymesh proxy-config` have in common."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pymesh.address import Address

from .control import ask, ask_proxy, control_option, endpoint
from .dump import Dump


@dataclass(frozen=True, slots=True)
class Asked:
    """The proxy of a command line: by name, at its own admin interface, or as a file has it."""

    proxy: str | None
    namespace: str
    control: Address
    admin: Address | None
    file: Path | None
    output: str

    @property
    def name(self) -> str:
        """Under which the control plane knows it. Raises UsageError when none is given."""
        if self.proxy is None:
            raise click.UsageError("name the proxy, or give its --admin address or a --file")
        return named(self.proxy, self.namespace)

    def whole(self) -> Any:
        """The dump as it was told. Raises ClickException."""
        if self.file is not None:
            return from_file(self.file)
        if self.admin is not None:
            return ask_proxy(self.admin, "/config_dump", include_eds="")
        return ask(self.control, "/debug/config_dump", proxyID=self.name)

    def dump(self) -> Dump:
        told = self.whole()
        if not isinstance(told, dict):
            raise click.ClickException(f"{self.file or self.admin or self.control} holds no dump of a configuration")
        return Dump.of(told)

    def places(self) -> dict[str, str]:
        """Where each resource stands now, by `KIND NAMESPACE/NAME`."""
        told = ask(self.control, "/debug/configz")["resources"]
        return {f"{one['kind']} {one['metadata']['namespace']}/{one['metadata']['name']}": one["file"] for one in told}


def named(proxy: str, namespace: str) -> str:
    """istioctl's names: NAME with a namespace beside it is NAME.NAMESPACE, and so is `pod/NAME`; a node id stays what it is."""
    name = proxy.rpartition("/")[2] if "~" not in proxy else proxy
    return f"{name}.{namespace}" if namespace and "~" not in name and "." not in name else name


def from_file(path: Path) -> Any:
    """The JSON of a dump that somebody has kept. Raises ClickException."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise click.ClickException(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise click.ClickException(f"{path} is not JSON: {error}") from None


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and options that every section has; the command gets them as one."""

    @functools.wraps(command)
    def call(
        proxy: str | None, namespace: str, control: Address, admin: Address | None, file: Path | None, output: str, **others: Any
    ) -> None:
        command(Asked(proxy, namespace, control, admin, file, output), **others)

    made: Callable[..., None] = call
    for decorate in (
        click.option("-o", "--output", type=click.Choice(["short", "json", "yaml"]), default="short", show_default=True),
        click.option("-f", "--file", type=click.Path(path_type=Path), metavar="FILE", help="Read a dump (/config_dump) that was kept."),
        click.option(
            "--admin", type=endpoint, metavar="HOST:PORT", help="Ask the proxy's own admin interface instead of the control plane."
        ),
        click.option("-n", "--namespace", default="", help="Of the proxy."),
        control_option,
        click.argument("proxy", required=False),
    ):
        made = decorate(made)
    return made
