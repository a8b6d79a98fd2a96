"""`pymesh analyze`: what is wrong between resources, each of which may be right by itself.

The rules need a plane's idea of a mesh: planes plug in with entry points of the group `pymesh.analyses`, each a callable that takes
all resources and gives its Diagnostics.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import entry_points

import click
from rich.console import Console
from rich.text import Text

from pymesh.api import Parsed, Resource
from pymesh.api.diagnostic import Diagnostic, Level, suppresses
from pymesh.api.kinds import written

from . import reading, suppression

_CODES = {"error": "IST0106", "warning": "IST0133", "info": "PYM0001"}
"""What validation finds in a single resource: Istio's codes for errors and warnings, and one for what is left alone."""

_OTHER_LEVELS: dict[str, Level] = {"IST0131": "info", "IST0152": "error", "IST0153": "error", "IST0154": "error"}
"""Codes whose level in istioctl's analysis is another than that of a webhook's warning."""

_LEVELS = ("info", "warning", "error")
_LEVEL = click.Choice(_LEVELS, case_sensitive=False)

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}


@click.command()
@click.option("-f", "--filename", "paths", multiple=True, metavar="PATH", help="A file, a folder, or - for standard input; repeatable.")
@click.argument("more_paths", nargs=-1, metavar="[PATH]...")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For people or for programs.")
@click.option("--explain", is_flag=True, help="Say under each line why it matters and what to do.")
@click.option(
    "-S",
    "--suppress",
    multiple=True,
    type=suppression.parse,
    metavar="CODE[=KIND NAME.NAMESPACE]",
    help="What is not to be told of; repeatable.",
)
@click.option("--output-threshold", type=_LEVEL, default="info", show_default=True, help="Tell of nothing below this level.")
@click.option("--failure-threshold", type=_LEVEL, default="error", show_default=True, help="Fail from this level on.")
@click.pass_context
def analyze(
    context: click.Context,
    paths: tuple[str, ...],
    more_paths: tuple[str, ...],
    output: str,
    explain: bool,
    suppress: tuple[suppression.Suppression, ...],
    output_threshold: str,
    failure_threshold: str,
) -> None:
    """Check Istio configuration as a whole: what points at nothing, contends or has no effect.

    Exits with 0 when nothing is as bad as the failure threshold, 1 when something is, 2 when a path cannot be read.
    """
    if not paths + more_paths:
        raise click.UsageError("name the files or folders to analyze: -f PATH")
    texts = reading.read(paths + more_paths, "pymesh analyze")
    parsed = reading.parse(texts)
    analyses = [entry.load() for entry in entry_points(group="pymesh.analyses")]
    found = [*_of_problems(parsed), *(one for analysis in analyses for one in analysis(parsed.resources))]
    wanted = sorted(one for one in found if not any(unwanted.hides(one) for unwanted in suppress))
    told = [one for one in wanted if _is_at_least(one, output_threshold)]
    if output == "json":
        click.echo(_as_json(told, len(texts), len(parsed.resources)))
    else:
        _print(told, explain)
    context.exit(1 if any(_is_at_least(one, failure_threshold) for one in wanted) else 0)


def _is_at_least(one: Diagnostic, level: str) -> bool:
    return _LEVELS.index(one.severity) >= _LEVELS.index(level)


def _of_problems(parsed: Parsed) -> Iterator[Diagnostic]:
    """What was found of single resources, but for what their own annotations do not want to hear of."""
    named: dict[tuple[str, str], list[Resource]] = {}
    for one in parsed.resources:
        named.setdefault((one.where.file, f"{written(one)} {one.name}"), []).append(one)
    for problem in parsed.problems:
        subject, _, sentence = problem.message.partition(": ")
        of_name = named.get((problem.file, subject), ()) if problem.severity != "error" else ()
        resource = next((one for one in reversed(of_name) if one.where.line <= problem.line), None)  # other namespaces have the name, too
        place = (problem.file, problem.line, problem.column)
        code = problem.code or _CODES[problem.severity]
        if resource is None:
            yield Diagnostic(*place, code, problem.severity, "", problem.message)
        elif not suppresses(resource, code):
            level = _OTHER_LEVELS.get(code, problem.severity)
            yield Diagnostic(*place, code, level, f"{resource.kind} {resource.namespace}/{resource.name}", sentence)


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
