"""The page of annotations, labels and node metadata is what the tables say."""

from pymesh_control.model import nodewords

from . import metadata
from .pages import CONFIGURATION, first_cells, section


def test_the_page_is_not_stale() -> None:
    assert metadata.PAGE.read_text() == metadata.text(), "run `python -m tests.unit.docs.metadata`"


def test_no_key_of_a_node_is_both_read_and_without_effect() -> None:
    assert not nodewords.UNUSED.keys() & first_cells(section(CONFIGURATION, "Node metadata"))
