"""`pymesh-ca`: make a CA directory, mint join tokens, print the root.

Exit codes: 0 good, 1 the answer is no, 2 wrong usage, 64 files that cannot be used.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from pymesh.bootstrap import duration
from pymesh.identity import DEFAULT_TRUST_DOMAIN

from . import cadir, files, keys, token
from .authority import Authority
from .errors import FileUnusable

GOOD, NO, UNUSABLE = 0, 1, 64


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (2 is raised by argparse)."""
    arguments = _parser().parse_args(argv)
    keys.keep_out_of_core_dumps()
    try:
        print(arguments.run(arguments))
    except token.TokenRefused as refusal:
        return _fail(refusal, NO)
    except FileUnusable as error:
        return _fail(error, UNUSABLE)
    return GOOD


def _fail(error: Exception, code: int) -> int:
    print(f"pymesh-ca: error: {error}", file=sys.stderr)
    return code


def _init(arguments: argparse.Namespace) -> str:
    authority = Authority.load_or_create(arguments.ca_dir, arguments.trust_domain)
    token.load_or_create_key(arguments.ca_dir)
    return f"{arguments.ca_dir} holds a CA whose root is good until {authority.root_not_after:%Y-%m-%d}"


def _token(arguments: argparse.Namespace) -> str:
    if not arguments.ca_dir.is_dir():
        raise FileUnusable(f"{arguments.ca_dir} is no directory; `pymesh-ca init --ca-dir {arguments.ca_dir}` makes one")
    return token.mint(arguments.ca_dir, arguments.namespace, arguments.service_account, timedelta(seconds=arguments.ttl))


def _root(arguments: argparse.Namespace) -> str:
    return files.read(arguments.ca_dir / cadir.ROOT).decode().rstrip("\n")


def _seconds(text: str) -> float:
    try:
        return duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pymesh-ca", description="The mesh's certificate authority, as files in one directory.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    directory = argparse.ArgumentParser(add_help=False)
    directory.add_argument("--ca-dir", type=Path, required=True, metavar="DIR", help="where the CA's files are")

    init = commands.add_parser("init", parents=[directory], help="make a self-signed root and a token key unless they exist")
    init.add_argument("--trust-domain", default=DEFAULT_TRUST_DOMAIN, help="default: %(default)s")
    init.set_defaults(run=_init)

    mint = commands.add_parser("token", parents=[directory], help="print a join token for one service account")
    mint.add_argument("--namespace", required=True)
    mint.add_argument("--service-account", required=True)
    mint.add_argument("--ttl", type=_seconds, default=3600.0, help="such as 15m or 12h; default: 1h")
    mint.set_defaults(run=_token)

    root = commands.add_parser("root", parents=[directory], help="print the root certificates (PEM)")
    root.set_defaults(run=_root)
    return parser
