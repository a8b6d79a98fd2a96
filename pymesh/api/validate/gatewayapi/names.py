"""Groups, kinds, namespaces and names, wherever objects of the Gateway API refer to others: the patterns of its schemas."""

import re
from collections.abc import Callable, Mapping

from ...types import Model
from .. import words
from ..finding import Finding, Findings, below, verdict

_KIND = re.compile("[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]")
_LONGEST_KIND = 63
_LONGEST_NAME = 253
_LONGEST_VALUE = 4096


def check(spec: Model) -> Findings:
    """Every reference in a spec, however deep."""
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if isinstance(value, str):
            yield from verdict(name, _WORDS[name](value) if name in _WORDS else None)
        elif isinstance(value, Model):
            yield from below(name, check(value))
        elif isinstance(value, list):
            for index, one in enumerate(value):
                yield from below((name, index), check(one)) if isinstance(one, Model) else ()
    if "kind" in type(spec).model_fields and not _is_name(getattr(spec, "name", None)):
        yield Finding(("name",), f"has 1 to {_LONGEST_NAME} characters")


def _is_name(text: str | None) -> bool:
    return text is None or 1 <= len(text) <= _LONGEST_NAME


def annotations(values: Mapping[str, str], most: int) -> Findings:
    """A map of keys such as annotations have."""
    if len(values) > most:
        yield Finding((), f"at most {most} items, found {len(values)}")
    for key, value in values.items():
        if len(key) > _LONGEST_NAME or not _KEY.fullmatch(key):
            yield Finding((key,), f'"{key}" is not a key of the form [domain/]name')
        yield from verdict(key, f"has at most {_LONGEST_VALUE} characters" if len(value) > _LONGEST_VALUE else None)


def _group(text: str) -> str | None:
    return words.object_name(text) and f'"{text}" is not the name of a group' if text else None


def _kind(text: str) -> str | None:
    return None if len(text) <= _LONGEST_KIND and _KIND.fullmatch(text) else f'"{text}" is not the name of a kind'


def _namespace(text: str) -> str | None:
    return words.dns_label(text) or (None if text == text.lower() else f'"{text}" is not the name of a namespace: it has capitals')


_WORDS: Mapping[str, Callable[[str], str | None]] = {"group": _group, "kind": _kind, "namespace": _namespace}
