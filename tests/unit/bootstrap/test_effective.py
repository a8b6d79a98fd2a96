"""What a proxy is started with: the mesh's word, the namespace's, the pod's, that of who selects it."""

import pytest

from pymesh.api import parse_text
from pymesh.bootstrap.effective import ProxyConfigs, proxy_config, untaken
from pymesh.bootstrap.proxy_config import parse

MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    %s
---
"""
LEVELS = {
    "mesh": MESH % "defaultConfig: {concurrency: 1, proxyMetadata: {WHO: mesh, mesh: x}}",
    "root": "concurrency: 2, environmentVariables: {WHO: root, root: x}",
    "namespace": "concurrency: 3, environmentVariables: {WHO: namespace, namespace: x}",
    "pod": "{concurrency: 4, proxyMetadata: {WHO: pod, pod: x}}",
    "workload": "selector: {matchLabels: {app: web}}, concurrency: 0, environmentVariables: {WHO: workload, workload: x}",
}
"""The lowest first."""
WEB = {"app": "web", "version": "v1"}


def resource(name, namespace, spec):
    head = f"apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {{name: {name}, namespace: {namespace}}}"
    return f"{head}\nspec: {{{spec}}}\n---\n"


def configs(text):
    parsed = parse_text(text, "mesh.yaml")
    assert [str(one) for one in parsed.problems] == []
    return ProxyConfigs(parsed.resources)


def mesh_of(levels):
    homes = {"root": "istio-system", "namespace": "shop", "workload": "shop"}
    return configs(levels.get("mesh", "") + "".join(resource(name, homes[name], levels[name]) for name in homes if name in levels))


@pytest.mark.parametrize("top", range(len(LEVELS)))
def test_the_closer_level_counts_and_variables_add_up(top):
    stated = dict(list(LEVELS.items())[: top + 1])
    found = mesh_of(stated).of("shop", WEB, stated.get("pod", ""))
    *_, last = stated
    assert found.concurrency == {"mesh": 1, "root": 2, "namespace": 3, "pod": 4, "workload": 0}[last]
    assert found.proxy_metadata == {"WHO": last} | dict.fromkeys(stated, "x")


@pytest.mark.parametrize(("namespace", "labels", "concurrency"), [
    ("shop", {}, 3), ("shop", {"app": "other"}, 3), ("far", WEB, 2), ("istio-system", WEB, 2),
])  # fmt: skip
def test_other_proxies_have_what_is_for_all(namespace, labels, concurrency):
    assert mesh_of(LEVELS).of(namespace, labels).concurrency == concurrency


def test_of_several_on_one_level_the_first_counts_alone():
    selector = "selector: {matchLabels: {%s}}"
    text = resource("a", "shop", "concurrency: 5") + resource("b", "shop", "concurrency: 6, environmentVariables: {A: b}")
    text += resource("c", "shop", selector % "app: web" + ", environmentVariables: {A: c}")
    text += resource("d", "shop", selector % "version: v1" + ", concurrency: 7")
    found = configs(text).of("shop", WEB)
    assert (found.concurrency, found.proxy_metadata) == (5, {"A": "c"})


def test_the_root_namespace_is_the_meshs():
    text = MESH % "rootNamespace: admin" + resource("a", "admin", "concurrency: 2") + resource("b", "istio-system", "concurrency: 3")
    assert configs(text).of("shop", {}).concurrency == 2


def test_a_level_that_says_nothing_leaves_the_word_to_the_one_below():
    levels = {"mesh": LEVELS["mesh"], "workload": "selector: {matchLabels: {app: web}}"}
    assert mesh_of(levels).of("shop", WEB, "meshId: m").concurrency == 1


def test_an_annotation_that_cannot_be_read_says_nothing():
    assert mesh_of({"root": LEVELS["root"]}).of("shop", {}, "{concurrency: many}").concurrency == 2


def test_a_proxy_takes_what_is_written_for_it():
    probe = "readinessProbe: {httpGet: {port: 8080, path: /ok}, periodSeconds: 3}"
    text = MESH % f"defaultConfig: {{concurrency: 3, drainDuration: 30s, meshId: m, statusPort: 15040, {probe}, tracing: {{sampling: 1}}}}"
    settings = configs(text).of("shop", {}, "proxyHeaders: {server: {value: x}}")
    made, mistakes = parse(str(proxy_config(settings)))
    assert mistakes == []
    assert (made.concurrency, made.drain_duration, made.status_port, made.readiness_probe.period) == (3, 30.0, 15040, 3)
    assert made.generated == {"proxyHeaders": {"server": {"value": "x"}}}
    assert untaken(settings) == ["tracing"]


def test_what_the_control_plane_sends_by_is_not_frozen_at_the_start():
    text = MESH % "defaultConfig: {gatewayTopology: {numTrustedProxies: 1}, concurrency: 2}"
    assert proxy_config(configs(text).of("shop", {})) == {"concurrency": 2}


def test_an_image_is_no_part_of_a_start():
    settings = configs(resource("a", "shop", "image: {imageType: debug}")).of("shop", {})
    assert (proxy_config(settings), untaken(settings)) == ({}, ["image"])
