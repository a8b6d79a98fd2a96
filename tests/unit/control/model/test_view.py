"""What a node says of its proxy."""

import pytest

from pymesh.identity import workload_id
from pymesh.xds import proto
from pymesh.xds.node import InvalidNodeId
from pymesh_control.model.view import BoundPort, view_of


def node(identity="sidecar~10.0.0.9~pod.shop~shop.svc.cluster.local", agent="pymesh", **metadata):
    message = proto.base.Node(id=identity, user_agent_name=agent)
    message.metadata.update(metadata)
    return message


def test_the_id_gives_type_address_and_namespace():
    view = view_of(node(), None)
    assert (view.type, view.ip, view.name, view.namespace, view.flavor) == ("sidecar", "10.0.0.9", "pod", "shop", "pymesh")
    assert view.captures
    assert not view.is_router


def test_metadata_comes_before_the_id():
    view = view_of(node(NAMESPACE="web", INSTANCE_IPS="10.1.1.1,fe80::1", LABELS={"app": "a"}, INTERCEPTION_MODE="NONE"), None)
    assert (view.namespace, view.ip, view.labels, view.captures) == ("web", "10.1.1.1", {"app": "a"}, False)


@pytest.mark.parametrize("agent", ["pymesh", "envoy"])
def test_captured_connections_may_keep_both_addresses(agent):
    view = view_of(node(agent=agent, INTERCEPTION_MODE="TPROXY"), None)
    assert (view.captures, view.transparent) == (True, True)


def test_the_certificate_comes_before_what_the_node_says():
    assert view_of(node(NAMESPACE="web"), workload_id("shop", "reviews")).namespace == "shop"


@pytest.mark.parametrize(("agent", "flavor"), [("pymesh", "pymesh"), ("envoy", "envoy"), ("", "envoy"), ("gRPC C-core linux", "grpc")])
def test_the_user_agent_tells_the_flavor(agent, flavor):
    assert view_of(node(agent=agent), None).flavor == flavor


def test_a_proxyless_client_may_have_any_id():
    view = view_of(node("my-client", agent="gRPC Python", NAMESPACE="shop"), None)
    assert (view.flavor, view.namespace) == ("grpc", "shop")


def test_own_ports_are_read_from_objects_and_from_json_text():
    bound = {"http": {"bind": 21001, "app": 21002}}
    view = view_of(node(INBOUND_PORTS=bound, OUTBOUND_PORTS='{"reviews.shop.svc.cluster.local:80": 21010}', HTTP_PROXY_PORT="15007"), None)
    assert view.inbound_ports == {"http": BoundPort(bind=21001, app=21002)}
    assert view.outbound_ports == {("reviews.shop.svc.cluster.local", 80): 21010}
    assert view.http_proxy_port == 15007


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"INBOUND_PORTS": {"http": 1}}, "bind and app"),
        ({"INBOUND_PORTS": "{"}, "INBOUND_PORTS"),
        ({"INBOUND_PORTS": {"http": {"bind": "x", "app": 1}}}, "'x' is not a port"),
        ({"OUTBOUND_PORTS": {"reviews": 1}}, "is not a port"),
        ({"OUTBOUND_PORTS": [1]}, "an object is needed"),
        ({"HTTP_PROXY_PORT": 70000}, "70000 is not a port"),
        ({"LABELS": "app"}, "LABELS"),
    ],
)
def test_metadata_that_cannot_be_understood_is_refused(metadata, sentence):
    with pytest.raises(InvalidNodeId, match=sentence):
        view_of(node(**metadata), None)


def test_a_proxys_id_must_have_istios_form():
    with pytest.raises(InvalidNodeId):
        view_of(node("whatever"), None)
