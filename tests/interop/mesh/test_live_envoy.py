"""An Envoy as a sidecar and one as a gateway take every mesh of the tree, one after the other, and hold what they were sent."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pymesh.api import parse_text
from pymesh.xds import types
from pymesh_control.ads.delta import DeltaSession
from tests.certificates import Authority
from tests.interop.mesh.live import Envoy, Plane, live
from tests.leaves.cases import KINDS_WALKED, Case, cases
from tests.leaves.observed import MESH
from tests.unit.docs.pages import README, blocks

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

_ROOT = Path(__file__).parents[3]
_SAMPLE = _ROOT / "tests" / "unit" / "control" / "generate" / "sample"
_STORY = _ROOT / "pymesh" / "local" / "demo" / "config"

_SIDECAR = {
    "id": "sidecar~10.0.0.9~target-1.default~default.svc.cluster.local",
    "metadata": {"LABELS": {"app": "target"}, "INSTANCE_IPS": "10.0.0.9", "NODE_NAME": "node-a"},
    "locality": {"region": "eu", "zone": "west"},
}
_GATEWAY = {
    "id": "router~10.0.0.7~edge.default~default.svc.cluster.local",
    "metadata": {"LABELS": {"istio": "ingressgateway"}, "INSTANCE_IPS": "10.0.0.7"},
}

_MESH = (_SAMPLE / "mesh.yaml").read_text()
_SAMPLES = {
    "mesh": _MESH,
    "edge": f"{_MESH}---\n{(_SAMPLE / 'edge.yaml').read_text()}",
    "kubernetes": (_SAMPLE / "kubernetes.yaml").read_text(),
    "story": "\n---\n".join(path.read_text() for path in sorted(_STORY.glob("*.yaml"))),
    "readme": "\n---\n".join(text for text in blocks(README, "yaml") if "kind:" in text and not parse_text(text, "README").problems),
}
_SETTINGS = (
    "outboundTrafficPolicy: {mode: REGISTRY_ONLY}",
    "{accessLogFile: /dev/stdout, accessLogEncoding: JSON, inboundTrafficPolicy: {mode: LOCALHOST}}",
    "{enableAutoMtls: false, pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}, h2UpgradePolicy: UPGRADE}",
    "{proxyListenPort: 16001, proxyInboundListenPort: 16006, proxyHttpPort: 15080, protocolDetectionTimeout: 5s, connectTimeout: 3s}",
    "{tcpKeepalive: {time: 10s}, defaultTrafficPolicy: {outlierDetection: {interval: 3s}}, meshMTLS: {minProtocolVersion: TLSV1_3}}",
)

_REPEATED = (
    "DestinationRule.subsets.trafficPolicy.",
    "DestinationRule.trafficPolicy.portLevelSettings.",
    "Sidecar.ingress.connectionPool.",
    "VirtualService.http.match.authority.",
    "VirtualService.http.match.method.",
    "VirtualService.http.match.scheme.",
    "VirtualService.http.mirror.",
    "VirtualService.http.route.headers.",
)
"""Fields that are the same messages in another place."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Plane, list[Envoy]]]:
    """The control plane, and both Envoys."""
    async with live(tmp_path_factory.mktemp("live"), _SIDECAR, _GATEWAY) as (plane, envoys):
        yield plane, envoys


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder in the place of /etc/certs: every file has a certificate, its key, an authority and a revocation list."""
    folder = tmp_path_factory.mktemp("certs")
    authority = Authority()
    pair = authority.pair("leaf.example.com")
    for name in ("leaf.pem", "other.pem", "cert.pem", "key.pem", "roots.pem"):
        (folder / name).write_bytes(pair.chain + pair.key + authority.pem)
    (folder / "leaf.crl").write_bytes(_revocations())
    return f"{folder}/"


def _meshes_of(kind: str) -> list[Case]:
    """The cases of a kind that proxies are sent something for."""
    found = [case for path, case in cases().items() if case.field.kind == kind and not path.startswith(_REPEATED)]
    return [case for case in found if not case.refused and not case.unused]


@pytest.mark.parametrize("kind", [kind for kind in KINDS_WALKED if _meshes_of(kind)])
async def test_every_field_of_istios_is_taken(pair: tuple[Plane, list[Envoy]], certificates: str, kind: str) -> None:
    refused = {}
    for case in _meshes_of(kind):
        problem = await _taken(pair, f"{MESH}---\n{case.with_it}".replace("/etc/certs/", certificates))
        if problem:
            refused[case.field.path] = problem
    assert refused == {}


@pytest.mark.parametrize("name", ["mesh", "edge", "kubernetes", "story", "readme"])
async def test_every_sample_is_taken(pair: tuple[Plane, list[Envoy]], name: str) -> None:
    assert await _taken(pair, _SAMPLES[name]) == ""


@pytest.mark.parametrize("mode", ["STRICT", "DISABLE"])
async def test_every_mode_of_mutual_tls_is_taken(pair: tuple[Plane, list[Envoy]], mode: str) -> None:
    head = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\n"
    assert await _taken(pair, f"{_SAMPLES['mesh']}{head}spec: {{mtls: {{mode: {mode}}}}}\n") == ""


@pytest.mark.parametrize("settings", _SETTINGS)
async def test_settings_of_the_mesh_are_taken(pair: tuple[Plane, list[Envoy]], settings: str) -> None:
    assert await _taken(pair, _SAMPLES["mesh"].replace("accessLogFile: /dev/stdout", settings)) == ""


async def _taken(pair: tuple[Plane, list[Envoy]], text: str) -> str:
    """What is wrong after a mesh has become what a text says; nothing when both Envoys hold what they were sent."""
    plane, envoys = pair
    plane.become(text)
    problems = await asyncio.gather(*(envoy.holds(plane) for envoy in envoys))
    return "\n".join(f"{envoy.view.type}: {problem}" for envoy, problem in zip(envoys, problems, strict=True) if problem)


def _revocations() -> bytes:
    """An empty list of an authority of nobody's."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "test root")])
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now).next_update(now + timedelta(days=1))
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _service(name: str) -> str:
    head = f"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{hosts: [{name}.example.com], resolution: STATIC, ports: [{{number: 8123, name: http, protocol: HTTP}}]}}\n"


async def test_an_envoy_that_finds_another_control_plane_is_told_only_what_it_missed(
    pair: tuple[Plane, list[Envoy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plane, envoys = pair
    assert await _taken(pair, _MESH + _service("former")) == ""
    sent: set[str] = set()
    removed: set[str] = set()
    send = DeltaSession._send

    def noted(session: DeltaSession, subscription: Any, step: Any, held: Any) -> Any:
        sent.update(f"{types.SHORT[subscription.type_url]} {name}" for name in step.changed)
        removed.update(f"{types.SHORT[subscription.type_url]} {name}" for name in step.gone)
        return send(session, subscription, step, held)

    monkeypatch.setattr(DeltaSession, "_send", noted)
    async with plane.gone():
        plane.become(_MESH + _service("latter"))
    assert await asyncio.gather(*(envoy.holds(plane) for envoy in envoys)) == [""] * len(envoys)
    forward = {"rds http_proxy"}  # all hosts' routes, which an Envoy asks for that had such a listener in an earlier mesh
    assert sent - forward == {"rds 8123", *(f"{kind} outbound|8123||latter.example.com" for kind in ("cds", "eds"))}
    assert "cds outbound|8123||former.example.com" in removed
