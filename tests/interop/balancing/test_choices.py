"""A fleet of Envoys and of our proxies sends one key to one endpoint: the same bootstrap in both, and choices key by key."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from pymesh_proxy.upstream.balancing.hashes import xx_hash
from tests.interop.connections.twins import Twin, Twins, twins

from .bootstrap import CLUSTERS, SCHEDULED, WEIGHTS, ZONED, text
from .servers import HOST, Endpoints, asker, endpoints

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEYS = range(200)


@dataclass(frozen=True)
class Fleet:
    """Both proxies in front of the same five endpoints."""

    both: Twins
    servers: Endpoints

    async def choices(self, *requests: tuple[str, ...]) -> tuple[list[int], list[int]]:
        """Envoy's and ours."""
        return await self._choices(self.both.envoy, requests), await self._choices(self.both.ours, requests)

    async def _choices(self, twin: Twin, requests: tuple[tuple[str, ...], ...]) -> list[int]:
        async with asker(twin.ports["HTTP"]) as client:
            return await client.choices(requests)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with (
        endpoints(5) as servers,
        twins(tmp_path_factory.mktemp("balancing"), text(servers.ports), "HTTP", "TCP", "LEAST") as both,
    ):
        yield Fleet(both, servers)


@pytest.mark.parametrize("cluster", CLUSTERS)
async def test_a_users_endpoint_is_the_same(fleet: Fleet, cluster: str) -> None:
    theirs, ours = await fleet.choices(*((f"/{cluster}", f"x-user: user-{number}") for number in KEYS))
    assert ours == theirs
    cut = "cut" in cluster  # a ring with few places has none for some, as the ports fall
    assert len(set(ours)) >= (3 if cut else 5)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/cookie", ["cookie: a=b; session=user-{}; c"]),
        ("/cookie", ["cookie: session=\"user-{}\"; session=x"]),
        ("/cookie", ["cookie: session = user-{}; session=x{}"]),
        ("/cookie", ["cookie: a=b", "cookie: session=user-{}", "cookie: session=x"]),
        ("/query?a=b&user=u{}&user=x", []),
        ("/query?user=%41{}", []),
        ("/query?user&user=u{}", []),
        ("/rewritten", ["x-user: user-{}-of-many"]),
        ("/ring", ["x-user: b{}", "x-user: a{}"]),
        ("/ring", ["x-user: a{}", "x-user: b{}"]),
        ("/maglev", ["x-user: \xe9{}"]),
        ("/several?user=q{}", ["x-user: user-{}"]),
        ("/several", ["x-user: user-{}"]),
        ("/terminal?user=q{}", ["x-user: same"]),
        ("/terminal?user=q{}", []),
        ("/drawn", ["x-user: user-{}"]),
        ("/drawn", ["x-user: same", "cookie: session=user-{}"]),
        ("/numbered", ["x-user: {}"]),
        ("/numbered", ["x-user: +1844674407370955{}"]),
    ],
)
async def test_every_hash_policy_finds_the_same(fleet: Fleet, target: str, headers: list[str]) -> None:
    requests = [(target.replace("{}", str(number)), *(header.replace("{}", str(number)) for header in headers)) for number in KEYS]
    theirs, ours = await fleet.choices(*requests)
    assert ours == theirs


@pytest.mark.parametrize("cluster", SCHEDULED)
async def test_weights_are_kept_to_over_every_cycle(fleet: Fleet, cluster: str) -> None:
    """Where a cycle begins is random, and rounding decides about ties; over twenty cycles nobody is off by more than one."""
    for chosen in await fleet.choices(*[(f"/{cluster}",)] * (20 * sum(WEIGHTS))):
        counts = Counter(chosen)
        assert all(abs(counts[number] - 20 * weight) <= 1 for number, weight in enumerate(WEIGHTS)), counts


@pytest.mark.parametrize("cluster", ZONED)
async def test_localities_share_as_the_policy_says(fleet: Fleet, cluster: str) -> None:
    for chosen in await fleet.choices(*[(f"/{cluster}",)] * 40):
        assert chosen.count(0) == pytest.approx(ZONED[cluster][0], abs=1)


@pytest.mark.parametrize("algorithm", ["ring", "maglev"])
async def test_further_attempts_go_to_the_same_next(fleet: Fleet, algorithm: str) -> None:
    """Server 2 fails; the retry avoids it, unless the next places all are its own, and both find the same second choice."""
    requests = [(f"/{algorithm}-again", f"x-user: user-{number}", "fail: 2") for number in KEYS]
    theirs, ours = await fleet.choices(*requests)
    assert ours == theirs
    assert ours.count(2) < 5
    plain, _ = await fleet.choices(*((f"/{algorithm}", f"x-user: user-{number}") for number in KEYS))
    assert any(first == 2 for first in plain)


@pytest.mark.parametrize(("listener", "target"), [("HTTP", "/source"), ("TCP", "/")])
async def test_a_clients_address_is_its_key(fleet: Fleet, listener: str, target: str) -> None:
    async def choose(twin: Twin, source: str) -> int:
        async with asker(twin.ports[listener], source) as client:
            return (await client.choices([(target,)]))[0]

    sources = [f"127.7.{number // 50}.{number % 50 + 1}" for number in KEYS]
    theirs = [await choose(fleet.both.envoy, source) for source in sources]
    ours = [await choose(fleet.both.ours, source) for source in sources]
    assert ours == theirs
    assert set(ours) == set(range(5))


async def test_a_client_without_a_cookie_gets_one(fleet: Fleet) -> None:
    for twin in (fleet.both.envoy, fleet.both.ours):
        async with asker(twin.ports["HTTP"]) as client:
            client.send("/new-cookie")
            first, cookies = await client.answer()
            addresses = f"{client.address}{HOST}:{twin.ports['HTTP']}"
            value = f"{xx_hash(addresses.encode()):016x}"
            assert cookies == [f'session="{value}"; Max-Age=60; Path=/shop; SameSite=Strict; Secure; HttpOnly'], twin.name
            client.send("/new-cookie", f"cookie: session={value}")
            assert await client.answer() == (first, []), twin.name
            client.send("/new-cookie", 'cookie: session=""')
            assert await client.answer() == (first, cookies), twin.name


@pytest.mark.parametrize("cluster", ["ring-bounded", "maglev-bounded-weighted"])
async def test_full_endpoints_pass_keys_on_to_the_same_others(fleet: Fleet, cluster: str) -> None:
    async def arrivals(twin: Twin) -> list[int]:
        """Where requests of two users go that all stay there."""
        held = []
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(asker(twin.ports["HTTP"])) for _ in range(16)]
            for number, client in enumerate(clients):
                client.send(f"/{cluster}", f"x-user: user-{number % 2}", "hold: 1")
                held.append(await fleet.servers.arrived.get())
            fleet.servers.release()
            for client in clients:
                await client.answer()
        return held

    theirs, ours = await arrivals(fleet.both.envoy), await arrivals(fleet.both.ours)
    assert ours == theirs
    assert len(set(ours)) > 2


async def test_connections_go_where_the_fewest_are(fleet: Fleet) -> None:
    for twin in (fleet.both.envoy, fleet.both.ours):
        chosen = []
        async with AsyncExitStack() as stack:
            for _ in range(10):
                client = await stack.enter_async_context(asker(twin.ports["LEAST"]))
                chosen += await client.choices([("/",)])
        assert sorted(chosen[:5]) == sorted(chosen[5:]) == list(range(5)), twin.name
