"""Debug pages of a running control plane, asked for as by somebody elsewhere: a Host that is a name stands for another machine."""

import contextlib
from datetime import timedelta

import aiohttp
import pytest

from pymesh.xds import types
from pymesh_certs import token
from pymesh_control.plane import ControlPlane

from ..ads.client import ask_delta
from ..ads.served import read
from .started import WEB, first, options, stream

OWN = "debug/config_dump?proxyID=web-1.shop"
GONE = "debug/config_dump?proxyID=gone"
CONFIG = "debug/configz"


@pytest.fixture
async def asked(tmp_path):
    """Asks with a token of a namespace, another Authorization, or none, and gives (status, text)."""
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB)
    async with contextlib.AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(chosen))
        call = await stack.enter_async_context(stream(plane.bound.xds))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await call.write(first(ask_delta(types.CLUSTER)))
        await read(call)

        async def page(path, namespace=None, **headers):
            if namespace:
                headers["Authorization"] = f"Bearer {token.mint(chosen.ca_dir, namespace, 'default', timedelta(minutes=1))}"
            async with http.get(f"http://{plane.bound.monitoring}/{path}", headers={"Host": "control.example", **headers}) as response:
                return response.status, await response.text()

        yield page


@pytest.mark.parametrize("path", [CONFIG, OWN, GONE, "debug/list", "debug/syncz"])
async def test_a_stranger_and_a_browser_by_a_rebound_name_read_nothing(asked, path):
    status, text = await asked(path)
    assert (status, "join token" in text, "web-1" in text) == (401, True, False)
    assert (await asked(path, Authorization="Bearer forged"))[0] == 401


@pytest.mark.parametrize(
    ("namespace", "path", "status"),
    [
        ("shop", OWN, 200),
        ("shop", CONFIG, 403),
        ("shop", GONE, 403),
        ("bank", OWN, 403),
        ("istio-system", OWN, 200),
        ("istio-system", CONFIG, 200),
        ("istio-system", GONE, 404),
    ],
)
async def test_a_token_opens_the_pages_of_its_namespaces_proxies_and_the_root_namespaces_all(asked, namespace, path, status):
    assert (await asked(path, namespace))[0] == status


async def test_metrics_readiness_and_version_are_for_everybody(asked):
    for path in ("metrics", "ready", "version"):
        assert (await asked(path))[0] == 200
