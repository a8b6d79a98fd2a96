"""Kubernetes' own objects that say what services there are: of each only what the mesh reads, as the rest is not ours to judge."""

from typing import Annotated

from pydantic import Field, Strict

from ..types import Bool, Model

PortNumber = Annotated[int, Strict(), Field(ge=1, le=65535)]


class Foreign(Model):
    """A part of an object that others define and extend: its unknown fields are left alone."""

    OPEN = True


class ServicePort(Foreign):
    """A port of a Service; `target_port` is a number, or the name of a port of the pods' containers; `node_port` is a port of each node."""

    name: str | None = None
    port: PortNumber
    protocol: str | None = None
    app_protocol: str | None = None
    target_port: PortNumber | Annotated[str, Strict()] | None = None
    node_port: PortNumber | None = None


class ServiceSpec(Foreign):
    """`cluster_ip` is empty in a manifest that no API server has seen, and `None` (the word) for a headless service."""

    type: str | None = None
    cluster_ip: str | None = Field(default=None, alias="clusterIP")
    cluster_ips: list[str] = Field(default=[], alias="clusterIPs")
    external_name: str | None = None
    ip_families: list[str] = []
    ports: list[ServicePort] = []
    selector: dict[str, str] = {}
    publish_not_ready_addresses: Bool | None = None
    traffic_distribution: str | None = None
    internal_traffic_policy: str | None = None
    external_ips: list[str] = Field(default=[], alias="externalIPs")


class LoadBalancerIngress(Foreign):
    """An address under which a Service is reached from outside; `hostname` where there is only a name."""

    ip: str | None = None
    hostname: str | None = None


class LoadBalancerStatus(Foreign):
    """What a load balancer has given a Service."""

    ingress: list[LoadBalancerIngress] = []


class ServiceStatus(Foreign):
    """What the cluster says of a Service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(Foreign):
    """A Service without its metadata."""

    spec: ServiceSpec
    status: ServiceStatus = ServiceStatus()


class Namespace(Foreign):
    """A Namespace, of which the metadata says all."""


class NodeAddress(Foreign):
    """An address of a Node: `ExternalIP`, `InternalIP`, `Hostname` and the like."""

    type: str | None = None
    address: str | None = None


class NodeStatus(Foreign):
    """What the cluster says of a Node."""

    addresses: list[NodeAddress] = []


class Node(Foreign):
    """A Node without its metadata."""

    status: NodeStatus = NodeStatus()


class ContainerPort(Foreign):
    """A port that a Service may name."""

    name: str | None = None
    container_port: PortNumber
    protocol: str | None = None


class SecurityContext(Foreign):
    """As whom the processes of a container, or of all of a pod's, run."""

    run_as_user: int | None = None


class Container(Foreign):
    """One container of a pod."""

    name: str | None = None
    ports: list[ContainerPort] = []
    security_context: SecurityContext = SecurityContext()


class PodSpec(Foreign):
    """Where a pod runs and as whom; `hostname` and `subdomain` make its name in DNS."""

    containers: list[Container] = []
    hostname: str | None = None
    init_containers: list[Container] = []
    node_name: str | None = None
    security_context: SecurityContext = SecurityContext()
    service_account_name: str | None = None
    subdomain: str | None = None


class PodCondition(Foreign):
    """`status` is True, False or Unknown, as text."""

    type: str
    status: str


class PodStatus(Foreign):
    """What the kubelet says."""

    phase: str | None = None
    pod_ip: str | None = Field(default=None, alias="podIP")
    conditions: list[PodCondition] = []


class Pod(Foreign):
    """A Pod without its metadata."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ObjectReference(Foreign):
    """Another object of the same namespace."""

    kind: str | None = None
    name: str | None = None


class EndpointPort(Foreign):
    """Where the instances listen; `name` is that of the Service's port."""

    name: str | None = None
    port: PortNumber | None = None
    protocol: str | None = None


class EndpointConditions(Foreign):
    """Of a condition that is not told, Kubernetes has one assume: ready, serving as ready, and not terminating."""

    ready: Bool | None = None
    serving: Bool | None = None
    terminating: Bool | None = None


class SliceEndpoint(Foreign):
    """One instance."""

    addresses: list[str] = []
    conditions: EndpointConditions = EndpointConditions()
    node_name: str | None = None
    zone: str | None = None
    target_ref: ObjectReference | None = None


class EndpointSlice(Foreign):
    """An EndpointSlice without its metadata, whose label `kubernetes.io/service-name` names the Service."""

    address_type: str
    endpoints: list[SliceEndpoint] = []
    ports: list[EndpointPort] = []


class EndpointAddress(Foreign):
    """One instance of Endpoints."""

    ip: str
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointSubset(Foreign):
    """Instances that listen on the same ports."""

    addresses: list[EndpointAddress] = []
    not_ready_addresses: list[EndpointAddress] = []
    ports: list[EndpointPort] = []


class Endpoints(Foreign):
    """The elder form of EndpointSlices, one object of the Service's own name."""

    subsets: list[EndpointSubset] = []
