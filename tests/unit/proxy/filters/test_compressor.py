"""Compressing answers: what is read of configuration, what clients are taken to accept, and how pieces go on at once. The rest is
compared with Envoy in interop."""

import gzip
import zlib

import pytest

from pymesh_proxy.filters.encodings import Asked, compresses, read

from .conftest import counted, typed

KIND = "compressor.v3.Compressor"
GZIP = "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


def library(**config):
    return {"name": "lib", "typed_config": {"@type": GZIP, **config}}


@pytest.mark.parametrize(("header", "expected"), [
    (b"gzip", Asked.USED), (b"br, gzip;q=0.1", Asked.USED), (b" gzip ; q=1", Asked.USED), (b"*", Asked.WILDCARD),
    (b"identity, gzip", Asked.IDENTITY), (b"identity;q=0.5, gzip", Asked.USED), (b"gzip;q=0", Asked.NOT_VALID), (b"", Asked.NOT_VALID),
    (b"br", Asked.NOT_VALID), (b"gzip;q=x", Asked.NOT_VALID), (b",,gzip", Asked.USED),
])  # fmt: skip
def test_what_a_client_takes(header, expected):
    assert read(header, b"gzip") is expected
    assert compresses(expected) is (expected in (Asked.USED, Asked.WILDCARD))


async def answered(proxy, *pieces, request=GET):
    client = proxy.connect()
    client.send(request)
    upstream = await proxy.accepted()
    await proxy.settle()
    for piece in pieces:
        upstream.send(piece)
        await proxy.settle()
    return client, upstream


def bodies(received):
    """The chunks of a body, as far as they have come."""
    rest = received.partition(b"\r\n\r\n")[2]
    found = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        found.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return found


async def test_each_piece_can_be_read_when_it_has_come(mesh):
    async with mesh(c=typed(KIND, compressor_library=library())) as proxy:
        client, upstream = await answered(proxy, CHUNKED, b"5\r\nhello\r\n")
        reader = zlib.decompressobj(31)
        assert reader.decompress(b"".join(bodies(client.received))) == b"hello"
        upstream.send(b"6\r\n world\r\n0\r\n\r\n")
        await proxy.settle()
        assert gzip.decompress(b"".join(bodies(client.received))) == b"hello world"
        counts = counted(proxy)
        assert counts["p.compressor.lib.gzip.total_uncompressed_bytes"] == 11
        assert counts["p.compressor.lib.gzip.compressed"] == 1


async def test_trailers_come_behind_the_end_of_the_compressed_body(mesh):
    made = mesh(c=typed(KIND, compressor_library=library()))
    object.__setattr__(made.runtime.clusters.by_name["up"].config, "enable_trailers", True)
    async with made as proxy:
        client, _ = await answered(proxy, CHUNKED, b"5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n")
        assert gzip.decompress(b"".join(bodies(client.received.partition(b"\r\n0\r\n")[0] + b"\r\n"))) == b"hello"


async def test_every_setting_of_gzip_makes_what_can_be_read(mesh):
    config = library(memory_level=9, window_bits=9, compression_level="BEST_COMPRESSION", compression_strategy="HUFFMAN_ONLY")
    async with mesh(c=typed(KIND, compressor_library=config)) as proxy:
        client, _ = await answered(proxy, CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")
        assert gzip.decompress(b"".join(bodies(client.received))) == b"hello"


ON = {"default_value": True, "runtime_key": "x"}
OTHER = {"name": "b", "typed_config": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {}}}


@pytest.mark.parametrize(("config", "path"), [
    ({"request_direction_config": {"common_config": {"enabled": ON}}}, "request_direction_config.common_config.enabled"),
    ({"compressor_library": OTHER}, "compressor_library.typed_config"),
    ({"response_direction_config": {"status_header_enabled": True}}, "response_direction_config.status_header"),
])  # fmt: skip
def test_what_cannot_be_honoured_is_refused(mesh, config, path):
    with pytest.raises(Exception, match=path):
        mesh(c=typed(KIND, **{"compressor_library": library(), **config}))
