"""What requests tell of their upstream's TLS: which connections they go over, and which configuration cannot be honoured."""

import pytest

from pymesh_proxy.errors import ConfigError
from pymesh_proxy.filters.services import Services
from pymesh_proxy.http.exchange import Downstream
from pymesh_proxy.listener.detect import client_hello
from pymesh_proxy.testing import static_cluster
from pymesh_proxy.tls.config import UpstreamTls
from pymesh_proxy.tls.override import overriding
from pymesh_proxy.upstream.config import ProxyHeader, UpstreamProtocol

from .conftest import chain_of, exchange, typed

ALPN, SNI = "envoy.network.application_protocols", "envoy.network.upstream_server_name"
CLIENT = Downstream(remote_address="192.0.2.7:40000", local_address="192.0.2.1:8080")


def value(key, text, **more):
    return {"object_key": key, "format_string": {"text_format_source": {"inline_string": text}}, **more}


def state(*values):
    return typed("set_filter_state.v3.Config", on_request_headers=list(values))


def asked(*configs):
    """What filters of these configurations, one after another, ask for."""
    one = exchange()
    for made in chain_of(Services(), **{f"f{index}": config for index, config in enumerate(configs)}).default:
        made.on_request(one)
    return one.override


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([state()], None),
        ([state(value(ALPN, "a,b"))], overriding(alpn=("a", "b"))),
        ([state(value(ALPN, "a", factory_key=ALPN), value(SNI, "b", shared_with_upstream="ONCE"))], overriding(alpn=("a",), sni="b")),
        ([state(value(ALPN, "a"), value(ALPN, "b"))], overriding(alpn=("b",))),
        ([state(value(ALPN, "a")), state(value(ALPN, "", skip_if_empty=True))], overriding(alpn=("a",))),
        ([state(value(ALPN, "a")), state()], overriding(alpn=("a",))),
        ([state(value(ALPN, "a"), value(SNI, "x.test")), state(value(ALPN, "b"))], overriding(alpn=("b",), sni="x.test")),
        ([state({"object_key": SNI, "format_string": {"text_format": "x.test"}})], overriding(sni="x.test")),
    ],
)
def test_what_is_set_last_stays(configs, expected):
    """Equal content is the same object, by which connections are found."""
    assert asked(*configs) is expected


@pytest.mark.parametrize(
    ("wrong", "path", "sentence"),
    [
        (value("envoy.string", "x"), "object_key", "nothing reads 'envoy.string'"),
        (value("envoy.network.upstream_subject_alt_names", "x"), "object_key", "nothing reads"),
        (value(ALPN, "x", factory_key="envoy.string"), "factory_key", "the factory of that name"),
        (value(ALPN, "%PROTOCOL%"), "format_string", "operators are not supported"),
        (value(ALPN, ""), "format_string", "the text is empty"),
        (value(ALPN, "a,,b"), "format_string", "1 to 255 ASCII characters"),
        (value(ALPN, "a" * 256), "format_string", "1 to 255 ASCII characters"),
        (value(ALPN, "ä"), "format_string", "1 to 255 ASCII characters"),
        (value(ALPN, "a", read_only=True), "read_only", "not supported"),
    ],
)
def test_what_nothing_here_could_do_is_refused(wrong, path, sentence):
    with pytest.raises(ConfigError) as raised:
        chain_of(Services(), own=state(wrong))
    (problem,) = raised.value.problems
    assert problem.path == f"http_filters[0].typed_config.on_request_headers[0].{path}"
    assert sentence in problem.message


SPOKEN = UpstreamTls(alpn=("istio",), sni="own.test")
GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
ROUTES = (
    {"match": {"prefix": "/asks"}, "route": {"cluster": "up"}, "typed_per_filter_config": {"own": state(value(ALPN, "x,istio"))}},
    {"match": {"prefix": "/share"}, "route": {"weighted_clusters": {"clusters": [
        {"name": "up", "weight": 1, "typed_per_filter_config": {"own": state(value(SNI, "other.test"))}},
    ]}}, "typed_per_filter_config": {"own": state(value(ALPN, "x,istio"))}},
    {"match": {"prefix": "/"}, "route": {"cluster": "up"}},
)  # fmt: skip


