"""/logging: how much the process tells, by logger."""

import logging

from .facts import Answer, BadQuery, Command, Facts, Query

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 1,
}
_NAMES = {number: name for name, number in _LEVELS.items()}
_ROOT = "root"


def set_levels(facts: Facts, query: Query) -> Answer:
    """`level=debug` for all, `<logger>=debug` for one, `paths=<logger>:debug,...` for several; without any, only the list."""
    for name, number in [(name, _number(level)) for name, level in _wanted(query)]:  # all are checked before one is set
        logging.getLogger(None if name == _ROOT else name).setLevel(number)
    listing = "".join(f"  {name}: {_level(name)}\n" for name in [_ROOT, *_existing()])
    return Answer(body=f"active loggers:\n{listing}")


def _wanted(query: Query) -> list[tuple[str, str]]:
    wanted: list[tuple[str, str]] = []
    for key, value in query.items():
        if key == "level":
            wanted += [(name, value) for name in [_ROOT, *_existing()]]
        elif key == "paths":
            wanted += [(name, level) for name, _, level in (entry.rpartition(":") for entry in value.split(","))]
        else:
            wanted.append((key, value))
    known = {_ROOT, *_existing()}
    if unknown := [name for name, _ in wanted if name not in known]:
        raise BadQuery(f"unknown logger {unknown[0]!r}\n")
    return wanted


def _existing() -> list[str]:
    return sorted(name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("asyncio", "grpc", "pymesh"))


def _number(level: str) -> int:
    if level not in _LEVELS:
        raise BadQuery(f"unknown level {level!r}; one of {', '.join(_LEVELS)}\n")
    return _LEVELS[level]


def _level(name: str) -> str:
    number = logging.getLogger(None if name == _ROOT else name).getEffectiveLevel()
    return _NAMES.get(number, str(number))


COMMANDS = (Command(path="/logging", help="show and set log levels (level=, <logger>=, paths=)", run=set_levels, mutates=True),)
