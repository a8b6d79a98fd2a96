"""A runtime with a static and a dynamic cluster, a listener, routes and secrets, none of them open."""

import asyncio
import dataclasses
import datetime
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf import json_format

from pymesh.xds import proto
from pymesh_proxy.admin.facts import Answer, Facts
from pymesh_proxy.admin.server import COMMANDS
from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.context import Context
from pymesh_proxy.compile.endpoints import compile_assignment
from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.drain import Life
from pymesh_proxy.filters.peer_metadata import PeerMetadata
from pymesh_proxy.observe.access_log import Sinks
from pymesh_proxy.observe.istio import IstioRegistry
from pymesh_proxy.observe.peers import Peer
from pymesh_proxy.runtime import Runtime

STATIC = {
    "name": "static", "type": "STATIC", "connect_timeout": "1s",
    "load_assignment": {"cluster_name": "static", "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9000}}}}]}]},
}  # fmt: skip
DYNAMIC = {
    "name": "outbound|80||shop", "type": "EDS", "connect_timeout": "1s",
    "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}},
}  # fmt: skip
ASSIGNMENT = {
    "cluster_name": "outbound|80||shop",
    "endpoints": [{"locality": {"region": "r"}, "lb_endpoints": [
        {"endpoint": {"address": {"socket_address": {"address": "10.0.0.5", "port_value": 80}}}, "load_balancing_weight": 3,
         "metadata": {"filter_metadata": {"istio": {"workload": "shop;prod;shop;v1;K"}}}},
        {"endpoint": {"address": {"socket_address": {"address": "10.0.0.6", "port_value": 80}}}, "health_status": "UNHEALTHY"}]}],
}  # fmt: skip
LISTENER = {
    "name": "0.0.0.0_80", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}},
    "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "out", "rds": {"config_source": {"ads": {}, "resource_api_version": "V3"}, "route_config_name": "80"},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}],
}  # fmt: skip
ROUTES = {
    "name": "80",
    "virtual_hosts": [{"name": "shop", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "route": {"cluster": "outbound|80||shop"}}]}],
}  # fmt: skip


def message(kind: Any, values: dict[str, Any]) -> Any:
    return json_format.ParseDict(values, kind())


async def fill(runtime: Runtime) -> None:
    """Put everything into a runtime; the listener is virtual, so no port is opened."""
    context = Context(
        route_slot=runtime.routes.slot, http_stats=runtime.http_stats, file_log=Sinks().log, istio_stats=IstioRegistry(Peer()).of,
        peer_metadata=PeerMetadata("sidecar~1~a.b~c", {}).filter,
    )  # fmt: skip
    runtime.clusters.put(compile_cluster(message(proto.cluster.Cluster, STATIC)))
    runtime.clusters.put(dataclasses.replace(compile_cluster(message(proto.cluster.Cluster, DYNAMIC)), added_via_api=True))
    runtime.clusters.assign(compile_assignment(message(proto.endpoint.ClusterLoadAssignment, ASSIGNMENT)))
    listener = compile_listener(message(proto.listener.Listener, LISTENER), context)
    await runtime.listeners.put(dataclasses.replace(listener, added_via_api=True, bind_to_port=False))
    runtime.routes.put(compile_routes(message(proto.route.RouteConfiguration, ROUTES)))


@pytest.fixture
async def facts() -> Facts:
    node = proto.base.Node(id="sidecar~10.0.0.1~shop.prod~prod.svc.cluster.local", cluster="shop.prod")
    runtime = Runtime(asyncio.get_running_loop(), node=node, concurrency=2)
    await fill(runtime)
    life = Life()
    life.initializing()
    status = SimpleNamespace(version_text="v7", update_success=3, update_rejected=0, last_error="")
    discovery: Any = SimpleNamespace(
        control_plane=SimpleNamespace(connected_state=1, identifier="control-1"),
        types=dict.fromkeys(("cds", "eds", "lds", "rds", "sds"), status), warming_clusters=0, warming_listeners=0,
    )  # fmt: skip
    bootstrap = proto.bootstrap.Bootstrap(node=node)
    bootstrap.dynamic_resources.cds_config.ads.SetInParent()
    bootstrap.static_resources.clusters.append(message(proto.cluster.Cluster, STATIC))
    return Facts(runtime=runtime, life=life, discovery=discovery, bootstrap=bootstrap, istio=[IstioRegistry(Peer()).of("OUTBOUND")])


@pytest.fixture
def issue() -> Callable[[float], tuple[bytes, bytes]]:
    """`issue(days)`: a self-signed certificate and its key, PEM."""

    def make(days: float) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 0xABC, now, now + datetime.timedelta(days=days))
        sans = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://a/ns/b/sa/c"), x509.DNSName("d.example")])
        signed = builder.add_extension(sans, critical=True).sign(key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    return make


@pytest.fixture
def ask(facts: Facts) -> Callable[..., Any]:
    """`await ask("/clusters", format="json")`: the answer of one command."""

    async def call(path: str, **query: str) -> Answer:
        answer = COMMANDS[path].run(facts, query)
        return answer if isinstance(answer, Answer) else await answer

    return call
