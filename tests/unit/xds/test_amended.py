"""The field that Envoy has and xds-protos has not is one like any other."""

import subprocess
import sys

import pytest
from google.protobuf import json_format

from pymesh.xds import known, proto

BUDGET = "envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget"


def test_it_stands_on_the_wire_where_envoy_has_it():
    budget = proto.circuit_breaker.CircuitBreakers.Thresholds.RetryBudget(budget_interval=proto.duration(10))
    assert budget.SerializeToString() == b"\x1a\x02\x08\x0a"


@pytest.mark.parametrize("field", ["budget_interval", "budgetInterval"])
def test_it_has_both_spellings_in_json(field):
    budget = known.from_json(BUDGET, {field: "2.500s"})
    assert (budget.budget_interval.seconds, budget.budget_interval.nanos) == (2, 500_000_000)
    assert json_format.MessageToDict(budget) == {"budgetInterval": "2.500s"}


@pytest.mark.parametrize("first", ["proto", "known", "als", "types"])
def test_it_is_there_whichever_module_comes_first(first):
    """In a process of its own: a file of protobuf's is loaded once."""
    made = f"known.from_json({BUDGET!r}, {{'budgetInterval': '1s'}})"
    script = f"from pymesh.xds import {first}, known; print({made}.HasField('budget_interval'))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout
    assert told == "True\n"
