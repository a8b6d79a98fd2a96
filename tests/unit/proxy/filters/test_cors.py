"""Cross-origin requests: who is answered what, and how policies of several levels make one."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.filters.cors import CorsPolicy
from pymesh_proxy.filters.fraction import ALWAYS, NEVER

from .conftest import counted, head, typed

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: upstream\r\n\r\nok"
CORS = typed("cors.v3.Cors")
POLICY = {
    "allow_origin_string_match": [{"exact": "http://a"}, {"suffix": ".b"}],
    "allow_methods": "GET,PUT",
    "allow_headers": "x-a",
    "expose_headers": "x-b",
    "max_age": "600",
    "allow_credentials": True,
}


def route(policy=POLICY, **action):
    config = {"typed_per_filter_config": {"cors": typed("cors.v3.CorsPolicy", **policy)}}
    return {**(action or {"route": {"cluster": "up"}}), **config}


def told(client):
    """The answer's cross-origin headers."""
    lines = [line.split(b": ", 1) for line in client.received.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    return {name.lower().removeprefix(b"access-control-").decode(): value for name, value in lines if b"ccess-" in name}


async def sent(proxy, method=b"GET", origin=b"http://a", headers=b""):
    client = proxy.connect()
    lines = (b"origin: " + origin + b"\r\n" if origin else b"") + headers
    client.send(method + b" / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    await proxy.settle()
    if not proxy.loop.accepted.empty():
        (await proxy.accepted()).send(OK)
        await proxy.settle()
    return client


PREFLIGHT = b"access-control-request-method: PUT\r\n"
GRANTED = {"allow-origin": b"http://a", "allow-credentials": b"true", "expose-headers": b"x-b"}
OFFER = {"allow-methods": b"GET,PUT", "allow-headers": b"x-a", "max-age": b"600"}
PASSED = {"allow-origin": b"upstream"}


async def test_a_preflight_is_answered_here(mesh):
    async with mesh(route(), cors=CORS) as proxy:
        client = await sent(proxy, b"OPTIONS", headers=PREFLIGHT)
        assert told(client) == GRANTED | OFFER
        (ended,) = proxy.exchanges
        assert (ended.status, ended.details, ended.flags) == (200, "cors_response", "")
        assert counted(proxy) == {"p.cors.origin_valid": 1}


@pytest.mark.parametrize(
    ("method", "origin", "headers", "answer", "counts"),
    [
        (b"GET", b"http://a", b"", GRANTED, {"p.cors.origin_valid": 1}),
        (b"GET", b"https://x.b", b"", GRANTED | {"allow-origin": b"https://x.b"}, {"p.cors.origin_valid": 1}),
        (b"GET", b"http://c", b"", PASSED, {"p.cors.origin_invalid": 1}),
        (b"GET", b"null", b"", PASSED, {"p.cors.origin_invalid": 1}),
        (b"GET", b"", b"", PASSED, {}),
        (b"OPTIONS", b"http://a", b"", GRANTED, {"p.cors.origin_valid": 1}),
        (b"OPTIONS", b"http://c", PREFLIGHT, PASSED, {"p.cors.origin_invalid": 1}),
        (b"PUT", b"http://a", PREFLIGHT, GRANTED, {"p.cors.origin_valid": 1}),
    ],
)
async def test_what_goes_to_the_upstream(mesh, method, origin, headers, answer, counts):
    async with mesh(route(), cors=CORS) as proxy:
        client = await sent(proxy, method, origin, headers)
        assert (told(client), proxy.exchanges[0].details, counted(proxy)) == (answer, "via_upstream", counts)


async def test_unmatched_preflights_can_be_answered_without_a_grant(mesh):
    async with mesh(route({**POLICY, "forward_not_matching_preflights": False}), cors=CORS) as proxy:
        assert told(await sent(proxy, b"OPTIONS", b"http://c", PREFLIGHT)) == OFFER


async def test_a_star_is_what_was_asked_for(mesh):
    async with mesh(route({**POLICY, "allow_methods": "*", "allow_headers": "*"}), cors=CORS) as proxy:
        asking = PREFLIGHT + b"access-control-request-headers: x-q,x-r\r\n"
        found = told(await sent(proxy, b"OPTIONS", headers=asking))
        assert (found["allow-methods"], found["allow-headers"]) == (b"PUT", b"x-q,x-r")
        assert told(await sent(proxy, b"OPTIONS", headers=PREFLIGHT))["allow-headers"].strip() == b""


async def test_private_networks_are_offered_to_those_who_ask(mesh):
    async with mesh(route({**POLICY, "allow_private_network_access": True}), cors=CORS) as proxy:
        asking = PREFLIGHT + b"access-control-request-private-network: true\r\n"
        assert told(await sent(proxy, b"OPTIONS", headers=asking))["allow-private-network"] == b"true"
        assert "allow-private-network" not in told(await sent(proxy, b"OPTIONS", headers=PREFLIGHT))


async def test_a_policy_in_the_shadow_only_counts(mesh):
    shadow = {"filter_enabled": {"default_value": {}}, "shadow_enabled": {"default_value": {"numerator": 100}}}
    async with mesh(route({**POLICY, **shadow}), cors=CORS) as proxy:
        assert (told(await sent(proxy)), counted(proxy)) == (PASSED, {"p.cors.origin_valid": 1})
    async with mesh(route({**POLICY, "filter_enabled": {"default_value": {}}}), cors=CORS) as proxy:
        assert (told(await sent(proxy)), counted(proxy)) == (PASSED, {})


async def test_redirects_and_answers_from_configuration_are_left_alone(mesh):
    async with mesh(route(direct_response={"status": 200}), cors=CORS) as proxy:
        assert (told(await sent(proxy, b"OPTIONS", headers=PREFLIGHT)), counted(proxy)) == ({}, {})


async def test_a_route_leaves_to_its_host_what_it_does_not_say(mesh):
    host = {"typed_per_filter_config": {"cors": typed("cors.v3.CorsPolicy", **POLICY)}}
    async with mesh(route({"allow_methods": "DELETE", "allow_credentials": False}), host=host, cors=CORS) as proxy:
        assert told(await sent(proxy, b"OPTIONS", headers=PREFLIGHT)) == {
            **OFFER, "allow-origin": b"http://a", "expose-headers": b"x-b", "allow-methods": b"DELETE",
        }  # fmt: skip


def policies():
    texts = st.sampled_from([b"", b"one", b"two"])
    switches = st.sampled_from([None, True, False])
    origins = st.sampled_from([(), (b"a".__eq__,), (b"b".__eq__,)])
    shares = st.sampled_from([ALWAYS, NEVER])
    return st.builds(
        CorsPolicy,
        origins=origins,
        methods=texts,
        headers=texts,
        exposed=texts,
        max_age=texts,
        credentials=switches,
        private_network=switches,
        forward_unmatched=switches,
        enabled=shares,
        shadow=shares,
    )


@given(policies(), policies(), policies())
@settings(deadline=None)
def test_each_field_is_the_first_levels_that_sets_it(one, two, three):
    merged = one.over(two).over(three)
    for field in dataclasses.fields(CorsPolicy):
        if field.name in ("enabled", "shadow"):
            expected = getattr(one, field.name)
        else:
            set_ones = [value for level in (one, two, three) if (value := getattr(level, field.name)) not in (None, b"", ())]
            expected = set_ones[0] if set_ones else getattr(three, field.name)
        assert getattr(merged, field.name) == expected
    assert one.over(two.over(three)) == merged


@given(st.binary(max_size=3), st.lists(st.binary(max_size=3), max_size=3))
@settings(deadline=None)
def test_an_origin_is_allowed_by_name_or_by_a_star(origin, named):
    policy = CorsPolicy(origins=tuple(value.__eq__ for value in named))
    assert policy.allows(origin) == (origin in named or b"*" in named)
    assert policy.preflight(head()) == ()
