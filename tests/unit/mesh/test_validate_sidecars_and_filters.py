"""Rules of Sidecar, EnvoyFilter, WorkloadGroup and ProxyConfig beyond their schemas."""

# ruff: noqa: E501  (tables of one case a line)

import pytest

PORT = "{number: 80, name: http, protocol: HTTP}"
CLASS_WARNING = "warning spec: depends on the form of what is generated, which may change with any version"


def patch(apply_to, operation="{operation: MERGE, value: {}}", match="{}"):
    return f"configPatches: [{{applyTo: {apply_to}, match: {match}, patch: {operation}}}]"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Sidecar", "egress: [{hosts: ['./*', 'istio-system/*', '~other/a.b.c', '~/*']}]"),
        ("Sidecar", "egress: [{port: {number: 0, protocol: HTTP}, bind: 'unix:///x', hosts: ['*/*']}, {hosts: ['./a.b']}]"),
        ("Sidecar", f"ingress: [{{port: {PORT}, defaultEndpoint: '127.0.0.1:8080', captureMode: NONE}}]"),
        ("Sidecar", f"ingress: [{{port: {PORT}, defaultEndpoint: 'unix:///run/x'}}]\ninboundConnectionPool: {{http: {{http2MaxRequests: 1}}}}"),
        ("Sidecar", "ingress: [{port: {number: 443, protocol: HTTPS}, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}}]"),
        ("Sidecar", "workloadSelector: {labels: {app: a}}\noutboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b, port: {number: 80}}}"),
        ("Sidecar", "ingress: [{port: {number: 80}, defaultEndpoint: ''}]"),
        ("ProxyConfig", "image: {imageType: centos}"),
        ("Sidecar", "egress: [{port: {number: 80}, bind: 10.0.0.1, hosts: ['*/*.a.b', ./a.b, '~/*']}]"),
        ("Sidecar", "egress: [{hosts: ['*/*', '~secret/*', '~*/a.b']}]"),
        ("Sidecar", "egress: [{port: {number: 0, protocol: HTTP}, bind: 'unix:///a', hosts: [./*]}, {port: {protocol: HTTP}, bind: 'unix://@a', captureMode: NONE, hosts: [./*]}]"),
        ("WorkloadGroup", "template: {ports: {http: 8080}, labels: {app: a}}\nprobe: {httpGet: {port: 80, scheme: HTTPS}, periodSeconds: 1}"),
        ("WorkloadGroup", "template: {}\nprobe: {exec: {command: [ls]}}\nmetadata: {labels: {a: b}, annotations: {c: d}}"),
        ("ProxyConfig", "concurrency: 0\nenvironmentVariables: {A: b}\nimage: {imageType: distroless}\nselector: {matchLabels: {app: a}}"),
    ],
)
def test_a_good_resource_has_no_problems(told, kind, spec):
    assert told(kind, spec) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{}", "error spec: needs one of ingress, egress, outboundTrafficPolicy and inboundConnectionPool"),
        ("workloadSelector: {}\negress: [{hosts: ['*/*']}]", "warning workloadSelector: a selector without labels selects every workload of the namespace"),
        ("workloadSelector: {labels: {a: 'b*'}}\negress: [{hosts: ['*/*']}]", "error workloadSelector.labels.a: wildcards are not supported in a selector"),
        ("ingress: [{port: {protocol: HTTP}}]", "error ingress[0].port: needs a number"),
        (f"ingress: [{{port: {PORT}}}, {{port: {PORT}}}]", "error ingress[1].port.number: the port 80 is used twice"),
        (f"ingress: [{{port: {PORT}, defaultEndpoint: 'localhost:80'}}]", 'error ingress[0].defaultEndpoint: "localhost:80" must be 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix://PATH'),
        (f"ingress: [{{port: {PORT}, defaultEndpoint: '127.0.0.1:70000'}}]", "error ingress[0].defaultEndpoint: the port 70000 is not between 1 and 65535"),
        (f"ingress: [{{port: {PORT}, tls: {{mode: SIMPLE}}}}]", "error ingress[0].tls: needs a port of protocol HTTPS or TLS"),
        ("inboundConnectionPool: {http: {h2UpgradePolicy: UPGRADE}}", "warning inboundConnectionPool.http.h2UpgradePolicy: has no effect towards the application, which is spoken to as its port says"),
        ("ingress: [{port: {number: 1, protocol: TLS}, tls: {mode: ISTIO_MUTUAL}}]", "error ingress[0].tls.mode: mode ISTIO_MUTUAL is for gateways, not for sidecars"),
        ("ingress: [{port: {number: 1, protocol: TLS}, tls: {credentialName: c}}]", "error ingress[0].tls.credentialName: is for gateways, not for sidecars"),
        ("ingress: [{port: {number: 1, protocol: TCP}, connectionPool: {http: {}}}]", "warning ingress[0].connectionPool.http: has no effect on a port that does not speak HTTP"),
        ("egress: [{hosts: ['*/*']}, {port: {number: 1}, hosts: ['*/*']}]", "error egress[0]: the listener without a port must be the last one"),
        ("egress: [{hosts: ['*/*']}, {hosts: ['*/*']}]", "error egress[1]: only one listener may have no port"),
        ("egress: [{port: {number: 0}, hosts: ['*/*']}]", "error egress[0].port: port 0 is for Unix sockets (bind: unix://...)"),
        ("egress: [{hosts: []}]", "error egress[0].hosts: needs at least one host"),
        ("egress: [{hosts: [a.b]}]", 'error egress[0].hosts[0]: "a.b" must be "namespace/host"'),
        ("egress: [{hosts: ['A_B/*']}]", 'error egress[0].hosts[0]: "A_B" is not a DNS label (letters, digits and inner hyphens, at most 63)'),
        ("egress: [{hosts: ['./a.b', './a.b']}]", 'warning egress[0].hosts[1]: "./a.b" is listed twice, or among others of its namespace'),
        ("egress: [{hosts: ['*/*', './a.b']}]", 'warning egress[0].hosts: "*/*" is everything: the other hosts add nothing'),
        ("outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b}}", "error outboundTrafficPolicy.egressProxy: needs a port"),
        ("outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: '*.b', port: {number: 1}}}", 'error outboundTrafficPolicy.egressProxy.host: the host "*.b" must not hold a wildcard'),
        ("egress: [{hosts: [./reviews]}]", 'error egress[0].hosts[0]: "reviews" is a short name; full host names are needed here'),
        ("ingress: [{port: {number: 80}, defaultEndpoint: ':8080'}]", 'warning ingress[0].defaultEndpoint: ":8080" has no address, which is as if it were not set, in Istio as here'),
        ("egress: [{hosts: ['./*a.b']}]", 'error egress[0].hosts[0]: the wildcard of "*a.b" must be a whole label'),
        ("egress: [{hosts: ['./*', ml/a.b]}]", 'warning egress[0].hosts[1]: "ml/a.b" is listed twice, or among others of its namespace'),
        ("egress: [{hosts: [b/a.b, b/*]}]", 'warning egress[0].hosts[1]: "b/*" is listed twice, or among others of its namespace'),
        ("egress: [{port: {number: 80}, bind: eth0, hosts: [./*]}]", 'error egress[0].bind: "eth0" is not an IP address'),
        ("egress: [{port: {number: 80}, bind: 'unix:///a', hosts: [./*]}]", 'error egress[0].bind: "unix:///a" is not an IP address'),
        ("egress: [{port: {number: 0}, bind: 'unix://a', hosts: [./*]}]", "error egress[0].bind: a Unix socket must be an absolute path, not a folder, or an abstract name (@name)"),
        ("egress: [{port: {number: 0}, bind: 'unix:///a', captureMode: IPTABLES, hosts: [./*]}]", "error egress[0].captureMode: nothing is captured for a Unix socket"),
        ("egress: [{port: {number: 0}, bind: 'unix:///a', hosts: [./*]}, {port: {number: 0}, bind: 'unix:///a', hosts: [./*]}]", 'error egress[1].bind: the socket "unix:///a" is used twice'),
        ("ingress: [{port: {number: 80}, defaultEndpoint: 'unix:///a/'}]", "error ingress[0].defaultEndpoint: a Unix socket must be an absolute path, not a folder, or an abstract name (@name)"),
        ("outboundTrafficPolicy: {mode: REGISTRY_ONLY, egressProxy: {host: a.b}}", "error outboundTrafficPolicy.egressProxy: needs mode ALLOW_ANY"),
        ("inboundConnectionPool: {}", "error inboundConnectionPool: needs tcp or http"),
    ],
)
def test_a_sidecar(told, spec, expected):
    assert expected in told("Sidecar", spec)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("configPatches: [{patch: {operation: REMOVE}}]", "error configPatches[0]: needs applyTo: what is changed"),
        ("configPatches: [{applyTo: CLUSTER}]", "error configPatches[0]: needs patch.operation: how it is changed"),
        (patch("BOOTSTRAP"), "warning configPatches[0].applyTo: BOOTSTRAP is deprecated"),
        (patch("CLUSTER", "{operation: MERGE}"), "error configPatches[0].patch: needs a value: the operation is not REMOVE"),
        (patch("CLUSTER", "{operation: MERGE, value: 1}"), "error configPatches[0].patch.value: must be an object"),
        (patch("CLUSTER", "{operation: REMOVE, value: []}"), "error configPatches[0].patch.value: must be an object"),
        (patch("CLUSTER", "{operation: REMOVE, value: {connect_timeout: soon}}"), "error configPatches[0].patch.value.connect_timeout: Duration must end with letter"),
        ("configPatches: [{match: {context: WAYPOINT}}]", "error configPatches[0].match: waypoint belongs to the context WAYPOINT, and to no other"),
        ("configPatches: [{match: {context: WAYPOINT, waypoint: {}}, patch: {operation: MERGE}}]", None),
        (patch("EXTENSION_CONFIG", "{operation: ADD, value: {name: x}}", "{listener: {name: x}}"), None),
        (patch("LISTENER_FILTER", "{operation: REMOVE}", "{cluster: {name: x}}"), None),
        (patch("CLUSTER", match="{proxy: {proxyVersion: '" + "(" * 1025 + "'}}"), "warning configPatches[0].match.proxy.proxyVersion: of more than 1024 characters is not looked at"),
        ("targetRefs: [{kind: _, name: a}]", 'error targetRefs[0].kind: "_" is not the name of a kind'),
        ("targetRefs: [{kind: Pod, name: a}]", 'warning targetRefs[0].kind: "core/Pod" is nothing that a policy can attach to'),
        (patch("CLUSTER", "{operation: REMOVE, value: {}}"), "warning configPatches[0].patch.value: is not used: the operation is REMOVE"),
        (patch("CLUSTER", "{operation: INSERT_FIRST, value: {}}"), "warning configPatches[0].patch.operation: CLUSTER stands in no order, so this is taken for ADD"),
        (patch("VIRTUAL_HOST", "{operation: REPLACE, value: {}}"), None),
        (patch("CLUSTER", "{operation: MERGE, value: {connect_timeout: soon}}"), "error configPatches[0].patch.value.connect_timeout: Duration must end with letter"),
        (patch("CLUSTER", "{operation: MERGE, value: {load_assignment: {endpoints: 1}}}"), "error configPatches[0].patch.value"),
        (patch("CLUSTER", "{operation: MERGE, value: {colour: red}}"), 'warning configPatches[0].patch.value.colour: Message type "envoy.config.cluster.v3.Cluster" has no field named "colour"; it is left out'),
        (patch("HTTP_FILTER", "{operation: INSERT_FIRST, value: {name: x, typed_config: {'@type': a.b/envoy.Nothing}}}"), 'error configPatches[0].patch.value.typed_config["@type"]: "a.b/envoy.Nothing" is no message of Envoy\'s API'),
        (patch("HTTP_ROUTE", "{operation: REPLACE, value: {name: x}}"), "warning configPatches[0].patch.operation: does nothing to HTTP_ROUTE, in Istio as here"),
        (patch("LISTENER", match="{listener: {portName: http}}"), "warning configPatches[0].match.listener.portName: is not looked at, in Istio as here"),
        (patch("HTTP_FILTER", "{operation: ADD, filterClass: AUTHZ, value: {name: x}}"), "warning configPatches[0].patch.filterClass: is not looked at: a filter stands where the operation puts it"),
        (patch("CLUSTER", match="{listener: {name: x}}"), "error configPatches[0].match.listener: CLUSTER is in no listener"),
        (patch("LISTENER", match="{cluster: {name: x}}"), "error configPatches[0].match.cluster: LISTENER is in no cluster"),
        (patch("CLUSTER", match="{routeConfiguration: {name: x}}"), "error configPatches[0].match.routeConfiguration: CLUSTER is in no route configuration"),
        (patch("CLUSTER", match="{context: WAYPOINT}"), "error configPatches[0].match: waypoint belongs to the context WAYPOINT, and to no other"),
        (patch("CLUSTER", match="{proxy: {proxyVersion: '('}}"), "configPatches[0].match.proxy.proxyVersion"),
        (patch("NETWORK_FILTER", match="{listener: {filterChain: {filter: {subFilter: {name: x}}}}}"), "error configPatches[0].match.listener.filterChain.filter: a filter is matched by its name"),
        (patch("CLUSTER", "{operation: REPLACE, value: {}}"), "warning configPatches[0].patch.operation: does nothing to CLUSTER, in Istio as here"),
        (patch("HTTP_FILTER", "{operation: ADD, value: {name: x}}"), "warning configPatches[0].patch.value: has no typed_config, and proxies find a filter by the type of that, not by its name"),
        (patch("LISTENER", match="{listener: {filterChain: {filter: {name: x}}}}"), "warning configPatches[0].match.listener.filterChain.filter: has no effect on LISTENER, in Istio as here"),
        (patch("NETWORK_FILTER", match="{listener: {filterChain: {filter: {name: envoy.tcp_proxy}}}}"), "warning configPatches[0].match.listener.filterChain.filter.name: envoy.tcp_proxy is an old name, which nothing has: it is envoy.filters.network.tcp_proxy now"),
        (patch("HTTP_FILTER", match="{listener: {filterChain: {filter: {name: h, subFilter: {name: x}}}}}"), "error configPatches[0].match.listener.filterChain.filter.name: a filter within a filter needs envoy.filters.network.http_connection_manager here"),
        (patch("HTTP_FILTER", match="{listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {}}}}}"), "error configPatches[0].match.listener.filterChain.filter.subFilter: a filter is matched by its name"),
        (patch("HTTP_FILTER", match="{listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.rate_limit}}}}}"), "warning configPatches[0].match.listener.filterChain.filter.subFilter.name: envoy.rate_limit is an old name, which nothing has: it is envoy.filters.http.ratelimit now"),
        (patch("NETWORK_FILTER", match="{listener: {filterChain: {filter: {name: h, subFilter: {name: x}}}}}"), "error configPatches[0].match.listener.filterChain.filter.subFilter: is for HTTP_FILTER only"),
        ("workloadSelector: {labels: {a: b}}\ntargetRefs: [{kind: Service, name: a}]", "error targetRefs: only one of a selector and target references can be set"),
    ],
)
def test_an_envoy_filter(told, spec, expected):
    found = told("EnvoyFilter", spec)
    assert CLASS_WARNING in found
    assert found == [CLASS_WARNING] if expected is None else any(expected in line for line in found), found


