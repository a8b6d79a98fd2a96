"""`pymesh-agent [--sds-path P] -- envoy ARGS...`: Envoy as a sidecar, configured by Istio's environment variables.

With `--no-envoy` it keeps the certificates of an application that needs no proxy.

Exit codes: Envoy's own once it runs; before that 2 for wrong usage and 64 for an environment that cannot be used.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf import json_format

from pymesh.bootstrap import envoy as bootstrap
from pymesh.bootstrap.environment import DNS_CAPTURE, InvalidEnvironment, Settings, is_on
from pymesh.xds import node

from .. import enrol, files, keys
from ..errors import AgentError, FileUnusable
from ..workload import Bundle
from . import proxyless
from .envoy import Envoy, command
from .folder import CertificateFolder
from .health import Health
from .relay import Relay, control_plane
from .sds import SdsServer
from .secrets import Secrets
from .status import answering
from .stop import Stop, done_before

_log = logging.getLogger("pymesh.agent")
UNUSABLE = 64
DEFAULT_SDS_PATH = "./var/run/secrets/workload-spiffe-uds/socket"
BOOTSTRAP_FILE = "envoy-rev.json"
XDS_SOCKET = "XDS"
"""Istio's names, so that the tools that look for them find them."""


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run until Envoy ends; returns the exit code."""
    ours, theirs = _split(list(sys.argv[1:] if argv is None else argv))
    arguments = _parser(environ).parse_args(ours)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s\t%(levelname)s\t%(name)s\t%(message)s", stream=sys.stderr)
    try:
        settings = Settings.from_environ(environ, arguments.role)
        if settings.dns is not None:
            raise InvalidEnvironment([f"{DNS_CAPTURE}: the agent answers no DNS queries; take it out, or use pymesh-proxy"])
        if arguments.no_envoy and settings.proxy.readiness_probe is not None:
            raise InvalidEnvironment(["PROXY_CONFIG.readinessProbe: without Envoy there is no stream to tell its results on; take it out"])
        return asyncio.run(_run(settings, arguments, theirs))
    except InvalidEnvironment as error:
        return _fail(*error.problems)
    except (AgentError, FileUnusable) as error:
        return _fail(str(error))


async def _run(settings: Settings, arguments: argparse.Namespace, given: Sequence[str]) -> int:
    keys.keep_out_of_core_dumps()
    stop = Stop()
    stop.on_signals()
    for warning in settings.warnings:
        _log.warning("%s", warning)
    folder = CertificateFolder(arguments.output_certs) if arguments.output_certs else None
    if not arguments.no_envoy:
        return await _with_envoy(settings, arguments.sds_path, folder, given, stop)
    if given:
        raise AgentError(f"{given[0]} is not to be run with --no-envoy (DISABLE_ENVOY)")
    if folder is None:
        raise AgentError("without Envoy there is nothing to do but to keep certificates: say where, in --output-certs (OUTPUT_CERTS)")
    return await proxyless.run(settings, folder, arguments.grpc_bootstrap, stop)


async def _with_envoy(settings: Settings, sds_path: Path, folder: CertificateFolder | None, given: Sequence[str], stop: Stop) -> int:
    """The ports, then the identity, then Envoy, which so finds its secrets when it asks; torn down in reverse."""
    xds_path = Path(settings.proxy.config_path) / XDS_SOCKET
    path = _write_bootstrap(settings, bootstrap.Agent(sds=str(sds_path), xds=str(xds_path)))
    secrets = Secrets()

    def keep(bundle: Bundle) -> None:
        secrets.put(bundle)
        if folder is not None:
            folder.put(bundle)

    identity = enrol.identity_for(settings, keep)
    relay = Relay(control_plane(settings, lambda: identity.current), xds_path)
    health = Health(settings.proxy.readiness_probe, relay)
    envoy = Envoy(
        command(settings, path, given),
        admin_port=settings.proxy.proxy_admin_port,
        drain=settings.proxy.termination_drain_duration,
        announce=health.drain,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, envoy.forward, signal.SIGUSR1)
    async with answering(settings, stop), contextlib.AsyncExitStack() as stack:
        for server in (SdsServer(secrets, sds_path), relay):
            await server.start()
            stack.push_async_callback(server.stop)
        stack.push_async_callback(identity.close)
        if not await done_before(stop, identity.start()):
            return 0
        stack.callback(health.close)
        health.start()
        return await envoy.run(stop)


def _write_bootstrap(settings: Settings, agent: bootstrap.Agent) -> Path:
    message = bootstrap.build(settings, agent)
    path = Path(settings.proxy.config_path) / BOOTSTRAP_FILE
    files.make_parent(path)
    files.write(path, json_format.MessageToJson(message, preserving_proto_field_name=True).encode())
    return path


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Ours before `--`, Envoy's after it."""
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _path(text: str) -> Path | None:
    return Path(text).absolute() if text else None


def _fail(*problems: str) -> int:
    for problem in problems:
        print(f"pymesh-agent: error: {problem}", file=sys.stderr)
    return UNUSABLE


def _parser(environ: Mapping[str, str] = os.environ) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pymesh-agent",
        usage="pymesh-agent [OPTIONS] [sidecar | router] [-- envoy ARGS...]",
        description="Give Envoy, or an application that needs no proxy, an identity and a bootstrap from Istio's environment variables.",
    )
    parser.add_argument("role", nargs="?", choices=sorted(node.TYPES), help="default: PYMESH_NODE_TYPE, else sidecar")
    parser.add_argument(
        "--sds-path", type=_path, default=DEFAULT_SDS_PATH, metavar="PATH", help="Unix socket for secrets; default: %(default)s"
    )
    parser.add_argument(
        "--output-certs", type=_path, default=environ.get("OUTPUT_CERTS", ""), metavar="DIR",
        help="folder to keep cert-chain.pem, key.pem and root-cert.pem in; OUTPUT_CERTS",
    )  # fmt: skip
    parser.add_argument(
        "--no-envoy", action="store_true", default=is_on(environ.get("DISABLE_ENVOY", "")),
        help="run nothing, only keep the certificates in --output-certs; DISABLE_ENVOY",
    )  # fmt: skip
    parser.add_argument(
        "--grpc-bootstrap", type=_path, default=environ.get("GRPC_XDS_BOOTSTRAP", ""), metavar="FILE",
        help="with --no-envoy: where to write the bootstrap of a gRPC application; GRPC_XDS_BOOTSTRAP",
    )  # fmt: skip
    return parser
