"""The agent's process handling, with small shell scripts in Envoy's place."""

import asyncio
import signal

import pytest

from pymesh import tasks
from pymesh.bootstrap.environment import Settings
from pymesh_certs.agent.envoy import Envoy, command
from pymesh_certs.agent.main import main
from pymesh_certs.agent.stop import Stop
from pymesh_certs.errors import AgentError

MINIMAL = {"POD_NAME": "model-0", "POD_NAMESPACE": "ml", "INSTANCE_IP": "127.0.0.1"}


def settings(**variables):
    return Settings.from_environ({**MINIMAL, **variables})


async def nobody_to_tell():
    pass


def shell(script, *, admin_port=1, drain=30.0, announce=nobody_to_tell):
    return Envoy(["/bin/sh", "-c", script], admin_port=admin_port, drain=drain, announce=announce)


class Admin:
    """An admin port that notes what it is asked."""

    def __init__(self):
        self.asked = []
        self.drained = asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()
        self.drained.set()


def test_the_command_line_has_our_bootstrap_and_istios_settings(tmp_path):
    argv = command(settings(PROXY_CONFIG="{drainDuration: 10s, concurrency: 2}"), tmp_path / "b.json", ["envoy", "-l", "info"])
    assert argv[:3] == ["envoy", "-c", str(tmp_path / "b.json")]
    assert argv[argv.index("--drain-time-s") + 1] == "10"
    assert argv[argv.index("--concurrency") + 1] == "2"
    assert "--disable-hot-restart" in argv
    assert argv[-2:] == ["-l", "info"]


def test_what_the_user_gave_is_not_given_twice(tmp_path):
    argv = command(settings(PROXY_CONFIG="concurrency: 2"), tmp_path, ["envoy", "--concurrency", "7", "--drain-time-s=3", "--base-id", "4"])
    assert argv.count("--concurrency") == 1
    assert "--drain-time-s" not in argv
    assert "--disable-hot-restart" not in argv


@pytest.mark.parametrize("flag", ["-c", "--config-path=x", "--config-yaml"])
def test_a_second_configuration_is_refused(tmp_path, flag):
    with pytest.raises(AgentError, match="writes the bootstrap itself"):
        command(settings(), tmp_path, ["envoy", flag])


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
async def test_envoys_exit_code_is_the_agents(script, code):
    assert await shell(script).run(Stop()) == code


async def test_a_stop_drains_then_terminates():
    stop = Stop()
    async with Admin() as admin:
        envoy = shell("exec sleep 60", admin_port=admin.port, drain=0.1)
        running = tasks.spawn(envoy.run(stop), name="envoy")
        stop.ask()
        assert await running == 128 + signal.SIGTERM
    assert admin.asked == [b"POST /drain_listeners?graceful&inboundonly HTTP/1.1"]


async def test_the_mesh_is_told_before_listeners_close():
    stop, order = Stop(), []

    async def announce():
        order.append(list(admin.asked))

    async with Admin() as admin:
        stop.ask()
        await shell("exec sleep 60", admin_port=admin.port, drain=0.01, announce=announce).run(stop)
    assert order == [[]]
    assert admin.asked


async def test_asking_twice_cuts_the_drain_short():
    stop = Stop()
    async with Admin() as admin:
        envoy = shell("exec sleep 60", admin_port=admin.port, drain=3600)
        running = tasks.spawn(envoy.run(stop), name="envoy")
        stop.ask()
        await admin.drained.wait()
        stop.ask()
        assert await running == 128 + signal.SIGTERM


async def test_an_admin_port_that_is_gone_does_not_hinder_the_stop(caplog):
    stop = Stop()
    stop.ask()
    assert await shell("exec sleep 60", drain=0.01).run(stop) == 128 + signal.SIGTERM
    assert "not drained" in caplog.text


async def test_an_envoy_that_dies_while_draining_ends_the_drain():
    stop = Stop()
    stop.ask()
    async with Admin() as admin:
        assert await shell("sleep 0.05; exit 9", admin_port=admin.port, drain=3600).run(stop) == 9


async def test_a_program_that_is_not_there_is_a_sentence():
    with pytest.raises(AgentError, match="cannot run /no/such/envoy"):
        await Envoy(["/no/such/envoy"], admin_port=1, drain=0, announce=nobody_to_tell).run(Stop())


def test_an_unusable_environment_is_told_whole_before_anything_starts(capsys):
    assert main(["--", "envoy"], {"SECRET_TTL": "soon"}) == 64
    told = capsys.readouterr().err
    assert all(name in told for name in ("POD_NAME", "POD_NAMESPACE", "INSTANCE_IP", "SECRET_TTL"))


def test_dns_queries_are_refused_rather_than_left_unanswered(capsys):
    assert main(["--", "envoy"], {**MINIMAL, "ISTIO_META_DNS_CAPTURE": "true"}) == 64
    assert "ISTIO_META_DNS_CAPTURE: the agent answers no DNS queries" in capsys.readouterr().err


def test_an_unknown_role_is_wrong_usage():
    with pytest.raises(SystemExit) as caught:
        main(["ztunnel"], MINIMAL)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--no-envoy"], "say where, in --output-certs"),
        (["--no-envoy", "--output-certs", "/dev/null/certs", "--"], "/dev/null/certs: Not a directory"),
        (["--no-envoy", "--output-certs", "/tmp", "--", "envoy"], "envoy is not to be run with --no-envoy"),
    ],
)
def test_what_cannot_be_done_without_envoy_is_a_sentence(capsys, argv, sentence):
    assert main(argv, MINIMAL) == 64
    assert sentence in capsys.readouterr().err


def test_probes_are_refused_where_nobody_would_hear_of_them(capsys, tmp_path):
    variables = {**MINIMAL, "PROXY_CONFIG": "readinessProbe: {tcpSocket: {port: 80}}"}
    assert main(["--no-envoy", "--output-certs", str(tmp_path)], variables) == 64
    assert "PROXY_CONFIG.readinessProbe: without Envoy there is no stream" in capsys.readouterr().err
