"""What sidecars and applications are told."""

import json
from pathlib import Path

import pytest

from pymesh.api import parse_text
from pymesh.bootstrap.effective import ProxyConfigs
from pymesh.bootstrap.environment import Settings
from pymesh.local.environment import ControlPlane, Instance, Proxy, place_gateway, place_instances
from pymesh.local.meshfile import Gateway, MeshFile
from pymesh.local.ports import FreePorts

TEXT = """\
workloads:
- name: cart
  command: [python, cart.py, "--port=$(PORT_HTTP)", "--pay=$(PAY_SERVICE_HOST):$(PAY_SERVICE_PORT)"]
  ports: {http: 0, grpc-in: 0}
  labels: {app: cart, version: v2}
  serviceAccount: cart-account
  calls: ["pay:8080"]
  env: {LEVEL: debug}
- name: store
  sidecar: false
  command: [store]
  ports: {http: 9000}
"""


@pytest.fixture
def instances() -> list[Instance]:
    ports = FreePorts()
    mesh = MeshFile.parse(TEXT, "mesh.yaml")
    return [instance for workload in mesh.workloads for instance in place_instances(workload, "shop", Path("/t"), ports)]


@pytest.fixture
def control(tmp_path: Path) -> ControlPlane:
    return ControlPlane.place(tmp_path, FreePorts())


def sidecar_of(instance: Instance) -> Proxy:
    assert instance.sidecar is not None
    return instance.sidecar


def test_a_sidecar_is_told_who_it_is(instances: list[Instance], control: ControlPlane) -> None:
    environment = sidecar_of(instances[0]).environment(control)
    assert environment["POD_NAME"] == "cart"
    assert environment["POD_NAMESPACE"] == "shop"
    assert environment["SERVICE_ACCOUNT"] == "cart-account"
    assert environment["PYMESH_TOKEN_FILE"] == "/t/shop.cart-account"
    assert environment["CA_ADDR"] == f"127.0.0.1:{control.secure_xds}"
    assert json.loads(environment["ISTIO_METAJSON_LABELS"]) == {"app": "cart", "version": "v2"}
    assert json.loads(environment["PROXY_CONFIG"])["discoveryAddress"] == environment["CA_ADDR"]


def test_a_sidecar_stands_before_every_port_of_its_application(instances: list[Instance], control: ControlPlane) -> None:
    inbound = json.loads(sidecar_of(instances[0]).environment(control)["ISTIO_METAJSON_INBOUND_PORTS"])
    assert {name: pair["app"] for name, pair in inbound.items()} == instances[0].ports
    assert {pair["bind"] for pair in inbound.values()}.isdisjoint(instances[0].ports.values())


def test_an_application_reaches_what_it_calls_through_its_sidecar(instances: list[Instance], control: ControlPlane) -> None:
    sidecar = sidecar_of(instances[0])
    environment = instances[0].environment()
    outbound = json.loads(sidecar.environment(control)["ISTIO_METAJSON_OUTBOUND_PORTS"])
    assert outbound == {"pay.shop.svc.cluster.local:8080": int(environment["PAY_SERVICE_PORT"])}
    assert environment["PAY_SERVICE_HOST"] == "127.0.0.1"
    assert environment["http_proxy"] == f"http://127.0.0.1:{sidecar.http_proxy}"
    assert environment["LEVEL"] == "debug"


def test_each_port_of_a_service_that_is_called_has_a_variable() -> None:
    text = "workloads:\n- name: cart\n  command: [cart]\n  ports: {http: 0}\n  calls: ['pay:80', 'pay:443']\n"
    [instance] = place_instances(MeshFile.parse(text, "f").workloads[0], "shop", Path("/t"), FreePorts())
    environment, outbound = instance.environment(), sidecar_of(instance).outbound
    assert environment["PAY_SERVICE_PORT"] == environment["PAY_SERVICE_PORT_80"] == str(outbound["pay.shop.svc.cluster.local:80"])
    assert environment["PAY_SERVICE_PORT_443"] == str(outbound["pay.shop.svc.cluster.local:443"])


def test_a_command_gets_its_variables_put_in(instances: list[Instance]) -> None:
    environment = instances[0].environment()
    assert instances[0].command() == [
        "python", "cart.py", f"--port={environment['PORT_HTTP']}", f"--pay=127.0.0.1:{environment['PAY_SERVICE_PORT']}",
    ]
    assert int(environment["PORT_GRPC_IN"]) == instances[0].ports["grpc-in"]


