"""Values that no check expects: each is told as a mistake, or taken, and none ends the reading."""

import json

import pytest

from pymesh.api import parse_text


def text_of(group, kind, spec):
    return json.dumps({"apiVersion": group, "kind": kind, "metadata": {"name": "a"}, "spec": spec})


def jwt(rule):
    return text_of("security.istio.io/v1", "RequestAuthentication", {"jwtRules": [{"issuer": "a", **rule}]})


def plugin(url):
    return text_of("extensions.istio.io/v1alpha1", "WasmPlugin", {"url": url})


def ingress(endpoint):
    return text_of("networking.istio.io/v1", "Sidecar", {"ingress": [{"port": {"number": 80}, "defaultEndpoint": endpoint}]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (jwt({"jwksUri": "http://[::1"}), 'spec.jwtRules[0].jwksUri: "http://[::1" is not an http or https URL'),
        (jwt({"jwksUri": "https://a b"}), 'spec.jwtRules[0].jwksUri: "https://a b" is not an http or https URL'),
        (jwt({"jwks": "[" * 100_000}), "spec.jwtRules[0].jwks: is not a JSON web key set (an object with keys)"),
        (plugin("oci://["), 'spec.url: "oci://[" is not an oci, http, https or file URL'),
        (plugin("a b"), 'spec.url: "a b" is not an oci, http, https or file URL'),
        (
            ingress("127.0.0.1:" + "9" * 5000),
            f'spec.ingress[0].defaultEndpoint: "127.0.0.1:{"9" * 5000}" must be '
            "127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix://PATH",
        ),
        (ingress("127.0.0.1:٣"), None),
    ],
    ids=range(7),
)
def test_a_hostile_value_is_a_mistake_like_any_other(text, expected):
    problems = [problem for problem in parse_text(text, "f").problems if problem.severity == "error"]
    assert len(problems) == 1
    assert expected is None or problems[0].message.endswith(expected)
