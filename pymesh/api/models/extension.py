"""WasmPlugin and TrafficExtension: programs that run in proxies."""

import enum
from typing import Any

from pydantic import Field

from ..types import I32, U32, Model, PolicySelector, PolicyTargetReference


class PluginPhase(enum.Enum):
    """Where in the chain of filters a plugin stands."""

    UNSPECIFIED_PHASE = "UNSPECIFIED_PHASE"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class ExtensionPhase(enum.Enum):
    """The same, as TrafficExtension spells it."""

    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class PullPolicy(enum.Enum):
    """When an image is pulled again."""

    UNSPECIFIED_POLICY = "UNSPECIFIED_POLICY"
    IfNotPresent = "IfNotPresent"
    Always = "Always"


class FailStrategy(enum.Enum):
    """What happens to requests when the program fails."""

    FAIL_CLOSE = "FAIL_CLOSE"
    FAIL_OPEN = "FAIL_OPEN"
    FAIL_RELOAD = "FAIL_RELOAD"


class PluginType(enum.Enum):
    """What kind of filter it is."""

    UNSPECIFIED_PLUGIN_TYPE = "UNSPECIFIED_PLUGIN_TYPE"
    HTTP = "HTTP"
    NETWORK = "NETWORK"


class EnvValueSource(enum.Enum):
    """Where a variable's value comes from."""

    INLINE = "INLINE"
    HOST = "HOST"


class EnvVar(Model):
    """A variable of the program's environment."""

    name: str = Field(max_length=256)
    value_from: EnvValueSource | None = None
    value: str | None = Field(default=None, max_length=2048)


class VmConfig(Model):
    """The program's environment."""

    env: list[EnvVar] = []


class TrafficMode(enum.Enum):
    """Which of a workload's roles."""

    UNDEFINED = "UNDEFINED"
    CLIENT = "CLIENT"
    SERVER = "SERVER"
    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"


class TrafficPort(Model):
    """A port by number."""

    number: U32


class TrafficSelector(Model):
    """Traffic by role and port."""

    mode: TrafficMode | None = None
    ports: list[TrafficPort] = []


class Wasm(Model):
    """A WebAssembly program."""

    url: str
    sha256: str | None = None
    image_pull_policy: PullPolicy | None = None
    image_pull_secret: str | None = Field(default=None, min_length=1, max_length=253)
    verification_key: str | None = None
    plugin_config: Any = None
    plugin_name: str | None = Field(default=None, min_length=1, max_length=256)
    fail_strategy: FailStrategy | None = None
    vm_config: VmConfig | None = None
    type: PluginType | None = None


class WasmPlugin(Wasm):
    """The `spec` of a WasmPlugin."""

    selector: PolicySelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: list[PolicyTargetReference] = []
    phase: PluginPhase | None = None
    priority: I32 | None = None
    match: list[TrafficSelector] = []


class Lua(Model):
    """A Lua script."""

    inline_code: str


class TrafficExtension(Model):
    """The `spec` of a TrafficExtension."""

    ONEOFS = (("wasm", "lua"),)
    selector: PolicySelector | None = None
    target_refs: list[PolicyTargetReference] = []
    phase: ExtensionPhase | None = None
    priority: I32 | None = None
    match: list[TrafficSelector] = []
    wasm: Wasm | None = None
    lua: Lua | None = None
