"""Node metadata that Istio's control plane or agent acts on, and that change nothing here: why."""

from collections.abc import Iterator, Mapping
from typing import Any

from pymesh.bootstrap.environment import is_on

_AMBIENT = "there is no ambient mode here"
_FILES = "certificates come from the control plane's own authority; files are for gateways' servers and DestinationRules"

UNUSED = {
    "STATIC_LABELS": "labels are those of LABELS",
    "INBOUND_LISTENER_EXACT_BALANCE": "the kernel spreads connections over workers",
    "OUTBOUND_LISTENER_EXACT_BALANCE": "the kernel spreads connections over workers",
    "DNS_AUTO_ALLOCATE": "addresses of the mesh's own are there for every sidecar with DNS_CAPTURE",
    "OUTLIER_LOG_PATH": "ejections are logged where the bootstrap says",
    "WORKLOAD_ENTRY": "a proxy is found by its address, or registers for a group (AUTO_REGISTER_GROUP)",
    "ENABLE_HBONE": _AMBIENT,
    "DISABLE_HBONE_SEND": _AMBIENT,
    "METADATA_DISCOVERY": _AMBIENT,
    **{f"TLS_{side}_{part}": _FILES for side in ("SERVER", "CLIENT") for part in ("CERT_CHAIN", "KEY", "ROOT_CERT")},
}
"""By key, the reason."""

_SWITCHES = frozenset(
    {
        "INBOUND_LISTENER_EXACT_BALANCE", "OUTBOUND_LISTENER_EXACT_BALANCE", "DNS_AUTO_ALLOCATE",
        "ENABLE_HBONE", "METADATA_DISCOVERY",
    }
)  # fmt: skip
"""Keys that ask for something only while they are on."""


def unused(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each key of a node that asks in vain, with the reason."""
    for key, reason in UNUSED.items():
        value = metadata.get(key)
        if is_on(value) if key in _SWITCHES else value:
            yield key, reason
