"""The state-of-the-world form, as lists of requests in and responses out."""

from pymesh.xds import types
from pymesh_control.ads.subscription import Status

from .client import ask, sotw, told, versions_in, world

CDS, EDS, LDS, RDS = types.CLUSTER, types.ENDPOINT, types.LISTENER, types.ROUTE


def test_first_request_without_names_gets_every_cluster():
    session = sotw(world(cds={"a": "1", "b": "1"}))
    assert told(session.request(ask(CDS))) == ["cds a b"]


def test_endpoints_are_answered_although_the_clusters_are_not_accepted_yet():
    session = sotw(world(cds={"a": "1"}, eds={"a": "1"}))
    session.request(ask(CDS))
    assert told(session.request(ask(EDS, "a"))) == ["eds a"]


def test_an_accepted_response_is_not_answered_and_the_client_is_in_sync():
    session = sotw(world(cds={"a": "1"}))
    [response] = session.request(ask(CDS))
    assert session.subscriptions[CDS].status is Status.STALE
    assert session.request(ask(CDS, nonce=response.nonce, version=response.version_info)) == []
    assert session.subscriptions[CDS].status is Status.SYNCED
    assert session.subscriptions[CDS].accepted_version == response.version_info


def test_a_rejected_response_is_recorded_and_sent_again_only_when_its_content_changes():
    session = sotw(world(lds={"l": "bad"}))
    [response] = session.request(ask(LDS))
    assert session.request(ask(LDS, nonce=response.nonce, error="l: no such filter")) == []
    assert session.subscriptions[LDS].status is Status.NACKED
    assert session.subscriptions[LDS].error == "l: no such filter"
    assert session.metrics.registry.get_sample_value("pilot_total_xds_rejects", {"type": "lds"}) == 1
    assert session.push(world(lds={"l": "bad"})) == []
    [again] = session.push(world(lds={"l": "good"}))
    session.request(ask(LDS, nonce=again.nonce))
    assert session.subscriptions[LDS].status is Status.SYNCED


def test_a_request_with_a_superseded_nonce_is_ignored_and_counted():
    session = sotw(world(eds={"a": "1", "b": "1"}))
    [old] = session.request(ask(EDS, "a"))
    session.push(world(eds={"a": "2", "b": "1"}))
    assert session.request(ask(EDS, "a", "b", nonce=old.nonce)) == []
    assert session.metrics.registry.get_sample_value("pilot_xds_expired_nonce", {"type": "eds"}) == 1


def test_names_that_a_stale_request_added_are_served_when_the_client_repeats_them():
    session = sotw(world(eds={"a": "1", "b": "1"}))
    [old] = session.request(ask(EDS, "a"))
    [new] = session.push(world(eds={"a": "2", "b": "1"}))
    session.request(ask(EDS, "a", "b", nonce=old.nonce))
    assert told(session.request(ask(EDS, "a", "b", nonce=new.nonce))) == ["eds b"]


def test_a_refusal_of_endpoints_is_heard_although_others_were_on_their_way():
    session = sotw(world(eds={"a": "1", "b": "1"}))
    session.request(ask(EDS, "a", "b"))
    [first] = session.push(world(eds={"a": "bad", "b": "1"}))
    [second] = session.push(world(eds={"a": "bad", "b": "2"}))
    assert session.request(ask(EDS, "a", "b", nonce=first.nonce, error="a: no such locality")) == []
    assert session.request(ask(EDS, "a", "b", nonce=second.nonce)) == []
    endpoints = session.subscriptions[EDS]
    assert endpoints.standing("a") is endpoints.status is Status.NACKED
    assert endpoints.standing("b") is Status.SYNCED
    assert session.metrics.registry.get_sample_value("pilot_total_xds_rejects", {"type": "eds"}) == 1


