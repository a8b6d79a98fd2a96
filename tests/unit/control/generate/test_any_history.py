"""However the mesh came to be as it is, proxies are given what they would be given if it had always been so.

What was made for the mesh before is kept as far as the facts are the same. The model is a snapshot made from nothing.
"""

import pathlib
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesh.api import parse_text
from pymesh.xds import types
from pymesh_control.generate import generate
from pymesh_control.holding import EMPTY, difference, digest
from pymesh_control.model.assembly import build
from pymesh_control.model.view import GRPC
from pymesh_control.model.workload import Workload
from tests.unit.control.analyze.examples import CASES

from .conftest import proxy

pytestmark = pytest.mark.timeout(240)  # less than a minute of a free processor

SAMPLE = pathlib.Path(__file__).with_name("sample")
MORE = """
apiVersion: networking.istio.io/v1
kind: EnvoyFilter
metadata: {name: idle, namespace: default}
spec:
  configPatches:
    - {applyTo: CLUSTER, match: {context: SIDECAR_OUTBOUND}, patch: {operation: MERGE, value: {connect_timeout: 7s}}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow, namespace: default}
spec: {egress: [{hosts: ["./*", "shop/*"]}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: mesh, namespace: istio-system}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: own, namespace: default}
spec: {selector: {matchLabels: {app: reviews}}, mtls: {mode: DISABLE}, portLevelMtls: {"9080": {mode: STRICT}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: first}
data:
  mesh: |
    serviceSettings: [{settings: {clusterLocal: true}, hosts: ["*.shop.svc.cluster.local"]}]
    defaultConfig: {connectionSettings: {httpIdleTimeout: 5s}}
    defaultTrafficPolicy: {outlierDetection: {interval: 5s}}
    outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: first}
data:
  meshNetworks: |
    networks: {far: {endpoints: [{fromCidr: 10.0.0.0/24}], gateways: [{address: 192.0.2.1, port: 15443}, {address: 10.0.0.4, port: 15443}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: api, namespace: istio-system}
spec: {gatewayClassName: istio, listeners: [{name: web, port: 8080, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: split, namespace: default}
spec:
  parentRefs: [{name: api, namespace: istio-system}, {group: "", kind: Service, name: cart, namespace: shop}]
  rules:
    - backendRefs: [{name: reviews, port: 80, weight: 30}, {name: cart, namespace: shop, port: 80, weight: 70}]
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: allowed, namespace: shop}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}]
  to: [{group: "", kind: Service}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: default}
spec: {action: DENY, rules: [{from: [{source: {namespaces: [shop]}}]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: default}
spec:
  hosts: ["*.wild.example.com"]
  resolution: DYNAMIC_DNS
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
"""


OTHERS = {
    "STRICT": "PERMISSIVE",
    "v2": "v3",
    "ROUND_ROBIN": "RANDOM",
    "5s": "6s",
    "REGISTRY_ONLY": "ALLOW_ANY",
    "ALLOW_ANY_DYNAMIC_DNS": "ALLOW_ANY",
    "resolution: DYNAMIC_DNS": "resolution: NONE",
    "./*": "none/*",
    "name: http,": "name: tcp,",
}


def _documents():
    texts = [path.read_text() for path in sorted(SAMPLE.glob("*.yaml"))] + [bad + good for bad, good, _ in CASES.values()] + [MORE]
    return sorted({part for text in texts for part in re.split(r"(?m)^---$", text) if part.strip()})


def _other(text):
    """The same with other addresses, weights, versions, modes and protocols."""
    text = re.sub(r"\b(10\.\d+\.\d+)\.(\d)\b", r"\1.1\2", text)
    text = re.sub(r"\b(weight: )(\d+)", lambda found: f"{found[1]}{100 - int(found[2])}", text)
    for one, other in OTHERS.items():
        text = text.replace(one, other)
    return text


def _parsed(texts):
    return [list(parse_text(text, f"{place}.yaml").resources) for place, text in enumerate(texts)]


DOCUMENTS = _documents()
VARIANTS = [_parsed(DOCUMENTS), _parsed(map(_other, DOCUMENTS))]
WORKLOADS = [
    Workload(name=f"w{number}", namespace="default", ip=f"10.0.0.{number}", labels={"app": "reviews", "version": f"v{number % 2}"})
    for number in range(1, 4)
]
PLACES = st.integers(0, len(DOCUMENTS) - 1)
CHANGES = st.one_of(
    st.tuples(PLACES, st.sampled_from([None, 0, 1])),
    st.tuples(st.sampled_from(range(-len(WORKLOADS), 0)), st.booleans()),
)
"""(document, which variant of it or none) or (workload, whether it is there)."""