async def hello(proxy, path):
    """What the connection of a request to a path begins with: server name and ALPN."""
    proxy.connect().send(GET % path)
    peer = await proxy.accepted()
    await proxy.settle()
    found = client_hello(bytes(peer.received))
    return found.server_name, found.alpn


@pytest.mark.parametrize("protocol", [UpstreamProtocol.HTTP1, UpstreamProtocol.HTTP2])
async def test_only_requests_of_routes_that_say_so_ask_for_something_else(mesh, protocol):
    """Where two levels say something both count; connections are not shared with requests that ask for something else."""
    async with mesh(*ROUTES, own=state()) as proxy:
        proxy.runtime.clusters.put(static_cluster("up", ("10.0.0.1", 80), tls=SPOKEN, protocol=protocol))
        assert await hello(proxy, b"/") == ("own.test", ("istio",))
        assert await hello(proxy, b"/asks") == ("own.test", ("x", "istio"))
        assert await hello(proxy, b"/share") == ("other.test", ("x", "istio"))


async def test_a_name_that_is_asked_for_stands_over_every_other(mesh):
    async with mesh(own=state(value(SNI, "other.test"))) as proxy:
        named = UpstreamTls(sni="own.test", auto_host_sni=True, auto_sni=True)
        proxy.runtime.clusters.put(static_cluster("up", ("10.0.0.1", 80), tls=named))
        assert await hello(proxy, b"/") == ("other.test", ())


def pools_of(proxy, **settings):
    """Cluster and endpoint, and a function that tells the pools of requests that ask for something."""
    proxy.runtime.clusters.put(static_cluster("up", ("10.0.0.1", 80), **settings))
    cluster = proxy.runtime.clusters.get("up")
    (endpoint,) = cluster.endpoints

    def pools(override, high=False):
        kinds = (proxy.runtime.pools.of, proxy.runtime.pools.multiplexed)
        return [kind(cluster, endpoint, CLIENT, high, override) for kind in kinds]

    return endpoint, pools


@pytest.mark.parametrize("protocol", [UpstreamProtocol.DOWNSTREAM, UpstreamProtocol.AUTO])
async def test_requests_that_ask_for_the_same_share_connections(mesh, protocol):
    async with mesh() as proxy:
        _, pools = pools_of(proxy, tls=SPOKEN, protocol=protocol)
        one, other = overriding(alpn=("x",)), overriding(alpn=("y",))
        made = [pools(override, high) for override in (None, one, other) for high in (False, True)]
        assert len({id(pool) for pair in made for pool in pair}) == 12
        assert [pools(override, high) for override in (None, one, other) for high in (False, True)] == made


async def test_in_plaintext_it_does_not_matter_what_is_asked_of_tls(mesh):
    async with mesh() as proxy:
        _, pools = pools_of(proxy)
        assert pools(overriding(alpn=("x",))) == pools(None)


async def test_a_connection_that_tells_for_whom_it_is_may_ask_too(mesh):
    async with mesh() as proxy:
        _, pools = pools_of(proxy, tls=SPOKEN, proxy_header=ProxyHeader(version=2))
        asked_for = overriding(alpn=("x",))
        assert pools(asked_for)[0] is not pools(asked_for)[0]
        assert all(pool._override is asked_for for pool in pools(asked_for))


async def test_connections_of_an_endpoint_that_goes_are_left(mesh):
    async with mesh(own=state(value(ALPN, "x"))) as proxy:
        endpoint, pools = pools_of(proxy, tls=SPOKEN)
        left = [pool for high in (False, True) for pool in pools(overriding(alpn=("x",)), high)]
        proxy.runtime.clusters.remove("up")
        assert all(pool._closing for pool in left)
        assert endpoint.overridden is None
