"""/config_dump: Envoy's shape, filters, and nothing secret."""

import base64
import gc
import json
from typing import Any

import pytest
from google.protobuf import json_format

from pymesh.xds import proto, types
from pymesh_proxy.admin.facts import BadQuery, Facts
from pymesh_proxy.admin.redact import plain
from pymesh_proxy.tls.config import SecretValue


async def configs(ask: Any, **query: str) -> dict[str, Any]:
    """The sections by the last part of their type."""
    answer = await ask("/config_dump", **query)
    return {config["@type"].rpartition(".")[2]: config for config in json.loads(answer.body)["configs"]}


async def test_the_dump_parses_as_envoys_own_message(ask: Any) -> None:
    answer = await ask("/config_dump", include_eds="")
    dump = json_format.Parse(answer.body, proto.config_dump.ConfigDump())
    assert [config.TypeName().rpartition(".")[2] for config in dump.configs] == [
        "BootstrapConfigDump", "ClustersConfigDump", "EndpointsConfigDump", "ListenersConfigDump", "RoutesConfigDump", "SecretsConfigDump",
    ]  # fmt: skip
    clusters = proto.unpack(dump.configs[1])
    assert clusters.version_info == "v7"
    assert proto.unpack(clusters.dynamic_active_clusters[0].cluster).name == "outbound|80||shop"
    assert proto.unpack(clusters.static_clusters[0].cluster).name == "static"


async def test_static_and_dynamic_resources_stand_apart(ask: Any) -> None:
    found = await configs(ask)
    assert [item["cluster"]["name"] for item in found["ClustersConfigDump"]["static_clusters"]] == ["static"]
    assert [item["name"] for item in found["ListenersConfigDump"]["dynamic_listeners"]] == ["0.0.0.0_80"]
    assert "static_listeners" not in found["ListenersConfigDump"]
    (route,) = found["RoutesConfigDump"]["dynamic_route_configs"]
    assert route["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] == "outbound|80||shop"


async def test_the_routes_of_a_removed_listener_are_gone_with_it(ask: Any, facts: Facts) -> None:
    await facts.runtime.listeners.remove("0.0.0.0_80")
    gc.collect()
    assert "dynamic_route_configs" not in (await configs(ask))["RoutesConfigDump"]


async def test_endpoints_are_shown_only_when_asked_for(ask: Any) -> None:
    assert "EndpointsConfigDump" not in await configs(ask)
    found = (await configs(ask, include_eds=""))["EndpointsConfigDump"]
    (item,) = found["dynamic_endpoint_configs"]
    hosts = item["endpoint_config"]["endpoints"][0]["lb_endpoints"]
    assert hosts[0]["load_balancing_weight"] == 3
    assert hosts[0]["metadata"]["filter_metadata"]["istio"]["workload"] == "shop;prod;shop;v1;K"
    assert hosts[1]["health_status"] == "UNHEALTHY"


async def test_a_warming_resource_is_shown_beside_the_one_that_serves(ask: Any, facts: Facts) -> None:
    warm = {types.LISTENER: proto.listener.Listener(name="0.0.0.0_80"), types.CLUSTER: proto.cluster.Cluster(name="new")}
    facts.warming = lambda type_url: [warm[type_url]]
    found = await configs(ask)
    (listener,) = found["ListenersConfigDump"]["dynamic_listeners"]
    assert {"active_state", "warming_state"} <= listener.keys()
    assert found["ClustersConfigDump"]["dynamic_warming_clusters"][0]["cluster"]["name"] == "new"


async def test_private_keys_are_redacted(ask: Any, facts: Facts, issue: Any) -> None:
    chain, key = issue(1)
    facts.runtime.secrets.put(SecretValue(name="default", chain=chain, key=key))
    tls = proto.tls.UpstreamTlsContext()
    certificate = tls.common_tls_context.tls_certificates.add()
    certificate.certificate_chain.inline_string = "PUBLIC-CHAIN"
    certificate.private_key.inline_string = "SECRET-KEY"
    certificate.password.inline_bytes = b"SECRET-KEY"
    facts.bootstrap.static_resources.clusters[0].transport_socket.typed_config.CopyFrom(proto.pack(tls))
    metadata = facts.bootstrap.dynamic_resources.ads_config.grpc_services.add().initial_metadata.add()
    metadata.key, metadata.value = "authorization", "SECRET-KEY"
    text = (await ask("/config_dump")).body
    assert base64.b64encode(chain).decode() in text
    assert base64.b64encode(key).decode() not in text
    assert "SECRET-KEY" not in text
    assert "U0VDUkVULUtFW" not in text
    assert "PUBLIC-CHAIN" in text
    assert "W3JlZGFjdGVkXQ==" in text


async def test_a_resource_is_one_list_and_each_item_has_its_type(ask: Any) -> None:
    answer = json.loads((await ask("/config_dump", resource="dynamic_active_clusters")).body)
    (item,) = answer["configs"]
    assert item["@type"] == "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster"
    assert item["cluster"]["name"] == "outbound|80||shop"


async def test_a_mask_keeps_only_the_fields_it_names(ask: Any) -> None:
    answer = json.loads((await ask("/config_dump", resource="dynamic_active_clusters", mask="version_info,cluster.name,cluster.type")).body)
    (item,) = answer["configs"]
    del item["@type"]
    assert item == {"version_info": "v7", "cluster": {"@type": types.CLUSTER, "name": "outbound|80||shop", "type": "EDS"}}


async def test_a_mask_without_a_resource_goes_through_every_section(ask: Any) -> None:
    found = await configs(ask, mask="static_clusters.cluster.name")
    assert found["ClustersConfigDump"]["static_clusters"] == [{"cluster": {"@type": types.CLUSTER, "name": "static"}}]
    assert set(found) == {"ClustersConfigDump"}


async def test_names_are_chosen_by_a_whole_match_and_the_bootstrap_stays(ask: Any) -> None:
    found = await configs(ask, name_regex="outbound.*")
    assert "static_clusters" not in found["ClustersConfigDump"]
    assert len(found["ClustersConfigDump"]["dynamic_active_clusters"]) == 1
    assert "dynamic_listeners" not in found["ListenersConfigDump"]
    assert "bootstrap" in found["BootstrapConfigDump"]
    assert "dynamic_active_clusters" not in (await configs(ask, name_regex="outbound"))["ClustersConfigDump"]


@pytest.mark.parametrize(
    "query",
    [
        {"resource": "no_such_thing"},
        {"resource": "bootstrap"},
        {"resource": "version_info"},
        {"mask": "nonsense"},
        {"resource": "dynamic_listeners", "mask": "nonsense"},
        {"resource": "dynamic_listeners", "mask": "active_state.nonsense"},
        {"resource": "dynamic_listeners", "mask": "name.below"},
        {"name_regex": "("},
    ],
)
async def test_a_bad_question_is_refused(ask: Any, query: dict[str, str]) -> None:
    with pytest.raises(BadQuery):
        await ask("/config_dump", **query)


def test_a_message_of_a_type_nobody_knows_is_said_to_be_so() -> None:
    cluster = proto.cluster.Cluster(name="c")
    cluster.transport_socket.typed_config.type_url = "type.googleapis.com/no.such.Type"
    assert "no.such.Type" in plain(cluster)["error"]