def test_a_good_envoy_filter_is_only_warned_about(told):
    good = patch("HTTP_FILTER", "{operation: INSERT_BEFORE, value: {name: x, typed_config: {'@type': a.b/envoy.extensions.filters.http.router.v3.Router}}}", "{context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: r}}}}}")
    assert told("EnvoyFilter", good + "\npriority: -1") == [CLASS_WARNING]


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("WorkloadGroup", "template: {address: 10.0.0.1}", "warning template.address: is not used: every workload brings its own address"),
        ("WorkloadGroup", "template: {address: 'unix://a'}", "error template.address: a Unix socket must be an absolute path, not a folder, or an abstract name (@name)"),
        ("WorkloadGroup", "template: {ports: {" + "a" * 63 + ": 1}}", f"error template.ports.{'a' * 63}: the name of a port has at most 62 characters here"),
        ("WorkloadGroup", "template: {labels: {a: b c}}", 'warning template.labels.a: "b c" is not a valid label value'),
        ("WorkloadGroup", "template: {ports: {http: 0}}", "error template.ports.http: the port 0 is not between 1 and 65535"),
        ("WorkloadGroup", "template: {}\nprobe: {}", "error probe: needs one of httpGet, tcpSocket, exec and grpc"),
        ("WorkloadGroup", "template: {}\nprobe: {tcpSocket: {port: 1}, timeoutSeconds: -1}", "error probe.timeoutSeconds: -1 is negative"),
        ("WorkloadGroup", "template: {}\nprobe: {httpGet: {port: 1, scheme: FTP}}", 'error probe.httpGet.scheme: "FTP" must be HTTP or HTTPS'),
        ("WorkloadGroup", "template: {}\nprobe: {httpGet: {port: 1, httpHeaders: [{name: a b}]}}", 'error probe.httpGet.httpHeaders[0].name: "a b" is not a header name of letters, digits and "-"'),
        ("WorkloadGroup", "template: {}\nprobe: {grpc: {port: 0}}", "error probe.grpc.port: the port 0 is not between 1 and 65535"),
        ("WorkloadGroup", "template: {}\nprobe: {exec: {command: []}}", "error probe.exec.command: needs a command"),
        ("ProxyConfig", "concurrency: -1", "error concurrency: -1 is negative"),
        ("ProxyConfig", "selector: {matchLabels: {a: '*'}}", "error selector.matchLabels.a: wildcards are not supported in a selector"),
    ],
)
def test_what_is_wrong_is_named(told, kind, spec, expected):
    assert expected in told(kind, spec)
