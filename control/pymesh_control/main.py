"""`pymesh-control`: serve the configuration of a folder over xDS.

Exit codes: 0 stopped as asked, 1 a part of it broke, 2 wrong usage, 64 it cannot start as asked.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pymesh import garbage, identity
from pymesh.address import Address
from pymesh_certs import keys

from . import heap, options
from .ads.clients import DEFAULT_LIMIT
from .errors import ControlError, StartupError
from .plane import Bound, ControlPlane
from .push.debounce import Timing
from .registration.registry import DEFAULT_GRACE

GOOD, BROKEN, UNUSABLE = 0, 1, 64


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code (2 is raised by argparse)."""
    arguments = _parser().parse_args(argv)
    keys.keep_out_of_core_dumps()
    garbage.relax()
    heap.return_large_blocks()
    logging.basicConfig(stream=sys.stderr, level=arguments.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it counts events; we say what changed
    try:
        asyncio.run(_run(_options(arguments)))
    except StartupError as error:
        print(f"pymesh-control: {error}", file=sys.stderr)
        return UNUSABLE
    except ControlError as error:
        print(f"pymesh-control: {error}", file=sys.stderr)
        return BROKEN
    return GOOD


async def _run(chosen: options.Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ControlPlane(chosen) as plane:
        assert plane.bound is not None
        print(ready_line(plane.bound), flush=True)
        await plane.run(stop)


def ready_line(bound: Bound) -> str:
    """What whoever started us reads from standard output."""
    return f"ready xds={bound.xds} secure-xds={bound.secure_xds} monitoring={bound.monitoring}"


def _options(arguments: argparse.Namespace) -> options.Options:
    return options.Options(
        config=arguments.config,
        secrets=arguments.secrets,
        ca_dir=arguments.ca_dir or arguments.state_dir / "ca",
        state_dir=arguments.state_dir,
        xds=arguments.xds,
        secure_xds=arguments.secure_xds,
        monitoring=arguments.monitoring,
        revision=os.environ.get("REVISION", ""),
        trust_domain=arguments.trust_domain,
        server_names=tuple(filter(None, os.environ.get("ISTIOD_CUSTOM_HOST", "").split(","))),
        registration_grace=arguments.registration_grace,
        max_clients=arguments.max_clients,
        timing=Timing(after=arguments.debounce_after / 1000, longest=arguments.debounce_max / 1000),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pymesh-control", description="Serve the Istio resources of a folder over Envoy's xDS.")
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="DIR", help="folder of YAML files; it is watched")
    add("--secrets", type=Path, metavar="DIR", help="folder NAMESPACE/NAME/{tls.crt,tls.key,ca.crt}, for credentialName; it is watched")
    add("--xds", type=_address, default=options.XDS, metavar="ADDR", help="plaintext xDS (default %(default)s)")
    add("--secure-xds", type=_address, default=options.SECURE_XDS, metavar="ADDR", help="xDS and CA over TLS (default %(default)s)")
    add("--monitoring", type=_address, default=options.MONITORING, metavar="ADDR", help="metrics, debug pages (default %(default)s)")
    add("--ca-dir", type=Path, metavar="DIR", help="the certificate authority's files (default: ca in the state folder)")
    add("--state-dir", type=Path, default=_state_home(), metavar="DIR", help="what outlives a restart (default %(default)s)")
    add("--trust-domain", type=_trust_domain, metavar="TD", help="default: the mesh configuration's, else cluster.local")
    add("--registration-grace", type=_seconds, default=DEFAULT_GRACE, metavar="S", help="seconds a lost workload stays (%(default)g)")
    add("--max-clients", type=_count, default=DEFAULT_LIMIT, metavar="N", help="proxies connected at a time (%(default)d)")
    add("--debounce-after", type=_seconds, default=100.0, metavar="MS", help="push after so long without a change (%(default)g)")
    add("--debounce-max", type=_seconds, default=10_000.0, metavar="MS", help="but after so long in any case (%(default)g)")
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info", help="default %(default)s")
    return parser


def _state_home() -> Path:
    """The XDG base directory specification's place for what a program keeps between runs."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "pymesh"


def _address(text: str) -> Address:
    try:
        return options.address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _trust_domain(text: str) -> str:
    try:
        identity.check_trust_domain(text)
    except identity.InvalidSpiffeId as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time")
    return number


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of clients")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
