"""Many proxies' delta ADS streams in one process, without the proxies: each asks, follows its clusters with endpoints, and ACKs.

    swarm.py HOST:PORT FIRST COUNT NAMESPACES

On standard input comes `connect`, or `expect TYPE...` (cds, eds, lds, rds) before a change; the answer is one line of JSON as soon as each
client has acknowledged a response of each of those types: the moment of the last (monotonic seconds) and the bytes that came.
"""

import asyncio
import json
import sys
import time
from typing import Any

import grpc.aio

from pymesh.xds import proto, types

ROUTES = ("8080",)
"""The route configurations that the listeners of a mesh name in which every service speaks HTTP on one port."""
_BY_NAME = {short: url for url, short in types.SHORT.items()}
_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]


class Tally:
    """Which clients have yet to acknowledge what."""

    def __init__(self) -> None:
        self.bytes = 0
        self._missing: set[tuple[int, str]] = set()
        self._over = asyncio.Event()

    def expect(self, clients: range, urls: list[str]) -> None:
        self.bytes = 0
        self._missing = {(client, url) for client in clients for url in urls}
        self._over.clear()

    def acknowledged(self, client: int, url: str, size: int) -> None:
        self.bytes += size
        self._missing.discard((client, url))
        if not self._missing:
            self._over.set()

    async def over(self) -> str:
        """The answer, when nothing is missing any more."""
        await self._over.wait()
        return json.dumps({"at": time.monotonic(), "bytes": self.bytes})


def _request(url: str, **fields: Any) -> Any:
    return proto.discovery.DeltaDiscoveryRequest(type_url=url, **fields)


def _node(number: int, namespaces: int) -> Any:
    namespace = f"ns-{number % namespaces}"
    address = f"10.{number // 250 + 1}.{number % 250}.0"
    return proto.base.Node(id=f"sidecar~{address}~app-{number}.{namespace}~{namespace}.svc.cluster.local", user_agent_name="envoy")


async def _client(target: str, number: int, namespaces: int, tally: Tally) -> None:
    """One proxy's life. The first CDS response makes it ask for endpoints, the first LDS response for routes; new clusters for theirs."""
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        call = channel.stream_stream(
            _METHOD,
            request_serializer=proto.discovery.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=None,
        )()
        known: set[str] = set()
        await call.write(_request(types.CLUSTER, node=_node(number, namespaces)))
        while (raw := await call.read()) is not grpc.aio.EOF:
            response = proto.discovery.DeltaDiscoveryResponse.FromString(raw)
            url = response.type_url
            await call.write(_request(url, response_nonce=response.nonce))
            tally.acknowledged(number, url, len(raw))
            if url == types.CLUSTER:
                await _follow(call, response, known)
            elif url == types.LISTENER and response.nonce and types.ROUTE not in known:
                known.add(types.ROUTE)
                await call.write(_request(types.ROUTE, resource_names_subscribe=ROUTES))


async def _follow(call: Any, response: Any, known: set[str]) -> None:
    first = not known
    named = sorted(one.name for one in response.resources if one.name.startswith("outbound|") and one.name not in known)
    known.update(named)
    if named:
        await call.write(_request(types.ENDPOINT, resource_names_subscribe=named))
    if first:
        await call.write(_request(types.LISTENER))


async def _main(target: str, first: int, count: int, namespaces: int) -> None:
    clients = range(first, first + count)
    tally = Tally()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with asyncio.TaskGroup() as living:
        async for line in lines:
            command, *names = line.decode().split()
            tally.expect(clients, [_BY_NAME[name] for name in names])
            if command == "connect":
                for number in clients:
                    living.create_task(_client(target, number, namespaces, tally))
            print("ready", flush=True)
            print(await tally.over(), flush=True)


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    asyncio.run(_main(where, *map(int, numbers)))