def test_answers_that_a_client_left_out_are_not_waited_for():
    session = sotw(world(eds={"a": "1", "b": "1"}))
    session.request(ask(EDS, "a"))
    [last] = session.push(world(eds={"a": "2", "b": "1"}))
    session.request(ask(EDS, "a", nonce=last.nonce))
    assert session.subscriptions[EDS].status is Status.SYNCED


def test_only_added_names_are_sent_for_endpoints_and_routes():
    session = sotw(world(rds={"80": "1", "443": "1"}))
    [response] = session.request(ask(RDS, "80"))
    assert told(session.request(ask(RDS, "80", "443", nonce=response.nonce))) == ["rds 443"]


def test_a_named_listener_client_gets_all_its_listeners_again_since_absence_means_removal():
    session = sotw(world(lds={"x": "1", "y": "1", "z": "1"}))
    [response] = session.request(ask(LDS, "x"))
    assert told(session.request(ask(LDS, "x", "y", nonce=response.nonce))) == ["lds x y"]


def test_an_answered_nonce_that_comes_again_means_a_warming_cluster_and_is_answered():
    session = sotw(world(eds={"a": "1"}))
    [response] = session.request(ask(EDS, "a"))
    assert session.request(ask(EDS, "a", nonce=response.nonce)) == []
    assert told(session.request(ask(EDS, "a", nonce=response.nonce))) == ["eds a"]


def test_fewer_names_are_not_answered():
    session = sotw(world(eds={"a": "1", "b": "1"}))
    [response] = session.request(ask(EDS, "a", "b"))
    session.request(ask(EDS, "a", "b", nonce=response.nonce))
    assert session.request(ask(EDS, "a", nonce=response.nonce)) == []
    assert session.push(world(eds={"a": "1", "b": "2"})) == []


def test_a_push_without_a_change_sends_nothing_to_a_client_that_dropped_the_star():
    content = world(cds={"a": "1", "b": "1"})
    session = sotw(content)
    (response,) = session.request(ask(types.CLUSTER, "a", "*"))
    assert session.request(ask(types.CLUSTER, "a", nonce=response.nonce)) == []
    assert session.push(content) == []


def test_an_empty_list_after_names_unsubscribes_from_everything():
    session = sotw(world(cds={"a": "1"}))
    [response] = session.request(ask(CDS, "a"))
    assert session.request(ask(CDS, nonce=response.nonce)) == []
    assert session.push(world(cds={"a": "2"})) == []


def test_a_star_is_the_wildcard_also_beside_names():
    session = sotw(world(cds={"a": "1", "b": "1"}))
    assert told(session.request(ask(CDS, "*", "a"))) == ["cds a b"]


def test_a_name_that_does_not_exist_is_answered_at_once_and_sent_when_it_appears():
    session = sotw(world())
    assert told(session.request(ask(RDS, "80"))) == ["rds"]
    assert told(session.push(world(rds={"80": "1"}))) == ["rds 80"]


def test_a_push_carries_types_in_the_order_make_before_break():
    session = sotw(world())
    for type_url in (RDS, LDS, EDS, CDS):
        session.request(ask(type_url, "x"))
    everything = world(cds={"x": "1"}, eds={"x": "1"}, lds={"x": "1"}, rds={"x": "1"})
    assert told(session.push(everything)) == ["cds x", "eds x", "lds x", "rds x"]


def test_routes_wait_until_the_client_has_asked_for_the_endpoints_of_new_clusters():
    session = sotw(world(cds={"a": "1"}, eds={"a": "1"}, rds={"80": "a"}))
    [_], [endpoints], [_] = session.request(ask(CDS)), session.request(ask(EDS, "a")), session.request(ask(RDS, "80"))
    after = world(cds={"a": "1", "b": "1"}, eds={"a": "1", "b": "1"}, rds={"80": "b"})
    assert told(session.push(after)) == ["cds a b"]
    assert session.push(after) == []
    assert told(session.request(ask(EDS, "a", "b", nonce=endpoints.nonce))) == ["eds b", "rds 80"]


