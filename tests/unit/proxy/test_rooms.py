"""What compiled rooms may not do, although it works where they are not compiled."""

import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path

import pymesh_proxy

_SPEC = importlib.util.spec_from_file_location("compile_rooms", Path(pymesh_proxy.__file__).parents[1] / "compile_rooms.py")


def rooms() -> Iterator[str]:
    assert _SPEC is not None
    assert _SPEC.loader is not None
    made = importlib.util.module_from_spec(_SPEC)
    _SPEC.loader.exec_module(made)
    for folder, modules in made.ROOMS.items():
        yield from (".".join(filter(None, ("pymesh_proxy", folder.replace("/", "."), module))) for module in modules)


def test_no_compiled_class_has_slots_of_a_class_that_is_not() -> None:
    """They would lie where it has the table of its methods: the process crashes."""
    names = {*rooms()}
    classes = [cls for name in names for _, cls in inspect.getmembers(importlib.import_module(name), inspect.isclass)]
    crashing = {
        f"{cls.__qualname__}: {base.__module__}.{base.__qualname__}"
        for cls in classes
        if cls.__module__ in names
        for base in cls.__mro__[1:]
        if base.__module__ not in names and base.__dict__.get("__slots__")
    }
    assert not crashing
