"""The sizes that the published schemas allow: what is just small enough passes, one more is told where it stands."""

import json

import pytest


def words(count):
    return [f"w{number}" for number in range(count)]


def table(count):
    return {f"k{number}": "v" for number in range(count)}


def selected(labels):
    return {"selector": {"matchLabels": labels}}


def applied(target):
    return {"targetRefs": [{"kind": "Service", **target}]}


def plugin(extra):
    return {"url": "oci://a/b", **extra}


def source(extra):
    return {"rules": [{"from": [{"source": extra}]}]}


def jwt(extra):
    return {"jwtRules": [{"issuer": "a", **extra}]}


def service(extra):
    return {"hosts": ["a.b"], **extra}


def ports(count):
    return {f"p{number}": 1 for number in range(count)}


def distinct(count):
    return [{"number": number + 1, "name": f"p{number}"} for number in range(count)]


LIMITS = [
    ("PeerAuthentication", lambda size: selected(table(size)), 4096, "selector.matchLabels", "entries"),
    ("PeerAuthentication", lambda size: selected({"a": "v" * size}), 63, "selector.matchLabels.a", "characters"),
    ("Sidecar", lambda size: {"workloadSelector": {"labels": table(size)}, "egress": [{"hosts": ["./*"]}]}, 256, "workloadSelector.labels", "entries"),
    ("Sidecar", lambda size: {"workloadSelector": {"labels": {"a": "v" * size}}, "egress": [{"hosts": ["./*"]}]}, 63, "workloadSelector.labels.a", "characters"),
    ("Telemetry", lambda size: applied({"name": "n" * size}), 253, "targetRefs[0].name", "characters"),
    ("WasmPlugin", lambda size: plugin({"imagePullSecret": "s" * size}), 253, "imagePullSecret", "characters"),
    ("WasmPlugin", lambda size: plugin({"pluginName": "n" * size}), 256, "pluginName", "characters"),
    ("WasmPlugin", lambda size: plugin({"vmConfig": {"env": [{"name": "n" * size}]}}), 256, "vmConfig.env[0].name", "characters"),
    ("WasmPlugin", lambda size: plugin({"vmConfig": {"env": [{"name": "n", "value": "v" * size}]}}), 2048, "vmConfig.env[0].value", "characters"),
    ("DestinationRule", lambda size: {"host": "a", "trafficPolicy": {"portLevelSettings": [{"port": {"number": 1}, "tls": {}}] * size}}, 4096, "trafficPolicy.portLevelSettings", "entries"),
    ("ServiceEntry", lambda size: {"hosts": [f"{word}.a" for word in words(size)]}, 256, "hosts", "entries"),
    ("ServiceEntry", lambda size: service({"addresses": ["10.0.0.1"] * size}), 256, "addresses", "entries"),
    ("ServiceEntry", lambda size: service({"ports": distinct(size)}), 256, "ports", "entries"),
    ("ServiceEntry", lambda size: service({"resolution": "STATIC", "endpoints": [{"address": "10.0.0.1"}] * size}), 4096, "endpoints", "entries"),
    ("WorkloadEntry", lambda size: {"address": "10.0.0.1", "locality": "l" * size}, 2048, "locality", "characters"),
    ("WorkloadEntry", lambda size: {"address": "10.0.0.1", "network": "n" * size}, 2048, "network", "characters"),
    ("WorkloadEntry", lambda size: {"address": "10.0.0.1", "serviceAccount": "s" * size}, 253, "serviceAccount", "characters"),
    ("WorkloadEntry", lambda size: {"address": "10.0.0.1", "labels": table(size)}, 256, "labels", "entries"),
    ("WorkloadEntry", lambda size: {"address": "10.0.0.1", "ports": ports(size)}, 128, "ports", "entries"),
    ("WorkloadGroup", lambda size: {"template": {}, "metadata": {"annotations": table(size)}}, 256, "metadata.annotations", "entries"),
    ("WorkloadGroup", lambda size: {"template": {"ports": ports(size)}}, 128, "template.ports", "entries"),
    ("AuthorizationPolicy", lambda size: {"rules": [{}] * size}, 512, "rules", "entries"),
    ("AuthorizationPolicy", lambda size: source({"serviceAccounts": words(size)}), 16, "rules[0].from[0].source.serviceAccounts", "entries"),
    ("AuthorizationPolicy", lambda size: source({"notServiceAccounts": ["s" * size]}), 320, "rules[0].from[0].source.notServiceAccounts[0]", "characters"),
    ("RequestAuthentication", lambda size: jwt({"jwksUri": "https://a/" + "k" * (size - len("https://a/"))}), 2048, "jwtRules[0].jwksUri", "characters"),
]  # fmt: skip  # one case a line
# ruff: noqa: E501


@pytest.mark.parametrize(("kind", "spec", "most", "path", "unit"), LIMITS, ids=[f"{case[0]}-{case[3]}" for case in LIMITS])
def test_one_more_than_the_schema_allows_is_told_at_its_place(told, kind, spec, most, path, unit):
    assert told(kind, json.dumps(spec(most))) == []
    assert told(kind, json.dumps(spec(most + 1))) == [f"error {path}: has at most {most} {unit}, found {most + 1}"]


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        ("WasmPlugin", plugin({"imagePullSecret": ""}), "imagePullSecret"),
        ("WasmPlugin", plugin({"pluginName": ""}), "pluginName"),
        ("RequestAuthentication", jwt({"issuer": "", "jwksUri": "https://a"}), "jwtRules[0].issuer"),
        ("RequestAuthentication", jwt({"jwksUri": ""}), "jwtRules[0].jwksUri"),
        ("Telemetry", {"metrics": [{"overrides": [{"match": {"customMetric": ""}}]}]}, "metrics[0].overrides[0].match.customMetric"),
    ],
)
def test_what_the_schema_wants_to_hold_something_must_not_be_empty(told, kind, spec, path):
    assert told(kind, json.dumps(spec)) == [f"error {path}: must not be empty"]


def test_a_number_outside_its_field_is_told(told):
    zone = {"host": "a", "trafficPolicy": {"loadBalancer": {"zoneAwareLbSetting": {"minClusterSize": 0}}}}
    assert told("DestinationRule", json.dumps(zone)) == [
        "error trafficPolicy.loadBalancer.zoneAwareLbSetting.minClusterSize: must be at least 1, found the number 0"
    ]
