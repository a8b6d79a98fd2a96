"""The part of Istio's ProxyConfig (variable `PROXY_CONFIG`, YAML or JSON) that a running sidecar acts on.

A field that is not here is refused: a setting that changes nothing would be believed by whoever wrote it.
"""

import enum
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from . import duration
from .probe import Port, ReadinessProbe

Seconds = Annotated[float, BeforeValidator(lambda value: duration.parse(value) if isinstance(value, str) else value), Field(ge=0)]


GENERATED = ("gateway_topology", "proxy_headers", "connection_settings")
"""The fields that say what the control plane sends, rather than how the proxy is started."""


class AuthPolicy(enum.Enum):
    """How the control plane is reached: `NONE` is plaintext."""

    MUTUAL_TLS = "MUTUAL_TLS"
    NONE = "NONE"


class InterceptionMode(enum.Enum):
    """How traffic gets to the sidecar: captured by the kernel, or not at all (the application dials it)."""

    REDIRECT = "REDIRECT"
    TPROXY = "TPROXY"
    NONE = "NONE"


class ProxyConfig(BaseModel):
    """Durations are seconds; defaults are Istio's."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    config_path: str = "./etc/istio/proxy"
    binary_path: str = "/usr/local/bin/envoy"
    service_cluster: str | None = None
    discovery_address: str = "istiod.istio-system.svc:15012"
    control_plane_auth_policy: AuthPolicy = AuthPolicy.MUTUAL_TLS
    proxy_admin_port: Port = 15000
    status_port: Port = 15020
    concurrency: Annotated[int, Field(ge=0)] | None = None
    drain_duration: Seconds = 45.0
    termination_drain_duration: Seconds = 5.0
    interception_mode: InterceptionMode | None = None
    mesh_id: str | None = None
    proxy_metadata: dict[str, str] = Field(default_factory=dict)
    gateway_topology: dict[str, Any] | None = None
    proxy_headers: dict[str, Any] | None = None
    connection_settings: dict[str, Any] | None = None
    readiness_probe: ReadinessProbe | None = None

    @property
    def generated(self) -> dict[str, Any]:
        """The parts that the control plane reads for what it sends; it is the one to judge them."""
        parts = {name: getattr(self, name) for name in GENERATED}
        return {to_camel(name): part for name, part in parts.items() if part is not None}


def parse(text: str) -> tuple[ProxyConfig, list[str]]:
    """The configuration and every mistake in it; with mistakes the configuration is the default one."""
    try:
        document: Any = yaml.safe_load(text) if text else {}
    except yaml.YAMLError as error:
        return ProxyConfig(), [f"PROXY_CONFIG is not YAML: {' '.join(str(error).split())}"]
    try:
        return ProxyConfig.model_validate({} if document is None else document), []
    except ValidationError as error:
        return ProxyConfig(), [_sentence(item) for item in error.errors()]


def _sentence(item: Any) -> str:
    path = ".".join(["PROXY_CONFIG", *map(str, item["loc"])])
    if item["type"] == "extra_forbidden":
        return f"{path}: not supported"
    return f"{path}: {item['msg'].removeprefix('Value error, ')}"
