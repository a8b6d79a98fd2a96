"""Rate limits that a service keeps: which requests it is asked about, what becomes of its answers, and what holds without one."""

import asyncio
from dataclasses import replace

import pytest

from pymesh.xds import proto
from pymesh_proxy.errors import ConfigError, RateLimitServiceError
from pymesh_proxy.filters.descriptors import Descriptor
from pymesh_proxy.filters.ratelimit import state_headers, to_request
from pymesh_proxy.filters.rls import CHANNELS, RateLimitServices, Service
from pymesh_proxy.filters.services import Services
from pymesh_proxy.runtime import Runtime
from pymesh_proxy.testing import static_cluster
from pymesh_proxy.tls.config import CertificateSource, SecretValue, UpstreamTls, ValidationSource
from tests.certificates import Authority

from .conftest import chain_of, counted, exchange, head, typed

KIND = "ratelimit.v3.RateLimit"
SERVICE = {"transport_api_version": "V3", "grpc_service": {"envoy_grpc": {"cluster_name": "limits", "authority": "limits.org"}}}
GOOGLE = {"google_grpc": {"target_uri": "x", "stat_prefix": "y"}}
RULES = {"route": {"cluster": "up", "rate_limits": [{"actions": [{"generic_key": {"descriptor_value": "all"}}]}]}}
INSIDE = {"x_envoy_internal": "true"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Fake:
    """A service that answers what a test puts in, and remembers what it was asked."""

    def __init__(self, response=None):
        self.response = response or proto.rls.RateLimitResponse(overall_code=1)
        self.asked = []

    async def ask(self, service, request, patience):
        self.asked.append((service, request, patience))
        if isinstance(self.response, Exception):
            raise self.response
        if isinstance(self.response, asyncio.Event):
            await self.response.wait()
            return proto.rls.RateLimitResponse(overall_code=1)
        return self.response


@pytest.fixture
def limited(mesh):
    """A mesh with the filter and its service."""

    def make(service, *routes, **limit):
        made = mesh(*(routes or (RULES,)))
        services = Services(counts=made.runtime.filter_counts, ask_rate_limit=service.ask, own_cluster="own")
        config = typed(KIND, domain="d", rate_limit_service=SERVICE, **limit)
        object.__setattr__(made.options, "chain", chain_of(services, limit=config))
        return made

    return make


async def sent(proxy, headers=b""):
    client = proxy.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n")
    await proxy.settle()
    if not proxy.loop.accepted.empty():
        proxy.upstream = await proxy.accepted()
        proxy.upstream.send(OK)
        await proxy.settle()
    return client


async def test_the_service_is_asked_with_domain_descriptors_and_patience(limited):
    service = Fake()
    async with limited(service, timeout="0.5s") as proxy:
        assert b" 200 OK" in (await sent(proxy)).received
        ((where, request, patience),) = service.asked
        assert (where, request.domain, patience) == (Service("limits", "limits.org"), "d", 0.5)
        assert [(one.key, one.value) for one in request.descriptors[0].entries] == [("generic_key", "all")]
        assert counted(proxy) == {"up.ratelimit.ok": 1}


async def test_requests_without_descriptors_cost_no_call(limited):
    service = Fake()
    async with limited(service, {"route": {"cluster": "up"}}) as proxy:
        assert b" 200 OK" in (await sent(proxy)).received
        assert service.asked == []


@pytest.mark.parametrize(
    ("kind", "headers", "asked"),
    [("internal", {}, False), ("internal", INSIDE, True), ("external", {}, True), ("external", INSIDE, False), ("both", INSIDE, True)],
)
async def test_some_limits_are_for_requests_from_inside_or_outside(limited, kind, headers, asked):
    async with limited(Fake(), request_type=kind) as proxy:
        (only,) = proxy.options.chain.default
        request = head(**headers)
        route = proxy.options.route.table.match(request, 0)
        verdict = only.on_request(exchange(request, route=route, cluster=proxy.runtime.clusters.get("up"), cluster_name="up"))
        assert (verdict is not None) is asked
        if verdict is not None:
            assert await verdict is None


async def test_the_answer_comes_late_and_the_client_has_left(limited):
    gate = asyncio.Event()
    async with limited(Fake(gate)) as proxy:
        client = await sent(proxy)
        client.reset()
        await proxy.settle()
        gate.set()
        await proxy.settle()
        assert [one.flags for one in proxy.exchanges] == ["DC"]
        assert proxy.loop.accepted.empty()


async def test_a_service_that_fails_is_passed_unless_failures_are_denied(limited):
    failing = Fake(RateLimitServiceError("gone"))
    async with limited(failing) as proxy:
        assert b" 200 OK" in (await sent(proxy)).received
        assert counted(proxy) == {"up.ratelimit.error": 1, "up.ratelimit.failure_mode_allowed": 1}
    async with limited(failing, failure_mode_deny=True, status_on_error={"code": "BadGateway"}) as proxy:
        assert (await sent(proxy)).received.startswith(b"HTTP/1.1 502 ")
        (ended,) = proxy.exchanges
        assert (ended.flags, ended.details) == ("RLSE", "rate_limiter_error")
    half = {"failure_mode_deny": True, "failure_mode_deny_percent": {"default_value": {"numerator": 0}}}
    async with limited(failing, **half) as proxy:
        assert b" 200 OK" in (await sent(proxy)).received


async def test_headers_of_the_service_go_both_ways(limited):
    response = proto.rls.RateLimitResponse(overall_code=1)
    response.response_headers_to_add.add(key="X-Down", value="1")
    response.request_headers_to_add.add(key="X-Up", raw_value=b"2")
    async with limited(Fake(response)) as proxy:
        assert b"x-down: 1\r\n" in (await sent(proxy)).received
        assert b"x-up: 2\r\n" in proxy.upstream.received


async def test_a_limited_request_is_answered_with_the_services_body(limited):
    response = proto.rls.RateLimitResponse(overall_code=2, raw_body=b"enough")
    response.response_headers_to_add.add(key="content-type", value="text/odd")
    async with limited(Fake(response)) as proxy:
        client = await sent(proxy)
        assert client.received.startswith(b"HTTP/1.1 429 ")
        assert client.received.endswith(b"\r\n\r\nenough")
        for line in (b"content-type: text/odd\r\n", b"x-envoy-ratelimited: true\r\n"):
            assert line in client.received
        (ended,) = proxy.exchanges
        assert (ended.flags, ended.details, counted(proxy)) == ("RL", "request_rate_limited", {"up.ratelimit.over_limit": 1})


def status(count, unit, left, reset=0, name=""):
    made = proto.rls.RateLimitResponse.DescriptorStatus(limit_remaining=left)
    made.current_limit.requests_per_unit = count
    made.current_limit.unit = unit
    made.current_limit.name = name
    made.duration_until_reset.seconds = reset
    return made


def test_the_state_is_that_of_the_tightest_limit():
    unit = proto.rls.RateLimitResponse.RateLimit
    bare = proto.rls.RateLimitResponse.DescriptorStatus()
    assert state_headers([bare]) == ()
    found = state_headers([status(5, unit.MINUTE, 3, 17), bare, status(9, unit.HOUR, 2, 700, "n"), status(1, unit.UNKNOWN, 8)])
    assert [value for _, value in found] == [b'9, 5;w=60, 9;w=3600;name="n"', b"2", b"700"]


def test_hits_are_told_where_rules_say_them():
    request = to_request("d", [Descriptor((("a", "1"),), 7), Descriptor((("b", "2"),))])
    assert [one.hits_addend.value for one in request.descriptors] == [7, 0]
    assert [one.HasField("hits_addend") for one in request.descriptors] == [True, False]


@pytest.mark.parametrize(
    ("limit", "path"),
    [
        ({"request_type": "some"}, "request_type"),
        ({"rate_limit_service": {**SERVICE, "transport_api_version": "V2"}}, "rate_limit_service.transport_api_version"),
        ({"rate_limit_service": {**SERVICE, "grpc_service": GOOGLE}}, "rate_limit_service.grpc_service"),
        ({"stat_prefix": "p"}, "stat_prefix"),
    ],
)
def test_what_cannot_be_honoured_is_refused(limit, path):
    with pytest.raises(ConfigError) as raised:
        chain_of(Services(), limit=typed(KIND, **{"domain": "d", "rate_limit_service": SERVICE, **limit}))
    assert f"http_filters[0].typed_config.{path}" in [one.path for one in raised.value.problems]


async def test_a_service_needs_a_cluster_with_an_endpoint():
    runtime = Runtime(asyncio.get_running_loop())
    services = RateLimitServices(runtime.clusters.by_name, runtime.secrets.get)
    with pytest.raises(RateLimitServiceError, match="there is no cluster 'limits'"):
        await services.should_rate_limit(Service("limits"), to_request("d", []), 1.0)
    runtime.clusters.put(static_cluster("limits"))
    with pytest.raises(RateLimitServiceError, match="no healthy upstream"):
        await services.should_rate_limit(Service("limits"), to_request("d", []), 1.0)
    runtime.wheel.close()


async def test_channels_are_kept_but_not_without_end():
    runtime = Runtime(asyncio.get_running_loop())
    services = RateLimitServices(runtime.clusters.by_name, runtime.secrets.get)
    for number in range(CHANNELS + 3):
        runtime.clusters.put(static_cluster(f"limits-{number}", ("127.0.0.1", 1)))
        for _ in range(2):
            with pytest.raises(RateLimitServiceError, match=r"UNAVAILABLE|DEADLINE_EXCEEDED"):
                await services.should_rate_limit(Service(f"limits-{number}"), to_request("d", []), 0.001)
    assert len(services._channels) == CHANNELS
    await services.close()
    assert len(services._channels) == 0
    runtime.wheel.close()


@pytest.mark.parametrize("renewed", ["default", "ROOTCA"])
async def test_a_channel_goes_with_the_secrets_that_it_was_opened_with(renewed):
    runtime = Runtime(asyncio.get_running_loop())
    authority = Authority()
    pairs = [authority.pair("a.test") for _ in range(2)]
    values = {
        "default": SecretValue(name="default", chain=pairs[0].chain, key=pairs[0].key),
        "ROOTCA": SecretValue(name="ROOTCA", trusted_ca=authority.pem),
    }
    services = RateLimitServices(runtime.clusters.by_name, values.get)
    tls = UpstreamTls(certificates=(CertificateSource(secret="default"),), validation=ValidationSource(secret="ROOTCA"))
    runtime.clusters.put(static_cluster("limits", ("127.0.0.1", 1), tls=tls))
    first = services._channel(Service("limits"))
    assert services._channel(Service("limits")) is first
    newer = {"default": {"chain": pairs[1].chain, "key": pairs[1].key}, "ROOTCA": {"trusted_ca": Authority("other").pem}}
    values[renewed] = replace(values[renewed], **newer[renewed])
    second = services._channel(Service("limits"))
    assert second is not first
    assert services._channel(Service("limits")) is second
    assert len(services._channels) == 1
    await services.close()
    runtime.wheel.close()
