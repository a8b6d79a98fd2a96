"""Rules of Gateway, ServiceEntry, WorkloadEntry, PeerAuthentication and of metadata beyond their schemas."""

# ruff: noqa: E501  (tables of one case a line)

import pytest

from pymesh.api import parse_text


def server(text, port="{number: 443, name: https, protocol: HTTPS}"):
    return f"servers: [{{port: {port}, hosts: [a.example.com], {text}}}]"


HTTP = "{number: 80, name: http, protocol: HTTP}"
TCP = "{number: 9, name: tcp, protocol: TCP}"
SERVICE = "hosts: [a.example.com]\nports: [{number: 80, name: http, protocol: HTTP}]\n"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Gateway", "selector: {istio: edge}\n" + server("", HTTP)),
        ("Gateway", server("tls: {httpsRedirect: true}", HTTP)),
        ("Gateway", server("tls: {httpsRedirect: true}", "{number: 80, name: grpc, protocol: GRPC}")),
        ("Gateway", server("tls: {mode: PASSTHROUGH, httpsRedirect: true, minProtocolVersion: TLSV1_3}", "{number: 80, name: http2, protocol: http2}")),
        ("Gateway", server("", "{number: 80, name: http, protocol: HTTP, targetPort: 0}")),
        ("Gateway", server("tls: {mode: SIMPLE, credentialName: c, cipherSuites: [ALL, '-AES128-SHA', '[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]', AES256-SHA]}")),
        ("Gateway", server("tls: {mode: SIMPLE, credentialName: c}")),
        ("Gateway", server("tls: {mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /a}")),
        ("Gateway", server("tls: {mode: PASSTHROUGH}")),
        ("Gateway", server("tls: {mode: ISTIO_MUTUAL}")),
        ("Gateway", "servers: [{port: " + HTTP + ", hosts: ['*', 'ml/*', './a.b', '*/*.example.com']}]"),
        ("Gateway", server("bind: unix:///run/x", "{number: 0, name: http, protocol: HTTP}")),
        ("ServiceEntry", SERVICE + "resolution: DNS\nlocation: MESH_EXTERNAL"),
        ("ServiceEntry", SERVICE + "resolution: STATIC\nlocation: MESH_INTERNAL\nworkloadSelector: {labels: {app: a}}"),
        ("ServiceEntry", SERVICE + "resolution: STATIC\naddresses: [10.0.0.0/8]\nendpoints: [{address: 10.1.1.1, ports: {http: 8080}, labels: {v: '1'}}]"),
        ("ServiceEntry", SERVICE + "resolution: STATIC\nendpoints: [{address: 'unix:///run/x'}]"),
        ("ServiceEntry", "hosts: ['*.example.com']\nports: [{number: 443, name: tls, protocol: tls}]"),
        ("ServiceEntry", "hosts: ['*.example.com']\nresolution: DYNAMIC_DNS\nports: [{number: 443, name: tls, protocol: TLS}]"),
        ("ServiceEntry", SERVICE + "exportTo: ['~']"),
        ("ServiceEntry", "hosts: [a.b, c.d]\nresolution: DNS\nports: [{number: 1, name: a, protocol: HTTP}, {number: 2, name: b, protocol: HTTPS}]"),
        ("ServiceEntry", "hosts: [a.b, c.d]\nports: [{number: 1, name: a, protocol: TCP}, {number: 2, name: b}]"),
        ("ServiceEntry", "hosts: ['*-a.example.com']\nresolution: DYNAMIC_DNS\nports: [{number: 443, name: tls, protocol: TLS}]"),
        ("ServiceEntry", "hosts: ['*.a.b']\nresolution: DNS\nendpoints: [{address: c.d}, {address: 10.0.0.1}]"),
        ("WorkloadEntry", "address: 10.0.0.1\nports: {http: 8080}\nlabels: {app: a}\nlocality: us/west\nweight: 1\nserviceAccount: sa"),
        ("WorkloadEntry", "address: vm.example.com"),
        ("PeerAuthentication", "mtls: {mode: STRICT}"),
        ("PeerAuthentication", "selector: {matchLabels: {app: a}}\nportLevelMtls: {8080: {mode: DISABLE}, '9090': {mode: UNSET}}"),
        ("PeerAuthentication", "{}"),
    ],
)
def test_a_good_resource_has_no_problems(told, kind, spec):
    assert told(kind, spec) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{}", "error spec: needs at least one server"),
        ("servers: [{port: " + HTTP + ", hosts: []}]", "error servers[0].hosts: needs at least one host"),
        ("servers: [{port: " + HTTP + ", hosts: [reviews]}]", 'error servers[0].hosts[0]: "reviews" is a short name; full host names are needed here'),
        ("servers: [{port: " + HTTP + ", hosts: ['*a.b']}]", 'error servers[0].hosts[0]: the wildcard of "*a.b" must be a whole label'),
        ("servers: [{port: " + HTTP + ", hosts: ['a.b/c.d']}]", 'error servers[0].hosts[0]: "a.b" is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        ("servers: [{port: " + HTTP + ", hosts: ['*']}, {port: " + HTTP + ", hosts: ['*']}]", 'error servers[1].port.name: the port name "http" is used twice'),
        (server("", "{number: 0, name: http, protocol: HTTP}"), "error servers[0].port.number: the port 0 is not between 1 and 65535"),
        (server("bind: unix:///run/x", HTTP), "error servers[0].port.number: the port of a Unix socket must be 0"),
        (server("bind: eth0", HTTP), 'error servers[0].bind: "eth0" is neither an IP address nor unix://'),
        (server("", "{number: 80, name: x, protocol: QUIC}"), 'error servers[0].port.protocol: "QUIC" is not a protocol (HTTP, HTTPS, HTTP2, HTTP_PROXY, GRPC, GRPC-WEB, MONGO, MYSQL, REDIS, TCP, TLS, UDP)'),
        (server("", "{number: 80, name: '', protocol: HTTP}"), "error servers[0].port.name: a port must have a name"),
        (server("", "{number: 80, name: x, protocol: HTTP, targetPort: 8080}"), "error servers[0].port.targetPort: targetPort is no longer supported, by Istio either"),
        (server(""), "error servers[0]: a port of protocol HTTPS needs tls"),
        (server("tls: {mode: SIMPLE, credentialName: c}", HTTP), "error servers[0].tls: a port of protocol HTTP may only have tls.httpsRedirect"),
        (server("tls: {}", TCP), "error servers[0].tls: a port of protocol TCP cannot have tls"),
        (server("tls: {mode: SIMPLE}"), 'error servers[0].tls: mode SIMPLE needs "serverCertificate" (or credentialName)'),
        (server("tls: {mode: MUTUAL, serverCertificate: /c, privateKey: /k}"), 'error servers[0].tls: mode MUTUAL needs "caCertificates" (or credentialName)'),
        (server("tls: {mode: SIMPLE, tlsCertificates: [{serverCertificate: /c}]}"), 'error servers[0].tls.tlsCertificates[0]: mode SIMPLE needs "privateKey" (or credentialName)'),
        (server("tls: {mode: SIMPLE, credentialName: c, credentialNames: [d]}"), "error servers[0].tls.credentialNames: only one of serverCertificate with privateKey, credentialName, credentialNames and tlsCertificates can be set"),
        (server("tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k, credentialName: d}"), "error servers[0].tls.credentialName: only one of serverCertificate with privateKey, credentialName, credentialNames and tlsCertificates can be set"),
        (server("tls: {mode: PASSTHROUGH, caCrl: /r}"), "warning servers[0].tls.caCrl: is ignored: a server that passes TLS through has no certificate"),
        (server("tls: {mode: SIMPLE, credentialName: c, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, TLS_AES]}"), 'warning servers[0].tls.cipherSuites[1]: "TLS_AES" is no cipher suite that proxies know, and is left out'),
        (server("tls: {httpsRedirect: true, caCertificates: /a}", HTTP), "error servers[0].tls: a port of protocol HTTP may only have tls.httpsRedirect"),
        (server("bind: unix://run", "{number: 0, name: http, protocol: HTTP}"), "error servers[0].bind: a Unix socket must be an absolute path, not a folder, or an abstract name (@name)"),
        (server("tls: {mode: SIMPLE, credentialNames: [a, b, c]}"), "error servers[0].tls.credentialNames: at most 2 certificates are served"),
        (server("tls: {mode: ISTIO_MUTUAL, credentialName: c}"), "error servers[0].tls.credentialName: mode ISTIO_MUTUAL uses the workload's own certificate"),
        (server("tls: {mode: SIMPLE, credentialNames: []}"), "error servers[0].tls.credentialNames: must not be empty"),
        (server("tls: {credentialName: c}"), "warning servers[0].tls.credentialName: is ignored: a server that passes TLS through has no certificate"),
        (server("tls: {mode: MUTUAL, credentialName: c, caCrl: /r}"), "warning servers[0].tls.caCrl: is not used: the revocation list comes with the credential, not beside it"),
        (server("tls: {credentialName: c, caCrl: /r}"), "error servers[0].tls.caCrl: is not used: the revocation list comes with the credential, not beside it"),
        (server("tls: {mode: ISTIO_MUTUAL, caCrl: /r}"), "warning servers[0].tls.caCrl: mode ISTIO_MUTUAL uses the workload's own certificate"),
        ("servers: [{port: " + HTTP + ", hosts: ['*']}]\nselector: {a: b c}", 'warning selector.a: "b c" is not a valid label value'),
        (server("tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k, caCrl: /r}"), "error servers[0].tls.caCrl: mode SIMPLE checks no client certificates, so it needs no revocation list"),
        (server("tls: {mode: SIMPLE, credentialName: c, httpsRedirect: true}"), "warning servers[0].tls.httpsRedirect: has an effect on HTTP ports only"),
        (server("tls: {mode: SIMPLE, credentialName: c, minProtocolVersion: TLSV1_0}"), "warning servers[0].tls.minProtocolVersion: TLS below 1.2 needs cipherSuites: none of the default ones allows it"),
        (server("tls: {mode: SIMPLE, credentialName: c, cipherSuites: [A, A]}"), 'warning servers[0].tls.cipherSuites[1]: "A" is listed twice'),
    ],
)
def test_a_broken_gateway_is_told_at_its_field(told, spec, expected):
    assert expected in told("Gateway", spec)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hosts: []", "error hosts: needs at least one host"),
        ("hosts: ['*']", 'error hosts[0]: the host "*" is not allowed'),
        ("hosts: ['*a.com']", 'warning hosts[0]: the wildcard of "*a.com" covers a part of a label; proxies may not match it'),
        (SERVICE + "addresses: [ten]", 'error addresses[0]: "ten" is not an IP address or a CIDR block'),
        (SERVICE + "resolution: DNS\naddresses: [10.0.0.0/8]", "error addresses[0]: a CIDR block cannot stand with resolution DNS"),
        ("hosts: [a]\nports: [{number: 80, name: a}, {number: 80, name: a}]", "error ports[1].number: the port 80 is listed twice"),
        ("hosts: [a]\nports: [{number: 80, name: a}, {number: 81, name: a}]", 'error ports[1].name: the port name "a" is used twice'),
        ("hosts: [a]\nports: [{number: 80, name: a, protocol: QUIC}]", 'error ports[0].protocol: "QUIC" is not a protocol (HTTP, HTTPS, HTTP2, HTTP_PROXY, GRPC, GRPC-WEB, MONGO, MYSQL, REDIS, TCP, TLS, UDP)'),
        ("hosts: [a]\nports: [{number: 80, name: a.b, targetPort: 0}]", "error ports[0].targetPort: the port 0 is not between 1 and 65535"),
        (SERVICE + "resolution: STATIC\nworkloadSelector: {labels: {a: b}}\nendpoints: [{address: 10.0.0.1}]", 'error endpoints: "endpoints" and "workloadSelector" cannot be set together'),
        (SERVICE + "endpoints: [{address: 10.0.0.1}]", "error endpoints: resolution NONE takes the address of the connection, so endpoints have no meaning"),
        (SERVICE + "resolution: STATIC\nendpoints: [{address: a.b}]", 'error endpoints[0].address: resolution STATIC needs an IP address, found "a.b"'),
        (SERVICE + "resolution: STATIC\nendpoints: [{}]", "error endpoints[0]: needs an address (or a network that knows one)"),
        (SERVICE + "resolution: STATIC\nendpoints: [{address: 10.0.0.1, ports: {grpc: 1}}]", 'error endpoints[0].ports.grpc: the service has no port named "grpc"'),
        (SERVICE + "resolution: STATIC\nendpoints: [{address: 'unix://x', ports: {http: 1}}]", "error endpoints[0].ports: a Unix socket has no ports"),
        ("hosts: [a]\nresolution: STATIC\nendpoints: [{address: 'unix:///x'}]", "error endpoints[0].address: a Unix socket needs a service with exactly one port"),
        ("hosts: ['*.a.b']\nresolution: DNS", "error hosts[0]: resolution DNS without endpoints looks the host up, so it must not be a wildcard"),
        (SERVICE + "resolution: DNS_ROUND_ROBIN\nendpoints: [{address: a.b}, {address: c.d}]", "error endpoints[1]: resolution DNS_ROUND_ROBIN allows one endpoint"),
        (SERVICE + "resolution: DYNAMIC_DNS", 'error hosts[0]: resolution DYNAMIC_DNS is for wildcard hosts, "a.example.com" is none'),
        ("hosts: ['*.a.b']\nresolution: DYNAMIC_DNS\nports: [{number: 1, name: a}]", "error ports[0]: resolution DYNAMIC_DNS needs a protocol that names the host (HTTP, HTTP2, GRPC, TLS)"),
        ("hosts: ['*.a.b']\nresolution: DYNAMIC_DNS\nports: [{number: 1, name: a, protocol: HTTPS}]", "error ports[0]: resolution DYNAMIC_DNS needs a protocol that names the host (HTTP, HTTP2, GRPC, TLS)"),
        ("hosts: [a, b]\nresolution: DNS\nports: [{number: 1, name: a, protocol: TCP}]", "error ports[0]: several hosts can only share ports whose protocol names the host, HTTP or TLS"),
        ("hosts: [a, b]\nresolution: STATIC\nports: [{number: 1, name: a, protocol: MONGO}]", "error ports[0]: several hosts can only share ports whose protocol names the host, HTTP or TLS"),
        ("hosts: [a, b]\nresolution: DNS\nports: [{number: 1, name: http}]", "error ports[0]: several hosts can only share ports whose protocol names the host, HTTP or TLS"),
        ("hosts: [a, b]\nresolution: DNS\naddresses: [10.0.0.1]\nports: [{number: 1, name: a, protocol: TLS}]", "warning addresses: several hosts share these addresses, and port 1 is found by address"),
        ("hosts: ['*.a.b']\nresolution: DNS\nworkloadSelector: {labels: {a: b}}", "error hosts[0]: resolution DNS without endpoints looks the host up, so it must not be a wildcard"),
        (SERVICE + "resolution: DNS\nendpoints: [{network: n}]", "error endpoints[0]: resolution DNS needs a host name or an IP address"),
        (SERVICE + "resolution: DNS\nendpoints: [{address: 'unix:///a'}]", "error endpoints[0]: resolution DNS needs a host name or an IP address"),
        (SERVICE + "workloadSelector: {labels: {a: b}}", "warning workloadSelector: has no effect with resolution NONE"),
        (SERVICE + "resolution: STATIC\nworkloadSelector: {}", "warning workloadSelector: a selector without labels selects every workload of the namespace"),
        (SERVICE + "resolution: STATIC\nworkloadSelector: {labels: {'': a}}", "error workloadSelector.labels[\"\"]: a label key must not be empty"),
        (SERVICE + "resolution: STATIC\nworkloadSelector: {labels: {a: '*'}}", "error workloadSelector.labels.a: wildcards are not supported in a selector"),
    ],
)
def test_a_broken_service_entry_is_told_at_its_field(told, spec, expected):
    assert expected in told("ServiceEntry", spec)


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("WorkloadEntry", "{}", "error spec: needs an address (or a network that knows one)"),
        ("WorkloadEntry", "network: n", "warning spec: has no address: its network's gateway has to know it"),
        ("WorkloadEntry", "address: '*.a'", 'error address: the host "*.a" must not hold a wildcard'),
        ("WorkloadEntry", "address: unix:///run/", "error address: a Unix socket must be an absolute path, not a folder, or an abstract name (@name)"),
        ("WorkloadEntry", "address: 10.0.0.1\nports: {http: 65536}", "error ports.http: the port 65536 is not between 1 and 65535"),
        ("WorkloadEntry", "address: 10.0.0.1\nlabels: {'a b': c}", 'error labels["a b"]: "a b" is not a valid label key'),
        ("PeerAuthentication", "portLevelMtls: {80: {mode: STRICT}}", "error portLevelMtls: needs a selector: the ports are those of workloads, not of services"),
        ("PeerAuthentication", "selector: {matchLabels: {a: b}}\nportLevelMtls: {}", "error portLevelMtls: needs at least one port"),
        ("PeerAuthentication", "selector: {matchLabels: {a: b}}\nportLevelMtls: {0: {mode: STRICT}}", 'error portLevelMtls["0"]: the port 0 is not between 1 and 65535'),
        ("PeerAuthentication", "selector: {matchLabels: {a: b}}\nportLevelMtls: {http: {mode: STRICT}}", 'error portLevelMtls.http: the key "http" must be a whole number'),
        ("PeerAuthentication", f"portLevelMtls:\n  ? {'9' * 5000}\n  : {{}}", f'error portLevelMtls["{"9" * 5000}"]: the key "{"9" * 5000}" must be a whole number of fewer digits'),
        ("PeerAuthentication", "selector: {matchLabels: {'': b}}", 'error selector.matchLabels[""]: a label key must not be empty'),
    ],
)
def test_a_broken_resource_is_told_at_its_field(told, kind, spec, expected):
    assert expected in told(kind, spec)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("{name: Reviews}", '"Reviews" is not a valid name (lower-case letters, digits, "-" and ".", at most 253)'),
        ("{name: a, namespace: a.b}", '"a.b" is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        ("{name: a, labels: {app: '-'}}", '"-" is not a valid label value'),
        ("{name: a, annotations: {internal.istio.io/parents: x}}", "this annotation is reserved for the control plane"),
        ("{name: a, annotations: {istio.io/dry-run: 'true'}}", "a dry run is only for AuthorizationPolicy"),
    ],
)
def test_broken_metadata_is_told(metadata, expected):
    (problem,) = parse_text(f"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {metadata}", "f").problems
    assert problem.message.endswith(expected)
    assert problem.line == 3


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a.b}\nspec: {servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}]}",
            ['f:3:18: error: Gateway a.b: metadata.name: "a.b" is not a DNS label (letters, digits and inner hyphens, at most 63)'],
        ),
        ("apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: a.b}\nspec: {controllerName: a.b/c}", []),
        (
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, labels: {istio.io/use-waypoint: w}}\nspec: {hosts: ['*.a.b'], ports: [{number: 80, name: h, protocol: HTTP}], resolution: DYNAMIC_DNS, location: MESH_INTERNAL}",
            ["f:4:109: error: ServiceEntry a: spec.location: location MESH_INTERNAL with resolution DYNAMIC_DNS cannot have a waypoint"],
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, labels: {istio.io/use-waypoint: None}}\nspec: {hosts: ['*.a.b'], ports: [{number: 80, name: h, protocol: HTTP}], resolution: DYNAMIC_DNS, location: MESH_INTERNAL}",
            [],
        ),
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, annotations: {istio.io/dry-run: 'true'}}\nspec: {action: AUDIT, rules: [{}]}",
            ['f:3:53: error: AuthorizationPolicy a: metadata.annotations["istio.io/dry-run"]: a dry run is only for the actions ALLOW and DENY'],
        ),
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, annotations: {istio.io/dry-run: 'true'}}\nspec: {action: DENY, rules: [{}]}",
            [],
        ),
    ],
)
def test_metadata_must_go_with_the_spec(head, expected):
    assert [str(problem) for problem in parse_text(head, "f").problems] == expected
