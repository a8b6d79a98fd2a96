"""From the paths on a command line to resources, and everything that is wrong with each of them by itself.

What is valid Istio and yet not honoured, the planes know: they plug in with entry points of the group `pymesh.checks`, each a
callable that takes a Resource and gives its Problems.
"""

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path

import click

from pymesh.api import Parsed, Problem, Resource, has_errors, parse_text, sources

STDIN = "-"
Check = Callable[[Resource], list[Problem]]


def read(paths: Iterable[str], command: str) -> list[sources.Source]:
    """The texts of all paths; when some cannot be read, says which and leaves with 2."""
    texts, unreadable = [], []
    for path in paths:
        for file in sources.files(Path(path)):
            try:
                texts.append(_read_stdin() if path == STDIN else sources.read(file))
            except sources.Unreadable as error:
                unreadable.append(str(error))
    if unreadable:
        click.echo("\n".join(f"{command}: {sentence}" for sentence in unreadable), err=True)
        raise click.exceptions.Exit(2)
    return texts


def parse(texts: Iterable[sources.Source]) -> Parsed:
    """The resources that every plane takes, and the reasons why the others are not among them."""
    checks = [entry.load() for entry in entry_points(group="pymesh.checks")]
    parsed = Parsed()
    for source in texts:
        parsed.add(_checked(parse_text(source.text, source.name), checks))
    return parsed


def _checked(parsed: Parsed, checks: Iterable[Check]) -> Parsed:
    """What was read, less the resources that a plane would refuse, and with the reasons."""
    judged = [(resource, [problem for check in checks for problem in check(resource)]) for resource in parsed.resources]
    usable = [resource for resource, problems in judged if not has_errors(problems)]
    return Parsed(usable, sorted(parsed.problems + [problem for _, problems in judged for problem in problems]))


def _read_stdin() -> sources.Source:
    try:
        return sources.Source("<stdin>", sys.stdin.buffer.read().decode())
    except UnicodeDecodeError as error:
        raise sources.Unreadable(f"cannot read standard input: it is not UTF-8 text (byte {error.start})") from error
