"""Services of Kubernetes whose ports say nothing or contradict one another, and selectors that match no pod."""

from collections.abc import Iterator

from ..model.kubernetes.services import host_of, is_alias
from ..model.protocol import Protocol, of_service_port
from .rule import Found, rule
from .subject import Subject

_PROXY, _PROXY_USER = "istio-proxy", 1337
"""Istio's name for the container of a sidecar, and the user that it runs as."""

_SELECTORS = {
    "AuthorizationPolicy": "selector.matchLabels",
    "EnvoyFilter": "workloadSelector.labels",
    "PeerAuthentication": "selector.matchLabels",
    "RequestAuthentication": "selector.matchLabels",
    "Sidecar": "workloadSelector.labels",
    "Telemetry": "selector.matchLabels",
}


@rule(
    "KIA0602", "warning", "an appProtocol that says nothing",
    why="It stands in the place of the port's name: whatever that says, the protocol is told from the first bytes of each connection.",
    fix="Write a protocol that Istio knows: http, http2, grpc, https, tls, tcp, kubernetes.io/h2c and their like.",
)  # fmt: skip
def app_protocol(subject: Subject) -> Iterator[Found]:
    for resource, path, port in subject.each("Service", "spec.ports[]"):
        if port.app_protocol is not None and of_service_port(port.port, port.name or "", port.app_protocol) is Protocol.AUTO:
            yield Found(resource, (*path, "appProtocol"), f"port {port.port}: {port.app_protocol!r} is not a protocol that is known")


@rule(
    "IST0150", "warning", "a port of an ExternalName Service whose name tells no protocol",
    why="What goes to a name outside is then taken for plain TCP, and its address stands for all others on this port.",
    fix="Begin the port's name with its protocol: `http-web`, `https`.",
)  # fmt: skip
def external_port_name(subject: Subject) -> Iterator[Found]:
    for resource, path, port in subject.each("Service", "spec.ports[]"):
        if is_alias(resource) and of_service_port(port.port, port.name or "", port.app_protocol) is Protocol.AUTO:
            yield Found(resource, path, f"port {port.port}: the name {port.name or ''!r} tells no protocol")


@rule(
    "IST0116", "warning", "Services say different protocols of one port of the same pods",
    why="A pod's proxy listens once on the port and can believe one of them: the other's clients are answered wrongly.",
    fix="Give the Services the same protocol, or different target ports.",
)  # fmt: skip
def pod_protocols(subject: Subject) -> Iterator[Found]:
    held: dict[tuple[str, str, int], tuple[str, Protocol]] = {}
    for resource in subject.of("Service"):
        service = subject.snapshot.service(host_of(resource), resource.namespace)
        for index, port in enumerate(service.ports if service and not is_alias(resource) else ()):
            for endpoint in subject.snapshot.instances(service).get(port.number, ()) if service else ():
                place = (endpoint.workload.namespace, endpoint.workload.ip, endpoint.port)
                name, protocol = held.setdefault(place, (resource.name, port.protocol))
                if protocol is not port.protocol:
                    text = f"port {port.number} is {port.protocol.value}, but {protocol.value} in Service {name}, for the same pods"
                    yield Found(resource, ("spec", "ports", index), text)
                    break


@rule(
    "IST0137", "warning", "Services lead by different ports to one port of the same pods",
    why="A pod's proxy listens once on the port, and takes one of the Services for it: metrics and routes of the other are not told apart.",
    fix="Give the Services the same port, or different target ports.",
)  # fmt: skip
def pod_ports(subject: Subject) -> Iterator[Found]:
    held: dict[tuple[str, str, int], tuple[str, int]] = {}
    for resource in subject.of("Service"):
        service = subject.snapshot.service(host_of(resource), resource.namespace)
        for index, port in enumerate(service.ports if service and not is_alias(resource) else ()):
            for endpoint in subject.snapshot.instances(service).get(port.number, ()) if service else ():
                place = (endpoint.workload.namespace, endpoint.workload.ip, endpoint.port)
                name, number = held.setdefault(place, (resource.name, port.number))
                if number != port.number and name != resource.name:
                    text = f"port {port.number} leads to port {endpoint.port} of the same pods as port {number} of Service {name}"
                    yield Found(resource, ("spec", "ports", index), text)
                    break


@rule(
    "IST0144", "warning", "a pod's application runs as the user of the proxy",
    why="What user 1337 sends is taken for the proxy's own traffic, and goes past it.",
    fix="Run the application as another user (runAsUser).",
)  # fmt: skip
def application_user(subject: Subject) -> Iterator[Found]:
    for resource in subject.of("Pod"):
        spec = resource.spec.spec
        whole = spec.security_context.run_as_user
        for index, container in enumerate(spec.containers):
            user = container.security_context.run_as_user
            if container.name != _PROXY and (whole if user is None else user) == _PROXY_USER:
                text = f"container {container.name or index} runs as user {_PROXY_USER}, whose connections nobody redirects"
                yield Found(resource, ("spec", "containers", index), text)


@rule(
    "IST0127", "warning", "a policy selects none of the pods that are known", also="KIA0004",
    why="It holds for nobody.",
    fix="Compare the selector with the labels of the pods of this namespace: every label has to be there.",
)  # fmt: skip
def policy_selector(subject: Subject) -> Iterator[Found]:
    for kind, field in _SELECTORS.items():
        for resource, path, labels in subject.each(kind, field):
            place = None if resource.namespace == subject.snapshot.mesh.root_namespace and kind != "Sidecar" else resource.namespace
            if labels and subject.has_pods(place) and not subject.running(labels, place):
                where = f"of namespace {place}" if place else "of the mesh"
                wanted = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
                yield Found(resource, path[:-1], f"no workload {where} has the labels {wanted}")


@rule(
    "IST0101", "error", "a Gateway selects none of the pods that are known", also="KIA0302",
    why="No proxy opens its ports.",
    fix="Use the labels of the gateway's pods, such as `istio: ingressgateway`.",
)  # fmt: skip
def gateway_selector(subject: Subject) -> Iterator[Found]:
    for resource, gateway in subject.gateways.values():
        if gateway.selector and subject.has_pods(None) and not subject.running(gateway.selector, None):
            labels = ", ".join(f"{key}={value}" for key, value in sorted(gateway.selector.items()))
            yield Found(resource, ("selector",), f"no workload of the mesh has the labels {labels}")


@rule(
    "IST0162", "warning", "a Gateway's port is on no Service of its pods",
    why="The gateway listens there, and nobody outside can come to it.",
    fix="Add the port to the Service of the gateway.",
)  # fmt: skip
def gateway_port(subject: Subject) -> Iterator[Found]:
    for resource, gateway in subject.gateways.values():
        pod = next((one for one in subject.running(gateway.selector, None) if one.pod), None) if gateway.selector else None
        services = subject.snapshot.memberships.of(pod.namespace, pod.labels, pod.ip) if pod else []
        endpoints = [endpoint for one in services for some in subject.snapshot.instances(one).values() for endpoint in some]
        open_ports = {endpoint.port for endpoint in endpoints} | {port.number for one in services for port in one.ports}
        for index, server in enumerate(gateway.servers if services else ()):
            if server.port not in open_ports:
                yield Found(resource, ("servers", index, "port"), f"no Service of the gateway's pods has the port {server.port}")


RULES = (
    app_protocol, external_port_name, pod_protocols, pod_ports, application_user, policy_selector, gateway_selector, gateway_port,
)  # fmt: skip
