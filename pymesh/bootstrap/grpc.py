"""The bootstrap of a gRPC application that speaks xDS itself: what GRPC_XDS_BOOTSTRAP names a file of (gRFC A27, A29, A36, A65)."""

from pathlib import Path
from typing import Any

from google.protobuf import json_format

from .environment import Settings
from .envoy import node_of

SERVERS = "xds.istio.io/grpc/lds/inbound/%s"
"""The names of servers' listeners, with the address and port that they serve."""
PROVIDER = "default"
"""The certificate provider that the control plane's clusters name."""
_GENERATOR = "grpc"
_REFRESH = 900.0
"""Seconds until files are read again, as Istio has it; sooner where certificates are replaced sooner."""


def build(settings: Settings, certificates: Path | None) -> dict[str, Any]:
    """The bootstrap, for JSON.

    `certificates` is the folder with the workload's `cert-chain.pem`, `key.pem` and `root-cert.pem`. Without it there is no
    mutual TLS, and a control plane that wants TLS is verified but not shown who asks.
    """
    made = {
        "xds_servers": [
            {"server_uri": str(settings.discovery), "channel_creds": [_credentials(settings, certificates)], "server_features": ["xds_v3"]}
        ],
        "node": _node(settings),
        "server_listener_resource_name_template": SERVERS,
    }
    if certificates is not None:
        made["certificate_providers"] = {PROVIDER: {"plugin_name": "file_watcher", "config": _files(settings, certificates)}}
    return made


def _credentials(settings: Settings, certificates: Path | None) -> dict[str, Any]:
    if not settings.discovery_tls:
        return {"type": "insecure"}
    own = {} if certificates is None else _files(settings, certificates)
    return {"type": "tls", "config": {**own, "ca_certificate_file": str(settings.discovery_root)}}


def _files(settings: Settings, folder: Path) -> dict[str, str]:
    left = settings.secret_ttl * settings.rotation_ratio  # of the old certificate, once the new one is there
    return {
        "certificate_file": str(folder / "cert-chain.pem"),
        "private_key_file": str(folder / "key.pem"),
        "ca_certificate_file": str(folder / "root-cert.pem"),
        "refresh_interval": f"{min(_REFRESH, left / 4):.9g}s",
    }


def _node(settings: Settings) -> Any:
    node = json_format.MessageToDict(node_of(settings), preserving_proto_field_name=True)
    return {**node, "metadata": {"GENERATOR": _GENERATOR, **node.get("metadata", {})}}
