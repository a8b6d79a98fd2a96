"""Which Sidecar a workload obeys, and what it imports."""

import pytest

from pymesh.api import parse_text
from pymesh_control.model.sidecar import Sidecars, from_resource


def sidecar(name, spec, namespace="shop"):
    text = f"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    parsed = parse_text(text, "f")
    return from_resource(parsed.resources[0])


def hosts(*patterns):
    return sidecar("s", "{egress: [{hosts: [" + ", ".join(f'"{one}"' for one in patterns) + "]}]}")


ALL = "{egress: [{hosts: ['*/*']}]"


def test_the_first_that_selects_a_workload_stands_before_the_namespaces_and_the_meshs():
    sidecars = Sidecars(
        [
            sidecar("mesh", ALL + "}", "istio-system"),
            sidecar("general", ALL + "}"),
            sidecar("one", ALL + ", workloadSelector: {labels: {app: a}}}"),
            sidecar("two", ALL + ", workloadSelector: {labels: {app: a}}}"),
        ],
        "istio-system",
    )
    assert sidecars.of("shop", {"app": "a"}).name == "one"
    assert sidecars.of("shop", {"app": "b"}).name == "general"
    assert sidecars.of("other", {"app": "a"}).name == "mesh"


def test_a_selecting_one_of_the_root_namespace_is_for_its_own_workloads():
    only = Sidecars([sidecar("mesh", ALL + ", workloadSelector: {labels: {app: a}}}", "istio-system")], "istio-system")
    assert only.of("shop", {"app": "a"}) is None
    assert only.of("istio-system", {"app": "a"}).name == "mesh"


@pytest.mark.parametrize(
    ("patterns", "namespace", "host", "expected"),
    [
        (["*/*"], "other", "a.com", True),
        (["./*"], "shop", "a.com", True),
        (["./*"], "other", "a.com", False),
        (["other/*"], "other", "a.com", True),
        (["*/*.example.com"], "x", "a.example.com", True),
        (["*/*.example.com"], "x", "example.com", False),
        (["*/a.com"], "x", "b.com", False),
        (["./a.shop.svc.cluster.local"], "shop", "a.shop.svc.cluster.local", True),
        (["~/*"], "shop", "a.com", False),
        (["*/*", "~other/*"], "other", "a.com", False),
        (["*/*", "~other/*"], "shop", "a.com", True),
        (["*/*", "~./b.com"], "shop", "b.com", False),
        (["*/*", "~/b.com"], "other", "b.com", False),
        (["*/*", "~/b.com"], "other", "c.com", True),
    ],
)
def test_what_is_imported(patterns, namespace, host, expected):
    assert hosts(*patterns).admits(namespace, host) is expected


def test_the_meshs_default_imports_of_each_namespace_its_own():
    spec = "{egress: [{hosts: ['./*', '~./no.com', 'istio-system/*']}]}"
    sidecars = Sidecars([sidecar("mesh", spec, "istio-system")], "istio-system")
    shop, root = sidecars.of("shop", {}), sidecars.of("istio-system", {})
    places = ("shop", "other", "istio-system")
    seen = [[one.admits(place, host) for place in places] for one in (shop, root) for host in ("a.com", "no.com")]
    assert seen == [[True, False, True], [False, False, True], [False, False, True], [False, False, False]]
    assert (shop.origin, sidecars.of("shop", {"a": "b"})) == (root.origin, shop)


def test_a_ports_own_listener_speaks_for_it_alone():
    one = sidecar("s", "{egress: [{port: {number: 80, protocol: HTTP}, hosts: ['a/*']}, {hosts: ['b/*']}]}")
    places = (("a", 80), ("a", 81), ("b", 80), ("b", 81))
    assert [one.admits(namespace, "x.com", port) for namespace, port in places] == [True, False, False, True]
    assert one.admits("a", "x.com")


@pytest.mark.parametrize(("stated", "expected"), [(":8080", ""), ("127.0.0.1:8080", "127.0.0.1:8080"), ("", "")])
def test_an_endpoint_without_an_address_is_none(stated, expected):
    one = sidecar("s", f"{{ingress: [{{port: {{number: 80}}, defaultEndpoint: '{stated}'}}]}}")
    assert [listener.endpoint for listener in one.ingress] == [expected]


def test_without_egress_everything_is_in_sight():
    assert sidecar("s", "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}").admits("x", "y.com", 80)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("", None), ("outboundTrafficPolicy: {}", True), ("outboundTrafficPolicy: {mode: ALLOW_ANY}", False)],
)
def test_a_policy_without_a_mode_lets_only_known_hosts_be_called(policy, expected):
    assert sidecar("s", "{egress: [{hosts: ['*/*']}], " + policy + "}").registry_only is expected
