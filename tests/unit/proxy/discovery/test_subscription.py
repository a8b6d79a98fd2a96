"""One type on a stream: what is said after what was heard, in both dialects."""

from typing import Any

import pytest

from pymesh.xds import proto, types
from pymesh_proxy.discovery.source import Variant
from pymesh_proxy.discovery.subscription import DeltaSubscription, SotwSubscription, Subscription, make
from pymesh_proxy.errors import ConfigError, Problem

from .resources import assignment, cluster, delta, sotw

REFUSAL = ConfigError(Problem("Cluster a", "lb_policy: no"))


def delta_request(type_url: str = types.ENDPOINT, **fields: Any) -> Any:
    return proto.discovery.DeltaDiscoveryRequest(type_url=type_url, **fields)


def request(type_url: str = types.ENDPOINT, **fields: Any) -> Any:
    return proto.discovery.DiscoveryRequest(type_url=type_url, **fields)


def accept(subscription: Subscription, response: Any) -> Any:
    return subscription.accept(response, subscription.read(response))


def named(*names: str) -> frozenset[str]:
    return frozenset(names)


class TestDelta:
    def test_wildcard_type_subscribes_with_an_empty_first_request(self) -> None:
        assert DeltaSubscription(types.CLUSTER).want(named()) == delta_request(types.CLUSTER)

    def test_named_type_with_no_names_says_nothing(self) -> None:
        assert DeltaSubscription(types.ENDPOINT).want(named()) is None

    def test_changed_names_are_sent_as_a_difference(self) -> None:
        subscription = DeltaSubscription(types.ENDPOINT)
        subscription.want(named("a", "b"))
        assert subscription.want(named("b", "c")) == delta_request(
            resource_names_subscribe=["c"], resource_names_unsubscribe=["a"]
        )

    def test_same_names_say_nothing(self) -> None:
        subscription = DeltaSubscription(types.ENDPOINT)
        subscription.want(named("a"))
        assert subscription.want(named("a")) is None

    def test_ack_carries_the_nonce_alone(self) -> None:
        subscription = DeltaSubscription(types.CLUSTER)
        subscription.want(named())
        assert accept(subscription, delta(types.CLUSTER, cluster("a"), nonce="n7")) == delta_request(types.CLUSTER, response_nonce="n7")

    def test_nack_carries_nonce_and_reason(self) -> None:
        subscription = DeltaSubscription(types.CLUSTER)
        sent = subscription.reject(delta(types.CLUSTER, cluster("a"), nonce="n7"), REFUSAL)
        assert (sent.response_nonce, sent.error_detail.code) == ("n7", 13)
        assert sent.error_detail.message == "Cluster a: lb_policy: no"

    def test_new_stream_offers_what_was_accepted(self) -> None:
        subscription = DeltaSubscription(types.ENDPOINT)
        subscription.want(named("a", "b"))
        accept(subscription, delta(types.ENDPOINT, assignment("a"), version="v1"))
        subscription.close()
        assert subscription.want(named("a", "b")) == delta_request(
            resource_names_subscribe=["a", "b"], initial_resource_versions={"a": "v1"}
        )

    def test_refused_resource_is_not_offered(self) -> None:
        subscription = DeltaSubscription(types.CLUSTER)
        subscription.want(named())
        accept(subscription, delta(types.CLUSTER, cluster("a"), version="v1"))
        bad = delta(types.CLUSTER, cluster("a", timeout=2), version="v2")
        subscription.read(bad)
        subscription.reject(bad, REFUSAL)
        subscription.close()
        assert subscription.want(named()).initial_resource_versions == {"a": "v1"}

    def test_removed_resource_is_not_offered(self) -> None:
        subscription = DeltaSubscription(types.CLUSTER)
        subscription.want(named())
        accept(subscription, delta(types.CLUSTER, cluster("a"), cluster("b")))
        accept(subscription, delta(types.CLUSTER, removed=("a",)))
        subscription.close()
        assert subscription.want(named()).initial_resource_versions == {"b": "1"}

    def test_name_dropped_and_wanted_again_is_asked_for_without_a_version(self) -> None:
        subscription = DeltaSubscription(types.ENDPOINT)
        subscription.want(named("a", "b"))
        accept(subscription, delta(types.ENDPOINT, assignment("a"), assignment("b")))
        subscription.want(named("b"))
        subscription.want(named("a", "b"))
        subscription.close()
        assert subscription.want(named("a", "b")).initial_resource_versions == {"b": "1"}

    def test_heartbeat_without_a_body_changes_nothing(self) -> None:
        beat = proto.discovery.Resource(name="a", version="v")
        response = proto.discovery.DeltaDiscoveryResponse(type_url=types.CLUSTER, resources=[beat])
        update = DeltaSubscription(types.CLUSTER).read(response)
        assert (update.resources, update.removed) == ({}, frozenset())


