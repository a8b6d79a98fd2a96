"""For every rule a mesh that it has something to say of, and one of which it has not."""

from .meshes import allow, entry, gateway, http_filter, kube, mtls, new_cluster, policy, route, server, telemetry, thing, to

REVIEWS = thing(
    "ServiceEntry",
    "reviews",
    "{hosts: [reviews.default.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http}],"
    " endpoints: [{address: 10.0.0.1, labels: {version: v1}}]}",
)
TWO_PORTS = REVIEWS.replace("name: http}", "name: http}, {number: 81, name: grpc}")
SUBSETS = thing("DestinationRule", "reviews", "{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}")
POD = thing("Pod", "web-1, labels: {app: web}", "{serviceAccountName: web}\nstatus: {podIP: 10.0.0.5}")
SIMPLE = ", tls: {mode: SIMPLE, credentialName: web}"
EDGE = gateway(server())
SECURE = server(443, protocol="HTTPS", rest=SIMPLE)
INGRESS_TLS = (
    "{ingress: [{port: {number: 8443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k},"
    " defaultEndpoint: '127.0.0.1:8080'}]}"
)
APP_B = ", selector: {matchLabels: {app: b}}"
VERSIONED = thing(
    "EnvoyFilter",
    "a",
    "{priority: 1, configPatches: [{applyTo: HTTP_FILTER, match: {proxy: {proxyVersion: '1.*'}}, "
    "patch: {operation: ADD, value: {name: mine, disabled: true}}}]}",
)
FRONT = "{gatewayClassName: istio, listeners: [{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: %s}]}}]}"
ATTACHED = "{parentRefs: [{name: front, sectionName: %s}], rules: [{backendRefs: [{name: reviews, port: 80}]}]}"
MESH = thing("ConfigMap", "istio", "data: {mesh: ''}\n", "istio-system")


def settings(text):
    return MESH.replace("mesh: ''", f"mesh: '{text}'")


def networks(gateway):
    network = f"{{endpoints: [{{fromRegistry: Kubernetes}}], gateways: [{{{gateway}}}]}}"
    return MESH.replace("mesh: ''", f"meshNetworks: 'networks: {{n: {network}}}'")


OTHER_MESH = thing("ConfigMap", "istio", "data: {mesh: ''}\n", "other")
HTTP_9 = "ports: [{number: 9, name: http}], addresses: [10.9.9.9]"

CALLER = thing("Pod", "caller", "{}\nstatus: {podIP: 10.0.0.6}", annotations="{inject.istio.io/templates: grpc-agent}")


def carrying(annotations, kind="Service", spec="{ports: [{port: 9, name: http}]}", name="a"):
    return thing(kind, name, spec, annotations=f"{{{annotations}}}")


