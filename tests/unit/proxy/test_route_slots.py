"""Route tables find their listeners, and are gone with the last of them."""


import pytest

from pymesh_proxy.route.table import RouteTable
from pymesh_proxy.runtime import Routes


def table(name: str) -> RouteTable:
    return RouteTable(name, lambda authority: None)


@pytest.fixture
def routes() -> Routes:
    return Routes()


def test_two_listeners_of_one_name_share_its_slot_and_see_its_table(routes: Routes) -> None:
    one, other = routes.slot("80"), routes.slot("80")
    routes.put(table("80"))
    assert one is other
    assert one.table is not None


def test_a_name_that_no_listener_holds_is_forgotten_with_its_table(routes: Routes) -> None:
    slot = routes.slot("80")
    routes.put(table("80"))
    assert list(routes) == [slot]
    del slot
    assert list(routes) == []
    assert routes.slot("80").table is None


def test_a_table_for_nobody_is_not_kept(routes: Routes) -> None:
    routes.put(table("80"))
    assert list(routes) == []