class TestStateOfTheWorld:
    def test_wildcard_type_subscribes_with_an_empty_first_request(self) -> None:
        assert SotwSubscription(types.CLUSTER).want(named()) == request(types.CLUSTER)

    def test_ack_carries_version_nonce_and_all_names(self) -> None:
        subscription = SotwSubscription(types.ENDPOINT)
        subscription.want(named("a", "b"))
        assert accept(subscription, sotw(types.ENDPOINT, assignment("a"), nonce="n1", version="v1")) == request(
            version_info="v1", response_nonce="n1", resource_names=["a", "b"]
        )

    def test_nack_carries_the_last_accepted_version(self) -> None:
        subscription = SotwSubscription(types.CLUSTER)
        subscription.want(named())
        accept(subscription, sotw(types.CLUSTER, cluster("a"), nonce="n1", version="v1"))
        sent = subscription.reject(sotw(types.CLUSTER, cluster("a"), nonce="n2", version="v2"), REFUSAL)
        assert (sent.version_info, sent.response_nonce, sent.error_detail.message) == ("v1", "n2", "Cluster a: lb_policy: no")

    def test_changed_names_are_sent_in_full_with_the_latest_nonce(self) -> None:
        subscription = SotwSubscription(types.ENDPOINT)
        subscription.want(named("a"))
        accept(subscription, sotw(types.ENDPOINT, assignment("a"), nonce="n1", version="v1"))
        assert subscription.want(named("a", "b")) == request(version_info="v1", response_nonce="n1", resource_names=["a", "b"])

    def test_no_names_left_is_said(self) -> None:
        subscription = SotwSubscription(types.ENDPOINT)
        subscription.want(named("a"))
        assert subscription.want(named()) == request()

    def test_absence_removes_clusters(self) -> None:
        subscription = SotwSubscription(types.CLUSTER)
        subscription.want(named())
        accept(subscription, sotw(types.CLUSTER, cluster("a"), cluster("b")))
        assert subscription.read(sotw(types.CLUSTER, cluster("b"))).removed == {"a"}

    def test_absence_does_not_remove_assignments(self) -> None:
        subscription = SotwSubscription(types.ENDPOINT)
        subscription.want(named("a", "b"))
        accept(subscription, sotw(types.ENDPOINT, assignment("a"), assignment("b")))
        assert subscription.read(sotw(types.ENDPOINT, assignment("b"))).removed == frozenset()

    def test_absence_is_measured_against_what_was_accepted(self) -> None:
        subscription = SotwSubscription(types.CLUSTER)
        subscription.want(named())
        accept(subscription, sotw(types.CLUSTER, cluster("a")))
        subscription.reject(sotw(types.CLUSTER, cluster("b")), REFUSAL)
        assert subscription.read(sotw(types.CLUSTER, cluster("b"))).removed == {"a"}

    def test_new_stream_tells_the_version_and_forgets_the_nonce(self) -> None:
        subscription = SotwSubscription(types.CLUSTER)
        subscription.want(named())
        accept(subscription, sotw(types.CLUSTER, cluster("a"), nonce="n1", version="v1"))
        subscription.close()
        assert subscription.want(named()) == request(types.CLUSTER, version_info="v1")

    def test_wrapped_resources_are_unwrapped(self) -> None:
        response = proto.discovery.DiscoveryResponse(type_url=types.CLUSTER)
        response.resources.append(proto.pack(proto.discovery.Resource(name="a", resource=proto.pack(cluster("a")))))
        assert list(SotwSubscription(types.CLUSTER).read(response).resources) == ["a"]


@pytest.mark.parametrize("variant", Variant)
class TestBadResponses:
    def problem(self, variant: Variant, *messages: Any) -> str:
        response = (delta if variant is Variant.DELTA else sotw)(types.CLUSTER)
        for message in messages:
            packed = message if message.DESCRIPTOR.full_name == "google.protobuf.Any" else proto.pack(message)
            if variant is Variant.DELTA:
                response.resources.add(name="a", version="1", resource=packed)
            else:
                response.resources.append(packed)
        with pytest.raises(ConfigError) as caught:
            make(variant, types.CLUSTER).read(response)
        return str(caught.value)

    def test_wrong_type_inside_is_named(self, variant: Variant) -> None:
        assert f"unable to unpack as {types.CLUSTER}: it is {types.ENDPOINT}" in self.problem(variant, assignment("a"))

    def test_duplicate_name_is_refused(self, variant: Variant) -> None:
        assert self.problem(variant, cluster("a"), cluster("a")) == "Cluster a: duplicate name in one response"

    def test_bytes_that_do_not_parse_are_refused(self, variant: Variant) -> None:
        packed = proto.pack(cluster("a"))
        packed.value = b"\xff\xff"
        assert "does not parse" in self.problem(variant, packed)

    def test_every_bad_resource_is_told(self, variant: Variant) -> None:
        assert self.problem(variant, assignment("a"), assignment("b")).count("unable to unpack") == 2


def test_a_wrapper_that_does_not_parse_is_refused() -> None:
    response = sotw(types.CLUSTER, cluster("a"))
    response.resources.add(type_url="type.googleapis.com/envoy.service.discovery.v3.Resource", value=b"\xff")
    with pytest.raises(ConfigError, match="does not parse"):
        SotwSubscription(types.CLUSTER).read(response)
