"""The incremental form, as lists of requests in and responses out."""

import pytest

from pymesh.xds import types
from pymesh_control.ads.subscription import MAX_OUTSTANDING, Status

from .client import ask_delta, delta, told, world

CDS, EDS, LDS, RDS = types.CLUSTER, types.ENDPOINT, types.LISTENER, types.ROUTE


def test_first_request_without_names_is_the_wildcard_and_is_answered_even_with_nothing():
    session = delta(world())
    assert told(session.request(ask_delta(CDS))) == ["cds"]
    assert told(session.push(world(cds={"a": "1"}))) == ["cds a"]


def test_a_first_request_for_no_endpoints_is_not_a_wildcard():
    session = delta(world(eds={"a": "1"}))
    assert session.request(ask_delta(EDS)) == []
    assert session.push(world(eds={"a": "2"})) == []


def test_a_reconnecting_client_is_sent_only_what_differs_and_what_is_gone():
    session = delta(world(cds={"same": "1", "changed": "2", "new": "1"}))
    [response] = session.request(ask_delta(CDS, held={"same": "1", "changed": "1", "gone": "1"}))
    assert told([response]) == ["cds changed new -gone"]


def test_a_reconnecting_client_that_holds_everything_is_in_sync_after_an_empty_answer():
    session = delta(world(eds={"a": "1"}))
    [response] = session.request(ask_delta(EDS, "a", held={"a": "1"}))
    assert told([response]) == ["eds"]
    session.request(ask_delta(EDS, nonce=response.nonce))
    assert session.subscriptions[EDS].status is Status.SYNCED


def test_versions_of_names_the_client_no_longer_wants_are_not_answered():
    session = delta(world(eds={"a": "1"}))
    assert told(session.request(ask_delta(EDS, "a", held={"a": "1", "other": "1"}))) == ["eds"]


def test_names_are_answered_at_once_whatever_the_nonce_and_whether_or_not_they_were_sent():
    session = delta(world(eds={"a": "1", "b": "1"}))
    session.request(ask_delta(EDS, "a"))
    assert told(session.request(ask_delta(EDS, "a", "b", nonce="from another stream"))) == ["eds a b"]


def test_a_name_that_does_not_exist_is_said_to_be_removed():
    session = delta(world())
    assert told(session.request(ask_delta(RDS, "80"))) == ["rds -80"]
    assert told(session.push(world(rds={"80": "1"}))) == ["rds 80"]


def test_an_unsubscribed_name_is_not_pushed_any_more():
    session = delta(world(eds={"a": "1", "b": "1"}))
    session.request(ask_delta(EDS, "a", "b"))
    assert session.request(ask_delta(EDS, drop=["a"])) == []
    assert told(session.push(world(eds={"a": "2", "b": "2"}))) == ["eds b"]


def test_dropping_the_star_keeps_what_was_named():
    session = delta(world(cds={"a": "1", "b": "1"}))
    session.request(ask_delta(CDS, "*", "a"))
    session.request(ask_delta(CDS, drop=["*"]))
    assert told(session.push(world(cds={"a": "2", "b": "2"}))) == ["cds a"]


def test_a_star_that_comes_back_says_what_went_while_an_earlier_answer_was_on_its_way():
    session = delta(world(cds={"a": "1"}))
    session.request(ask_delta(types.CLUSTER, "*"))  # the answer is not taken in yet
    session.request(ask_delta(types.CLUSTER, drop=["*"]))
    assert session.push(world()) == []
    assert told(session.request(ask_delta(types.CLUSTER, "*"))) == ["cds -a"]


def test_a_name_dropped_under_the_wildcard_is_told_again_because_the_client_forgot_it():
    session = delta(world(cds={"a": "1"}))
    session.request(ask_delta(CDS, "*", "a", "ghost"))
    assert told(session.request(ask_delta(CDS, drop=["a", "ghost"]))) == ["cds a -ghost"]


def test_removed_clusters_and_endpoints_leave_after_the_routes_that_used_them():
    session = delta(world(cds={"v1": "1", "v2": "1"}, eds={"v1": "1", "v2": "1"}, rds={"80": "both"}))
    session.request(ask_delta(CDS))
    session.request(ask_delta(EDS, "v1", "v2"))
    session.request(ask_delta(RDS, "80"))
    after = world(cds={"v1": "1"}, eds={"v1": "1"}, rds={"80": "v1 only"})
    assert told(session.push(after)) == ["rds 80", "cds -v2", "eds -v2"]
    assert session.push(after) == []


BEFORE = {"cds": {"a": "1"}, "eds": {"a": "1"}, "rds": {"80": "a"}}
AFTER = {"cds": {"b": "1"}, "eds": {"b": "1"}, "rds": {"80": "b"}}


