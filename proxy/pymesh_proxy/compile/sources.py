"""Where content comes from: data given inline or as a file, and resources that another stream delivers."""

import os
from pathlib import Path

from .fields import Reader

LOCAL_AGENT = "sds-grpc"
"""Istio's name for the cluster of the workload's own agent, which serves its certificate: inside pymesh-proxy, the proxy itself."""


def data(reader: Reader | None) -> bytes:
    """The content of a DataSource; files are read here, once, and an unreadable one is named. Empty when not set."""
    if reader is None:
        return b""
    reader.only("filename", "inline_bytes", "inline_string", "environment_variable")
    value = getattr(reader.message, reader.which("specifier"), b"")
    match reader.which("specifier"):
        case "filename":
            return _file(reader, str(value))
        case "environment_variable":
            return _environment(reader, str(value))
        case "inline_string":
            return str(value).encode()
    return bytes(value)


def _file(reader: Reader, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reader.refuse("filename", f"cannot read {path}: {error.strerror}")
        return b""


def _environment(reader: Reader, name: str) -> bytes:
    if name not in os.environ:
        reader.refuse("environment_variable", f"{name} is not set")
    return os.environ.get(name, "").encode()


def check_delivery(reader: Reader | None, *, agent: bool = False) -> None:
    """Check that a ConfigSource is one we can wait for: ADS, or (`agent`) the workload's own agent for its secrets.

    How long to wait (initial_fetch_timeout) is for discovery to read, which also does the waiting.
    """
    if reader is None:
        return
    reader.only("ads", "api_config_source", "resource_api_version", "initial_fetch_timeout")
    match reader.which("config_source_specifier"):
        case "ads":
            Reader(reader.message.ads, reader.at("ads"), reader.problems).only()
            return
        case "api_config_source" if agent and _names_agent(reader.child("api_config_source")):
            return
    reader.refuse("", "only ads delivers resources here" + (f", or a gRPC service of the cluster {LOCAL_AGENT!r}" if agent else ""))


def _names_agent(source: Reader | None) -> bool:
    """Whether an ApiConfigSource is the agent's: how it would be spoken to does not matter, as nobody has to be."""
    if source is None:
        return False
    ways = ("api_type", "transport_api_version", "set_node_on_first_message_only", "request_timeout")
    source.only("grpc_services", harmless=dict.fromkeys(ways, "the agent is the proxy itself"))
    return [_cluster_of(service) for service in source.items("grpc_services")] == [LOCAL_AGENT]


def _cluster_of(service: Reader) -> str:
    service.only("envoy_grpc", harmless={"timeout": "the agent is the proxy itself"})
    grpc = Reader(service.message.envoy_grpc, service.at("envoy_grpc"), service.problems)
    grpc.only("cluster_name")
    return str(grpc.message.cluster_name)
