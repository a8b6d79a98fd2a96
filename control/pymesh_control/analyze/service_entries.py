"""Services and workloads that cannot be reached as they are declared."""

from collections.abc import Iterator
from typing import Any

from pymesh.api import Resource
from pymesh.bootstrap.environment import DNS_CAPTURE, is_on

from ..model.kubernetes.services import is_alias
from ..model.membership import Workloads
from ..model.protocol import ALONE, Protocol, of_port, of_service_port
from ..model.service import from_workload_entry, is_address
from ..model.view import PORTS
from ..model.workload import selects
from .rule import Found, rule
from .subject import Subject


@rule(
    "PYM0401", "warning", "a port speaks UDP or SCTP", on_load=True,
    why="Proxies carry TCP: datagrams go past them, without policies, encryption or metrics.",
    fix="Take the port out of a ServiceEntry, so that nobody counts on it. Of a Service it is reached as without a mesh.",
)  # fmt: skip
def udp_port(subject: Subject) -> Iterator[Found]:
    for resource, path, port in subject.each("ServiceEntry", "ports[]"):
        if _protocol(port) is Protocol.UDP:
            yield Found(resource, path, f"port {port.number}: UDP is not carried by the mesh")
    for resource, path, port in subject.each("Sidecar", "egress[].port", "ingress[].port"):
        if (port.protocol or "").upper() == Protocol.UDP.value:
            yield Found(resource, path, f"port {port.number}: UDP is not carried by the mesh")
    for resource, path, port in subject.each("Service", "spec.ports[]"):
        if port.protocol not in (None, "TCP"):
            yield Found(resource, path, f"port {port.port}: {port.protocol} is not carried by the mesh")


@rule(
    "PYM0406", "info", "a port of a ServiceEntry says neither what it speaks nor has a name that tells",
    why="What it speaks is then told from the first bytes of each connection, which a server that speaks first waits for in vain.",
    fix="Set `protocol`, or begin the port's name with it: `http-web`, `tcp-db`.",
)  # fmt: skip
def entry_port_name(subject: Subject) -> Iterator[Found]:
    for resource, path, port in subject.each("ServiceEntry", "ports[]"):
        if _protocol(port) is Protocol.AUTO:
            yield Found(resource, (*path, "name"), f"port {port.number}: neither a protocol nor the name {port.name!r} says what is spoken")


@rule(
    "IST0118", "info", "a port of a Service says neither what it speaks nor has a name that tells", also="KIA0601",
    why="What it speaks is then told from the first bytes of each connection, which a server that speaks first waits for in vain.",
    fix="Set `appProtocol`, or begin the port's name with it: `http-web`, `tcp-db`.",
)  # fmt: skip
def port_name(subject: Subject) -> Iterator[Found]:
    for resource, path, port in subject.each("Service", "spec.ports[]"):
        protocol = of_service_port(port.port, port.name or "", port.app_protocol)
        if protocol is Protocol.AUTO and port.app_protocol is None and port.protocol in (None, "TCP") and not is_alias(resource):
            yield Found(resource, path, f"port {port.port}: neither appProtocol nor the name {port.name or ''!r} says what is spoken")


@rule(
    "PYM0402", "warning", "workloads without an IP address are selected by a STATIC service", on_load=True,
    why="STATIC asks no DNS: such workloads get no traffic.",
    fix="Use resolution DNS, or give the workloads IP addresses.",
)  # fmt: skip
def unresolved_instances(subject: Subject) -> Iterator[Found]:
    named = [workload for workload in subject.snapshot.workloads if not is_address(workload.ip)]
    known = Workloads(named)
    for resource in subject.of("ServiceEntry") if named else ():
        spec = resource.spec
        if _resolution(spec) != "STATIC" or not spec.workload_selector:
            continue
        for workload in known.selected(resource.namespace, spec.workload_selector.labels):
            text = f"workload {workload.name} has no IP address but {workload.ip!r}: it is left out, as resolution STATIC asks no DNS"
            yield Found(resource, ("resolution",), text)


