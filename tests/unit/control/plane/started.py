"""A whole control plane on free ports over a folder of its own, and a proxy that talks to it."""

import contextlib

import grpc.aio

from pymesh.address import Address
from pymesh.xds import proto
from pymesh_control.options import Options
from pymesh_control.push.debounce import Timing

FREE = Address("127.0.0.1", 0)
WEB_NODE = "sidecar~127.0.0.1~web-1.shop~shop.svc.cluster.local"
WEB_CLUSTER = "outbound|80||web.shop.svc.cluster.local"
WEB = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.shop.svc.cluster.local]
  location: MESH_INTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: web}}
"""
MESH = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    trustDomain: td.example
"""
WEB_METADATA = {
    "NAMESPACE": "shop",
    "INTERCEPTION_MODE": "NONE",
    "LABELS": {"app": "web"},
    "INBOUND_PORTS": {"http": {"bind": 21001, "app": 21002}},
}


def options(tmp_path, **changes):
    config = tmp_path / "config"
    config.mkdir(exist_ok=True)
    chosen = {
        "config": config,
        "ca_dir": tmp_path / "ca",
        "state_dir": tmp_path / "state",
        "xds": FREE,
        "secure_xds": FREE,
        "monitoring": FREE,
        "timing": Timing(after=0.01, longest=1.0),
    }
    return Options(**{**chosen, **changes})


@contextlib.asynccontextmanager
async def stream(address):
    """A delta stream in plaintext."""
    async with grpc.aio.insecure_channel(str(address)) as channel:
        call = proto.ads_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
        yield call
        call.cancel()


def first(request, node_id=WEB_NODE, metadata=WEB_METADATA):
    request.node.id = node_id
    request.node.metadata.update(metadata)
    return request


def endpoints_in(response):
    """`ip:port` of every endpoint of a response's load assignments."""
    return [
        f"{endpoint.endpoint.address.socket_address.address}:{endpoint.endpoint.address.socket_address.port_value}"
        for resource in response.resources
        for locality in proto.unpack(resource.resource).endpoints
        for endpoint in locality.lb_endpoints
    ]
