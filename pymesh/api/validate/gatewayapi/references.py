"""Names, host names, and the references by which routes find their parents and backends."""

from collections.abc import Sequence

from pymesh.address import is_ip

from ...models.gatewayapi.references import BackendObjectReference, ParentReference, RouteSpec
from ...tree import json_name
from .. import words
from ..finding import Finding, Findings, below, verdict

LONGEST_VALUE = 4096
"""Of a header, in characters."""
LONGEST_PARAMETER = 1024
"""The value of one in a query."""
_LONGEST_NAME = 256
_MOST_PARENTS = 32
_MOST_HOSTNAMES = 16


def limit(name: str, items: Sequence[object], most: int, *, least: int = 0) -> Findings:
    """A list of the right length."""
    if len(items) < least:
        yield Finding((name,), f'"{json_name(name)}" needs at least one item')
    if len(items) > most:
        yield Finding((name,), f"at most {most} items, found {len(items)}")


def named_once(names: Sequence[str]) -> Findings:
    """Headers or parameters of a list, each of which may be there once."""
    for index, name in enumerate(names):
        yield from verdict((index, "name"), too_long(name, _LONGEST_NAME))
        if name in names[:index]:
            yield Finding((index, "name"), f'"{name}" is listed twice')


def too_long(text: str, most: int) -> str | None:
    """What is wrong with a text of more than so many characters."""
    return f"has at most {most} characters, found {len(text)}" if len(text) > most else None


def hostname(text: str, *, wildcard: bool = True) -> str | None:
    """A host name in lower case; its first label may be `*`."""
    if is_ip(text):
        return f'"{text}" is an IP address, and a host name is needed'
    rest = text.removeprefix("*.") if wildcard else text
    if words.object_name(rest):
        allowed = ', and "*." before it' if wildcard else ""
        return f'"{text}" is not a host name (lower-case letters, digits, "-" and "."{allowed})'
    return None


def hostnames(values: Sequence[str], *, most: int = _MOST_HOSTNAMES) -> Findings:
    """The host names of a route."""
    yield from limit("hostnames", values, most)
    for index, value in enumerate(values):
        yield from verdict(("hostnames", index), hostname(value))


def parents(spec: RouteSpec) -> Findings:
    """What a route attaches to: of several references to one parent each must name another part of it."""
    yield from limit("parent_refs", spec.parent_refs, _MOST_PARENTS)
    seen: dict[tuple[str, ...], list[tuple[str | None, int | None]]] = {}
    for index, one in enumerate(spec.parent_refs):
        yield from below(("parent_refs", index), _parent(one))
        parts = seen.setdefault((one.group, one.kind, one.namespace or "", one.name), [])
        part = (one.section_name, one.port)
        if part in parts:
            yield Finding(("parent_refs", index), f'"{one.name}" is listed twice; sectionName or port must differ')
        elif parts and ((None, None) in parts or part == (None, None)):
            yield Finding(("parent_refs", index), f'every reference to "{one.name}" needs sectionName or port, as there are several')
        parts.append(part)


def _parent(reference: ParentReference) -> Findings:
    yield from verdict("name", words.object_name(reference.name))
    if reference.section_name is not None:
        yield from verdict("section_name", words.object_name(reference.section_name))


def backend(reference: BackendObjectReference) -> Findings:
    """A backend; of a Service a port must be named."""
    if reference.kind == "Hostname":
        yield from verdict("name", words.fqdn(reference.name))
        if reference.namespace is not None:
            yield Finding(("namespace",), "a Hostname has no namespace")
    else:
        yield from verdict("name", words.object_name(reference.name))
        if "." in reference.name and (reference.group, reference.kind) == ("", "Service"):
            yield Finding(("name",), f'"{reference.name}" is a host name; write the name of the Service, and its namespace in "namespace"')
    if reference.port is None and (reference.group, reference.kind) == ("", "Service"):
        yield Finding((), 'the required field "port" is missing')


def rule_names(names: Sequence[str | None]) -> Findings:
    """Names of rules, each once."""
    for index, name in enumerate(names):
        if name is None:
            continue
        yield from verdict((index, "name"), words.object_name(name))
        if name in names[:index]:
            yield Finding((index, "name"), f'the name "{name}" is used twice')
