"""PeerAuthentication: ports need a selector, because they are the workload's own."""

from ..models.peerauthentication import PeerAuthentication
from . import common, words
from .finding import Finding, Findings, below, verdict


def check(spec: PeerAuthentication, _namespace: str) -> Findings:
    """Everything wrong with one PeerAuthentication."""
    yield from below("selector", common.policy_selector(spec.selector))
    if "port_level_mtls" in spec.model_fields_set:
        if not spec.port_level_mtls:
            yield Finding(("port_level_mtls",), "needs at least one port")
        if spec.selector is None or not spec.selector.match_labels:
            yield Finding(("port_level_mtls",), "needs a selector: the ports are those of workloads, not of services")
    for port in spec.port_level_mtls:
        yield from verdict(("port_level_mtls", str(port)), words.port(port))
