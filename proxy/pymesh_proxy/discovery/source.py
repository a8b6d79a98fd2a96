"""Where dynamic configuration comes from: a ConfigSource or ApiConfigSource, checked and reduced to what the client needs."""

import enum
from dataclasses import dataclass, field
from typing import Any

from pymesh.xds import proto

from ..errors import ConfigError, Problem

INITIAL_FETCH_TIMEOUT = 15.0
"""Envoy's default for `initial_fetch_timeout`, seconds; 0 waits for ever."""


class Variant(enum.Enum):
    """The two dialects of xDS."""

    SOTW = "GRPC"
    DELTA = "DELTA_GRPC"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcSource:
    """A gRPC service that speaks xDS. Times are seconds."""

    variant: Variant
    cluster: str = ""
    """A static cluster (envoy_grpc) ..."""
    target: str = ""
    """... or a gRPC target (google_grpc)."""
    roots: bytes = b""
    key: bytes = field(default=b"", repr=False)
    chain: bytes = b""
    tls: bool = False
    """Credentials of a google_grpc target; a cluster brings its own."""
    authority: str = ""
    metadata: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Initial metadata; may hold a token."""
    back_off_base: float = 0.5
    back_off_max: float = 30.0
    node_once: bool = False
    """set_node_on_first_message_only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """How one resource or type is fetched: over ADS, from a service of its own, or (neither) from what the process itself holds."""

    ads: bool = False
    service: GrpcSource | None = None
    timeout: float = INITIAL_FETCH_TIMEOUT


def compile_fetch(source: Any, path: str) -> Fetch:
    """A ConfigSource; raises ConfigError for one that cannot be honoured."""
    timeout = INITIAL_FETCH_TIMEOUT
    if source.HasField("initial_fetch_timeout"):
        timeout = source.initial_fetch_timeout.ToMicroseconds() / 1e6
    match source.WhichOneof("config_source_specifier"):
        case "ads":
            return Fetch(ads=True, timeout=timeout)
        case "api_config_source":
            return Fetch(service=compile_grpc(source.api_config_source, f"{path}.api_config_source"), timeout=timeout)
        case None:
            return Fetch(timeout=timeout)
        case other:
            raise ConfigError(Problem(f"{path}.{other}", "not supported; use ads or api_config_source"))


def compile_grpc(source: Any, path: str) -> GrpcSource:
    """An ApiConfigSource; raises ConfigError with all its problems."""
    problems = []
    kind = proto.config_source.ApiConfigSource.ApiType.Name(source.api_type).removeprefix("AGGREGATED_")
    if kind not in ("GRPC", "DELTA_GRPC"):
        problems.append(Problem(f"{path}.api_type", f"{kind} is not supported; use GRPC or DELTA_GRPC"))
    if source.transport_api_version != proto.config_source.ApiVersion.V3:
        problems.append(Problem(f"{path}.transport_api_version", "only V3 is supported"))
    lists = [name for name in ("cluster_names", "config_validators") if len(getattr(source, name))]
    problems += [Problem(f"{path}.{name}", "not supported") for name in lists]
    if source.HasField("rate_limit_settings"):
        problems.append(Problem(f"{path}.rate_limit_settings", "not supported: requests are not rate limited"))
    if len(source.grpc_services) != 1:
        problems.append(Problem(f"{path}.grpc_services", f"exactly one is supported, not {len(source.grpc_services)}"))
    if problems:
        raise ConfigError(*problems)
    service = source.grpc_services[0]
    return GrpcSource(
        variant=Variant(kind),
        metadata=tuple((header.key.lower(), header.value) for header in service.initial_metadata),
        node_once=source.set_node_on_first_message_only,
        **_service(service, f"{path}.grpc_services[0]"),
    )


def _service(service: Any, path: str) -> dict[str, Any]:
    which = service.WhichOneof("target_specifier")
    if service.HasField("retry_policy"):
        raise ConfigError(Problem(f"{path}.retry_policy", "not supported here; set it in envoy_grpc"))
    if which == "envoy_grpc":
        return _envoy_grpc(service.envoy_grpc, f"{path}.envoy_grpc")
    if which == "google_grpc":
        return _google_grpc(service.google_grpc, f"{path}.google_grpc")
    raise ConfigError(Problem(path, "one of envoy_grpc, google_grpc is required"))


def _envoy_grpc(service: Any, path: str) -> dict[str, Any]:
    _refuse(service, path, "max_receive_message_length")
    result = {"cluster": service.cluster_name, "authority": service.authority}
    if service.HasField("retry_policy"):
        _refuse(service.retry_policy, f"{path}.retry_policy", "num_retries", "retry_on", "retry_priority", "retry_host_predicate")
        back_off = service.retry_policy.retry_back_off
        base = back_off.base_interval.ToMicroseconds() / 1e6 or 0.5
        result["back_off_base"] = base
        result["back_off_max"] = back_off.max_interval.ToMicroseconds() / 1e6 or base * 10
    return result


def _google_grpc(service: Any, path: str) -> dict[str, Any]:
    _refuse(service, path, "channel_credentials_plugin", "call_credentials", "call_credentials_plugin", "config")
    _refuse(service, path, "credentials_factory_name", "per_stream_buffer_limit_bytes", "channel_args")
    result: dict[str, Any] = {"target": service.target_uri}
    match service.channel_credentials.WhichOneof("credential_specifier"):
        case "ssl_credentials":
            ssl = service.channel_credentials.ssl_credentials
            names = {"root_certs": "roots", "private_key": "key", "cert_chain": "chain"}
            result["tls"] = True
            for theirs, ours in names.items():
                result[ours] = read_data(getattr(ssl, theirs), f"{path}.channel_credentials.ssl_credentials.{theirs}")
        case "google_default" as other:
            raise ConfigError(Problem(f"{path}.channel_credentials.{other}", "not supported"))
    return result


def read_data(source: Any, path: str) -> bytes:
    """The bytes of a DataSource; b"" when none is given. Raises ConfigError for a file that cannot be read."""
    match source.WhichOneof("specifier"):
        case "inline_string":
            return str(source.inline_string).encode()
        case "inline_bytes":
            return bytes(source.inline_bytes)
        case "filename":
            try:
                with open(source.filename, "rb") as file:
                    return file.read()
            except OSError as error:
                raise ConfigError(Problem(f"{path}.filename", f"cannot read {source.filename}: {error.strerror}")) from error
        case None:
            return b""
        case other:
            raise ConfigError(Problem(f"{path}.{other}", "not supported; use filename, inline_string or inline_bytes"))


def _refuse(message: Any, path: str, *fields: str) -> None:
    present = {descriptor.name for descriptor, _ in message.ListFields()}
    if found := [Problem(f"{path}.{name}", "not supported") for name in fields if name in present]:
        raise ConfigError(*found)
