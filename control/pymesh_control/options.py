"""What the control plane is started with, checked before anything is bound."""

from dataclasses import dataclass, field
from pathlib import Path

from pymesh.address import Address, parse

from .ads.clients import DEFAULT_LIMIT
from .push.debounce import Timing
from .registration.registry import DEFAULT_GRACE


def address(text: str) -> Address:
    """Read `HOST:PORT`, `[IPV6]:PORT` or `:PORT` (every interface). Raises ValueError."""
    given = parse(text)
    return given if given.host else Address("0.0.0.0", given.port)


XDS = Address("127.0.0.1", 15010)
SECURE_XDS = Address("127.0.0.1", 15012)
MONITORING = Address("127.0.0.1", 15014)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One control plane."""

    config: Path
    """The folder of Istio resources."""
    ca_dir: Path
    """The authority's files; made when there are none."""
    state_dir: Path
    """Where registrations outlive a restart."""
    secrets: Path | None = None
    """The folder of credentials; None: Gateways can name none."""
    xds: Address = XDS
    secure_xds: Address = SECURE_XDS
    monitoring: Address = MONITORING
    revision: str = ""
    """Configuration that is labelled for another one is left alone; empty: none is (Istio's REVISION)."""
    trust_domain: str | None = None
    """None: what the MeshConfig says, else cluster.local."""
    server_names: tuple[str, ...] = ()
    """Further DNS names for the certificate of the secure port (Istio's ISTIOD_CUSTOM_HOST)."""
    registration_grace: float = DEFAULT_GRACE
    max_clients: int = DEFAULT_LIMIT
    timing: Timing = field(default_factory=Timing)
