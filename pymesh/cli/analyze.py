"""`pymesh analyze`: what is wrong between resources, each of which may be right by itself.

The rules need a plane's idea of a mesh: planes plug in with entry points of the group `pymesh.analyses`, each a callable that takes
all resources and gives its Diagnostics.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import entry_points

import click
from rich.console import Console
from rich.text import Text

from pymesh.api import Problem
from pymesh.api.diagnostic import Diagnostic

from . import reading

_CODES = {"error": "IST0106", "warning": "IST0133", "info": "PYM0001"}
"""What validation finds in a single resource: Istio's codes for errors and warnings, and one for what is left alone."""

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}


@click.command()
@click.option("-f", "--filename", "paths", multiple=True, metavar="PATH", help="A file, a folder, or - for standard input; repeatable.")
@click.argument("more_paths", nargs=-1, metavar="[PATH]...")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For people or for programs.")
@click.option("--explain", is_flag=True, help="Say under each line why it matters and what to do.")
@click.option("--suppress", multiple=True, metavar="CODE", help="A code that is not to be told of; repeatable.")
@click.pass_context
def analyze(
    context: click.Context, paths: tuple[str, ...], more_paths: tuple[str, ...], output: str, explain: bool, suppress: tuple[str, ...]
) -> None:
    """Check Istio configuration as a whole: what points at nothing, contends or has no effect.

    Exits with 0 when there is no error (warnings allowed), 1 when there is one, 2 when a path cannot be read.
    """
    if not paths + more_paths:
        raise click.UsageError("name the files or folders to analyze: -f PATH")
    texts = reading.read(paths + more_paths, "pymesh analyze")
    parsed = reading.parse(texts)
    analyses = [entry.load() for entry in entry_points(group="pymesh.analyses")]
    found = [*map(_of_problem, parsed.problems), *(one for analysis in analyses for one in analysis(parsed.resources))]
    told = sorted(one for one in found if one.code not in suppress)
    if output == "json":
        click.echo(_as_json(told, len(texts), len(parsed.resources)))
    else:
        _print(told, explain)
    context.exit(1 if any(one.severity == "error" for one in told) else 0)


def _of_problem(problem: Problem) -> Diagnostic:
    return Diagnostic(problem.file, problem.line, problem.column, _CODES[problem.severity], problem.severity, "", problem.message)


def _as_json(found: Iterable[Diagnostic], files: int, resources: int) -> str:
    return json.dumps({"files": files, "resources": resources, "diagnostics": [asdict(one) for one in found]}, indent=2)


def _print(found: list[Diagnostic], explain: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for one in found:
        console.print(_coloured(one))
        for name, text in (("why", one.why), ("fix", one.fix)) if explain else ():
            if text:
                console.print(Text(f"    {name}: {text}", "dim"))
    console.print(_summary(found))


def _coloured(one: Diagnostic) -> Text:
    """The same characters as `str(one)`; colours only where the console shows them."""
    place, before, rest = str(one).partition(f": {one.severity} ")
    return Text.assemble((place, "bold"), ": ", (before[2:-1], _STYLES[one.severity]), f" {rest}")


def _summary(found: list[Diagnostic]) -> Text:
    counts = Counter[str](one.severity for one in found)
    told = [f"{counts[level]} {level}{'' if counts[level] == 1 or level == 'info' else 's'}" for level in _STYLES if counts[level]]
    return Text(", ".join(told) or "nothing found", "bold red" if counts["error"] else "bold green")
