"""Tables as istioctl prints them: columns three spaces apart, never wrapped or cut, so that `grep` and `awk` work on them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
import yaml

_GAP = "   "


def show(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; an empty cell stays empty."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo(_GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_yaml(value: Any) -> None:
    click.echo(yaml.safe_dump(value, sort_keys=False), nl=False)


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=4))
