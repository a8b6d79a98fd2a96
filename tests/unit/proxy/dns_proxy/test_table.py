"""Under which names the hosts of a name table are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh.xds import nds
from pymesh_proxy.dns_proxy.table import Found, Place, Table, named

from .packed import packed

SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
SHOP = Place("shop", "shop.svc.cluster.local", SEARCH)
CART = "cart.shop.svc.cluster.local"
HERE = packed("10.0.0.1")


def message(**hosts):
    """A NameTable; the hosts' underscores are dots."""
    made = nds.NameTable()
    for host, info in hosts.items():
        made.table[host.replace("_", ".")].CopyFrom(nds.NameTable.NameInfo(**info))
    return made


def table_of(made, place):
    return Table(dict(named(made, place)), place.completing)


def kubernetes(name, namespace, *ips, **more):
    return {"ips": ips or ["10.0.0.1"], "registry": "Kubernetes", "shortname": name, "namespace": namespace, **more}


@pytest.fixture
def cart():
    return message(**{CART: kubernetes("cart", "shop")})


def found_by(table, *names):
    return [name for name in names if table.find(name)]


def test_a_host_of_the_cluster_has_short_names(cart):
    names = (CART, "cart", "cart.shop", "cart.shop.svc")
    assert found_by(table_of(cart, SHOP), *names, "cart.shop.svc.cluster", "shop", "car") == list(names)


def test_the_shortest_is_known_in_its_own_namespace_only(cart):
    other = table_of(cart, Place("web", "web.svc.cluster.local"))
    assert found_by(other, CART, "cart", "cart.shop", "cart.shop.svc") == [CART, "cart.shop", "cart.shop.svc"]


def test_hosts_of_another_clusters_domain_have_no_short_names():
    table = table_of(message(cart_shop_svc_else_where=kubernetes("cart", "shop")), SHOP)
    assert found_by(table, "cart.shop.svc.else.where", "cart", "cart.shop") == ["cart.shop.svc.else.where"]


def test_hosts_of_other_registries_have_none():
    table = table_of(message(**{CART: {"ips": ["10.0.0.1"], "registry": "External", "shortname": "cart", "namespace": "shop"}}), SHOP)
    assert found_by(table, CART, "cart.shop") == [CART]


def test_the_pod_of_a_headless_service_is_found_as_kubernetes_calls_it():
    table = table_of(message(**{"db-0.db.shop.svc.cluster.local": kubernetes("db-0.db", "shop")}), SHOP)
    assert found_by(table, "db-0.db", "db-0.db.shop", "db-0.db.shop.svc", "db-0") == ["db-0.db", "db-0.db.shop", "db-0.db.shop.svc"]


def test_alternate_hosts_are_names_too():
    assert found_by(table_of(message(**{CART: kubernetes("cart", "shop", alt_hosts=["Basket.example"])}), SHOP), "basket.example")


def test_names_are_in_small_letters_without_the_last_dot():
    assert table_of(message(**{"A.Example.com.": {"ips": ["10.0.0.1"]}}), SHOP).find("a.example.com") == Found(HERE)


def test_what_a_host_is_called_stands_over_what_another_may_be_called():
    table = table_of(message(**{CART: kubernetes("cart", "shop"), "cart.shop": {"ips": ["10.0.0.9"]}}), SHOP)
    assert table.find("cart.shop") == Found(packed("10.0.0.9"))


def test_of_two_hosts_of_one_short_name_it_is_always_the_same():
    hosts = {f"{name}.svc.cluster.local": kubernetes("x", "y", f"10.0.0.{n}") for n, name in enumerate("abcdefgh")}
    found = {table_of(message(**dict(some)), SHOP).find("x.y") for some in (hosts.items(), reversed(hosts.items()))}
    assert found == {Found(packed("10.0.0.0"))}


def test_families_are_told_apart_and_what_is_no_address_is_left_out():
    table = table_of(message(a={"ips": ["10.0.0.1", "FD00::1", "10.0.0.0/8", "x"]}, b={"ips": ["nowhere"]}, c={}), SHOP)
    assert table.find("a") == Found(packed("10.0.0.1", "fd00::1"))
    assert found_by(table, "b", "c") == []


def test_a_name_behind_which_the_first_search_domain_stands_is_an_alias():
    table = table_of(message(a_example_com={"ips": ["10.0.0.1"]}), SHOP)
    assert table.find(f"a.example.com.{SEARCH[0]}") == Found(HERE, "a.example.com")
    assert found_by(table, f"a.example.com.{SEARCH[1]}") == []


def test_a_name_that_a_search_domain_completes_is_the_host_itself(cart):
    assert table_of(cart, SHOP).find(f"cart.{SEARCH[0]}") == Found(HERE)


def test_the_closest_wildcard_counts_and_a_host_before_it():
    table = Table({"*.com": packed("1.1.1.1"), "*.a.com": packed("2.2.2.2"), "b.a.com": packed("3.3.3.3")})
    found = {name: table.find(name) for name in ("b.a.com", "c.a.com", "d.c.a.com", "a.com", "com")}
    assert [one and one.addresses.v4[0][0] for one in found.values()] == [3, 2, 2, 1, None]


def test_a_wildcard_is_found_behind_a_search_domain():
    table = Table({"*.a.com": HERE}, "ns.svc")
    assert table.find("x.a.com.ns.svc") == Found(HERE, "x.a.com")


LABELS = st.lists(st.sampled_from(["a", "b", "ns", "svc"]), min_size=1, max_size=5)


@given(st.lists(st.tuples(st.booleans(), LABELS), max_size=6), LABELS)
def test_it_finds_what_istios_expanded_table_has(patterns, asked):
    """Istio writes every name down twice, once with the search domain behind it; the model does that."""
    hosts = {".".join((["*"] if wild else []) + labels): packed(f"10.0.0.{index}") for index, (wild, labels) in enumerate(patterns)}
    name = ".".join(asked)
    aliases = {f"{host}.ns.svc": host for host in hosts if f"{host}.ns.svc" not in hosts}
    tried = [name, *(".".join(["*", *asked[index:]]) for index in range(1, len(asked)))]
    pattern = next((one for one in tried if one in hosts or one in aliases), None)
    expected = None
    if pattern is not None:
        host = aliases.get(pattern, pattern)
        expected = Found(hosts[host], name.removesuffix(".ns.svc") if pattern in aliases else "")
    assert Table(hosts, "ns.svc").find(name) == expected
