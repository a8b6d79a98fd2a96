"""`pymesh validate`: every mistake of Istio configuration, before a mesh has to refuse it."""

import json
from collections import Counter
from dataclasses import asdict

import click
from rich.console import Console
from rich.text import Text

from pymesh.api import Parsed, Problem, has_errors

from . import reading

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}


@click.command()
@click.option("-f", "--filename", "paths", multiple=True, metavar="PATH", help="A file, a folder, or - for standard input; repeatable.")
@click.argument("more_paths", nargs=-1, metavar="[PATH]...")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For people or for programs.")
@click.pass_context
def validate(context: click.Context, paths: tuple[str, ...], more_paths: tuple[str, ...], output: str) -> None:
    """Check Istio configuration.

    Exits with 0 when it is valid (warnings allowed), 1 when it is not, 2 when a path cannot be read.
    """
    if not paths + more_paths:
        raise click.UsageError("name the files or folders to check: -f PATH")
    texts = reading.read(paths + more_paths, "pymesh validate")
    parsed = reading.parse(texts)
    if output == "json":
        click.echo(_as_json(parsed, len(texts)))
    else:
        _print(parsed, len(texts))
    context.exit(1 if has_errors(parsed.problems) else 0)


def _as_json(parsed: Parsed, files: int) -> str:
    return json.dumps(
        {
            "valid": not has_errors(parsed.problems),
            "files": files,
            "resources": len(parsed.resources),
            "problems": [asdict(problem) for problem in parsed.problems],
        },
        indent=2,
    )


def _print(parsed: Parsed, files: int) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for problem in parsed.problems:
        console.print(_coloured(problem))
    console.print(_summary(parsed, files))


def _coloured(problem: Problem) -> Text:
    """The same characters as `str(problem)`; colours only where the console shows them."""
    place = f"{problem.file}:{problem.line}:{problem.column}"
    return Text.assemble((place, "bold"), ": ", (problem.severity, _STYLES[problem.severity]), f": {problem.message}")


def _summary(parsed: Parsed, files: int) -> Text:
    counts = Counter[str](problem.severity for problem in parsed.problems)
    errors, warnings = counts["error"], counts["warning"]
    found = f"{_count(len(parsed.resources), 'valid resource')} in {_count(files, 'file')}"
    told = ", ".join(_count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number)
    alone = f", {_count(counts['info'], 'object')} left alone" if counts["info"] else ""
    return Text(f"{found}{alone}: {told or 'no problems'}", "bold red" if errors else "bold green")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