def moving():
    """A client whose route is about to move from one service to another, which has gone when it has come."""
    session = sotw(world(cds={"a": "1"}, eds={"a": "1"}, rds={"80": "a"}))
    answers = session.request(ask(CDS)), session.request(ask(EDS, "a")), session.request(ask(RDS, "80"))
    return session, [responses[0].nonce for responses in answers], world(cds={"b": "1"}, eds={"b": "1"}, rds={"80": "b"})


def test_a_cluster_goes_after_the_routes_that_used_it():
    session, (_, endpoints, _), after = moving()
    assert told(session.push(after)) == ["cds a b"]
    assert told(session.request(ask(EDS, "a", "b", nonce=endpoints))) == ["eds b", "rds 80", "cds b"]
    assert session.push(after) == []


def test_a_cluster_that_goes_alone_goes_at_once_and_is_told_once():
    session = sotw(world(cds={"a": "1", "b": "1"}, rds={"80": "a"}))
    session.request(ask(CDS))
    session.request(ask(RDS, "80"))
    assert told(session.push(world(cds={"b": "1"}, rds={"80": "b"}))) == ["rds 80", "cds b"]
    assert told(session.push(world(rds={"80": "b"}))) == ["cds"]


def test_a_cluster_that_was_refused_is_not_told_of_until_the_routes_have_moved():
    session, (clusters, endpoints, _), after = moving()
    session.request(ask(CDS, nonce=clusters, error="a: no such policy"))
    assert told(session.push(after)) == ["cds b"]
    assert told(session.request(ask(EDS, "a", "b", nonce=endpoints))) == ["eds b", "rds 80"]


def test_a_push_carries_nothing_that_did_not_change():
    session = sotw(world(cds={"a": "1", "b": "1"}, eds={"a": "1", "b": "1"}))
    session.request(ask(CDS))
    session.request(ask(EDS, "a", "b"))
    assert told(session.push(world(cds={"a": "1", "b": "1"}, eds={"a": "1", "b": "2"}))) == ["eds b"]


def test_a_changed_cluster_gets_its_unchanged_endpoints_again():
    session = sotw(world(cds={"a": "1", "b": "1"}, eds={"a": "1", "b": "1"}))
    session.request(ask(CDS))
    session.request(ask(EDS, "a", "b"))
    assert told(session.push(world(cds={"a": "2", "b": "1"}, eds={"a": "1", "b": "1"}))) == ["cds a b", "eds a"]


def test_a_removed_cluster_is_left_out_of_the_full_state():
    session = sotw(world(cds={"a": "1", "b": "1"}))
    session.request(ask(CDS))
    assert told(session.push(world(cds={"a": "1"}))) == ["cds a"]


def test_equal_content_has_an_equal_version_on_every_stream():
    content = world(cds={"a": "1"})
    [one], [other] = sotw(content).request(ask(CDS)), sotw(content).request(ask(CDS))
    assert one.version_info == other.version_info


def test_a_type_we_do_not_serve_is_answered_with_nothing_once():
    session = sotw(world())
    [response] = session.request(ask("type.googleapis.com/istio.networking.nds.v1.NameTable"))
    assert versions_in(response) == {}
    assert session.request(ask(response.type_url, nonce=response.nonce)) == []


def test_a_refusal_ends_with_the_resource_that_was_refused():
    session = sotw(world(cds={"a": "1", "b": "1"}))
    [clusters] = session.request(ask(types.CLUSTER))
    session.request(ask(types.CLUSTER, nonce=clusters.nonce, error="Cluster b: no"))
    assert session.subscriptions[types.CLUSTER].status is Status.NACKED
    [clusters] = session.push(world(cds={"a": "1"}))
    session.request(ask(types.CLUSTER, nonce=clusters.nonce))
    assert session.subscriptions[types.CLUSTER].status is Status.SYNCED
