"""The workload behind a proxy, as its node describes it."""

from typing import Any

from pymesh.identity import SpiffeId

from ..model.groups import entry_name
from ..model.view import ProxyView
from ..model.workload import MUTUAL, TLS_MODE_LABEL, Workload


def registers(view: ProxyView) -> bool:
    """Whether the proxy asks to be registered while it is connected."""
    return view.inbound_ports is not None or bool(view.group)


def is_probed(view: ProxyView) -> bool:
    """Whether the proxy's settings have it probe its application, and tell what comes of that."""
    settings = view.metadata.get("PROXY_CONFIG")
    return isinstance(settings, dict) and bool(settings.get("readinessProbe"))


def workload_of(node: Any, view: ProxyView, identity: SpiffeId | None) -> Workload:
    """What to register; a member of a WorkloadGroup under the name that Istio gives it.

    Its service account is that of its certificate: clients believe whoever shows one of a service's accounts, so that a mere word for
    one would let its owner answer for the service.
    """
    network = str(view.metadata.get("NETWORK", ""))
    return Workload(
        name=entry_name(view.group, view.ip, network) if view.group else str(view.metadata.get("WORKLOAD_NAME") or view.name),
        namespace=view.namespace,
        ip=view.ip,
        labels=dict(view.labels),
        service_account=(identity and identity.service_account) or "",
        ports={name: port.bind for name, port in (view.inbound_ports or {}).items()},
        locality=view.locality,
        network=network,
        group=view.group,
        node_id=view.node_id,
        cluster_id=str(view.metadata.get("CLUSTER_ID") or "Kubernetes"),
        tls_mode=view.labels.get(TLS_MODE_LABEL) or _tls_mode(identity),
    )


def _tls_mode(identity: SpiffeId | None) -> str:
    """A proxy that came with a certificate can terminate mutual TLS with it; one that came in plaintext has none."""
    return MUTUAL if identity else "disabled"
