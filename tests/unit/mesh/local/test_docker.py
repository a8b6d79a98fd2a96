"""The container files say nothing that the project does not have."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pymesh.local.demo import run
from pymesh.local.meshfile import MeshFile

ROOT = Path(__file__).parents[4]
DOCKER = ROOT / "docker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SHIPPED = Path(run.__file__).parent


def programs(service: dict[str, Any]) -> set[str]:
    command = service.get("command", [])
    return {command[0]} if "entrypoint" not in service else set(re.findall(r"^pymesh\S*", command[0], re.MULTILINE))


@pytest.mark.parametrize("name", SERVICES)
def test_every_command_is_an_entry_point_or_an_app_of_the_demo(name: str) -> None:
    service = SERVICES[name]
    for program in programs(service):
        if program == "python":
            module = service["command"][2]
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
        else:
            assert program in PROJECT["scripts"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_runs_locked(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_every_reference_of_a_service_exists() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        shared = service.get("network_mode", "").removeprefix("service:")
        assert not shared or shared in SERVICES
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (DOCKER / source).is_dir()


def test_no_two_containers_share_an_address() -> None:
    addresses = [service["networks"]["mesh"]["ipv4_address"] for service in SERVICES.values() if "networks" in service]
    assert len(set(addresses)) == len(addresses)


def test_a_proxy_is_told_the_address_of_its_container_and_a_token_that_was_made() -> None:
    made = set(re.findall(r"> (/tokens/\S+)", SERVICES["ca"]["command"][0]))
    for name, service in SERVICES.items():
        if service.get("command") == ["pymesh-proxy"]:
            environment = service["environment"]
            assert environment["INSTANCE_IP"] == service["networks"]["mesh"]["ipv4_address"], name
            assert environment["PYMESH_TOKEN_FILE"].removeprefix("/var/run/secrets") in made


def test_an_application_listens_where_its_sidecar_looks() -> None:
    for service in SERVICES.values():
        if "network_mode" in service:
            sidecar = SERVICES[service["network_mode"].removeprefix("service:")]
            inbound = json.loads(sidecar["environment"]["ISTIO_METAJSON_INBOUND_PORTS"])
            assert [pair["app"] for pair in inbound.values()] == [int(service["command"][-1])]


def test_the_containers_mesh_is_the_demos_but_for_two_addresses() -> None:
    theirs = {path.name: path.read_text() for path in (SHIPPED / "config").glob("*.yaml")}
    ours = {path.name: path.read_text() for path in (DOCKER / "config").glob("*.yaml")}
    theirs["algorithm-selector_gateway.yaml"] = theirs["algorithm-selector_gateway.yaml"].replace("    bind: 127.0.0.1\n", "")
    store = SERVICES["featurestore-s3"]["networks"]["mesh"]["ipv4_address"]
    theirs["algorithm-selector_egress.yaml"] = theirs["algorithm-selector_egress.yaml"].replace("127.0.0.1", store)
    assert ours == theirs


def test_the_containers_workloads_are_the_demos() -> None:
    wanted = {workload.name for workload in MeshFile.load(SHIPPED / "mesh.yaml").workloads if workload.sidecar}
    told = {service.get("environment", {}).get("ISTIO_META_WORKLOAD_NAME") for service in SERVICES.values()}
    assert wanted <= told


def test_the_image_runs_as_istios_proxy_user_and_copies_every_package() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "\nUSER 1337:1337\n" in text
    for package in tables["packages"]:
        folder = package.partition("/")[0]
        assert f"\nCOPY {folder} {folder}\n" in text
        assert f"\n!{folder}\n" in (DOCKER / "Dockerfile.dockerignore").read_text()
