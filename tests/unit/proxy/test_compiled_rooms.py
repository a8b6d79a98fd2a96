"""What mypyc can compile: the list of rooms, held against the classes in them."""

import importlib
import runpy
from pathlib import Path

import pytest

from pymesh_proxy.http.body_transport import BodyTransport

SCRIPT = Path(__file__).parents[3] / "proxy" / "compile_rooms.py"
ROOMS = runpy.run_path(str(SCRIPT))["ROOMS"]
NAMES = [".".join(filter(None, ("pymesh_proxy", folder.replace("/", "."), room))) for folder, rooms in ROOMS.items() for room in rooms]


def foreign_slots(kind):
    """Bases outside of the rooms that have a place for attributes: mypyc would put its table of methods there."""
    return [base for base in kind.__mro__ if base.__module__ not in NAMES and vars(base).get("__slots__")]


@pytest.mark.parametrize("name", NAMES)
def test_no_class_inherits_slots_from_what_is_not_compiled(name):
    module = importlib.import_module(name)
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == name]
    assert {kind.__name__: found for kind in kinds if (found := foreign_slots(kind))} == {}


def test_a_transport_is_such_a_class():
    assert foreign_slots(BodyTransport)
