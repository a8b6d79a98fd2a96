"""The models know exactly the fields, and the kinds exactly the versions, that Istio and the Gateway API publish.

`tests/leaves` has Istio's list and makes such lists of schemas; that of the Gateway API (of the experimental channel) is here, without
types. Where Istio's schemas are at hand, its list is compared with them too.
"""

from pathlib import Path

import pytest

from pymesh.api.kinds import KINDS
from pymesh.api.models.gatewayapi.references import GROUP
from pymesh.api.models.meshconfig import MeshConfig
from pymesh.api.models.meshnetworks import MeshNetworks
from pymesh.api.shape import fields_of
from pymesh.api.tree import json_name
from pymesh.api.types import Model
from tests.leaves import published

SCHEMAS = Path(__file__).parents[4] / "shared" / "data" / "istio-crds.yaml"
MESH = frozenset(Path(__file__).with_name("mesh_fields.txt").read_text().splitlines())
PUBLISHED = frozenset(field.path for field in published.fields()) | frozenset(published.served())
PUBLISHED_BY_THE_GATEWAY_API = frozenset(Path(__file__).with_name("gateway_api_fields.txt").read_text().splitlines())

# Fields newer than the schemas, and those that the schemas list in both spellings.
NEWER = {"Gateway.servers.tls.ecdhCurves", "Sidecar.ingress.tls.ecdhCurves"}
NEWER_IN_MESH = {"MeshConfig.defaultInboundHttpRetryPolicy"}
TWICE = {"VirtualService.http.mirror_percent", "RequestAuthentication.jwtRules.jwks_uri"}


OF_THE_MESH = tuple(f"pymesh.api.models.{name}" for name in ("meshconfig", "meshnetworks", "meshproviders", "proxysettings"))
BORROWED = {"pymesh.api.models.telemetry"}  # messages that the ProxyConfig has under names of its own


def model_paths(model: type[Model], prefix: str, modules: frozenset[str] | None = None) -> set[str]:
    """The paths below a model, into those models only that some modules hold, if modules are named."""
    paths = set()
    for attribute, info in model.model_fields.items():
        path = f"{prefix}.{json_name(info.alias or attribute)}"
        below = fields_of(model)[info.alias or attribute].below
        enters = below is not None and (modules is None or below.__module__ in modules)
        paths |= {path} | (model_paths(below, path, modules) if enters else set())
    return paths


def published_for(kind):
    return PUBLISHED_BY_THE_GATEWAY_API if kind.group == GROUP else PUBLISHED


def test_the_mesh_configuration_has_the_published_fields():
    published = {line for line in MESH if line.startswith("MeshConfig.")}
    assert model_paths(MeshConfig, "MeshConfig", frozenset(OF_THE_MESH) | BORROWED) - NEWER_IN_MESH == published


def test_the_networks_have_the_published_fields():
    published = {line for line in MESH if line.startswith("MeshNetworks.")}
    assert model_paths(MeshNetworks, "MeshNetworks") == published


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_model_has_the_published_fields(kind):
    listed = {line for line in published_for(kind) if line.startswith(f"{kind.written}.")}
    assert model_paths(kind.model, kind.written) - NEWER == listed - TWICE


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_published_versions_are_served(kind):
    assert set(kind.api_versions) == {line.split()[0] for line in published_for(kind) if line.endswith(f" {kind.written}")}


@pytest.mark.skipif(not SCHEMAS.exists(), reason="Istio's schemas are not at hand")
def test_the_list_of_fields_is_that_of_the_schemas():
    assert published.lines_of(SCHEMAS.read_text()) == published.LIST.read_text().splitlines()
