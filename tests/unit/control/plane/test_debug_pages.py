"""The debug pages of a control plane with one connected sidecar."""

import contextlib

import aiohttp
import pytest

from pymesh.xds import types
from pymesh_control.debug.pages import PAGES
from pymesh_control.plane import ControlPlane

from ..ads.client import ask_delta
from ..ads.served import read
from .started import MESH, WEB, WEB_CLUSTER, WEB_NODE, first, options, stream

RULE = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, trafficPolicy: {tls: {mode: DISABLE}}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow, namespace: shop}
spec: {egress: [{hosts: ["./*"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
"""


@pytest.fixture
async def asked(tmp_path):
    """Asks for a debug page; the sidecar has accepted its clusters and not yet answered to its listeners."""
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB + RULE)
    (tmp_path / "config" / "mesh.yaml").write_text(MESH)
    async with contextlib.AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(chosen))
        call = await stack.enter_async_context(stream(plane.bound.xds))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await call.write(first(ask_delta(types.CLUSTER)))
        await call.write(ask_delta(types.CLUSTER, nonce=(await read(call)).nonce))
        await call.write(ask_delta(types.LISTENER))
        await read(call)

        async def page(path, status=200):
            async with http.get(f"http://{plane.bound.monitoring}/debug/{path}") as response:
                assert response.status == status, await response.text()
                return await response.json()

        yield page


async def test_every_page_answers_and_is_listed(asked):
    listed = await asked("list")
    assert set(listed) == {f"/debug/{name}" for name in PAGES}
    for name in PAGES:
        await asked(f"{name}?proxyID=web-1.shop&name=web.shop")


async def test_a_dump_shows_what_was_sent_and_whether_it_was_accepted(asked):
    dump = await asked("config_dump?proxyID=web-1.shop")
    clusters, listeners = dump["configs"]
    assert clusters["@type"] == "type.googleapis.com/envoy.admin.v3.ClustersConfigDump"
    states = {one["cluster"]["name"]: one["client_status"] for one in clusters["dynamic_active_clusters"]}
    assert states[WEB_CLUSTER] == "ACKED"
    assert {one["client_status"] for one in listeners["dynamic_listeners"]} == {"REQUESTED"}
    assert all(one["version_info"] for one in clusters["dynamic_active_clusters"])


@pytest.mark.parametrize("name", [WEB_NODE, "web-1.shop", "web-1"])
async def test_a_proxy_is_found_by_each_of_its_names(asked, name):
    assert (await asked(f"resourcesz?proxyID={name}"))["proxy"] == WEB_NODE


async def test_an_unknown_proxy_is_told_with_those_that_are_there(asked):
    assert await asked("config_dump?proxyID=web-9", 404) == {"error": "no proxy 'web-9' is connected (connected: web-1.shop)"}
    assert await asked("sidecarz", 404) == {"error": "proxyID is missing (connected: web-1.shop)"}


async def test_the_resources_a_proxy_holds_stand_each_for_itself(asked):
    held = (await asked("resourcesz?proxyID=web-1"))["types"]
    assert held["cds"][WEB_CLUSTER]["status"] == "SYNCED"
    assert {one["status"] for one in held["lds"].values()} == {"STALE"}


async def test_what_a_proxy_sees_is_told_with_the_rules_that_say_so(asked):
    seen = await asked("sidecarz?proxyID=web-1")
    assert (seen["sidecar"], seen["outbound_traffic_policy"]) == ("shop/narrow", "REGISTRY_ONLY")
    assert seen["services"] == ["web.shop.svc.cluster.local"]
    assert seen["destination_rules"] == {"web.shop.svc.cluster.local": ["shop/web"]}


async def test_the_instances_of_a_service_are_told_with_who_registered_them(asked):
    told = await asked("instancesz?proxyID=web-1")
    assert [one["host"] for one in told["services"]] == ["web.shop.svc.cluster.local"]


async def test_the_present_snapshot_is_told_with_how_clients_stand(asked):
    told = await asked("push_status")
    assert (told["clients"], told["types"]["cds"], told["types"]["lds"]) == (1, {"SYNCED": 1}, {"STALE": 1})
    assert (await asked("mesh"))["trust_domain"] == "td.example"


async def test_who_is_connected_and_what_it_watches(asked):
    [client] = (await asked("adsz"))["clients"]
    assert (client["watches"], client["metadata"]["LABELS"]) == ({"cds": ["*"], "lds": ["*"]}, {"app": "web"})
    assert (await asked("connections"))["totalClients"] == 1


async def test_tools_of_istios_find_their_keys_in_the_status_of_a_client(asked):
    [client] = await asked("syncz")
    assert (client["proxy"], client["proxy_type"], client["cluster_id"]) == (WEB_NODE, "sidecar", "Kubernetes")
    assert client["cluster_sent"] == client["cluster_acked"] != ""
    assert (client["listener_sent"] != "", client["listener_acked"]) == (True, "")
    assert "route_sent" not in client


async def test_policies_and_gateways_of_networks_are_told(asked):
    assert await asked("authorizationz") == {"authorization_policies": []}
    assert await asked("networkz") == []
