"""Objects of the Gateway API, and what became of them, in short words."""

GROUP = "gateway.networking.k8s.io/v1"
WEB = "outbound|80||web.default.svc.cluster.local"
OTHER = "outbound|80||web.other.svc.cluster.local"


def thing(kind, name, spec, namespace="default", group=GROUP, labels="{}", created=""):
    when = f", creationTimestamp: '{created}'" if created else ""
    metadata = f"{{name: {name}, namespace: {namespace}, labels: {labels}{when}}}"
    return f"---\napiVersion: {group}\nkind: {kind}\nmetadata: {metadata}\nspec: {spec}\n"


def service(name="web", namespace="default", ports="{number: 80, name: http}, {number: 9000, name: tcp}", more=""):
    text = f"{{hosts: [{name}.{namespace}.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{ports}]{more}}}"
    return thing("ServiceEntry", name, text, namespace, "networking.istio.io/v1")


def gateway(*listeners, more=""):
    return thing("Gateway", "edge", f"{{gatewayClassName: istio, listeners: [{', '.join(listeners)}]{more}}}")


def route(rules="{backendRefs: [{name: web, port: 80}]}", name="r", hostnames="", parents="{name: edge}", namespace="default", created=""):
    names = f"hostnames: [{hostnames}], " if hostnames else ""
    return thing("HTTPRoute", name, f"{{parentRefs: [{parents}], {names}rules: [{rules}]}}", namespace, created=created)


HTTP = "{name: http, port: 80, protocol: HTTP}"
SERVICES = service() + service(namespace="other")


def conditions(built, name, part="parents"):
    (status,) = (one for one in built.snapshot.gateway_api.statuses if one.name == name)
    return [(one.type, one.reason) for held in getattr(status, part) for one in held.conditions if not one.is_good]


def unmet(built):
    return [f"{one.kind} {one.name}: {bad.message}" for one in built.snapshot.gateway_api.statuses for bad in one.unmet]
