"""WorkloadEntry, alone or as an endpoint of a ServiceEntry."""

from pymesh.address import is_ip

from ..models.workloadentry import WorkloadEntry
from . import common, words
from .finding import Finding, Findings, below, verdict

UNIX = "unix://"


def check(spec: WorkloadEntry, _namespace: str) -> Findings:
    """Everything wrong with one WorkloadEntry."""
    yield from endpoint(spec)
    if not spec.address and spec.network:
        yield Finding((), "has no address: its network's gateway has to know it", "warning")


def endpoint(entry: WorkloadEntry) -> Findings:
    """What holds for every workload."""
    address = entry.address or ""
    if not address and not entry.network:
        yield Finding((), "needs an address (or a network that knows one)")
    elif address.startswith(UNIX):
        yield from _socket(entry)
    elif address and not is_ip(address):
        yield from verdict("address", words.fqdn(address))
    for name, number in entry.ports.items():
        yield from verdict(("ports", name), words.dns_label(name))
        yield from verdict(("ports", name), words.port(number))
    yield from below("labels", common.labels(entry.labels))


def socket_path(address: str) -> str | None:
    """What is wrong with an address that begins with unix://."""
    path = address.removeprefix(UNIX)
    if path.startswith("@") or (path.startswith("/") and not path.endswith("/")):
        return None
    return "a Unix socket must be an absolute path, not a folder, or an abstract name (@name)"


def _socket(entry: WorkloadEntry) -> Findings:
    yield from verdict("address", socket_path(entry.address or ""))
    if entry.ports:
        yield Finding(("ports",), "a Unix socket has no ports")
