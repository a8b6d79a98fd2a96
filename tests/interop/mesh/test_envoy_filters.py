"""What EnvoyFilters put into gateways acts there: in a real Envoy, and in our proxy, which refuses by name what it does not have."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from pymesh.local.ports import HOST
from tests.waiting import eventually

from .stage import ENVOY, OURS, Stage, resource, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
MANAGER = "envoy.filters.network.http_connection_manager"
LUA = {
    "@type": f"{FILTERS}.lua.v3.Lua",
    "default_source_code": {"inline_string": "function envoy_on_response(handle) handle:headers():add('x-lua', 'here') end"},
}
FULL = {"numerator": 100}
LIMIT = {
    "@type": f"{FILTERS}.local_ratelimit.v3.LocalRateLimit",
    "stat_prefix": "limit",
    "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"},
    "filter_enabled": {"default_value": FULL},
    "filter_enforced": {"default_value": FULL},
}


def inserted(edge: str, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """An EnvoyFilter that puts an HTTP filter in front of the router of the gateways labelled `edge`."""
    place = {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": "envoy.filters.http.router"}}}}
    patch = {"operation": "INSERT_BEFORE", "value": {"name": name, "typed_config": config}}
    change = {"applyTo": "HTTP_FILTER", "match": {"context": "GATEWAY", "listener": place}, "patch": patch}
    spec = {"workloadSelector": {"labels": {"edge": edge}}, "configPatches": [change]}
    return {**resource("EnvoyFilter", f"{edge}-{name}", spec), "apiVersion": "networking.istio.io/v1alpha3"}


@dataclass(frozen=True)
class Edges:
    """A control plane that has a gateway of each kind, each with a port of its own."""

    stage: Stage
    session: aiohttp.ClientSession
    ports: Mapping[str, int]

    async def get(self, edge: str) -> tuple[int, str | None]:
        """The status of an answer, and what Lua added to it."""
        try:
            async with self.session.get(f"http://{HOST}:{self.ports[edge]}/") as answer:
                return answer.status, answer.headers.get("x-lua")
        except aiohttp.ClientConnectionError:
            return 0, None

    async def listeners(self) -> Mapping[str, Any]:
        """How our proxy is with its listeners, as the control plane tells it."""
        async with self.session.get(f"http://{HOST}:{self.stage.control.monitoring}/debug/syncz") as answer:
            return next((one["types"].get("lds", {}) for one in await answer.json() if "~ours" in one["proxy"]), {})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edges(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edges]:
    """Both answer every request by themselves; Envoy has a Lua filter, ours a limit of one request."""
    async with staged(tmp_path_factory.mktemp("filters")) as stage, aiohttp.ClientSession() as session:
        ports = {edge: stage.ports.take() for edge in (ENVOY, OURS)}
        for edge, port in ports.items():
            server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
            rule = {"hosts": ["*"], "gateways": [edge], "http": [{"directResponse": {"status": 200}}]}
            gateway = resource("Gateway", edge, {"selector": {"edge": edge}, "servers": [server]})
            stage.configure(f"{edge}.yaml", gateway, resource("VirtualService", edge, rule))
        stage.configure("filters.yaml", inserted(ENVOY, "lua", LUA), inserted(OURS, "limit", LIMIT))
        await stage.start_control()
        for edge in ports:
            await stage.start_gateway(edge, edge)
        yield Edges(stage, session, ports)


async def test_a_filter_acts_in_envoy(edges: Edges) -> None:
    await eventually(lambda: edges.get(ENVOY), lambda answer: answer == (200, "here"))


async def test_a_filter_acts_in_our_proxy_and_one_that_it_lacks_is_told(edges: Edges) -> None:
    await eventually(lambda: edges.get(OURS), lambda answer: answer[0] == 429)
    edges.stage.configure("more.yaml", inserted(OURS, "lua", LUA))
    told = await eventually(edges.listeners, lambda lds: lds.get("status") == "NACKED")
    assert "lua" in told["error"]
    assert await edges.get(OURS) == (429, None)