def moving():
    session = delta(world(**BEFORE))
    session.request(ask_delta(CDS))
    session.request(ask_delta(EDS, "a"))
    session.request(ask_delta(RDS, "80"))
    return session


def test_routes_wait_until_the_client_has_asked_for_the_endpoints_of_new_clusters_and_old_ones_go_after_them():
    session = moving()
    assert told(session.push(world(**AFTER))) == ["cds b"]
    assert session.push(world(**AFTER)) == []
    assert told(session.request(ask_delta(EDS, "b"))) == ["eds b", "rds 80", "cds -a", "eds -a"]
    assert session.push(world(**AFTER)) == []


@pytest.mark.parametrize("error", [None, "b: no such thing"])
def test_routes_wait_no_longer_for_a_client_that_has_answered_what_the_clusters_came_in(error):
    session = moving()
    [clusters] = session.push(world(**AFTER))
    assert told(session.request(ask_delta(CDS, nonce=clusters.nonce, error=error))) == ["rds 80", "cds -a", "eds -a"]


def test_routes_do_not_wait_for_clusters_that_find_their_endpoints_themselves():
    assert told(moving().push(world(**{**AFTER, "eds": {}}))) == ["cds b", "rds 80", "cds -a", "eds -a"]


def test_what_has_become_unneeded_while_it_waited_is_not_sent():
    session = moving()
    [clusters] = session.push(world(**AFTER))
    assert session.push(world(**BEFORE)) == []
    assert told(session.request(ask_delta(CDS, nonce=clusters.nonce))) == ["cds -b"]


def test_a_changed_cluster_gets_its_unchanged_endpoints_again():
    session = delta(world(cds={"a": "1", "b": "1"}, eds={"a": "1", "b": "1"}))
    session.request(ask_delta(CDS))
    session.request(ask_delta(EDS, "a", "b"))
    assert told(session.push(world(cds={"a": "2", "b": "1"}, eds={"a": "1", "b": "1"}))) == ["cds a", "eds a"]


def test_a_rejected_resource_stays_rejected_while_others_are_accepted():
    session = delta(world(lds={"bad": "1"}))
    [bad] = session.request(ask_delta(LDS))
    [other] = session.push(world(lds={"bad": "1", "fine": "1"}))
    session.request(ask_delta(LDS, nonce=bad.nonce, error="bad: no such filter"))
    session.request(ask_delta(LDS, nonce=other.nonce))
    assert session.subscriptions[LDS].status is Status.NACKED
    [mended] = session.push(world(lds={"bad": "2", "fine": "1"}))
    assert told([mended]) == ["lds bad"]
    session.request(ask_delta(LDS, nonce=mended.nonce))
    assert session.subscriptions[LDS].status is Status.SYNCED


def test_a_client_that_never_answers_costs_bounded_memory():
    session = delta(world(cds={"a": "0"}))
    [first] = session.request(ask_delta(CDS))
    for version in range(1, MAX_OUTSTANDING + 1):
        session.push(world(cds={"a": str(version)}))
    session.request(ask_delta(CDS, nonce=first.nonce, error="late"))
    assert session.subscriptions[CDS].error is None


def test_a_type_we_do_not_serve_is_said_not_to_exist():
    session = delta(world())
    [response] = session.request(ask_delta("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "wasm"))
    assert list(response.removed_resources) == ["wasm"]
    assert session.request(ask_delta(response.type_url, nonce=response.nonce)) == []


def test_what_was_refused_with_something_bad_is_sent_again_without_it():
    session = delta(world(cds={"good": "1", "bad": "1", "bad.too": "1"}, eds={"good": "1"}))
    [clusters] = session.request(ask_delta(types.CLUSTER))
    session.request(ask_delta(types.ENDPOINT, "good"))
    again = session.request(ask_delta(types.CLUSTER, nonce=clusters.nonce, error="Cluster bad.too: too wide, and more"))
    assert told(again) == ["cds bad good", "eds good"]
    again = session.request(ask_delta(types.CLUSTER, nonce=again[0].nonce, error="Error adding/updating cluster(s) bad: no"))
    assert told(again) == ["cds good", "eds good"]
    subscription = session.subscriptions[types.CLUSTER]
    session.request(ask_delta(types.CLUSTER, nonce=again[0].nonce))
    assert {name: subscription.standing(name) for name in ("good", "bad", "bad.too")} == {
        "good": Status.SYNCED, "bad": Status.NACKED, "bad.too": Status.NACKED,
    }  # fmt: skip


def test_a_refusal_that_names_nothing_is_of_all():
    session = delta(world(cds={"a": "1", "b": "1"}))
    [clusters] = session.request(ask_delta(types.CLUSTER))
    assert session.request(ask_delta(types.CLUSTER, nonce=clusters.nonce, error="no")) == []
    assert all(session.subscriptions[types.CLUSTER].standing(name) is Status.NACKED for name in "ab")
