"""`mesh.yaml` is read strictly, and every mistake is told with its place."""

from pathlib import Path

import pytest

from pymesh.local.errors import InvalidMeshFile, LocalError
from pymesh.local.mesh import CONTROL, Plan, parts_of
from pymesh.local.meshfile import Call, MeshFile, expand

SMALL = """\
workloads:
- name: cart
  command: [python, cart.py, $(PORT_HTTP)]
  ports: {http: 0}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidMeshFile) as caught:
        MeshFile.parse(text, "mesh.yaml")
    return str(caught.value).splitlines()


def test_what_is_left_out_has_a_default() -> None:
    mesh = MeshFile.parse(SMALL, "mesh.yaml")
    workload = mesh.workloads[0]
    assert (mesh.namespace, mesh.gateways) == ("default", [])
    assert (workload.service_account, workload.replicas, workload.sidecar, workload.pods) == ("default", 1, True, ["cart"])


def test_replicas_are_numbered() -> None:
    assert MeshFile.parse(SMALL + "  replicas: 2\n", "mesh.yaml").workloads[0].pods == ["cart-0", "cart-1"]


def test_all_mistakes_are_told_at_once_with_their_places() -> None:
    text = """\
namespace: Shop
workloads:
- name: cart
  command: []
  ports: {http: 70000}
  sidcar: false
"""
    assert mistakes(text) == [
        'mesh.yaml:1:12: error: namespace: "Shop" is not a DNS label: a-z, 0-9 and -, at most 63 of them',
        "mesh.yaml:4:3: error: workloads[0].command: must not be empty",
        "mesh.yaml:5:17: error: workloads[0].ports.http: must be at most 65535, found the number 70000",
        'mesh.yaml:6:3: error: workloads[0].sidcar: unknown field (did you mean "sidecar"?)',
    ]


@pytest.mark.parametrize(("text", "expected"), [
    ("", 'mesh.yaml:1:1: error: the required field "workloads" is missing'),
    ("a: [", "mesh.yaml:2:1: error: not valid YAML: "),
    ("- a\n", "mesh.yaml:1:1: error: expected an object, found a list"),
    (SMALL + "---\n" + SMALL, "mesh.yaml:1:1: error: the file holds several documents"),
    (SMALL + "  name: x\n", 'mesh.yaml:5:3: error: duplicate key "name"'),
    (SMALL + "  env: {PORT: 1}\n", "mesh.yaml:5:15: error: workloads[0].env.PORT: expected a string, found the number 1"),
    (SMALL + "  annotations: {a: b}\n", "mesh.yaml:5:20: error: workloads[0].annotations.a: nothing reads it here; there is proxy"),
    (
        SMALL + "  annotations: {proxy.istio.io/config: 'concurency: 2'}\n",
        'mesh.yaml:5:40: error: workloads[0].annotations["proxy.istio.io/config"]: concurency: unknown field (did you mean "concurrency"?)',
    ),
    (SMALL + "  health: ready\n", 'mesh.yaml:5:11: error: workloads[0].health: "ready" is not a path'),
    (SMALL + "  calls: [payments]\n", 'mesh.yaml:5:11: error: workloads[0].calls[0]: "payments" is not <service>:<port>'),
    (SMALL + "  calls: ['payments:99999']\n", "mesh.yaml:5:11: error: workloads[0].calls[0]: 99999 is not a port"),
    (SMALL + "  calls: ['a.b:80', 'a.c:80']\n", "mesh.yaml:5:21: error: workloads[0].calls[1]: A_SERVICE_HOST already stands for a.b"),
    (SMALL + "  sidecar: false\n  calls: ['payments:80']\n", "mesh.yaml:6:11: error: workloads[0].calls[0]: a workload without a sidecar"),
    (SMALL.replace("PORT_HTTP", "PORT_GRPC"), "mesh.yaml:3:30: error: workloads[0].command[2]: $(PORT_GRPC) is not set; there are"),
    (SMALL.replace("http: 0", "http: 80") + "  replicas: 3\n", "mesh.yaml:4:17: error: workloads[0].ports.http: 3 replicas cannot all"),
    (SMALL + "gateways: [{name: cart}]\n", "mesh.yaml:2:9: error: workloads[0].name: the name 'cart' is already taken by gateways[0]"),
])
def test_a_mistake_is_told_with_its_place(text: str, expected: str) -> None:
    assert mistakes(text)[0].startswith(expected)


def test_a_bare_name_is_a_service_of_the_namespace() -> None:
    assert Call("payments", 8080).key("shop") == "payments.shop.svc.cluster.local:8080"
    assert Call("pay.example.com", 80).key("shop") == "pay.example.com:80"


def test_variables_are_named_as_kubernetes_names_them() -> None:
    assert Call("model-serving.ml.svc.cluster.local", 1).variable_prefix == "MODEL_SERVING"


def test_only_references_are_expanded() -> None:
    assert expand("--port=$(A) $B $(", {"A": "1"}.__getitem__) == "--port=1 $B $("


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidMeshFile, match="cannot be read"):
        MeshFile.load(tmp_path / "mesh.yaml")


def test_wrong_istio_resources_are_told_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(SMALL)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "a.yaml").write_text("apiVersion: networking.istio.io/v1\nkind: Gatway\nmetadata: {name: a}\n")
    with pytest.raises(LocalError, match=r"config/a.yaml:2:7: error: "):
        Plan.make(tmp_path, tmp_path / "state")


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(SMALL)
    with pytest.raises(LocalError, match="is not a folder"):
        Plan.make(tmp_path, tmp_path / "state")


def test_a_folder_of_secrets_is_the_control_planes(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(SMALL)
    (tmp_path / "config").mkdir()
    assert "--secrets" not in parts_of(Plan.make(tmp_path, tmp_path / "state"))[CONTROL].command.argv
    (tmp_path / "secrets").mkdir()
    argv = parts_of(Plan.make(tmp_path, tmp_path / "state"))[CONTROL].command.argv
    assert argv[argv.index("--secrets") + 1] == str(tmp_path / "secrets")
