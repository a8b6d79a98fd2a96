"""MeshNetworks: which addresses belong to which network, and through which gateways others get there."""

from ..types import U32, Model


class NetworkEndpoints(Model):
    """Addresses of a network: a CIDR block, or all of one registry (the name of a cluster)."""

    ONEOFS = (("from_cidr", "from_registry"),)
    from_cidr: str | None = None
    from_registry: str | None = None


class NetworkGateway(Model):
    """A gateway of a network: an address, or a service of the mesh; `port` is the address's, or the service's."""

    ONEOFS = (("registry_service_name", "address"),)
    registry_service_name: str | None = None
    address: str | None = None
    port: U32 | None = None
    locality: str | None = None


class Network(Model):
    """Workloads that reach one another without help."""

    endpoints: list[NetworkEndpoints] = []
    gateways: list[NetworkGateway] = []


class MeshNetworks(Model):
    """The key `meshNetworks` of the ConfigMap `istio`."""

    networks: dict[str, Network] = {}
