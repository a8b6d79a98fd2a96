"""ListenerFilterChainMatchPredicate: the connections that a listener filter leaves alone, by the port that they were going to."""

from collections.abc import Callable

from .fields import Reader

Ports = Callable[[int], bool]


def predicate(reader: Reader) -> Ports:
    """Whether a port is meant."""
    reader.only("or_match", "and_match", "not_match", "any_match", "destination_port_range")
    name = reader.which("rule")
    inner = reader.child(name) if name not in ("", "any_match") else None
    if inner is not None:
        return _READ[name](inner)
    if not name:
        reader.refuse("rule", "is required")
    elif not reader.message.any_match:
        reader.refuse("any_match", "value must equal true")
    return _within(0, 65536)


def _members(reader: Reader) -> tuple[Ports, ...]:
    reader.only("rules")
    if len(reader.message.rules) < 2:
        reader.refuse("rules", "value must contain at least 2 item(s)")
    return tuple(map(predicate, reader.items("rules")))


def _some(reader: Reader) -> Ports:
    rules = _members(reader)
    return lambda port: any(rule(port) for rule in rules)


def _every(reader: Reader) -> Ports:
    rules = _members(reader)
    return lambda port: all(rule(port) for rule in rules)


def _other(reader: Reader) -> Ports:
    unwanted = predicate(reader)
    return lambda port: not unwanted(port)


def _range(reader: Reader) -> Ports:
    reader.only("start", "end")
    return _within(reader.message.start, reader.message.end)


def _within(start: int, end: int) -> Ports:
    """From `start` up to, and without, `end`."""
    return lambda port: start <= port < end


_READ = {"or_match": _some, "and_match": _every, "not_match": _other, "destination_port_range": _range}
