"""`pymesh proxy-settings`: what a proxy of a mesh has to be started with, as Istio's injector would write it into the pod."""

import json

import click

from pymesh.api import Resource, has_errors, proxytext
from pymesh.bootstrap.effective import ProxyConfigs, proxy_config, untaken

from . import reading

_COMMAND = "pymesh proxy-settings"


def _label(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


@click.command()
@click.argument("pod", required=False)
@click.option("-f", "--filename", "paths", multiple=True, required=True, metavar="PATH", help="A file, a folder, or -; repeatable.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Of the proxy.")
@click.option("-l", "--label", "labels", multiple=True, callback=_label, metavar="NAME=VALUE", help="Of the proxy's pod; repeatable.")
@click.pass_context
def proxy_settings(context: click.Context, pod: str | None, paths: tuple[str, ...], namespace: str, labels: dict[str, str]) -> None:
    """Print the PROXY_CONFIG that a proxy has to be started with: the mesh's defaultConfig, ProxyConfigs, the pod's annotation.

    POD is one of the files' Pods, whose labels and annotation count; without it the proxy is what the options say. Exits with 1 when
    a file has an error: what it holds is left out.
    """
    parsed = reading.parse(reading.read(paths, _COMMAND))
    for problem in parsed.problems:
        if problem.severity == "error":
            click.echo(str(problem), err=True)
    found = _pod(parsed.resources, pod, namespace) if pod else None
    annotation = found.annotations.get(proxytext.ANNOTATION, "") if found else ""
    settings = ProxyConfigs(parsed.resources).of(namespace, {**(found.labels if found else {}), **labels}, annotation)
    for name in untaken(settings):
        click.echo(f"{_COMMAND}: {name} is left out: no proxy here can be started with it", err=True)
    click.echo(json.dumps(proxy_config(settings), indent=2))
    context.exit(1 if has_errors(parsed.problems) else 0)


def _pod(resources: list[Resource], name: str, namespace: str) -> Resource:
    for one in resources:
        if (one.kind, one.name, one.namespace) == ("Pod", name, namespace):
            return one
    raise click.ClickException(f"there is no Pod {name} in namespace {namespace}")
