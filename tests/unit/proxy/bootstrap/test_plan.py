"""What a bootstrap may ask for: checked before anything is compiled."""

from typing import Any

import pytest

from pymesh.xds import proto
from pymesh_proxy.bootstrap.document import read
from pymesh_proxy.bootstrap.plan import Plan, make_plan
from pymesh_proxy.discovery.source import Variant

ADS = "{api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}"
DYNAMIC = f"""
node: {{id: sidecar~1.1.1.1~a.b~b.svc, cluster: c}}
dynamic_resources:
  ads_config: {ADS}
  cds_config: {{ads: {{}}, resource_api_version: V3, initial_fetch_timeout: 1.5s}}
  lds_config: {{ads: {{}}, resource_api_version: V3}}
"""


def plan(text: str, **flags: str) -> Plan:
    return make_plan(read(text, "b.yaml", proto.bootstrap.Bootstrap).message, **flags)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in plan(text).problems]


def source(plan: Plan) -> Any:
    assert plan.ads is not None
    return plan.ads


def test_ads_over_a_cluster_is_understood() -> None:
    made = plan(DYNAMIC)
    assert (source(made).cluster, source(made).variant) == ("xds", Variant.DELTA)
    assert made.clusters is not None
    assert made.clusters.timeout == 1.5
    assert made.listeners is not None
    assert made.listeners.timeout == 15.0


def test_flags_override_the_node() -> None:
    made = plan(DYNAMIC, node_id="router~2.2.2.2~x.y~y.svc", node_cluster="edge")
    assert (made.node.id, made.node.cluster) == ("router~2.2.2.2~x.y~y.svc", "edge")


def test_node_tells_who_its_proxy_is() -> None:
    assert plan("node: {id: a, user_agent_name: envoy}").node.user_agent_name == "pymesh"


def test_node_is_required_for_dynamic_resources() -> None:
    assert problems(DYNAMIC.replace("cluster: c", "")) == [
        "node: id and cluster are required; set them here or by --service-node and --service-cluster"
    ]


def test_fields_that_cannot_be_honoured_are_all_named() -> None:
    assert problems("overload_manager: {}\ntracing: {}\nadmin: {profile_path: /x, address: {pipe: {path: /y}}}") == [
        "overload_manager: not supported",
        "tracing: not supported",
        "admin.profile_path: not supported",
    ]


def test_harmless_field_is_accepted_and_told() -> None:
    assert plan("stats_flush_interval: 1s").notes == ("stats_flush_interval has no effect: statistics are made when they are asked for",)


def test_ads_without_ads_config_is_refused() -> None:
    text = "node: {id: a, cluster: b}\ndynamic_resources: {cds_config: {ads: {}}}"
    assert problems(text) == ["dynamic_resources.cds_config: ads is named, and dynamic_resources.ads_config is missing"]


def test_file_based_discovery_is_refused() -> None:
    text = "node: {id: a, cluster: b}\ndynamic_resources: {lds_config: {path_config_source: {path: /x}}}"
    assert problems(text) == ["dynamic_resources.lds_config.path_config_source: not supported; use ads or api_config_source"]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("{api_type: REST, transport_api_version: V3, grpc_services: [{google_grpc: {target_uri: x}}]}", "api_type: REST is not"),
        ("{api_type: GRPC, grpc_services: [{google_grpc: {target_uri: x}}]}", "transport_api_version: only V3"),
        ("{api_type: GRPC, transport_api_version: V3}", "grpc_services: exactly one is supported, not 0"),
        ("{api_type: GRPC, transport_api_version: V3, grpc_services: [{}]}", "one of envoy_grpc, google_grpc is required"),
    ],
)
def test_ads_config_that_cannot_be_honoured_names_its_field(bad: str, sentence: str) -> None:
    found = problems(f"node: {{id: a, cluster: b}}\ndynamic_resources: {{ads_config: {bad}}}")
    assert any(sentence in one for one in found)


def test_back_off_is_taken_from_the_service() -> None:
    retry = "retry_policy: {retry_back_off: {base_interval: 0.1s, max_interval: 2s}}"
    made = source(plan(DYNAMIC.replace("cluster_name: xds", f"cluster_name: xds, {retry}")))
    assert (made.back_off_base, made.back_off_max) == (0.1, 2.0)


def test_the_cluster_manager_says_where_outlier_detection_logs_and_who_is_like_this_proxy() -> None:
    assert plan("cluster_manager: {outlier_detection: {event_log_path: /dev/stdout}}").outlier_log == "/dev/stdout"
    known = plan("cluster_manager: {local_cluster_name: c}\nstatic_resources: {clusters: [{name: c}]}")
    assert known.local_cluster == "c"
    empty = plan("cluster_manager: {}")
    assert (empty.outlier_log, empty.local_cluster) == ("", "")
    assert problems("cluster_manager: {load_stats_config: {}, outlier_detection: {event_service: {}}}") == [
        "cluster_manager.load_stats_config: not supported",
        "cluster_manager.outlier_detection.event_service: not supported",
    ]


def test_the_local_cluster_is_one_of_the_bootstraps() -> None:
    assert problems("cluster_manager: {local_cluster_name: c}") == ["cluster_manager.local_cluster_name: 'c' is no static cluster"]
