"""Messages that no control plane should send: they are refused like any other mistake, never a crash."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesh.xds import proto
from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.endpoints import compile_assignment
from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.compile.secrets import compile_secret
from pymesh_proxy.errors import ConfigError

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def test_protocol_options_of_another_type_are_refused(parse, problems):
    text = f"{{name: a, type: STATIC, typed_extension_protocol_options: {{{OPTIONS}: {{'@type': type.googleapis.com/{OPTIONS}}}}}}}"
    message = parse("cluster", text)
    message.typed_extension_protocol_options[OPTIONS].Pack(proto.router.Router())
    assert set(problems(compile_cluster, message)) == {f"typed_extension_protocol_options['{OPTIONS}']"}


def test_bytes_that_are_no_message_are_refused(parse, problems):
    message = parse("cluster", "{name: a, type: STATIC, transport_socket: {name: tls}}")
    message.transport_socket.typed_config.type_url = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    message.transport_socket.typed_config.value = b"\xff\xff"
    assert "the bytes are no" in problems(compile_cluster, message)["transport_socket.typed_config"]


def test_an_extension_as_string_matcher_is_refused(parse, problems):
    text = "{name: s, validation_context: {trusted_ca: {inline_string: x}, match_subject_alt_names: [{custom: {name: x}}]}}"
    assert "validation_context.match_subject_alt_names[0].custom" in problems(compile_secret, parse("secret", text))


@pytest.mark.parametrize("field", ["timeout", "idle_timeout"])
def test_a_negative_duration_is_refused(parse, problems, field):
    route = f"{{match: {{prefix: /}}, route: {{cluster: up, {field}: -1s}}}}"
    found = problems(compile_routes, parse("routes", f"{{virtual_hosts: [{{name: v, domains: ['*'], routes: [{route}]}}]}}"))
    assert found == {f"virtual_hosts[0].routes[0].route.{field}": "-1 s is negative"}


KINDS = [
    (proto.cluster.Cluster, lambda message, ctx: compile_cluster(message)),
    (proto.endpoint.ClusterLoadAssignment, lambda message, ctx: compile_assignment(message)),
    (proto.listener.Listener, compile_listener),
    (proto.route.RouteConfiguration, lambda message, ctx: compile_routes(message)),
    (proto.secret.Secret, lambda message, ctx: compile_secret(message)),
]
TEXTS = ["", "a", "*", "/", "%X%", "(", "*.a.com", "a*b", "1.2.3.4", "\n"]
EXTENSIONS = [proto.hcm.HttpConnectionManager, proto.tcp_proxy.TcpProxy, proto.tls.DownstreamTlsContext, proto.router.Router]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_comes_is_compiled_or_refused(ctx, data):
    kind, compile_it = data.draw(st.sampled_from(KINDS))
    message = kind()
    fill(message, data.draw(st.randoms(use_true_random=False)), 5)
    with contextlib.suppress(ConfigError):
        compile_it(message, ctx)


def fill(message, random, depth):
    """Set about a third of a message's fields, down to a depth, to values that are valid for their type."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any":
        inner = random.choice(EXTENSIONS)()
        fill(inner, random, depth - 1)
        message.Pack(inner)
        return
    for field in message.DESCRIPTOR.fields:
        if random.random() > 0.35 or (field.message_type and (depth <= 0 or field.message_type.GetOptions().map_entry)):
            continue
        if field.message_type:
            held = getattr(message, field.name)
            child = held.add() if field.is_repeated else held
            if not field.is_repeated:
                child.SetInParent()
            fill(child, random, depth - 1)
        elif field.is_repeated:
            getattr(message, field.name).append(scalar(field, random))
        else:
            setattr(message, field.name, scalar(field, random))


def scalar(field, random):
    if field.enum_type:
        return random.choice([*field.enum_type.values_by_number, 99])
    text = random.choice(TEXTS)
    return {field.TYPE_STRING: text, field.TYPE_BYTES: text.encode(), field.TYPE_BOOL: True}.get(
        field.type, random.choice([0, 1, 5, 2**31 - 1])
    )
