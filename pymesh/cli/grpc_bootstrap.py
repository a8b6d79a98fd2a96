"""`pymesh grpc-bootstrap`: what a gRPC application without a proxy has to be told about the mesh."""

import json
import os
from pathlib import Path

import click

from ..bootstrap import grpc
from ..bootstrap.environment import InvalidEnvironment, Settings

_UNUSABLE = 64


@click.command()
@click.option(
    "--certs", envvar="OUTPUT_CERTS", type=click.Path(path_type=Path), metavar="DIR",
    help="The folder of cert-chain.pem, key.pem and root-cert.pem, for mutual TLS; OUTPUT_CERTS.",
)  # fmt: skip
@click.pass_context
def grpc_bootstrap(context: click.Context, certs: Path | None) -> None:
    """Print the bootstrap of a gRPC application, made of Istio's environment variables.

    Exits with 64 when they cannot make one. Write it to a file and name that in GRPC_XDS_BOOTSTRAP.
    """
    try:
        settings = Settings.from_environ(os.environ)
    except InvalidEnvironment as error:
        for problem in error.problems:
            click.echo(f"pymesh grpc-bootstrap: {problem}", err=True)
        context.exit(_UNUSABLE)
    click.echo(json.dumps(grpc.build(settings, certs), indent=2))
