"""A grpcio client and a grpcio server with one proxy between them, or two that speak mutual TLS: ours, and Envoy as the measure."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.certificates import Authority
from tests.interop.conftest import require

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
LOG = "%REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %GRPC_STATUS%\n"


@dataclass
class Calls:
    """What the server saw."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    metadata: dict[str, Any] = field(default_factory=dict)


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types for its base
    """Four kinds of call over raw bytes; no generated code."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._handlers = {
            "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "/test.Echo/Server": grpc.unary_stream_rpc_method_handler(self._server),
            "/test.Echo/Client": grpc.stream_unary_rpc_method_handler(self._client),
            "/test.Echo/Both": grpc.stream_stream_rpc_method_handler(self._both),
            "/test.Echo/Sleep": grpc.unary_unary_rpc_method_handler(self._sleep),
            "/test.Echo/Fail": grpc.unary_unary_rpc_method_handler(self._fail),
        }

    def service(self, details: Any) -> Any:
        return self._handlers.get(details.method)

    async def _unary(self, request: bytes, context: Any) -> bytes:
        self._calls.metadata = dict(context.invocation_metadata())
        await context.send_initial_metadata((("x-initial", "one"), ("x-bytes-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-trailing", "two"),))
        return request

    async def _server(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number

    async def _client(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b",".join([one async for one in requests])

    async def _both(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for one in requests:
            yield one.upper()

    async def _sleep(self, request: bytes, context: Any) -> bytes:
        self._calls.started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self._calls.cancelled.set()
            raise
        return request

    async def _fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nein, das geht nicht: ü % \n", (("x-why", "because"),))
        return b""


@dataclass(frozen=True)
class Way:
    """The way to the server, by which its calls go."""

    channel: Any
    calls: Calls
    server: Any
    log: Path


def _listener(port: int, cluster: str, log: Path, tls: dict[str, Any] | None = None) -> dict[str, Any]:
    routes = [
        {"match": {"prefix": "/nowhere."}, "route": {"cluster": "down"}},
        {"match": {"prefix": "/test.Echo/"}, "route": {"cluster": cluster, "timeout": "0s"}},
    ]
    manager = {
        "@type": HCM,
        "stat_prefix": "grpc",
        "route_config": {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
        "access_log": [
            {
                "name": "file",
                "typed_config": {"@type": FILE_LOG, "path": str(log), "log_format": {"text_format_source": {"inline_string": LOG}}},
            }
        ],
    }
    chain: dict[str, Any] = {"filters": [{"name": "hcm", "typed_config": manager}]}
    if tls is not None:
        chain["transport_socket"] = tls
    return {"name": f"l{port}", "address": {"socket_address": {"address": HOST, "port_value": port}}, "filter_chains": [chain]}


def _cluster(name: str, port: int, tls: dict[str, Any] | None = None) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"socket_address": {"address": HOST, "port_value": port}}}}
    http2 = {
        "@type": f"type.googleapis.com/{OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    made: dict[str, Any] = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {OPTIONS: http2},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if tls is not None:
        made["transport_socket"] = tls
    return made


def _tls(kind: str, authority: Authority, folder: Path, name: str) -> dict[str, Any]:
    pair = authority.pair(f"spiffe://cluster.local/ns/default/sa/{name}")
    chain, key, roots = folder / f"{name}.pem", folder / f"{name}.key", folder / "roots.pem"
    chain.write_bytes(pair.chain)
    key.write_bytes(pair.key)
    roots.write_bytes(authority.pem)
    common = {
        "alpn_protocols": ["h2"],
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [{"certificate_chain": {"filename": str(chain)}, "private_key": {"filename": str(key)}}],
        "validation_context": {"trusted_ca": {"filename": str(roots)}},
    }
    context: dict[str, Any] = {"@type": f"{TLS}{kind}TlsContext", "common_tls_context": common}
    if kind == "Downstream":
        context["require_client_certificate"] = True
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


@dataclass
class Maker:
    """Starts proxies of one kind."""

    kind: str
    folder: Path
    ports: FreePorts
    supervisor: Supervisor

    async def start(self, name: str, listeners: list[dict[str, Any]], clusters: list[dict[str, Any]]) -> None:
        admin = self.ports.take()
        path = self.folder / f"{name}.json"
        bootstrap = {
            "node": {"id": name, "cluster": "grpc"},
            "admin": {"address": {"socket_address": {"address": HOST, "port_value": admin}}},
            "static_resources": {"listeners": listeners, "clusters": clusters},
        }
        path.write_text(json.dumps(bootstrap))
        if self.kind == "envoy":
            argv = [str(require("envoy")), "-c", str(path), "--concurrency", "1", "--disable-hot-restart"]
        else:
            argv = [str(Path(sys.executable).parent / "pymesh-proxy"), "-c", str(path)]
        child = await self.supervisor.start(Command(name=name, argv=argv))
        await self.supervisor.ready(child, f"http://{HOST}:{admin}/ready")


@asynccontextmanager
async def _served(port: int) -> AsyncIterator[tuple[Calls, Any]]:
    calls = Calls()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(calls),))
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    try:
        yield calls, server
    finally:
        await server.stop(None)


@pytest.fixture(params=["envoy", "pymesh"])
async def one(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Way]:
    """client > proxy > server, in cleartext."""
    ports = FreePorts()
    inner, outer, nobody = ports.take(), ports.take(), ports.take()
    log = tmp_path / "access.log"
    async with Supervisor(tmp_path / "logs") as supervisor, _served(inner) as (calls, server):
        maker = Maker(request.param, tmp_path, ports, supervisor)
        await maker.start("proxy", [_listener(outer, "app", log)], [_cluster("app", inner), _cluster("down", nobody)])
        async with grpc.aio.insecure_channel(f"{HOST}:{outer}") as channel:
            yield Way(channel, calls, server, log)


@pytest.fixture(params=["envoy", "pymesh"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Way]:
    """client > proxy > mutual TLS > proxy > server."""
    ports = FreePorts()
    inner, middle, outer, nobody = (ports.take() for _ in range(4))
    log = tmp_path / "access.log"
    authority = Authority()
    async with Supervisor(tmp_path / "logs") as supervisor, _served(inner) as (calls, server):
        maker = Maker(request.param, tmp_path, ports, supervisor)
        down, up = _tls("Downstream", authority, tmp_path, "b"), _tls("Upstream", authority, tmp_path, "a")
        await maker.start("inner", [_listener(middle, "app", log, down)], [_cluster("app", inner), _cluster("down", nobody)])
        await maker.start("outer", [_listener(outer, "app", log)], [_cluster("app", middle, up), _cluster("down", nobody)])
        async with grpc.aio.insecure_channel(f"{HOST}:{outer}") as channel:
            yield Way(channel, calls, server, log)
