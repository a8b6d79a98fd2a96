"""A real Envoy takes everything that is generated for it."""

MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /dev/stdout
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {number: 80, name: http, protocol: HTTP, targetPort: 8080}
  - {number: 81, name: grpc}
  - {number: 90, name: tcp}
  - {number: 91, name: any}
  workloadSelector: {labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: addressed}
spec:
  hosts: [db.default.svc.cluster.local]
  addresses: [10.96.0.7, 10.97.0.0/24]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {number: 5432, name: tcp-db}
  - {number: 7000, name: unsaid}
  endpoints:
  - {address: 10.0.0.20, locality: eu/west/a, weight: 3}
  - {address: 10.0.0.21, labels: {security.istio.io/tlsMode: istio}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [s3.example.com]
  location: MESH_EXTERNAL
  resolution: DNS
  ports:
  - {number: 80, name: http}
  - {number: 443, name: tls}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: anywhere}
spec:
  hosts: ["*.wild.example.com"]
  resolution: NONE
  ports: [{number: 443, name: tls}, {number: 80, name: http}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-1}
spec: {address: 10.0.0.9, labels: {app: reviews, version: v1, security.istio.io/tlsMode: istio}, serviceAccount: reviews}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-2}
spec: {address: 10.0.0.11, labels: {app: reviews, version: v2}, serviceAccount: reviews}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool:
      tcp: {maxConnections: 10, connectTimeout: 2s, tcpKeepalive: {time: 10s, interval: 5s, probes: 3}, idleTimeout: 60s}
      http: {http1MaxPendingRequests: 5, maxRequestsPerConnection: 7, idleTimeout: 30s, maxRetries: 2}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: outside}
spec:
  host: s3.example.com
  trafficPolicy:
    portLevelSettings:
    - {port: {number: 80}, tls: {mode: SIMPLE, caCertificates: /etc/ssl/certs/ca-certificates.crt}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: canary
    match:
    - {uri: {prefix: /v}, headers: {end-user: {exact: jason}, trace: {}}, withoutHeaders: {x: {regex: a+}}, queryParams: {q: {prefix: a}}}
    - {uri: {exact: /exact}, method: {exact: GET}, ignoreUriCase: true}
    rewrite: {uri: /w, authority: other}
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx,503"}
    timeout: 10s
    headers: {request: {set: {a: b}, add: {c: d}, remove: [e]}, response: {set: {f: g}}}
    route:
    - {destination: {host: reviews, subset: v1}, weight: 70, headers: {request: {set: {v: "1"}}}}
    - {destination: {host: reviews, subset: v2}, weight: 30}
  - match: [{uri: {regex: "/old/.*"}}]
    redirect: {uri: /new, authority: elsewhere, redirectCode: 308}
  - match: [{uri: {prefix: /direct}}]
    directResponse: {status: 418, body: {string: teapot}}
  - match: [{uri: {prefix: /re}}]
    rewrite: {uriRegexRewrite: {match: "^/re/(.*)", rewrite: '/\\1'}}
    route: [{destination: {host: reviews, subset: absent}}]
  - route: [{destination: {host: reviews, port: {number: 80}}}]
  tcp:
  - match: [{port: 90}]
    route:
    - {destination: {host: reviews, subset: v1}, weight: 1}
    - {destination: {host: reviews, subset: v2}, weight: 3}
"""

EDGE = """
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 8081, name: plain, protocol: HTTP}, hosts: ["secure.example.com"], tls: {httpsRedirect: true}}
  - {port: {number: 8444, name: pass, protocol: TLS}, hosts: ["*.pass.example.com"], tls: {mode: PASSTHROUGH}}
  - {port: {number: 8445, name: mesh, protocol: HTTPS}, hosts: ["mesh.example.com"], tls: {mode: ISTIO_MUTUAL}}
  - {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: ["*"]
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /reviews}}]
    route: [{destination: {host: reviews, port: {number: 80}}}]
  tcp:
  - match: [{port: 9000}]
    route: [{destination: {host: reviews, port: {number: 90}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pass}
spec:
  hosts: [a.pass.example.com]
  gateways: [edge]
  tls:
  - match: [{sniHosts: [a.pass.example.com]}]
    route: [{destination: {host: reviews, port: {number: 90}}}]
"""

PEERS = """
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: %s}}
"""

BOUND = {"http": {"bind": 21001, "app": 21002}, "tcp": {"bind": 21003, "app": 21004}, "any": {"bind": 21005, "app": 21006}}
CALLED = {"reviews.default.svc.cluster.local:80": 21010, "reviews.default.svc.cluster.local:90": 21011, "s3.example.com:443": 21012}


def test_a_redirecting_sidecar_is_accepted_in_every_mutual_tls_mode(mesh, view, envoy):
    for mode in ("STRICT", "PERMISSIVE", "DISABLE"):
        envoy(mesh(MESH + PEERS % mode), view(agent="envoy", LABELS={"app": "reviews"}))


def test_a_registry_only_mesh_with_json_logs_is_accepted(mesh, view, envoy):
    settings = "accessLogEncoding: JSON\n    outboundTrafficPolicy: {mode: REGISTRY_ONLY}"
    text = MESH.replace("accessLogFile: /dev/stdout", f"accessLogFile: /dev/stdout\n    {settings}")
    envoy(mesh(text), view(agent="envoy"))


def test_a_sidecar_without_capture_is_accepted(mesh, view, envoy):
    envoy(mesh(MESH), view(agent="envoy", LABELS={"app": "reviews"}, INTERCEPTION_MODE="NONE", HTTP_PROXY_PORT="15007"))


def test_a_sidecar_with_ports_of_its_own_is_accepted(mesh, view, envoy):
    metadata = {"INTERCEPTION_MODE": "NONE", "INBOUND_PORTS": BOUND, "OUTBOUND_PORTS": CALLED, "HTTP_PROXY_PORT": 15007}
    envoy(mesh(MESH), view(agent="envoy", LABELS={"app": "reviews"}, **metadata))


def test_a_gateway_is_accepted(mesh, view, envoy):
    envoy(mesh(MESH + EDGE), view("router", agent="envoy", LABELS={"istio": "ingressgateway"}))
