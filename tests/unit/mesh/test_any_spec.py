"""Specs made of the right fields with values good, odd and wrong: validation judges them all and never breaks."""

import enum
import json
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesh.api import parse_text
from pymesh.api.kinds import KINDS, KUBERNETES_KINDS
from pymesh.api.types import Model

texts = st.sampled_from(
    ["", "a", "*", "*.a.b", "a/b", "ns/a", "1s", "0s", "10.0.0.1", "unix:///x", "%", "(", ".", "~", "mesh", "5xx,1", "HTTP", "a.b.c"]
)
numbers = st.sampled_from([-1, 0, 1, 80, 100, 101, 200, 65535, 65536, 2**32, 0.5])
wrong = st.one_of(st.none(), st.booleans(), texts, numbers, st.just([]), st.just({}), st.just([None]), st.just({"a": None}))


def values_of(annotation):
    """Mostly values of the annotation, sometimes anything."""
    return st.one_of(_right(annotation), _right(annotation), _right(annotation), wrong)


def _right(annotation):
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return st.lists(values_of(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["", "a", "8080", "Host", ":authority", "a b"]), values_of(arguments[1]), max_size=2)
    if arguments:
        return _right(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return specs(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return st.sampled_from([member.value for member in annotation])
    return {bool: st.booleans(), int: numbers, float: st.one_of(numbers, texts)}.get(annotation, texts)


def specs(model):
    fields = {info.alias or name: st.deferred(lambda info=info: values_of(info.annotation)) for name, info in model.model_fields.items()}
    return st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen})
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_any_spec_becomes_a_resource_or_errors(kind, data):
    spec = data.draw(specs(kind.model))
    document = {"apiVersion": kind.api_versions[0], "kind": kind.written, "metadata": {"name": "x"}, "spec": spec}
    parsed = parse_text(json.dumps(document), "f")
    has_error = any(problem.severity == "error" for problem in parsed.problems)
    assert len(parsed.resources) == (0 if has_error else 1)
    assert all((problem.line, problem.column) <= (1, len(json.dumps(document))) for problem in parsed.problems)


@pytest.mark.parametrize("kind", [kind for kind in KUBERNETES_KINDS.values() if kind.model.model_fields], ids=lambda kind: kind.name)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_any_object_of_kubernetes_becomes_a_resource_or_errors(kind, data):
    document = {"apiVersion": kind.api_versions[0], "kind": kind.name, "metadata": {"name": "x"}, **data.draw(specs(kind.model)), "else": 1}
    parsed = parse_text(json.dumps(document), "f")
    assert len(parsed.resources) + len(parsed.problems[:1]) == 1
