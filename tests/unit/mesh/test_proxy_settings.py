"""`pymesh proxy-settings`: the PROXY_CONFIG of a proxy, and what cannot be in it."""

import json

import pytest
from click.testing import CliRunner

from pymesh.cli import main

FILES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "defaultConfig: {proxyMetadata: {A: mesh}, tracing: {sampling: 1}}"}
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, concurrency: 2, environmentVariables: {B: web}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}, annotations: {proxy.istio.io/config: "meshId: m"}}
spec: {containers: [{name: a, image: b}]}
"""
WEB = {"concurrency": 2, "proxyMetadata": {"A": "mesh", "B": "web"}}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "mesh.yaml").write_text(FILES)
    return lambda *arguments: CliRunner().invoke(main, ["proxy-settings", "-f", str(tmp_path), *arguments])


@pytest.mark.parametrize(("arguments", "expected"), [
    ((), {"proxyMetadata": {"A": "mesh"}}),
    (("-n", "shop"), {"proxyMetadata": {"A": "mesh"}}),
    (("-n", "shop", "-l", "app=web", "-l", "version=v1"), WEB),
    (("-n", "shop", "web-1"), WEB | {"meshId": "m"}),
])  # fmt: skip
def test_it_is_printed_for_a_pod_or_for_labels(run, arguments, expected):
    result = run(*arguments)
    assert (result.exit_code, json.loads(result.stdout)) == (0, expected)
    assert result.stderr == "pymesh proxy-settings: tracing is left out: no proxy here can be started with it\n"


@pytest.mark.parametrize(("arguments", "code", "sentence"), [
    (("-l", "app"), 2, "'app' is not NAME=VALUE"),
    (("web-1",), 1, "there is no Pod web-1 in namespace default"),
])  # fmt: skip
def test_what_is_not_there_is_told(run, arguments, code, sentence):
    result = run(*arguments)
    assert (result.exit_code, sentence in result.stderr) == (code, True)


def test_a_file_with_an_error_is_told_and_left_out(run, tmp_path):
    head = "apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {name: a}\n"
    (tmp_path / "wrong.yaml").write_text(f"{head}spec: {{concurrency: -1}}\n")
    result = run()
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"proxyMetadata": {"A": "mesh"}})
    assert f"{tmp_path}/wrong.yaml:4:" in result.stderr
