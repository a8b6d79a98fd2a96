"""Every option of every program is documented, and no other is."""

import argparse
from collections.abc import Iterator

import click
import pytest

from pymesh.cli import main as pymesh
from pymesh_certs import main as ca
from pymesh_certs.agent import main as agent
from pymesh_control import main as control
from pymesh_proxy import main as proxy

from .pages import ALL, CONFIGURATION, README, code, first_cells, prose, rows, same, section

_HELP = {"-h", "--help"}
_FOREIGN = {"--concurrency", "--drain-time-s"}
"""Envoy's options of the same name as ours."""

PARSERS = {
    "pymesh-control": control._parser,
    "pymesh-proxy": proxy.parser,
    "pymesh-ca": ca._parser,
    "pymesh-agent": agent._parser,
}


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """The options that `--help` shows, those of subcommands too."""
    return {name for action in _actions(parser) if action.help != argparse.SUPPRESS for name in action.option_strings} - _HELP


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)


def click_options() -> dict[str, set[str]]:
    """Options of `pymesh` by command, its own under an empty name."""
    commands: dict[str, click.Command] = {"": pymesh, **pymesh.commands}
    return {name: set(_options_of(command)) for name, command in commands.items()}


def _options_of(command: click.Command) -> Iterator[str]:
    """Those of a group's commands are its own."""
    yield from (name for one in command.params if isinstance(one, click.Option) for name in one.opts)
    for below in command.commands.values() if isinstance(command, click.Group) and command is not pymesh else ():
        yield from _options_of(below)


@pytest.mark.parametrize("program", PARSERS)
def test_the_options_of_a_program_are_those_documented(program: str) -> None:
    same(first_cells(section(CONFIGURATION, program)), options_of(PARSERS[program]()), program)


def test_the_options_of_pymesh_are_documented_with_their_commands() -> None:
    told: dict[str, set[str]] = {name: set() for name in pymesh.commands} | {"": set()}
    for options, commands, _ in rows(section(CONFIGURATION, "pymesh")):
        for command in code(commands) or [""]:
            told[command] |= set(code(options))
    assert told == click_options()


def test_no_page_names_an_option_that_no_program_has() -> None:
    known = set().union(*click_options().values(), *(options_of(make()) for make in PARSERS.values()), _HELP, _FOREIGN)
    for page in ALL:
        named = {word.split()[0] for word in code(prose(page)) if word.startswith("--") and len(word) > 2}
        assert named <= known, f"{page.name} names {sorted(named - known)}"


def test_the_readme_lists_every_command() -> None:
    listed = {" ".join(word.split()[:2]) if word.startswith("pymesh ") else word for word in first_cells(section(README, "The commands"))}
    assert {f"pymesh {name}" for name in pymesh.commands} | set(PARSERS) <= listed
