"""What /debug/proxylessz tells of a connected gRPC client."""

import contextlib

import aiohttp

from pymesh.xds import types
from pymesh_control.plane import ControlPlane

from ..ads.client import ask_delta
from ..ads.served import read
from ..plane.started import first, options, stream

GREETER = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: greeter, namespace: shop}
spec: {hosts: [greeter.shop.svc.cluster.local], location: MESH_INTERNAL, ports: [{number: 7070, name: grpc}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: greeter, namespace: shop}
spec:
  host: greeter
  trafficPolicy: {tunnel: {targetHost: a, targetPort: 1}}
"""
CALLER = "sidecar~127.0.0.1~caller.shop~shop.svc.cluster.local"


async def test_a_client_is_told_of_with_the_places_of_what_it_cannot_do(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "greeter.yaml").write_text(GREETER)
    async with contextlib.AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(chosen))
        call = await stack.enter_async_context(stream(plane.bound.xds))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await call.write(first(ask_delta(types.CLUSTER, "x"), CALLER, {"GENERATOR": "grpc"}))
        await read(call)
        async with http.get(f"http://{plane.bound.monitoring}/debug/proxylessz") as response:
            (told,) = await response.json()
    assert told["proxy"] == CALLER
    (line,) = told["without_effect"]
    assert ":11:19: warning: DestinationRule shop/greeter: trafficPolicy.tunnel has no effect for gRPC without a proxy" in line