def test_a_workload_outside_the_mesh_has_its_fixed_port_and_no_way_in(instances: list[Instance]) -> None:
    store = instances[1]
    assert store.sidecar is None
    assert store.environment() == {"PORT_HTTP": "9000"}
    assert store.ready_url == "tcp://127.0.0.1:9000"


def test_a_gateway_is_a_router_that_captures_nothing(control: ControlPlane) -> None:
    gateway = place_gateway(Gateway.model_validate({"name": "edge", "namespace": "istio-system"}), "shop", Path("/t"), FreePorts())
    environment = gateway.environment(control)
    assert (environment["PYMESH_NODE_TYPE"], environment["POD_NAMESPACE"]) == ("router", "istio-system")
    assert not {"ISTIO_METAJSON_INBOUND_PORTS", "ISTIO_METAJSON_OUTBOUND_PORTS", "ISTIO_META_INTERCEPTION_MODE"} & set(environment)


def test_no_two_ports_of_the_proxies_of_one_machine_are_the_same(instances: list[Instance], control: ControlPlane) -> None:
    taken = []
    for sidecar in (instance.sidecar for instance in instances if instance.sidecar):
        environment = sidecar.environment(control)
        config = json.loads(environment["PROXY_CONFIG"])
        taken += [config["statusPort"], config["proxyAdminPort"], int(environment["ISTIO_META_ENVOY_STATUS_PORT"])]
    assert len(set(taken)) == len(taken) >= 3


START = """\
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: all, namespace: shop}
spec: {concurrency: 3, environmentVariables: {ISTIO_META_CLUSTER_ID: mine, TRUST_DOMAIN: own.example, POD_NAME: other}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "defaultConfig: {terminationDrainDuration: 7s, statusPort: 15040, tracing: {sampling: 1}}"}
"""


def started(text: str = TEXT) -> Proxy:
    configs = ProxyConfigs(parse_text(START, "config.yaml").resources)
    workload = MeshFile.parse(text, "mesh.yaml").workloads[0]
    return sidecar_of(place_instances(workload, "shop", Path("/t"), FreePorts(), configs)[0])


def test_a_proxy_is_started_as_proxyconfigs_say(control: ControlPlane) -> None:
    environment = started().environment(control)
    config = json.loads(environment["PROXY_CONFIG"])
    assert (config["concurrency"], config["terminationDrainDuration"]) == (3, "7s")
    assert (environment["ISTIO_META_CLUSTER_ID"], environment["TRUST_DOMAIN"]) == ("mine", "own.example")


def test_an_annotation_of_mesh_yaml_stands_over_the_proxyconfig_of_the_namespace(control: ControlPlane) -> None:
    annotated = TEXT.replace("  env:", '  annotations: {proxy.istio.io/config: "{concurrency: 4, meshId: m}"}\n  env:')
    config = json.loads(started(annotated).environment(control)["PROXY_CONFIG"])
    assert (config["concurrency"], config["meshId"]) == (4, "m")


def test_without_a_proxyconfig_there_is_one_worker_and_a_short_drain(instances: list[Instance], control: ControlPlane) -> None:
    config = json.loads(sidecar_of(instances[0]).environment(control)["PROXY_CONFIG"])
    assert (config["concurrency"], config["terminationDrainDuration"]) == (1, "1s")


def test_what_the_mesh_decides_itself_is_kept_and_told(control: ControlPlane) -> None:
    proxy = started()
    environment = proxy.environment(control)
    assert (environment["POD_NAME"], json.loads(environment["PROXY_CONFIG"])["statusPort"]) == ("cart", proxy.status)
    assert proxy.overruled(control) == ["statusPort", "tracing", "proxyMetadata.POD_NAME"]


def test_every_sidecar_would_answer_dns_at_a_port_of_its_own(instances: list[Instance], control: ControlPlane) -> None:
    assert sidecar_of(instances[0]).environment(control)["DNS_PROXY_ADDR"] == f"127.0.0.1:{sidecar_of(instances[0]).dns}"


def test_what_such_an_environment_says_a_proxy_understands(control: ControlPlane) -> None:
    settings = Settings.from_environ(started().environment(control))
    assert (settings.proxy.concurrency, settings.metadata["CLUSTER_ID"], settings.identity.trust_domain) == (3, "mine", "own.example")
