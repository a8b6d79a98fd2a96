"""Which values of headers hold whole operators."""

import pytest

from pymesh.api.validate.header_format import is_balanced

WHOLE = (
    "", "a", "100%%", "%A%", "%a b%", "x%A%y%B%z", "%REQ(x)%", "%REQ( x)%", "%REQ(x?y)%", '%M(["a", "b"])%', '%M( [ "a" ] ) %',
    r'%M(["a\"b"])%', "%REQ(a(b)%", "%%%A%", "%REQ())%", '%M(["a)%', "%A(b[)%",
)  # fmt: skip
BROKEN = (
    "%", "%A", "100%", "%A%%", "abc%123", "%REQ(x", "%REQ(x)", "%REQ(x):10%", "%REQ(x)y%", "%M([a])%", '%M(["a" "b"])%', '%M(["a"]%',
    '%M(["a"', "%REQ(x\\", "%M([])%", "%M()%", '%M(["a"];)%', '%M("a")%',
)  # fmt: skip


@pytest.mark.parametrize("text", WHOLE)
def test_a_value_of_whole_operators(text):
    assert is_balanced(text)


@pytest.mark.parametrize("text", BROKEN)
def test_a_value_of_which_an_operator_is_broken(text):
    assert not is_balanced(text)
