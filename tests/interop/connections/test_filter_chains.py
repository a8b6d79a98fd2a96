"""Which filter chain a connection belongs to: random listeners and random connections, decided by a real Envoy and by us.

A PROXY header gives each connection the addresses that the case wants, a ClientHello its names and protocols.
"""

import asyncio
import ipaddress
import json
import random
import ssl
from functools import cache
from pathlib import Path
from typing import Any

from pymesh_proxy.listener.config import ChainMatch, FilterChain
from pymesh_proxy.listener.match import Ambiguous, build
from pymesh_proxy.tcp.config import TcpOptions

from .twins import HOST, Twin, twins

LISTENERS, CHAINS, CONNECTIONS = 8, 7, 40
SEED = 20

NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.1/32", "128.0.0.0/1", "192.168.0.0/16"]
"""Without 0.0.0.0/0: Envoy keeps it and the absence of networks in one place, and which of the two is found there is chance."""
NAMES = ["a.test", "*.a.test", "*.test", "b.a.test"]
PROTOCOLS = ["h2", "http/1.1", "istio"]
ADDRESSES = ["10.1.1.1", "10.1.2.3", "10.9.9.9", "192.168.1.1", "127.0.0.1", "8.8.8.8"]
PORTS = [80, 443, 9]


def some(draw: random.Random, values: list[Any], most: int) -> list[Any]:
    return draw.sample(values, draw.choice([0, 0, *range(1, most + 1)]))


def criteria(draw: random.Random) -> dict[str, Any]:
    """A FilterChainMatch; what is empty is left out."""
    match: dict[str, Any] = {
        "destination_port": draw.choice([0, 0, 80, 443]),
        "prefix_ranges": some(draw, NETWORKS, 2),
        "server_names": some(draw, NAMES, 2),
        "transport_protocol": draw.choice(["", "", "tls", "raw_buffer"]),
        "application_protocols": some(draw, PROTOCOLS, 2),
        "direct_source_prefix_ranges": some(draw, ["127.0.0.0/8", "10.0.0.0/8"], 1),
        "source_type": draw.choice(["ANY", "ANY", "EXTERNAL", "SAME_IP_OR_LOOPBACK"]),
        "source_prefix_ranges": some(draw, NETWORKS, 2),
        "source_ports": some(draw, [1001, 1002], 1),
    }
    return {name: value for name, value in match.items() if value not in (0, "", [], "ANY")}


def written(match: dict[str, Any]) -> dict[str, Any]:
    """As Envoy's JSON has it."""

    def network(text: str) -> dict[str, Any]:
        address, _, length = text.partition("/")
        return {"address_prefix": address, "prefix_len": int(length)}

    return {name: [network(text) for text in value] if name.endswith("ranges") else value for name, value in match.items()}


def clear(chains: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that do not take exactly what an earlier one takes: Envoy refuses such a listener, and so do we."""
    kept: list[dict[str, Any]] = []
    for match in chains:
        tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in match.items()}
        ranges = {name: tuple(map(ipaddress.ip_network, value)) for name, value in tuples.items() if name.endswith("ranges")}
        chain = FilterChain(name="", terminal=TcpOptions(clusters=(("", 1),)), match=ChainMatch(**tuples | ranges))
        candidate = {"match": match, "chain": chain}
        try:
            build([each["chain"] for each in (*kept, candidate)], None)
        except Ambiguous:
            continue
        kept.append(candidate)
    return [each["match"] for each in kept]


def typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": kind, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}}


def listener(draw: random.Random, number: int) -> dict[str, Any]:
    line = {"text_format_source": {"inline_string": "%FILTER_CHAIN_NAME%\n"}}
    log = typed("access_loggers.file.v3.FileAccessLog", path="$LOG", log_format=line)
    proxy = typed("filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="t", cluster="up", access_log=[log])
    matches = clear([criteria(draw) for _ in range(CHAINS)])
    made: dict[str, Any] = {
        "name": f"l{number}",
        "address": {"socket_address": {"address": HOST, "port_value": f"$L{number}"}},
        "listener_filters": [
            typed(f"filters.listener.{name}") for name in ("proxy_protocol.v3.ProxyProtocol", "tls_inspector.v3.TlsInspector")
        ],
        "filter_chains": [
            {"name": f"c{index}", "filter_chain_match": written(match), "filters": [proxy]} for index, match in enumerate(matches)
        ],
    }
    if number % 2:
        made["default_filter_chain"] = {"name": "default", "filters": [proxy]}
    return made


def bootstrap(draw: random.Random) -> str:
    endpoint = {"endpoint": {"address": {"socket_address": {"address": HOST, "port_value": "$UP"}}}}
    up = {"name": "up", "type": "STATIC", "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [endpoint]}]}}
    resources = {"listeners": [listener(draw, number) for number in range(LISTENERS)], "clusters": [up]}
    text = json.dumps(resources).replace('"$UP"', "$UP")
    for number in range(LISTENERS):
        text = text.replace(f'"$L{number}"', f"$L{number}")
    return f"static_resources: {text}\n"


@cache
def hello(name: str, protocols: tuple[str, ...]) -> bytes:
    """What a TLS client begins with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name or None)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("nobody answered")


def connection(draw: random.Random) -> bytes:
    """A PROXY header, and a ClientHello or something else."""
    source, destination = draw.choice(ADDRESSES), draw.choice(ADDRESSES)
    header = f"PROXY TCP4 {source} {destination} {draw.choice([1001, 1002, 1003])} {draw.choice(PORTS)}\r\n".encode()
    if draw.random() < 0.3:
        return header + b"\x00no TLS"
    return header + hello(draw.choice(["", "a.test", "b.a.test", "c.a.test", "d.test", "else"]), tuple(some(draw, [*PROTOCOLS, "x"], 3)))


async def outcomes(twin: Twin, asked: list[tuple[int, bytes]]) -> list[str]:
    """The chain's name for each connection, or `none`."""
    taken = []
    for number, data in asked:
        reader, writer = await asyncio.open_connection(HOST, twin.ports[f"L{number}"])
        writer.write(data)
        try:
            taken.append(await reader.read() == b"taken")
        except ConnectionError:
            taken.append(False)
        writer.close()
    names = iter(await twin.logged(sum(taken)))
    return [next(names) if each else "none" for each in taken]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"taken")
    writer.close()


async def test_envoy_and_we_choose_the_same_chain(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    text = bootstrap(draw)
    asked = [(number, connection(draw)) for number in range(LISTENERS) for _ in range(CONNECTIONS)]
    server = await asyncio.start_server(_serve, HOST, 0)
    async with server, twins(tmp_path, text, *(f"L{n}" for n in range(LISTENERS)), UP=server.sockets[0].getsockname()[1]) as both:
        theirs, ours = [await outcomes(twin, asked) for twin in (both.envoy, both.ours)]
    assert ours == theirs
    assert len(set(ours)) > 7  # chains of many places, the default and none
    assert 0 < ours.count("none") < len(asked) / 2
