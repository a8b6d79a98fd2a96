"""Gateway, ListenerSet and GatewayClass: the listeners at the edge of the mesh, and who serves them."""

import enum

from pydantic import Field

from ...types import Model
from ..kubernetes import PortNumber
from .references import GROUP, DefaultScope, ObjectReference, ParentGatewayReference, SecretObjectReference


class LabelOperator(enum.Enum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelRequirement(Model):
    """A condition on one label."""

    key: str
    operator: LabelOperator
    values: list[str] = []


class LabelSelector(Model):
    """Kubernetes' selector of labels: all conditions hold together."""

    match_labels: dict[str, str] = {}
    match_expressions: list[LabelRequirement] = []


class FromNamespaces(enum.Enum):
    """Which namespaces something may come from."""

    ALL = "All"
    SELECTOR = "Selector"
    SAME = "Same"
    NONE = "None"


class RouteNamespaces(Model):
    """Namespaces whose routes may attach."""

    from_: FromNamespaces = Field(default=FromNamespaces.SAME, alias="from")
    selector: LabelSelector | None = None


class RouteGroupKind(Model):
    """A kind of route."""

    group: str = GROUP
    kind: str


class AllowedRoutes(Model):
    """Routes that may attach to a listener; without `kinds`, those of its protocol."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: list[RouteGroupKind] = []


class TLSModeType(enum.Enum):
    """Whether TLS ends at the gateway."""

    TERMINATE = "Terminate"
    PASSTHROUGH = "Passthrough"


class ListenerTLSConfig(Model):
    """TLS of one listener."""

    mode: TLSModeType = TLSModeType.TERMINATE
    certificate_refs: list[SecretObjectReference] = []
    options: dict[str, str] = {}


class Listener(Model):
    """A port, a protocol and a host name; no host name means every one."""

    name: str
    hostname: str | None = None
    port: PortNumber
    protocol: str
    tls: ListenerTLSConfig | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


class GatewaySpecAddress(Model):
    """Where the gateway is to be reached. Istio takes the name of a Service: its instances then serve the Gateway."""

    type: str = "IPAddress"
    value: str = ""


class LocalParametersReference(Model):
    """Parameters of an implementation."""

    group: str
    kind: str
    name: str


class GatewayInfrastructure(Model):
    """Wishes for what is deployed for a Gateway."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    parameters_ref: LocalParametersReference | None = None


class ListenerNamespaces(Model):
    """Namespaces whose ListenerSets may attach."""

    from_: FromNamespaces = Field(default=FromNamespaces.NONE, alias="from")
    selector: LabelSelector | None = None


class AllowedListeners(Model):
    """ListenerSets that may attach."""

    namespaces: ListenerNamespaces = ListenerNamespaces()


class FrontendValidationMode(enum.Enum):
    """Whether clients without a valid certificate are let in."""

    ALLOW_VALID_ONLY = "AllowValidOnly"
    ALLOW_INSECURE_FALLBACK = "AllowInsecureFallback"


class FrontendTLSValidation(Model):
    """What client certificates are verified against."""

    ca_certificate_refs: list[ObjectReference]
    mode: FrontendValidationMode = FrontendValidationMode.ALLOW_VALID_ONLY


class FrontendTLS(Model):
    """TLS towards clients."""

    validation: FrontendTLSValidation | None = None


class TLSPortConfig(Model):
    """TLS towards clients of one port, in place of the default."""

    port: PortNumber
    tls: FrontendTLS


class FrontendTLSConfig(Model):
    """TLS towards clients, of all listeners that end it."""

    default: FrontendTLS
    per_port: list[TLSPortConfig] = []


class GatewayBackendTLS(Model):
    """The certificate that the gateway shows to backends."""

    client_certificate_ref: SecretObjectReference | None = None


class GatewayTLSConfig(Model):
    """TLS of the whole Gateway, on both sides."""

    backend: GatewayBackendTLS | None = None
    frontend: FrontendTLSConfig | None = None


class Gateway(Model):
    """The `spec` of a Gateway."""

    gateway_class_name: str
    listeners: list[Listener]
    addresses: list[GatewaySpecAddress] = []
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTLSConfig | None = None
    default_scope: DefaultScope | None = None


class ListenerSet(Model):
    """The `spec` of a ListenerSet: listeners that a Gateway takes in beside its own."""

    parent_ref: ParentGatewayReference
    listeners: list[Listener]


class ParametersReference(Model):
    """Parameters of an implementation, of any namespace."""

    group: str
    kind: str
    name: str
    namespace: str | None = None


class GatewayClass(Model):
    """The `spec` of a GatewayClass."""

    controller_name: str
    parameters_ref: ParametersReference | None = None
    description: str | None = None
