"""Lists whose order means something, against lists of Python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh.api.models.envoyfilter import ApplyTo, PatchContext, PatchOperation
from pymesh.xds import proto
from pymesh_control.model.envoyfilter import EnvoyPatch
from pymesh_control.model.origin import Origin
from pymesh_control.patch.order import rearrange


def after(names, operation, wanted, value="new"):
    chain = proto.listener_components.FilterChain(filters=[{"name": name} for name in names])
    message = proto.listener_components.Filter(name=value)
    patch = EnvoyPatch(
        origin=Origin("EnvoyFilter", "a", "b"), index=0, apply_to=ApplyTo.NETWORK_FILTER, operation=PatchOperation[operation],
        context=PatchContext.ANY, value=message,
    )  # fmt: skip
    rearrange(chain.filters, patch, wanted and (lambda item: item.name == wanted))
    return [one.name for one in chain.filters]


@pytest.mark.parametrize(
    ("operation", "unnamed", "named", "absent"),
    [
        ("ADD", "a b a new", "a b a new", "a b a new"),
        ("INSERT_FIRST", "new a b a", "new a b a", "new a b a"),
        ("INSERT_BEFORE", "new a b a", "a new b a", "a b a"),
        ("INSERT_AFTER", "a b a new", "a b new a", "a b a"),
        ("REPLACE", "a b a", "a new a", "a b a"),
        ("REMOVE", "a b a", "a a", "a b a"),
        ("MERGE", "a b a", "a b a", "a b a"),
    ],
)
def test_each_operation(operation, unnamed, named, absent):
    assert [" ".join(after("aba", operation, wanted)) for wanted in (None, "b", "c")] == [unnamed, named, absent]


def test_only_the_first_is_replaced_and_all_are_removed():
    assert (after("aba", "REPLACE", "a"), after("aba", "REMOVE", "a")) == (["new", "b", "a"], ["b"])


NAMES = st.lists(st.sampled_from("abc"), max_size=5)
OPERATIONS = st.sampled_from(["ADD", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER"])


@given(NAMES, OPERATIONS, st.sampled_from(["a", "b", None]))
def test_removing_what_was_added_leaves_the_list_as_it_was(names, operation, wanted):
    assert after(after(names, operation, wanted), "REMOVE", "new") == names
