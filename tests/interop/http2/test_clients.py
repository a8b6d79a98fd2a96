"""curl, nghttp and h2load, which nobody here wrote, in front of our proxy; nghttpd and an HTTP/1 server behind it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.interop.conftest import require
from tests.interop.differential.upstream import Upstream
from tests.waiting import eventually

from .bootstrap import bootstrap
from .cases import OPTIONS

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b"0123456789abcdef" * 20_000
_SCHEMES = {"to1": "http", "to2": "http", "tls1": "https", "tls2": "https"}
everywhere = pytest.mark.parametrize("listener", _SCHEMES)


@dataclass(frozen=True)
class Site:
    ports: dict[str, int]
    folder: Path

    def url(self, listener: str, path: str) -> str:
        return f"{_SCHEMES[listener]}://{HOST}:{self.ports[listener]}{path}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder, free = tmp_path_factory.mktemp("clients"), FreePorts()
    (folder / "big").write_bytes(BODY)
    (folder / "small").write_bytes(b"hello")
    async with Upstream() as one, Supervisor(folder) as supervisor:
        two, admin = free.take(), free.take()
        files = Command(name="nghttpd", argv=[str(require("nghttpd")), "--no-tls", "-a", HOST, "-d", str(folder), str(two)])
        await supervisor.start(files)
        await eventually(lambda: _listens(two), bool)
        ports = {listener: free.take() for listener in OPTIONS}
        path = folder / "proxy.json"
        path.write_text(json.dumps(bootstrap(ports, admin, {"one": one.port, "two": two, "dead": free.take()}, folder / "log")))
        child = await supervisor.start(Command(name="proxy", argv=["pymesh-proxy", "-c", str(path)]))
        await supervisor.ready(child, f"http://{HOST}:{admin}/ready")
        yield Site(ports, folder)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


async def run(name: str, *arguments: str) -> bytes:
    """What the program prints; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        str(require(name)), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode(errors="replace")
    return out


@everywhere
async def test_curl_speaks_http2_to_us(site: Site, listener: str) -> None:
    how = "--http2" if listener.startswith("tls") else "--http2-prior-knowledge"
    out = await run("curl", "-sk", how, "-w", "\n%{http_version} %{http_code}", site.url(listener, "/small"))
    assert out.endswith(b"\n2 200")


async def test_curl_falls_back_to_http1_by_alpn(site: Site) -> None:
    out = await run("curl", "-sk", "--http1.1", "-w", "\n%{http_version} %{http_code}", site.url("tls2", "/small"))
    assert out == b"hello\n1.1 200"


async def test_curl_that_offers_h2c_is_answered_in_http1(site: Site) -> None:
    out = await run("curl", "-s", "--http2", "-w", "\n%{http_version} %{http_code}", f"http://{HOST}:{site.ports['auto']}/small")
    assert out.endswith(b"\n1.1 200")


@pytest.mark.parametrize("listener", ["to2", "tls2"])
async def test_curl_gets_a_large_body_whole(site: Site, listener: str) -> None:
    how = "--http2" if listener.startswith("tls") else "--http2-prior-knowledge"
    assert await run("curl", "-sk", how, site.url(listener, "/big")) == BODY


@pytest.mark.parametrize("listener", ["to1", "tls1"])
async def test_curl_sends_a_large_body_whole(site: Site, listener: str) -> None:
    how = "--http2" if listener.startswith("tls") else "--http2-prior-knowledge"
    out = await run("curl", "-sk", how, "--data-binary", f"@{site.folder / 'big'}", site.url(listener, "/some"))
    assert json.loads(out)["body"] == BODY.decode()


@everywhere
async def test_nghttp_gets_many_at_once(site: Site, listener: str) -> None:
    out = await run("nghttp", "-n", "-s", "-m", "20", site.url(listener, "/small"))
    assert len(re.findall(rb"\b200\s+\S+\s+/small", out)) == 20


async def test_nghttp_sees_no_difference_with_continuation_and_padding(site: Site) -> None:
    out = await run("nghttp", "--continuation", "-b", "50", site.url("to2", "/small"))
    assert out == b"hello"


async def test_nghttp_with_small_windows_and_dependencies_gets_all(site: Site) -> None:
    assert await run("nghttp", "-w", "10", "-W", "12", "--no-content-length", site.url("to2", "/big")) == BODY


@everywhere
async def test_h2load_loses_no_request(site: Site, listener: str) -> None:
    out = (await run("h2load", "-n", "1000", "-c", "4", "-m", "16", site.url(listener, "/small"))).decode()
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in out
    assert "1000 2xx" in out


async def test_h2load_loses_no_request_with_a_body(site: Site) -> None:
    out = (await run("h2load", "-n", "200", "-c", "2", "-m", "8", "-d", str(site.folder / "big"), site.url("to1", "/status/200"))).decode()
    assert "200 succeeded, 0 failed, 0 errored, 0 timeout" in out
    assert "200 2xx" in out
