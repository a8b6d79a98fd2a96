"""`pymesh`, the command people type. The planes plug their commands in by entry point, so that nothing here imports a plane."""

from importlib.metadata import entry_points

import click

from pymesh import __version__

from ..local.command import demo, up
from .analyze import analyze
from .blocked import blocked
from .describe import describe
from .get import get
from .grpc_bootstrap import grpc_bootstrap
from .proxy_config import proxy_config
from .proxy_settings import proxy_settings
from .proxy_status import proxy_status
from .validate import validate
from .version import version


@click.group()
@click.version_option(__version__, prog_name="pymesh")
def main() -> None:
    """A service mesh in pure-asyncio Python."""


main.add_command(analyze)
main.add_command(blocked)
main.add_command(demo)
main.add_command(describe)
main.add_command(grpc_bootstrap)
main.add_command(up)
main.add_command(get)
main.add_command(proxy_config)
main.add_command(proxy_settings)
main.add_command(proxy_status)
main.add_command(validate)
main.add_command(version)
for _entry in entry_points(group="pymesh.commands"):
    main.add_command(_entry.load(), _entry.name)
