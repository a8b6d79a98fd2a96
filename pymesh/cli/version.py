"""`pymesh version`: what is installed, in the words a bug report needs."""

import platform

import click

from pymesh import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"pymesh {__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})")
