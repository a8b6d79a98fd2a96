"""Every row of the table of gRPC without a proxy names tests that are there."""

import re

from .pages import PROXYLESS, ROOT, code, prose, rows

_TESTS = ROOT / "tests" / "interop" / "mesh"


def test_every_row_is_shown_by_a_test() -> None:
    table = rows(prose(PROXYLESS))
    assert len(table) > 15
    for row in table:
        for named in code(row[-1]):
            file, _, test = named.partition("::")
            assert re.search(rf"^async def {test}\(", (_TESTS / file).read_text(), re.MULTILINE), named
