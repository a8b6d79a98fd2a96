"""The demo's own mesh folder, and the commands' first sentences."""

import socket
import tempfile
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pymesh.local.command import demo, up
from pymesh.local.demo.run import copy_folder
from pymesh.local.mesh import Plan

SHIPPED = Path(str(files("pymesh.local.demo")))


def test_the_copy_has_its_ports_replaced_everywhere(tmp_path: Path) -> None:
    copy_folder(tmp_path, gateway_port=21400, store_port=21900)
    text = "".join(path.read_text() for path in tmp_path.rglob("*.yaml"))
    assert "31400" not in text
    assert "9000" not in text
    assert text.count("21400") == 3  # mesh.yaml, the Gateway and its comment
    assert text.count("21900") == 2  # mesh.yaml, the ServiceEntry


def test_the_copy_can_be_planned(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        gateway, store = one.getsockname()[1], two.getsockname()[1]
    copy_folder(tmp_path, gateway_port=gateway, store_port=store)
    plan = Plan.make(tmp_path, tmp_path / "state")
    assert plan.gateway_ports == (gateway,)
    assert [proxy.name for proxy in plan.proxies] == [
        "istio-ingressgateway", "algorithm-selector-v1-proxy",
        "model-serving-v1-proxy", "model-serving-v2-0-proxy", "model-serving-v2-1-proxy",
    ]


def test_every_rollout_file_replaces_the_resource_that_is_configured_first() -> None:
    first = yaml.safe_load((SHIPPED / "config" / "model-serving_routes.yaml").read_text())
    for path in (SHIPPED / "rollout").glob("*.yaml"):
        replacement = yaml.safe_load(path.read_text())
        assert (replacement["kind"], replacement["metadata"]) == (first["kind"], first["metadata"])
        assert sum(route["weight"] for route in replacement["spec"]["http"][0]["route"]) == 100


def test_a_taken_gateway_port_is_one_sentence_and_exit_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        result = CliRunner().invoke(demo, ["--once", "--port", str(holder.getsockname()[1])])
    assert result.exit_code == 1
    assert "needed for the ingress gateway, is taken by another process" in result.output
    assert "Traceback" not in result.output


def test_a_folder_that_cannot_be_made_is_one_sentence_and_exit_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    result = CliRunner().invoke(demo, ["--once"])
    assert result.exit_code == 1
    assert "no folder for certificates and logs can be made" in result.output


def test_a_wrong_mesh_file_is_told_by_line_and_exit_1(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text("workloads: []\nname: x\n")
    result = CliRunner().invoke(up, [str(tmp_path)])
    assert result.exit_code == 1
    assert "mesh.yaml:2:1: error: name: unknown field" in result.output


def test_a_missing_folder_is_wrong_usage(tmp_path: Path) -> None:
    assert CliRunner().invoke(up, [str(tmp_path / "none")]).exit_code == 2
