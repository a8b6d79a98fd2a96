"""`pymesh-agent [--sds-path P] -- envoy ARGS...`: Envoy as a sidecar, configured by Istio's environment variables.

Exit codes: Envoy's own once it runs; before that 2 for wrong usage and 64 for an environment that cannot be used.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path

from google.protobuf import json_format

from pymesh import tasks
from pymesh.bootstrap import envoy as bootstrap
from pymesh.bootstrap.environment import InvalidEnvironment, Settings
from pymesh.status import StatusPort
from pymesh.xds import node

from .. import enrol, files, keys
from ..errors import AgentError, FileUnusable
from .envoy import Envoy, Stop, command
from .sds import SdsServer
from .secrets import Secrets

UNUSABLE = 64
DEFAULT_SDS_PATH = "./var/run/secrets/workload-spiffe-uds/socket"
BOOTSTRAP_FILE = "envoy-rev.json"
"""Istio's names for both, so that the tools that look for them find them."""


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run until Envoy ends; returns the exit code."""
    ours, theirs = _split(list(sys.argv[1:] if argv is None else argv))
    arguments = _parser().parse_args(ours)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s\t%(levelname)s\t%(name)s\t%(message)s", stream=sys.stderr)
    try:
        settings = Settings.from_environ(environ, arguments.role)
        return asyncio.run(_run(settings, Path(arguments.sds_path).absolute(), theirs))
    except InvalidEnvironment as error:
        return _fail(*error.problems)
    except (AgentError, FileUnusable) as error:
        return _fail(str(error))


async def _run(settings: Settings, sds_path: Path, given: Sequence[str]) -> int:
    """The ports, then the identity, then Envoy, which so finds its secrets when it asks; torn down in reverse."""
    keys.keep_out_of_core_dumps()
    path = _write_bootstrap(settings, sds_path)
    envoy = Envoy(
        command(settings, path, given),
        admin_port=settings.proxy.proxy_admin_port,
        drain=settings.proxy.termination_drain_duration,
    )
    stop = _listen_to_signals(envoy)
    secrets = Secrets()
    server = SdsServer(secrets, sds_path)
    identity = enrol.identity_for(settings, secrets.put)
    status = StatusPort(settings, stop.ask)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(status.stop)
        await _open(status)
        await server.start()
        stack.push_async_callback(server.stop)
        stack.push_async_callback(identity.close)
        return await envoy.run(stop) if await _enrolled(identity.start(), stop) else 0


async def _open(status: StatusPort) -> None:
    try:
        await status.start()
    except OSError as error:
        raise AgentError(f"PROXY_CONFIG.statusPort: {error.strerror or error}") from None


async def _enrolled(starting: Coroutine[None, None, None], stop: Stop) -> bool:
    """Wait for the first certificate, which may take as long as the CA is away; False when told to stop before."""
    enrolling = tasks.spawn(starting, name="first certificate")
    stopping = tasks.spawn(stop.asked.wait(), name="signal")
    try:
        await asyncio.wait([enrolling, stopping], return_when=asyncio.FIRST_COMPLETED)
        if enrolling.done():
            enrolling.result()
        return enrolling.done()
    finally:
        stopping.cancel()
        enrolling.cancel()


def _write_bootstrap(settings: Settings, sds_path: Path) -> Path:
    message = bootstrap.build(settings, sds_path=str(sds_path))
    path = Path(settings.proxy.config_path) / BOOTSTRAP_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnusable(f"{error.filename}: {error.strerror}") from None
    files.write(path, json_format.MessageToJson(message, preserving_proto_field_name=True).encode())
    return path


def _listen_to_signals(envoy: Envoy) -> Stop:
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    loop.add_signal_handler(signal.SIGUSR1, envoy.forward, signal.SIGUSR1)
    return stop


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Ours before `--`, Envoy's after it."""
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _fail(*problems: str) -> int:
    for problem in problems:
        print(f"pymesh-agent: error: {problem}", file=sys.stderr)
    return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pymesh-agent",
        usage="pymesh-agent [--sds-path PATH] [sidecar | router] [-- envoy ARGS...]",
        description="Give Envoy an identity and a bootstrap from Istio's environment variables, run it, drain it.",
    )
    parser.add_argument("role", nargs="?", choices=sorted(node.TYPES), help="default: PYMESH_NODE_TYPE, else sidecar")
    parser.add_argument("--sds-path", default=DEFAULT_SDS_PATH, metavar="PATH", help="Unix socket for secrets; default: %(default)s")
    return parser