@rule(
    "IST0134", "warning", "a port of a ServiceEntry without addresses, of protocol TCP or none",
    why="Connections carry no host name, so that only an address tells services apart: all of this port's traffic is taken for this one.",
    fix="Set `addresses`, or a protocol that carries names (HTTP, TLS), or let sidecars answer DNS queries (ISTIO_META_DNS_CAPTURE).",
)  # fmt: skip
def addresses_required(subject: Subject) -> Iterator[Found]:
    allocated = _allocated(subject)
    for resource in subject.of("ServiceEntry"):
        has_one = resource.spec.addresses or (resource.namespace, resource.name) in allocated
        for index, port in enumerate(() if has_one else resource.spec.ports):
            if (port.protocol or "TCP").upper() == "TCP":  # whatever the port's name says, of which Istio thinks nothing here
                yield Found(resource, ("ports", index), f"port {port.number} may be TCP, and no address says which connections are meant")


def _allocated(subject: Subject) -> set[tuple[str, str]]:
    """The ServiceEntries whose hosts have addresses of the mesh's own, where the mesh has its sidecars tell them."""
    settings = [resource.spec.default_config for resource in list(subject.of("ConfigMap"))[:1]]
    if not any(one and is_on(one.proxy_metadata.get(DNS_CAPTURE)) for one in settings):
        return set()
    return {(origin.namespace, origin.name) for one in subject.snapshot.services if one.allocated for origin in one.origins}


@rule(
    "IST0177", "warning", "two ServiceEntries say different protocols of one host and port", also="KIA1212",
    why="The older one is believed; the traffic that the other describes is handled wrongly.",
    fix="Write one protocol in both.",
)  # fmt: skip
def protocol_conflict(subject: Subject) -> Iterator[Found]:
    for pair in _repeated(subject):
        spoken = [_protocol(port).value for _, _, port in pair]
        for one, (resource, index, port) in enumerate(pair if spoken[0] != spoken[1] else ()):
            ours, theirs, other = spoken[one], spoken[1 - one], pair[1 - one][0]
            yield Found(resource, ("ports", index), f"port {port.number} is {ours}, but {theirs} in {_named(other)}, for the same host")


@rule(
    "KIA1211", "info", "two ServiceEntries declare one host and port",
    why="In one namespace their instances are joined; of different namespaces only one is seen by others, the older.",
    fix="Keep one of them, or limit each with exportTo.",
)  # fmt: skip
def duplicate_service(subject: Subject) -> Iterator[Found]:
    for first, (resource, index, port) in _repeated(subject):
        if _protocol(port) is _protocol(first[2]):
            yield Found(resource, ("ports", index), f"{_named(first[0])} declares port {port.number} of the same host already")


@rule(
    "KIA0004", "warning", "a selector matches none of the workloads that are known",
    why="The service has no instances: requests are answered with 503 (UH).",
    fix="Compare the selector with the labels of the workloads of this namespace: every label has to be there.",
)  # fmt: skip
def selector_without_workloads(subject: Subject) -> Iterator[Found]:
    known = Workloads(subject.snapshot.workloads)
    for resource in subject.of("ServiceEntry"):
        selector = resource.spec.workload_selector
        if selector is None or not known.selected(resource.namespace, {}):
            continue
        if not known.selected(resource.namespace, selector.labels):
            labels = ", ".join(f"{key}={value}" for key, value in sorted(selector.labels.items()))
            yield Found(resource, ("workloadSelector",), f"no workload of namespace {resource.namespace} has the labels {labels}")


@rule(
    "PYM0403", "info", "no service selects a WorkloadEntry",
    why="It belongs to no service, so that nobody sends it anything.",
    fix="Give it the labels that a ServiceEntry or Service of its namespace selects.",
)  # fmt: skip
def workload_unselected(subject: Subject) -> Iterator[Found]:
    selectors: dict[str, set[frozenset[tuple[str, str]]]] = {}
    for resource in subject.of("ServiceEntry"):
        if resource.spec.workload_selector is not None:
            selectors.setdefault(resource.namespace, set()).add(frozenset(resource.spec.workload_selector.labels.items()))
    for resource in subject.of("Service"):
        if resource.spec.spec.selector:
            selectors.setdefault(resource.namespace, set()).add(frozenset(resource.spec.spec.selector.items()))
    index = {namespace: _by_item(found) for namespace, found in selectors.items()}
    for resource in subject.of("WorkloadEntry"):
        labels = from_workload_entry(resource.spec, resource.name, resource.namespace, resource.labels).labels
        near = index.get(resource.namespace, {})
        candidates = (one for item in (None, *labels.items()) for one in near.get(item, ()))
        if not any(selects(dict(one), labels) for one in candidates):
            yield Found(resource, ("labels",), "no ServiceEntry or Service of its namespace selects it")