VIEWS = [
    proxy(LABELS={"app": "reviews", "version": "v1"}, NETWORK="near", CLUSTER_ID="other"),
    proxy(agent="envoy", LABELS={"app": "reviews"}, NAMESPACE="shop", INTERCEPTION_MODE="NONE"),
    proxy(agent="envoy", NAMESPACE="shop", LABELS={"istio-locality": "eu.west.a"}),
    proxy("router", LABELS={"istio": "ingressgateway", "app": "gateway"}, NAMESPACE="istio-system"),
    proxy("router", agent="envoy", LABELS={"istio": "ingressgateway"}, NETWORK="near"),
    proxy(NAMESPACE="shop", DNS_CAPTURE="true"),
    proxy("router", LABELS={"gateway.networking.k8s.io/gateway-name": "api"}, NAMESPACE="istio-system"),
    proxy(agent="grpc", LABELS={"app": "reviews"}),
]
ROUTES = frozenset({"80", "8080", "9080", "http_proxy", "http.80", "http.8080", "http.31400", "https.443.https.edge.default"})

HOSTS = ("reviews.default.svc.cluster.local", "cart.shop.svc.cluster.local", "s3.example.com")
NAMED = frozenset(
    form.format(host=host, port=port) for form in ("{host}:{port}", "outbound|{port}||{host}", "outbound|{port}|v1|{host}")
    for host in HOSTS for port in (80, 90, 443)
) | {"grpc/server?xds.resource.listening_address=10.0.0.9:80"}  # fmt: skip
"""What a gRPC client may name, and its server."""


def _all(snapshot, view):
    """Everything a proxy would ask for; routes by every name that could be one."""
    if view.flavor == GRPC:
        return {type_url: generate(snapshot, view, type_url, NAMED) for type_url in types.PUSH_ORDER[:4]}
    clusters = generate(snapshot, view, types.CLUSTER, None)
    named = frozenset(clusters)
    return {
        types.CLUSTER: clusters,
        types.ENDPOINT: generate(snapshot, view, types.ENDPOINT, named),
        types.LISTENER: generate(snapshot, view, types.LISTENER, None),
        types.ROUTE: generate(snapshot, view, types.ROUTE, ROUTES),
        types.NAME_TABLE: generate(snapshot, view, types.NAME_TABLE, None),
    }


def _versions(found):
    return {(url, name): one.version for url, resources in found.items() for name, one in resources.items()}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.lists(CHANGES, min_size=1, max_size=12), min_size=2, max_size=6))
def test_what_is_kept_is_what_would_be_made(batches):
    chosen, there, former = dict.fromkeys(range(len(DOCUMENTS)), 0), set(), None
    held = [dict.fromkeys((types.CLUSTER, types.ENDPOINT, types.LISTENER, types.ROUTE, types.NAME_TABLE), EMPTY) for _ in VIEWS]
    for version, batch in enumerate(batches):
        for place, what in batch:
            if place >= 0:
                chosen[place] = what
            else:
                (there.add if what else there.discard)(place)
        resources = [one for place, variant in chosen.items() if variant is not None for one in VARIANTS[variant][place]]
        resources = list({(one.kind, one.namespace, one.name): one for one in resources}.values())
        workloads = [WORKLOADS[place] for place in sorted(there)]
        kept, refused = build(resources, workloads, version, former=former)
        fresh, refused_anew = build(resources, workloads, version)
        assert refused == refused_anew
        for number, view in enumerate(VIEWS):
            now, anew = _all(kept, view), _all(fresh, view)
            assert _versions(now) == _versions(anew)
            assert [digest(one) for one in now.values()] == [digest(one) for one in anew.values()]
            _steps_lead_there(held[number], now)
            held[number] = now
        former = kept


def _steps_lead_there(held, now):
    """The differences that clients are told of, found by part, are those that are found by name."""
    for url, resources in now.items():
        step = difference(held[url], resources)
        before = {name: one.version for name, one in held[url].items()}
        after = {name: one.version for name, one in resources.items()}
        assert {name: one.version for name, one in step.changed.items()} == {n: v for n, v in after.items() if before.get(n) != v}
        assert step.gone == before.keys() - after.keys()
        assert step.names == step.gone | step.changed.keys()
