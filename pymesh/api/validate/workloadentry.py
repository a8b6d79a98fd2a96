"""WorkloadEntry, alone or as an endpoint of a ServiceEntry."""

from pymesh.address import is_ip

from ..models.workloadentry import WorkloadEntry
from . import common, words
from .finding import Finding, Findings, below, verdict

UNIX = "unix://"
_TOO_LONG = 63


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
        yield from check_socket(entry)
    elif address and not is_ip(address):
        yield from verdict("address", words.fqdn(address))
    yield from below("ports", ports_by_name(entry.ports))
    yield from below("labels", common.labels(entry.labels))


def ports_by_name(ports: dict[str, int]) -> Findings:
    """Names are a character shorter than other DNS labels may be, as the published schemas have it."""
    for name, number in ports.items():
        yield from verdict(name, words.dns_label(name))
        if len(name) == _TOO_LONG:
            yield Finding((name,), f"the name of a port has at most {_TOO_LONG - 1} characters here")
        yield from verdict(name, words.port(number))


def socket_path(address: str) -> str | None:
    """What is wrong with an address that begins with unix://."""
    path = address.removeprefix(UNIX)
    if path.startswith("@") or (path.startswith("/") and not path.endswith("/")):
        return None
    return "a Unix socket must be an absolute path, not a folder, or an abstract name (@name)"


def check_socket(entry: WorkloadEntry) -> Findings:
    """What holds for a workload behind a Unix socket."""
    yield from verdict("address", socket_path(entry.address or ""))
    if entry.ports:
        yield Finding(("ports",), "a Unix socket has no ports")
