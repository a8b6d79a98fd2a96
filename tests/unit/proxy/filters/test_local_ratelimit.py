"""Rate limits in this process: what a limited request is answered, what others are told, and whose buckets they are."""

import pytest

from pymesh_proxy.errors import ConfigError
from pymesh_proxy.filters.services import Services

from .conftest import chain_of, counted, table_of, typed

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KIND = "local_ratelimit.v3.LocalRateLimit"
ALWAYS = {"default_value": {"numerator": 100}}
BUCKET = {"max_tokens": 1, "fill_interval": "10s"}
LIMIT = {"stat_prefix": "l", "token_bucket": BUCKET, "filter_enabled": ALWAYS, "filter_enforced": ALWAYS}
NONE = typed(KIND, stat_prefix="none")


def route(action=None, **limit):
    config = typed(KIND, **{**LIMIT, **limit})
    return {"route": {"cluster": "up", **(action or {})}, "typed_per_filter_config": {"local": config}}


def status(client):
    return int(client.received.rpartition(b"HTTP/1.1 ")[2].split()[0])


async def sent(proxy, headers=b"", client=None):
    client = client or proxy.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n")
    await proxy.settle()
    if not proxy.loop.accepted.empty():
        proxy.upstream = await proxy.accepted()
    if not client.received.endswith(b"limited"):
        proxy.upstream.send(OK)
        await proxy.settle()
    return client


async def test_a_request_without_a_token_is_answered_until_time_has_made_one(mesh):
    async with mesh(route(), local=NONE) as proxy:
        assert status(await sent(proxy)) == 200
        limited = await sent(proxy)
        assert (status(limited), limited.received[-18:]) == (429, b"local_rate_limited")
        assert (proxy.exchanges[1].flags, proxy.exchanges[1].details) == ("RL", "local_rate_limited")
        await proxy.advance(9.9)
        assert status(await sent(proxy)) == 429
        await proxy.advance(0.2)
        assert status(await sent(proxy)) == 200
        prefix = "l.http_local_rate_limit."
        assert counted(proxy) == {prefix + "enabled": 4, prefix + "ok": 2, prefix + "rate_limited": 2, prefix + "enforced": 2}


async def test_a_limit_that_is_not_enforced_marks_the_request(mesh):
    extra = [{"header": {"key": "x-too-many", "value": "yes"}}]
    async with mesh(route(filter_enforced=None, request_headers_to_add_when_not_enforced=extra), local=NONE) as proxy:
        for _ in range(2):
            assert status(await sent(proxy)) == 200
        assert proxy.upstream.received.count(b"x-too-many: yes") == 1
        assert counted(proxy)["l.http_local_rate_limit.rate_limited"] == 1


async def test_by_default_nothing_is_limited(mesh):
    async with mesh(route(filter_enabled=None), local=NONE) as proxy:
        for _ in range(3):
            assert status(await sent(proxy)) == 200
        assert counted(proxy) == {}


async def test_the_managers_own_limit_holds_for_all_its_routes(mesh):
    async with mesh(local=typed(KIND, **LIMIT)) as proxy:
        assert [status(await sent(proxy)) for _ in range(2)] == [200, 429]


async def test_every_answer_can_tell_the_state_of_the_bucket(mesh):
    bucket = {"max_tokens": 2, "fill_interval": "10s"}
    async with mesh(route(token_bucket=bucket, enable_x_ratelimit_headers="DRAFT_VERSION_03"), local=NONE) as proxy:
        told = [(await sent(proxy)).received for _ in range(3)]
        await proxy.advance(3.4)
        told.append((await sent(proxy)).received)
    assert [b"x-ratelimit-limit: 2\r\n" in text for text in told] == [True] * 4
    assert [text.partition(b"x-ratelimit-remaining: ")[2][:1] for text in told] == [b"1", b"0", b"0", b"0"]
    assert [text.partition(b"x-ratelimit-reset: ")[2].split(b"\r")[0] for text in told] == [b"0", b"10", b"10", b"7"]


async def test_answers_to_limited_requests_get_headers_and_a_status_of_choice(mesh):
    extra = [{"header": {"key": "x-limited", "value": "%RESPONSE_FLAGS%"}}]
    async with mesh(route(status={"code": "ServiceUnavailable"}, response_headers_to_add=extra), local=NONE) as proxy:
        assert b"x-limited" not in (await sent(proxy)).received
        limited = await sent(proxy)
        assert (status(limited), b"x-limited: RL\r\n" in limited.received) == (503, True)


async def test_connections_can_have_buckets_of_their_own(mesh):
    async with mesh(route(local_rate_limit_per_downstream_connection=True), local=NONE) as proxy:
        one, other = await sent(proxy), await sent(proxy)
        assert [status(one), status(other)] == [200, 200]
        assert status(await sent(proxy, client=one)) == 429


async def test_requests_are_counted_by_what_routes_say_of_them(mesh):
    described = {"rate_limits": [{"actions": [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"}}]}]}
    buckets = [{"entries": [{"key": "user", "value": "one"}], "token_bucket": BUCKET}]
    bucket = {"max_tokens": 3, "fill_interval": "100s"}
    async with mesh(route(described, token_bucket=bucket, descriptors=buckets), local=NONE) as proxy:
        asked = [b"x-user: one\r\n", b"x-user: one\r\n", b"x-user: two\r\n", b"", b""]
        assert [status(await sent(proxy, headers)) for headers in asked] == [200, 429, 200, 200, 429]
    apart = route(described, token_bucket=bucket, descriptors=buckets, always_consume_default_token_bucket=False)
    async with mesh(apart, local=NONE) as proxy:
        assert [status(await sent(proxy, headers)) for headers in (*asked, b"")] == [200, 429, 200, 200, 200, 429]


@pytest.mark.parametrize(
    ("limit", "path"),
    [
        ({"token_bucket": None}, "token_bucket"),
        ({"token_bucket": {**BUCKET, "fill_interval": "0.049s"}}, "token_bucket.fill_interval"),
        ({"descriptors": [{"entries": [{"key": "a"}], "token_bucket": BUCKET}]}, "descriptors[0].entries[0].value"),
        ({"local_cluster_rate_limit": {}}, "local_cluster_rate_limit"),
        ({"max_dynamic_descriptors": 7}, "max_dynamic_descriptors"),
        ({"descriptors": [{"entries": [{"key": "a", "value": "1"}], "token_bucket": BUCKET}] * 2}, "descriptors[1].entries"),
    ],
)
def test_what_cannot_be_honoured_is_refused(limit, path):
    with pytest.raises(ConfigError) as raised:
        table_of(route(**limit))
    assert f"virtual_hosts[0].routes[0].typed_per_filter_config['local'].{path}" in [one.path for one in raised.value.problems]


def test_a_manager_needs_no_bucket():
    (link,) = chain_of(Services(), local=NONE).links
    assert link.name == "local"
