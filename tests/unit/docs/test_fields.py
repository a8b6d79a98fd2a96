"""The table of Envoy's fields is what the compilers say, each honoured field has a test, and none is left out."""

import pytest

from tests.fields import coverage, page, states
from tests.fields.probes import declared
from tests.fields.states import State

pytestmark = pytest.mark.timeout(240)  # growing the probes takes a few seconds of a free processor, and many of a busy one


@pytest.fixture(scope="module")
def found():
    return declared()


def test_the_page_is_not_stale(found):
    assert page.PAGE.read_text() == page.text(found), "run `python -m tests.fields`"


@pytest.mark.parametrize(
    "kind",
    [
        "config.cluster.v3.Cluster",
        "config.cluster.v3.CircuitBreakers.Thresholds",
        "config.endpoint.v3.ClusterLoadAssignment",
        "config.endpoint.v3.LbEndpoint",
        "config.listener.v3.FilterChainMatch",
        "config.route.v3.RouteConfiguration",
        "config.route.v3.RouteAction.RequestMirrorPolicy",
        "config.route.v3.RetryPolicy.RetryBackOff",
        "config.route.v3.WeightedCluster.ClusterWeight",
        "extensions.filters.http.router.v3.Router",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "extensions.transport_sockets.tls.v3.TlsParameters",
        "extensions.transport_sockets.tls.v3.CertificateValidationContext",
        "type.matcher.v3.StringMatcher",
    ],
)
def test_the_probes_come_far(found, kind):
    assert f"envoy.{kind}" in found.by_kind


def test_what_compilers_name_are_fields(found):
    """Some compilers serve two messages, of which one has more fields; a slip of the pen is in none."""
    known = {field.name for descriptor in found.types.values() for field in descriptor.fields}
    assert {name for said in found.by_kind.values() for each in said for name in each.named} <= known


def test_every_message_in_an_honoured_field_is_looked_into(found):
    assert states.unread(found) == []


def test_every_honoured_field_has_a_test(found):
    rows = [(kind, row) for kind, rows in states.kinds(found).items() for row in rows if row.state is State.HONOURED]
    assert len(rows) > 300
    assert not [f"{kind}.{row.name}" for kind, row in rows if not coverage.covering(kind, row.name)]


def test_every_place_of_the_map_exists():
    assert not [place for _, places in coverage.FILES for place in places if not (coverage.ROOT / place).exists()]


def test_harmless_fields_have_a_reason(found):
    rows = [(kind, row) for kind, rows in states.kinds(found).items() for row in rows if row.state is State.HARMLESS]
    assert rows
    assert all(row.why for _, row in rows)