@rule(
    "PYM0404", "warning", "a port of a service is the sidecars' own", on_load=True,
    why="Sidecars listen there at every address, and have no listener for the service: calls to it go on as to a stranger.",
    fix="Give the service another port, or an address and a protocol other than HTTP.",
)  # fmt: skip
def sidecars_port(subject: Subject) -> Iterator[Found]:
    mesh = subject.snapshot.mesh
    taken = {mesh.outbound_port, mesh.inbound_port, *PORTS}
    for resource, index, port in _shared(subject):
        if port.number in taken:
            yield Found(resource, ("ports", index, "number"), f"sidecars listen at port {port.number} themselves: they leave this one out")


@rule(
    "PYM0405", "warning", "a port at which servers speak first is another service's, too", on_load=True,
    why="Clients would wait for one another if the first bytes had to tell what is spoken: the older service alone has the port.",
    fix="Set `addresses`, or give the service a port of its own.",
)  # fmt: skip
def speaks_first(subject: Subject) -> Iterator[Found]:
    held: dict[int, tuple[Resource, Protocol]] = {}
    for resource, index, port in _shared(subject):
        protocol = Protocol.AUTO if _protocol(port).is_http else _protocol(port)
        first, spoken = held.setdefault(port.number, (resource, protocol))
        if spoken is not protocol and {spoken, protocol} & ALONE:
            text = f"{_named(first)} has port {port.number} for all addresses, which nothing shares with MySQL or MongoDB: this is left out"
            yield Found(resource, ("ports", index), text)


RULES = (
    udp_port, entry_port_name, port_name, unresolved_instances, addresses_required, protocol_conflict, duplicate_service,
    selector_without_workloads, workload_unselected, sidecars_port, speaks_first,
)  # fmt: skip

_Port = tuple[Resource, int, Any]


def _protocol(port: Any) -> Protocol:
    return of_port(port.number, port.name or "", port.protocol or "")


def _resolution(spec: Any) -> str:
    return spec.resolution.value if spec.resolution else "NONE"


def _shared(subject: Subject) -> Iterator[_Port]:
    """The ports of ServiceEntries for which sidecars listen at every address."""
    for resource in subject.of("ServiceEntry"):
        for index, port in enumerate(resource.spec.ports):
            if _protocol(port).is_http or not resource.spec.addresses:
                yield resource, index, port


def _named(resource: Resource) -> str:
    return f"{resource.kind} {resource.namespace}/{resource.name}"


def _repeated(subject: Subject) -> Iterator[tuple[_Port, _Port]]:
    """Ports of a host that an older ServiceEntry has declared, with the older one; those that nobody else sees contend with none."""
    held: dict[tuple[str, int, str], _Port] = {}
    for resource in subject.of("ServiceEntry"):
        spec = resource.spec
        audience = "" if not spec.export_to or "*" in spec.export_to else resource.namespace
        for host in spec.hosts:
            for index, port in enumerate(spec.ports):
                first = held.setdefault((host.lower(), port.number, audience), (resource, index, port))
                if first[0] is not resource:
                    yield first, (resource, index, port)


def _by_item(selectors: set[frozenset[tuple[str, str]]]) -> dict[tuple[str, str] | None, list[frozenset[tuple[str, str]]]]:
    """Selectors by one of their labels; those without any, which select everything, under None."""
    found: dict[tuple[str, str] | None, list[frozenset[tuple[str, str]]]] = {}
    for one in selectors:
        found.setdefault(min(one, default=None), []).append(one)
    return found
