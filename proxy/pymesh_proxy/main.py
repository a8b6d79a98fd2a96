"""`pymesh-proxy`: the data plane's command line, Envoy's flags where they mean something here.

Exit codes: 0 stopped as asked, 1 could not start (a taken port), 2 wrong usage, 64 unusable configuration. Heavy imports wait
until the arguments are known to be good.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pymesh

if TYPE_CHECKING:
    from .launch import Launch

UNUSABLE = 64

LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 1,
}

_REFUSED = {
    "--allow-unknown-static-fields": "an unknown field is always an error here",
    "--base-id": "there is no hot restart",
    "--component-log-level": "use --log-level",
    "--cpuset-threads": "use --concurrency",
    "--disable-extensions": "extensions are not pluggable",
    "--drain-strategy": "draining ends at --drain-time-s or with the last connection",
    "--log-format": "the format of the log is fixed",
    "--log-path": "the log goes to standard error",
    "--parent-shutdown-time-s": "there is no hot restart",
    "--reject-unknown-dynamic-fields": "unknown fields of dynamic resources are ignored by protobuf",
    "--restart-epoch": "there is no hot restart",
    "--service-zone": "set node.locality in the bootstrap",
    "--use-dynamic-base-id": "there is no hot restart",
}
"""Envoy's flags that change what Envoy does and cannot be honoured here."""


class _Refuse(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> NoReturn:
        parser.error(f"{option} is not supported: {_REFUSED[str(option)]}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        "pymesh-proxy",
        description="The data plane of pymesh. Without -c the bootstrap is built from Istio's environment variables.",
        allow_abbrev=False,
    )
    result.add_argument("-c", "--config-path", type=Path, metavar="FILE", help="Envoy bootstrap, YAML or JSON")
    result.add_argument("--config-yaml", default="", metavar="TEXT", help="bootstrap text, merged over the file")
    result.add_argument("--concurrency", type=_count, metavar="N", help="worker processes (default 1, or what PROXY_CONFIG says)")
    result.add_argument("--service-node", default="", metavar="ID", help="overrides node.id")
    result.add_argument("--service-cluster", default="", metavar="NAME", help="overrides node.cluster")
    result.add_argument("-l", "--log-level", choices=LEVELS, default="info", help="default: info")
    result.add_argument("--mode", choices=("serve", "validate"), default="serve", help="validate: check the bootstrap and exit")
    result.add_argument("--drain-time-s", type=_seconds, metavar="S", help="longest wait for connections to end on SIGTERM (default 5)")
    result.add_argument("--disable-hot-restart", action="store_true", help="accepted for compatibility: there is no hot restart")
    result.add_argument("--version", action="version", version=f"pymesh-proxy version: {pymesh.__version__}")
    for flag in _REFUSED:
        result.add_argument(flag, action=_Refuse, nargs="?", help=argparse.SUPPRESS)
    result.add_argument("--worker", type=Path, metavar="SOCKET", help=argparse.SUPPRESS)  # one of several: admin on this socket
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proxy; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(arguments)
    _log_at(options.log_level)
    from .launch import Rejected, prepare

    try:
        launch = prepare(options, os.environ)
    except Rejected as rejected:
        return _reject(rejected.lines)
    return _run(launch, arguments)


def _run(launch: "Launch", arguments: list[str]) -> int:
    import uvloop

    from .errors import ConfigError, StartupError
    from .process import validate
    from .workers import serve

    try:
        if launch.validate_only:
            uvloop.run(validate(launch))
            print(f"configuration '{launch.name}' OK")
            return 0
        for warning in launch.settings.warnings if launch.settings and launch.worker_socket is None else ():
            logging.getLogger("pymesh").warning("%s", warning)
        if launch.settings is not None:
            _guard_keys()
        return uvloop.run(serve(launch, arguments))
    except ConfigError as error:
        return _reject(launch.bootstrap.locate(error))
    except StartupError as error:
        print(f"pymesh-proxy: {error}", file=sys.stderr)
        return 1


def _guard_keys() -> None:
    """This process will hold its workload's private key."""
    from pymesh_certs import keys

    keys.keep_out_of_core_dumps()


def _log_at(level: str) -> None:
    logging.basicConfig(level=LEVELS[level], format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if level != "trace":  # gRPC tells every event loop turn at debug
        logging.getLogger("grpc").setLevel(max(LEVELS[level], logging.WARNING))


def _reject(lines: Sequence[str]) -> int:
    for line in lines:
        print(line, file=sys.stderr)
    return UNUSABLE


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes (0 means one per core)")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
