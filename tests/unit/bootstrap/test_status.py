"""The status port, in front of an admin interface that tests play."""

import asyncio
import json
import socket

import aiohttp
import pytest
from aiohttp import web

from pymesh.bootstrap.environment import Settings
from pymesh.status import StatusPort

MINIMAL = {"POD_NAME": "model-0", "POD_NAMESPACE": "ml", "INSTANCE_IP": "127.0.0.1"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


class Admin:
    """Answers as it is told, and writes down what it was asked."""

    def __init__(self):
        self.asked = []
        self.answer = web.Response(text="LIVE\n")

    async def serve(self, request):
        self.asked.append(f"{request.method} {request.path_qs}")
        return self.answer


@pytest.fixture
async def admin():
    return Admin()


@pytest.fixture
async def admin_port(admin):
    runner = web.AppRunner(web.Application())
    runner.app.router.add_route("*", "/{path:.*}", admin.serve)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def left():
    return asyncio.Event()


@pytest.fixture
async def ask(admin_port, left):
    port = free_port()
    config = json.dumps({"proxyAdminPort": admin_port, "statusPort": port})
    status = StatusPort(Settings.from_environ({**MINIMAL, "PROXY_CONFIG": config}), left.set)
    await status.start()

    async def asking(method, path, **headers):
        async with aiohttp.ClientSession() as session, session.request(method, f"http://127.0.0.1:{port}{path}", headers=headers) as answer:
            return answer.status, await answer.text()

    yield asking
    await status.stop()


@pytest.mark.parametrize(("of_admin", "told"), [(200, 200), (503, 503), (404, 503)])
async def test_ready_is_what_the_proxy_says(ask, admin, of_admin, told):
    admin.answer = web.Response(status=of_admin, text="state\n")
    assert await ask("GET", "/healthz/ready") == (told, "state\n")
    assert admin.asked == ["GET /ready"]


@pytest.mark.parametrize("path", ["/stats/prometheus", "/metrics"])
async def test_metrics_are_the_proxys(ask, admin, path):
    admin.answer = web.Response(text="istio_requests_total 7\n")
    assert await ask("GET", path) == (200, "istio_requests_total 7\n")
    assert admin.asked == ["GET /stats/prometheus"]


async def test_drain_asks_inbound_clients_to_leave(ask, admin):
    assert (await ask("POST", "/drain"))[0] == 200
    assert admin.asked == ["POST /drain_listeners?graceful&inboundonly"]


async def test_quitquitquit_ends_the_sidecar(ask, left):
    assert (await ask("POST", "/quitquitquit"))[0] == 200
    assert left.is_set()


@pytest.mark.parametrize("path", ["/drain", "/quitquitquit"])
async def test_nothing_is_changed_by_a_get_or_by_a_page_elsewhere(ask, admin, left, path):
    assert (await ask("GET", path))[0] == 405
    assert (await ask("POST", path, Origin="http://evil.example"))[0] == 403
    assert admin.asked == []
    assert not left.is_set()


async def test_nothing_is_changed_from_another_machine(ask, left, monkeypatch):
    monkeypatch.setattr(web.Request, "remote", "10.1.2.3")
    assert (await ask("POST", "/quitquitquit"))[0] == 403
    assert not left.is_set()


async def test_other_admin_commands_are_not_to_be_had(ask, admin):
    assert (await ask("GET", "/config_dump"))[0] == 404
    assert admin.asked == []


async def test_a_proxy_whose_admin_interface_is_away_is_not_ready():
    status_port = free_port()
    config = json.dumps({"proxyAdminPort": free_port(), "statusPort": status_port})
    status = StatusPort(Settings.from_environ({**MINIMAL, "PROXY_CONFIG": config}))
    await status.start()
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{status_port}/healthz/ready") as answer:
        assert answer.status == 503
        assert "does not answer" in await answer.text()
    await status.stop()
