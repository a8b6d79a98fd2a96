"""Every variable and every key of node metadata that is read is documented, and no other is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from pymesh.api.models.meshconfig import MeshConfig
from pymesh.bootstrap import environment
from pymesh.bootstrap.proxy_config import ProxyConfig
from pymesh.local import meshfile
from pymesh.local.environment import place_instances
from pymesh.local.ports import FreePorts
from pymesh.xds import proto
from pymesh_control import main as control
from pymesh_control.model import view
from pymesh_control.model.unused import UNUSED
from pymesh_control.registration.workload import registers, workload_of
from pymesh_proxy.observe.peers import encode, peer_of

from .pages import CONFIGURATION, code, first_cells, rows, same, section


class Recording(dict[str, Any]):
    """A dictionary that knows which keys were asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


def variables_of_a_sidecar(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What is asked of the environment, with a value that lets the reading go on to alternatives."""
    seen: list[Recording] = []
    reader = environment._Reader

    def recording(variables: Any, problems: list[str]) -> Any:
        seen.append(Recording(variables))
        return reader(seen[-1], problems)

    monkeypatch.setattr(environment, "_Reader", recording)
    environ = Recording(POD_NAME="p", POD_NAMESPACE="n", INSTANCE_IP="127.0.0.1", WORKLOAD_RSA_KEY_SIZE="2048")
    settings = environment.Settings.from_environ(environ)
    assert settings.rsa_bits == 2048
    return environ.asked | set().union(*(one.asked for one in seen))


def test_the_variables_of_a_sidecar_are_those_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    told = section(CONFIGURATION, "Environment variables").partition("Of the control plane:")[0]
    families = {f"{environment._META}*", f"{environment._META_JSON}*"}
    same(first_cells(told), variables_of_a_sidecar(monkeypatch) | families, "variables of a sidecar")


def test_the_variables_of_the_control_plane_are_those_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = Recording(HOME="/nowhere")
    monkeypatch.setattr(control.os, "environ", environ)
    control._options(control._parser().parse_args(["--config", "."]))
    told = section(CONFIGURATION, "Environment variables").partition("Of the control plane:")[2].partition("That `pymesh up`")[0]
    mine = {name for name in environ.asked if name.isupper() and name not in _NOT_OURS}
    same(first_cells(told), mine, "variables of the control plane")


_NOT_OURS = {"HOME", "COLUMNS", "LINES", "PYTHON_COLORS", "NO_COLOR", "FORCE_COLOR", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG", "TERM"}
"""What the standard library asks for on the way."""


def test_the_variables_of_an_application_are_those_documented(tmp_path: Path) -> None:
    workload = meshfile.Workload(name="w", command=["true"], ports={"http": 0}, calls=["cart:80"])
    (instance,) = place_instances(workload, "shop", tmp_path, FreePorts())
    told = section(CONFIGURATION, "Environment variables").partition("That `pymesh up`")[2].partition("###")[0]
    real = {name.replace("HTTP", "<NAME>").replace("CART", "<SERVICE>").replace("80", "<PORT>") for name in instance.environment()}
    same(first_cells(told), real, "variables of an application")


def test_the_fields_of_proxy_config_are_those_documented() -> None:
    same(first_cells(section(CONFIGURATION, "ProxyConfig")), set(_aliases(ProxyConfig)), "ProxyConfig")


def test_the_fields_of_the_mesh_config_are_those_documented() -> None:
    same(first_cells(section(CONFIGURATION, "MeshConfig")), set(_aliases(MeshConfig)) - UNUSED.keys(), "MeshConfig")


def test_the_settings_of_the_mesh_config_without_effect_are_those_documented() -> None:
    told = {(code(fields)[0], reason) for fields, reason in rows(section(CONFIGURATION, "MeshConfig without effect"))}
    assert told == {(field, reason) for field, reason in UNUSED.items()}


def test_the_fields_of_mesh_yaml_are_those_documented() -> None:
    lists = {"gateways": meshfile.Gateway, "workloads": meshfile.Workload}
    real = {name for name in _aliases(meshfile.MeshFile) if name not in lists}
    real |= {f"{outer}[].{name}" for outer, model in lists.items() for name in _aliases(model)}
    same(first_cells(section(CONFIGURATION, "mesh.yaml")), real, "mesh.yaml")


def test_the_keys_of_node_metadata_are_those_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    same(first_cells(section(CONFIGURATION, "Node metadata")), keys_read(monkeypatch) | keys_made(), "node metadata")


def keys_read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the control plane and the proxy's metrics ask of a node's metadata."""
    metadata = Recording(INBOUND_PORTS={"http": {"bind": 1, "app": 2}})
    monkeypatch.setattr(json_format, "MessageToDict", lambda message: metadata)
    node = proto.base.Node(id="sidecar~127.0.0.1~p.n~n.svc.cluster.local")
    workload_of(node, view.view_of(node, None), None)
    peer_of(metadata)
    encode(metadata)
    del metadata["INBOUND_PORTS"]  # only a node without ports of its own is asked for more
    assert not registers(view.view_of(node, None))
    return metadata.asked | {"ISTIO_VERSION"}  # asked of the protobuf, by the page of clients


def keys_made() -> set[str]:
    """What a sidecar says of itself when every setting is given."""
    config = "{interceptionMode: NONE, meshId: m}"
    environ = {"POD_NAME": "p", "POD_NAMESPACE": "n", "INSTANCE_IP": "127.0.0.1", "PROXY_CONFIG": config}
    environ["ISTIO_META_ENABLE_SELF_DISCOVERY"] = "true"
    return set(environment.Settings.from_environ(environ).metadata)


def _aliases(model: Any) -> Iterator[str]:
    return (field.alias or _camel(name) for name, field in model.model_fields.items())


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