CASES = {
    "destination-host": (to("host: nobody"), REVIEWS + to("host: reviews"), "no service has the host nobody.default.svc"),
    "destination-subset": (
        REVIEWS + SUBSETS + to("host: reviews, subset: v2"),
        REVIEWS + SUBSETS + to("host: reviews, subset: v1"),
        "a subset v2",
    ),
    "destination-port-required": (TWO_PORTS + to("host: reviews"), TWO_PORTS + to("host: reviews, port: {number: 81}"), "the ports 80, 81"),
    "destination-port": (
        REVIEWS + to("host: reviews, port: {number: 8}"),
        REVIEWS + to("host: reviews, port: {number: 80}"),
        "has no port 8",
    ),
    "gateway-exists": (
        route("directResponse: {status: 200}", head="hosts: [a.example.com], gateways: [mesh, nowhere]"),
        EDGE + route("directResponse: {status: 200}", head="hosts: [a.example.com], gateways: [mesh, edge]"),
        "no Gateway nowhere",
    ),
    "delegate-exists": (
        route("delegate: {name: gone}"),
        route("delegate: {name: d}") + route("directResponse: {status: 200}", "d", "exportTo: ['*']"),
        "no delegate default/gone",
    ),
    "delegate-unused": (
        route("directResponse: {status: 200}", "d", "exportTo: ['*']"),
        route("delegate: {name: d}") + route("directResponse: {status: 200}", "d", "exportTo: ['*']"),
        "no route delegates to it",
    ),
    "mesh-host-conflict": (
        route("directResponse: {status: 200}") + route("directResponse: {status: 201}", "b"),
        route("directResponse: {status: 200}") + route("directResponse: {status: 201}", "b", "hosts: [ratings]"),
        "VirtualService default/a rules the host reviews.default.svc.cluster.local, too",
    ),
    "gateway-hosts": (
        EDGE + route("directResponse: {status: 200}", head="hosts: [b.example.com], gateways: [edge]"),
        EDGE + route("directResponse: {status: 200}", head="hosts: ['*.example.com'], gateways: [edge]"),
        "Gateway edge has no server for any of the hosts b.example.com",
    ),
    "match-gateway": (
        EDGE + route("match: [{gateways: [edge]}], directResponse: {status: 200}"),
        EDGE + route("match: [{gateways: [edge]}], directResponse: {status: 200}", head="hosts: [a.example.com], gateways: [edge]"),
        "http[0].match[0].gateways[0]: edge is none",
    ),
    "lone-weight": (
        REVIEWS + to("host: reviews", ", weight: 20"),
        REVIEWS + to("host: reviews", ", weight: 100"),
        "weight 20 has no effect",
    ),
    "repeated-destination": (
        REVIEWS
        + route("route: [{destination: {host: reviews}, weight: 1}, {destination: {host: reviews.default.svc.cluster.local}, weight: 1}]"),
        REVIEWS + route("route: [{destination: {host: reviews}, weight: 1}, {destination: {host: reviews, subset: v1}, weight: 1}]"),
        "is a destination of this route already",
    ),
    "rule-host": (
        policy("tls: {mode: DISABLE}", host="nobody"),
        REVIEWS + policy("tls: {mode: DISABLE}", host="'*.default.svc.cluster.local'"),
        "no service has the host nobody",
    ),
    "subset-instances": (REVIEWS + SUBSETS.replace("version: v1", "version: v9"), REVIEWS + SUBSETS, "subset v1 selects none"),
    "subset-labels": (REVIEWS + SUBSETS.replace("version: v1", ""), REVIEWS + SUBSETS, "subset v1 has no labels"),
    "duplicate-subset": (
        SUBSETS + SUBSETS.replace("name: reviews", "name: other"),
        SUBSETS + SUBSETS.replace("name: reviews", "name: other").replace("name: v1", "name: v2"),
        "DestinationRule reviews defines a subset v1",
    ),
    "duplicate-policy": (
        policy("tls: {mode: DISABLE}") + policy("tls: {mode: SIMPLE}", "b"),
        policy("tls: {mode: DISABLE}") + SUBSETS,
        "DestinationRule a has a trafficPolicy",
    ),
    "unverified-destination": (
        policy("tls: {mode: SIMPLE}"),
        policy("tls: {mode: SIMPLE, caCertificates: /ca.pem}"),
        "tls mode SIMPLE without",
    ),
    "unverified-port": (
        policy("portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]"),
        policy("tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]"),
        "tls mode SIMPLE without",
    ),
    "plaintext-to-strict": (
        REVIEWS + mtls("STRICT") + policy("tls: {mode: DISABLE}"),
        REVIEWS + mtls("PERMISSIVE") + policy("tls: {mode: DISABLE}"),
        "refuse all but mutual TLS",
    ),
    "mutual-to-plaintext": (
        REVIEWS + mtls("DISABLE") + policy("tls: {mode: ISTIO_MUTUAL}"),
        REVIEWS + policy("tls: {mode: ISTIO_MUTUAL}"),
        "switches mutual TLS off",
    ),
    "policy-port": (
        REVIEWS + policy("portLevelSettings: [{port: {number: 8}, tls: {mode: DISABLE}}]"),
        REVIEWS + policy("portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]"),
        "has no port 8",
    ),
    "credential-exists": (gateway(SECURE.replace("web", "gone")), gateway(SECURE), "no credential gone in any namespace"),
    "credential-pair": (gateway(SECURE.replace("web", "half")), gateway(SECURE), "half lacks a certificate"),
    "credential-authority": (
        gateway(SECURE.replace("SIMPLE", "MUTUAL")),
        gateway(SECURE.replace("SIMPLE", "MUTUAL").replace("web", "both")),
        "the credential web has no authority",
    ),
    "port-kind": (
        gateway(f"{server()}, {server(protocol='TCP')}"),
        gateway(f"{server()}, {server(81, protocol='TCP')}"),
        "port 80 already speaks HTTP",
    ),
    "gateway-conflict": (
        EDGE + gateway(server(), "b"),
        EDGE + gateway(server(), "b", "{istio: b}"),
        "Gateway default/edge has the host a.example.com on port 80",
    ),
    "shared-certificate": (
        gateway(SECURE) + gateway(SECURE.replace("a.example", "b.example"), "b"),
        gateway(f"{SECURE}, {SECURE.replace('a.example', 'b.example').replace('p443', 'q443')}"),
        "Gateway default/edge uses the certificate web",
    ),
    "gateway-unused": (
        EDGE,
        EDGE + route("directResponse: {status: 200}", head="hosts: [a.example.com], gateways: [edge]"),
        "no VirtualService is for it",
    ),
    "condition-unmet": (
        REVIEWS + thing("KubernetesGateway", "front", FRONT % "web") + thing("HTTPRoute", "r", ATTACHED % "gone"),
        REVIEWS + thing("KubernetesGateway", "front", FRONT % "web") + thing("HTTPRoute", "r", ATTACHED % "a"),
        'the Gateway has no listener "gone" (Accepted: NoMatchingParent)',
    ),
    "listener-certificate": (
        thing("KubernetesGateway", "front", FRONT % "half"),
        thing("KubernetesGateway", "front", FRONT % "web"),
        "the Secret half lacks a certificate or its key",
    ),
    "deployment-wish": (
        thing("KubernetesGateway", "front", (FRONT % "web").replace("{g", "{infrastructure: {labels: {a: b}}, g")),
        thing("KubernetesGateway", "front", FRONT % "web"),
        "infrastructure has no effect here: nothing here deploys gateways",
    ),
    "udp-port": (entry("a", "hosts: [a.b], ports: [{number: 53, name: udp-dns}]"), REVIEWS, "port 53: UDP"),
    "entry-port-name": (
        entry("a", "hosts: [a.b], ports: [{number: 9, name: web}]"),
        entry("a", "hosts: [a.b], ports: [{number: 9, name: http-web}]"),
        "port 9: neither",
    ),
    "port-name": (kube("{port: 9, name: web}"), kube("{port: 9, name: http-web}"), "port 9: neither"),
    "unresolved-instances": (
        entry("a", "hosts: [a.b], ports: [{number: 9, name: http}], workloadSelector: {labels: {app: named}}"),
        entry("a", "hosts: [a.b], ports: [{number: 9, name: http}], workloadSelector: {labels: {app: b}}"),
        "workload w has no IP address but 'w.example'",
    ),
    "addresses-required": (
        entry("a", "hosts: [a.b], ports: [{number: 9, name: http}]"),
        entry("a", "hosts: [a.b], addresses: [10.0.0.9], ports: [{number: 9, name: tcp}]")
        + entry("b", "hosts: [b.b], ports: [{number: 9, name: tcp, protocol: HTTP}]"),
        "port 9 may be TCP",
    ),
    "protocol-conflict": (
        entry("a", f"hosts: [a.b], {HTTP_9}") + entry("b", f"hosts: [A.b], {HTTP_9}").replace("name: http", "name: tcp"),
        entry("a", f"hosts: [a.b], {HTTP_9}") + entry("b", f"hosts: [A.b], {HTTP_9}"),
        "port 9 is TCP, but HTTP in ServiceEntry default/a",
    ),
    "duplicate-service": (
        entry("a", f"hosts: [a.b], {HTTP_9}") + entry("b", f"hosts: [a.b], {HTTP_9}"),
        entry("a", f"hosts: [a.b], {HTTP_9}") + entry("b", f"hosts: [c.b], {HTTP_9}"),
        "ServiceEntry default/a declares port 9",
    ),
    "selector-without-workloads": (
        entry("a", f"hosts: [a.b], {HTTP_9}, workloadSelector: {{labels: {{app: nobody}}}}"),
        entry("a", f"hosts: [a.b], {HTTP_9}, workloadSelector: {{labels: {{app: b}}}}"),
        "no workload of namespace default has the labels app=nobody",
    ),
    "workload-unselected": (
        thing("WorkloadEntry", "w", "{address: 10.0.0.7, labels: {app: x}}")
        + entry("a", f"hosts: [a.b], {HTTP_9}, workloadSelector: {{labels: {{app: b}}}}"),
        thing("WorkloadEntry", "w", "{address: 10.0.0.7, labels: {app: b}}")
        + entry("a", f"hosts: [a.b], {HTTP_9}, workloadSelector: {{labels: {{app: b}}}}")
        + thing("WorkloadEntry", "v", "{address: 10.0.0.9, labels: {app: web}}")
        + kube("{port: 9, name: http}", "selector: {app: web}", "web"),
        "no ServiceEntry or Service of its namespace selects it",
    ),
    "sidecars-port": (
        entry("a", "hosts: [a.b], ports: [{number: 15021, name: http}], addresses: [10.9.9.9]"),
        entry("a", "hosts: [a.b], ports: [{number: 15021, name: tcp}], addresses: [10.9.9.9]"),
        "port 15021 themselves",
    ),
    "speaks-first": (
        entry("a", "hosts: [a.b], ports: [{number: 9, name: mysql}]") + entry("b", "hosts: [b.b], ports: [{number: 9, name: http}]"),
        entry("a", "hosts: [a.b], ports: [{number: 9, name: tcp}]") + entry("b", "hosts: [b.b], ports: [{number: 9, name: http}]"),
        "ServiceEntry default/a has port 9",
    ),
    "several-defaults": (
        thing("Sidecar", "a", "{egress: [{hosts: ['*/*']}]}") + thing("Sidecar", "b", "{egress: [{hosts: ['*/*']}]}"),
        thing("Sidecar", "a", "{egress: [{hosts: ['*/*']}]}"),
        "Sidecar a is for all workloads",
    ),
    "same-selector": (
        "".join(thing("Sidecar", name, "{workloadSelector: {labels: {app: b}}, egress: [{hosts: ['*/*']}]}") for name in "ab"),
        "".join(
            thing("Sidecar", name, f"{{workloadSelector: {{labels: {{app: {name}}}}}, egress: [{{hosts: ['*/*']}}]}}") for name in "ab"
        ),
        "Sidecar a selects the same workloads",
    ),
    "egress-host": (
        REVIEWS + thing("Sidecar", "a", "{egress: [{hosts: ['./gone.example']}]}"),
        REVIEWS + thing("Sidecar", "a", "{egress: [{hosts: ['./*.svc.cluster.local']}]}"),
        "no service has the host gone.example",
    ),
    "root-selector": (
        thing("Sidecar", "a", "{workloadSelector: {labels: {app: b}}, egress: [{hosts: ['*/*']}]}", "istio-system"),
        thing("Sidecar", "a", "{egress: [{hosts: ['*/*']}]}", "istio-system"),
        "selects workloads of istio-system only",
    ),
    "outbound-mode": (
        thing("Sidecar", "a", "{outboundTrafficPolicy: {}}"),
        thing("Sidecar", "a", "{outboundTrafficPolicy: {mode: ALLOW_ANY}}"),
        "has no mode",
    ),
    "ingress-tls": (
        thing("Sidecar", "a", INGRESS_TLS),
        thing("Sidecar", "a", INGRESS_TLS) + mtls("DISABLE"),
        "mutual TLS is PERMISSIVE on port 8443",
    ),
    "several-peer-defaults": (
        mtls("STRICT") + mtls("DISABLE", "q"),
        mtls("STRICT") + mtls("DISABLE", "q", APP_B),
        "PeerAuthentication p is for all workloads",
    ),
    "same-peer-selector": (
        mtls("STRICT", "p", APP_B) + mtls("DISABLE", "q", APP_B),
        mtls("STRICT") + mtls("DISABLE", "q", APP_B),
        "PeerAuthentication p selects the same",
    ),
    "source-namespace": (
        allow("{from: [{source: {namespaces: [gone]}}]}"),
        allow("{from: [{source: {namespaces: [default, 'go*']}}]}"),
        "nothing is known of a namespace gone",
    ),
    "operation-method": (
        allow("{to: [{operation: {methods: [get]}}]}"),
        allow("{to: [{operation: {methods: [GET, '*']}}]}"),
        "'get' is not a method",
    ),
    "needs-mutual-tls": (
        mtls("DISABLE") + allow("{from: [{source: {namespaces: [default]}}]}"),
        mtls("STRICT") + allow("{from: [{source: {namespaces: [default]}}]}"),
        "clients have no identity",
    ),
    "principal-domain": (
        allow("{from: [{source: {principals: [td.example/ns/a/sa/b]}}]}"),
        allow("{from: [{source: {principals: [cluster.local/ns/a/sa/b, '*']}}]}"),
        "td.example is not a trust domain",
    ),
    "principal-account": (
        POD + allow("{from: [{source: {principals: [cluster.local/ns/default/sa/gone]}}]}"),
        POD + allow("{from: [{source: {principals: [cluster.local/ns/default/sa/web, cluster.local/ns/x/sa/y]}}]}"),
        "no pod of namespace default runs as service account gone",
    ),
    "operation-host": (
        REVIEWS + allow("{to: [{operation: {hosts: [gone.example]}}]}"),
        REVIEWS + allow("{to: [{operation: {hosts: ['reviews.default.svc.cluster.local:80', '*.example']}}]}"),
        "has the host gone.example",
    ),
    "app-protocol": (kube("{port: 9, appProtocol: odd}"), kube("{port: 9, appProtocol: kubernetes.io/h2c}"), "port 9: 'odd' is not"),
    "external-port-name": (
        kube("{port: 9, name: web}", "type: ExternalName, externalName: a.b"),
        kube("{port: 9, name: https-web}", "type: ExternalName, externalName: a.b"),
        "port 9: the name 'web' tells no protocol",
    ),
    "pod-protocols": (
        POD + kube("{port: 9, name: http}") + kube("{port: 8, targetPort: 9, name: tcp}", name="b"),
        POD + kube("{port: 9, name: http}") + kube("{port: 8, targetPort: 9, name: http}", name="b"),
        "port 8 is TCP, but HTTP in Service a, for the same pods",
    ),
    "pod-ports": (
        POD + kube("{port: 9, targetPort: 8080, name: http}") + kube("{port: 8, targetPort: 8080, name: http}", name="b"),
        POD + kube("{port: 9, targetPort: 8080, name: http}") + kube("{port: 9, targetPort: 8080, name: http}", name="b"),
        "port 8 leads to port 8080 of the same pods as port 9 of Service a",
    ),
    "application-user": (
        thing("Pod", "a", "{securityContext: {runAsUser: 1337}, containers: [{name: app}]}"),
        thing(
            "Pod",
            "a",
            "{securityContext: {runAsUser: 1337},"
            " containers: [{name: app, securityContext: {runAsUser: 1000}}, {name: istio-proxy, securityContext: {runAsUser: 1337}}]}",
        ),
        "container app runs as user 1337",
    ),
    "policy-selector": (
        POD + mtls("STRICT", "q", ", selector: {matchLabels: {app: gone}}"),
        POD + mtls("STRICT", "q", ", selector: {matchLabels: {app: web}}"),
        "no workload of namespace default has the labels app=gone",
    ),
    "gateway-selector": (
        POD + gateway(server(), selector="{app: gone}"),
        POD + gateway(server(), selector="{app: web}"),
        "no workload of the mesh has the labels app=gone",
    ),
    "gateway-port": (
        POD + kube("{port: 80, targetPort: 8080, name: http}") + gateway(server(81), selector="{app: web}"),
        POD + kube("{port: 80, targetPort: 8080, name: http}") + gateway(f"{server(80)}, {server(8080)}", selector="{app: web}"),
        "no Service of the gateway's pods has the port 81",
    ),
    "relative-operation": (
        http_filter("b", "INSERT_BEFORE, value: {name: b, disabled: true}", "mine"),
        http_filter("a", "ADD, value: {name: mine, disabled: true}")
        + http_filter("b", "INSERT_BEFORE, value: {name: b, disabled: true}", "mine", 1),
        "INSERT_BEFORE depends on what others have made before",
    ),
    "relative-to-versions": (
        VERSIONED + http_filter("b", "INSERT_BEFORE, value: {name: mine, disabled: true}", "x"),
        VERSIONED + http_filter("b", "INSERT_BEFORE, value: {name: other, disabled: true}", "x"),
        "INSERT_BEFORE of mine, which an EnvoyFilter for some versions",
    ),
    "beside-another": (
        http_filter("a", "ADD, value: {name: mine, disabled: true}")
        + http_filter("b", "INSERT_BEFORE, value: {name: b, disabled: true}", "mine"),
        http_filter("a", "ADD, value: {name: mine, disabled: true}")
        + http_filter("b", "INSERT_BEFORE, value: {name: b, disabled: true}", "mine", 1)
        + http_filter("c", "INSERT_BEFORE, value: {name: c, disabled: true}", "envoy.filters.http.router"),
        "stands beside mine, which EnvoyFilter default/a adds",
    ),
    "taken-name": (
        REVIEWS + new_cluster("a", "outbound|80||reviews.default.svc.cluster.local"),
        REVIEWS
        + new_cluster("a", "outbound|81||reviews.default.svc.cluster.local")
        + new_cluster("b", "mine")
        + new_cluster("c", "mine", namespace="other"),
        "the cluster outbound|80||reviews.default.svc.cluster.local is left out where reviews.default.svc.cluster.local has one",
    ),
    "idle-change": (
        REVIEWS + http_filter("a", "INSERT_BEFORE, value: {name: b, disabled: true}", "gone"),
        REVIEWS + http_filter("a", "INSERT_BEFORE, value: {name: b, disabled: true}", "envoy.filters.http.router"),
        "changes nothing of what the proxies are sent that it is for",
    ),
    "without-a-proxy": (
        CALLER + TWO_PORTS + route("mirror: {host: reviews}, route: [{destination: {host: reviews, port: {number: 81}}}]"),
        CALLER + TWO_PORTS + to("host: reviews, port: {number: 81}"),
        "http[0].mirror has no effect for gRPC without a proxy: calls are not mirrored",
    ),
    "no-effect": (thing("Telemetry", "a", "{}"), thing("ProxyConfig", "a", "{}"), "has no effect here: metrics and access logs are"),
    "second-settings": (MESH + OTHER_MESH, MESH, "the mesh is configured already"),
    "unused-settings": (settings("enableTracing: true"), settings("enableTracing: false"), "enableTracing has no effect here: no proxy"),
    "default-provider": (
        settings("defaultProviders: {accessLogging: [gone]}"),
        settings("defaultProviders: {accessLogging: [envoy], metrics: [prometheus]}"),
        "no provider gone writes access logs into a file",
    ),
    "network-gateway": (
        networks("registryServiceName: nobody.example.com, port: 1"),
        networks("address: 192.0.2.1, port: 1"),
        "nobody.example.com has no address by which others get into network n",
    ),
    "group-probe": (
        thing("WorkloadGroup", "a", "{template: {}, probe: {tcpSocket: {port: 80}}}"),
        thing("WorkloadGroup", "a", "{template: {}}"),
        "has no effect on proxies that run",
    ),
    "same-telemetry-selector": (
        telemetry("a", "{selector: {matchLabels: {app: b}}}") + telemetry("b", "{selector: {matchLabels: {app: b}}}"),
        telemetry("a") + telemetry("b", "{selector: {matchLabels: {app: b}}}"),
        "Telemetry a selects the same",
    ),
    "several-telemetry-defaults": (
        telemetry("a") + telemetry("b"),
        telemetry("a") + telemetry("b", "{selector: {matchLabels: {app: b}}}"),
        "Telemetry a is for all workloads",
    ),
    "telemetry-provider": (
        telemetry("a", "{metrics: [{providers: [{name: gone}]}]}"),
        telemetry("a", "{metrics: [{providers: [{name: prometheus}]}]}"),
        "no provider gone",
    ),
    "export-namespace": (
        REVIEWS.replace("resolution:", "exportTo: [gone], resolution:"),
        REVIEWS.replace("resolution:", "exportTo: [., istio-system], resolution:"),
        "a namespace gone",
    ),
    "misplaced-annotation": (
        carrying("networking.istio.io/exportTo: '.'", "VirtualService", "{hosts: [a.b], http: [{directResponse: {status: 200}}]}"),
        carrying("networking.istio.io/exportTo: '.'"),
        "networking.istio.io/exportTo is for Service, not for VirtualService",
    ),
    "unknown-annotation": (
        carrying("networking.istio.io/exportsTo: '.'"),
        carrying("networking.istio.io/exportTo: '.', notistio.io/x: y, internal.istio.io/x: y, kubernetes.io/x: y"),
        'Istio has no annotation networking.istio.io/exportsTo (did you mean "networking.istio.io/exportTo"?)',
    ),
    "annotation-value": (
        thing("Pod", "a", "{}", annotations="{proxy.istio.io/config: 'gatewayTopology: {numTrustedProxy: 1}'}"),
        thing("Pod", "a", "{}", annotations="{proxy.istio.io/config: 'gatewayTopology: {numTrustedProxies: 1}'}"),
        'proxy.istio.io/config: gatewayTopology.numTrustedProxy: unknown field (did you mean "numTrustedProxies"?)',
    ),
    "deprecated-annotation": (
        thing("Pod", "a", "{}", annotations="{sidecar.istio.io/inject: 'true'}"),
        thing("Pod", "a, labels: {sidecar.istio.io/inject: 'true'}", "{}", annotations="{sidecar.istio.io/inject: 'true'}"),
        "sidecar.istio.io/inject is deprecated",
    ),
    "injection-labels": (
        thing("Namespace", "a, labels: {istio-injection: enabled, istio.io/rev: canary}", "{}"),
        thing("Namespace", "a, labels: {istio.io/rev: canary}", "{}"),
        "has the labels istio-injection and istio.io/rev",
    ),
    "unused-metadata": (
        "".join(carrying("alpha.istio.io/canonical-serviceaccounts: a", name=name) for name in "ab"),
        carrying("networking.istio.io/traffic-distribution: PreferClose")
        + thing("Pod", "a, labels: {istio.io/dataplane-mode: none}", "{}"),
        "has no effect here: clients expect the identities that the instances run as (and on 1 more)",
    ),
    "metadata-for-the-start": (
        thing("Namespace", "a, labels: {istio-injection: enabled}", "{}"),
        thing("Namespace", "a, labels: {istio-injection: disabled}", "{}"),
        "label istio-injection has no effect here: nothing here injects sidecars",
    ),
    "dry-run": (
        thing("AuthorizationPolicy", "a", "{}", annotations="{istio.io/dry-run: 'T'}"),
        thing("AuthorizationPolicy", "a", "{}", annotations="{istio.io/dry-run: 'false'}"),
        "is tried out only (istio.io/dry-run)",
    ),
    "pod-settings": (
        thing("Pod", "a", "{}", annotations="{proxy.istio.io/config: 'concurrency: 2'}"),
        thing("Pod", "a", "{}", annotations="{proxy.istio.io/config: 'proxyHeaders: {server: {disabled: true}}'}"),
        "proxy.istio.io/config: concurrency counts when a proxy is started",
    ),
    "start-settings": (
        settings("defaultConfig: {concurrency: 0}") + thing("ProxyConfig", "a", "{}"),
        settings("defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}"),
        "defaultConfig.concurrency counts when a proxy is started",
    ),
    "proxy-image": (
        thing("ProxyConfig", "a", "{image: {imageType: debug}}"),
        thing("ProxyConfig", "a", "{concurrency: 1}"),
        "image.imageType has no effect here: nothing here makes pods",
    ),
    "same-proxies": (
        "".join(thing("ProxyConfig", name, "{concurrency: 1}") for name in "ab"),
        thing("ProxyConfig", "a", "{concurrency: 1}") + thing("ProxyConfig", "b", f"{{concurrency: 1{APP_B}}}"),
        "ProxyConfig a is the one for all proxies of namespace default already",
    ),
}
