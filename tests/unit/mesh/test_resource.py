"""What the planes get: metadata, a spec in protobuf's names, and the way back to the file."""

import time

import pytest

from pymesh.api import Position, parse_text
from pymesh.api.models.destinationrule import Failover, SimpleLB
from pymesh.api.models.virtualservice import HTTPRoute, VirtualService
from pymesh.api.types import StringMatch

CANARY = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  namespace: ml
  labels: {app: reviews}
  annotations: {note: "1"}
  creationTimestamp: "2026-01-02T03:04:05Z"
  resourceVersion: "7"
  managedFields: [{manager: kubectl}]
spec:
  hosts: [reviews]
  http:
  - match:
    - uri: {prefix: /a}
      withoutHeaders: {x-user: {}}
    route:
    - destination: {host: reviews, subset: v1}
      weight: 70
    - destination: {host: reviews, subset: v2}
      weight: 30
    timeout: 0.5s
    retries: {attempts: 2, perTryTimeout: 100ms}
status: {anything: true}
"""


def only(text):
    parsed = parse_text(text, "f.yaml")
    assert parsed.problems == []
    (resource,) = parsed.resources
    return resource


def test_a_resource_carries_its_metadata():
    resource = only(CANARY)
    assert (resource.kind, resource.api_version) == ("VirtualService", "networking.istio.io/v1")
    assert (resource.name, resource.namespace) == ("reviews", "ml")
    assert (resource.labels, resource.annotations) == ({"app": "reviews"}, {"note": "1"})
    assert resource.created.isoformat() == "2026-01-02T03:04:05+00:00"
    assert resource.where == Position("f.yaml", 1, 1)


def test_a_spec_has_snake_case_attributes_and_plain_values():
    route = only(CANARY).spec.http[0]
    assert route.timeout == 0.5
    assert route.retries.per_try_timeout == 0.1
    assert [target.weight for target in route.route] == [70, 30]
    assert route.match[0].uri == StringMatch(prefix="/a")
    assert route.match[0].without_headers == {"x-user": StringMatch()}


def test_what_is_absent_is_none_or_empty():
    route = only(CANARY).spec.http[0]
    assert (route.fault, route.name, route.mirror_percent) == (None, None, None)
    assert (route.mirrors, route.match[0].headers, only(CANARY).spec.tls) == ([], {}, [])


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 1, 1),
        (("metadata", "labels", "app"), 6, 12),
        (("spec", "http", 0), 14, 5),
        (("spec", "http", 0, "timeout"), 22, 5),
        (("spec", "http", 0, "match", 0, "without_headers"), 16, 7),
        (("spec", "http", 0, "match", 0, "withoutHeaders", "x-user"), 16, 24),
        (("spec", "http", 0, "route", 1, "destination", "subset"), 20, 36),
        (("spec", "http", 0, "retries", "per_try_timeout"), 23, 28),
        (("spec", "http", 0, "fault", "delay"), 14, 5),
        (("spec", "tls", 3), 11, 1),
    ],
)
def test_a_field_is_found_in_the_file_or_its_nearest_ancestor_is(path, line, column):
    assert only(CANARY).position_of(*path) == Position("f.yaml", line, column)


def test_both_spellings_of_a_field_mean_the_same():
    snake = CANARY.replace("withoutHeaders", "without_headers").replace("perTryTimeout", "per_try_timeout")
    assert only(snake) == only(CANARY)


def test_resources_are_equal_wherever_they_stand():
    assert only("\n\n" + CANARY) == only(CANARY)
    assert only(CANARY.replace("weight: 30", "weight: 31")) != only(CANARY)


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_every_served_version_has_the_same_model(version):
    assert isinstance(only(CANARY.replace("istio.io/v1", f"istio.io/{version}", 1)).spec, VirtualService)


def test_a_null_field_is_an_absent_field():
    assert only(CANARY.replace("timeout: 0.5s", "timeout: null")).spec.http[0].timeout is None


def test_a_namespace_is_default_unless_given():
    assert only(CANARY.replace("  namespace: ml\n", "")).namespace == "default"


def test_enums_are_found_by_name_and_keywords_get_an_underscore():
    text = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: a\n"
        "  trafficPolicy:\n    outlierDetection: {}\n"
        "    loadBalancer: {simple: LEAST_REQUEST, localityLbSetting: {failover: [{from: us, to: eu}]}}\n"
    )
    balancer = only(text).spec.traffic_policy.load_balancer
    assert balancer.simple is SimpleLB.LEAST_REQUEST
    assert balancer.locality_lb_setting.failover == [Failover(from_="us", to="eu")]


def test_a_list_gives_its_items_with_their_own_positions():
    items = "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        f"- apiVersion: security.istio.io/v1\n  kind: PeerAuthentication\n  metadata: {{name: p{n}}}\n" for n in range(3)
    )
    parsed = parse_text(items.replace("p1", "P1"), "f")
    assert [resource.name for resource in parsed.resources] == ["p0", "p2"]
    assert parsed.resources[1].where == Position("f", 10, 3)
    assert [problem.line for problem in parsed.problems] == [9]


def test_a_model_written_as_json_reads_back_the_same():
    route = only(CANARY).spec
    written = route.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert written["http"][0]["retries"] == {"attempts": 2, "perTryTimeout": "100ms"}
    assert VirtualService.model_validate(route.model_dump(mode="json", exclude_defaults=True)) == route


def test_a_model_can_be_made_in_python_too():
    assert HTTPRoute(timeout="2s").timeout == 2


def test_two_hundred_virtual_services_are_read_in_well_under_a_second():
    text = "---\n".join(CANARY.replace("name: reviews", f"name: reviews-{n}") for n in range(200))
    start = time.process_time()
    parsed = parse_text(text, "f")
    assert time.process_time() - start < 1
    assert len(parsed.resources) == 200


def test_a_status_that_counts_is_judged():
    spec = "spec: {hosts: [a.b], ports: [{number: 1, name: tcp}]}\n"
    head = f"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: a}}\n{spec}"
    (problem,) = parse_text(head + "status: {addresses: [{value: nowhere, host: a.b}], more: 1}\n", "f").problems
    assert str(problem) == "f:5:30: error: ServiceEntry a: status.addresses[0].value: expected an IP address"


@pytest.mark.parametrize("items", ["items: []", "items: null", ""])
def test_a_list_may_hold_nothing(items):
    parsed = parse_text(f"apiVersion: v1\nkind: List\n{items}", "f")
    assert (parsed.resources, parsed.problems) == ([], [])


@pytest.mark.parametrize("weight", ["100.0", "1e2", "0x64"])
def test_whole_numbers_may_be_written_as_fractions(weight):
    spec = f"{{hosts: [a], http: [{{route: [{{destination: {{host: a}}, weight: {weight}}}]}}]}}"
    parsed = parse_text(f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec: {spec}", "f")
    assert not parsed.problems
    assert parsed.resources[0].spec.http[0].route[0].weight == 100


def test_an_empty_namespace_is_none():
    parsed = parse_text("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a, namespace: ''}", "f")
    assert not parsed.problems
    assert parsed.resources[0].namespace == "default"
