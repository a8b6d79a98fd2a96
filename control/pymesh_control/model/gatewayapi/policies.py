"""BackendTLSPolicies: TLS towards backends, where no DestinationRule says anything of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pymesh.api.models.destinationrule import ClientTLSSettings, TLSMode

from ..credential import AUTHORITY_SUFFIX, Credentials
from ..origin import Origin
from ..service import Service
from .backends import Backends
from .conditions import ACCEPTED, RESOLVED, Condition, ParentStatus, Status, bad, settled

Place = tuple[str, str, int]
"""Namespace and host of a service, and one of its ports, 0 for all."""

_AUTHORITIES = {("", "ConfigMap"), ("", "Secret")}
_SYSTEM = "System"


@dataclass(frozen=True, slots=True)
class BackendTls:
    """TLS towards a backend: the server name, the names of which its certificate needs one, and the authorities that may have signed it.

    `credential`: `namespace/name` of the authorities, empty for the public ones.
    """

    server_name: str
    names: tuple[str, ...]
    credential: str
    origin: Origin

    @property
    def settings(self) -> ClientTLSSettings:
        """The same as a DestinationRule would say it."""
        return ClientTLSSettings(
            mode=TLSMode.SIMPLE, sni=self.server_name, subject_alt_names=list(self.names), credential_name=self.credential or None
        )  # fmt: skip


class BackendPolicies:
    """All policies, from the oldest on: of two for one target the older holds."""

    def __init__(self, backends: Backends, credentials: Credentials) -> None:
        self.found: dict[Place, BackendTls] = {}
        self.statuses: list[Status] = []
        self.shared: set[tuple[str, str]] = set()
        """The authorities that clients of every namespace verify with: namespace and name."""
        self._backends, self._credentials = backends, credentials
        self._holders: dict[tuple[str, str, str, str], str] = {}

    def add(self, resource: Any) -> None:
        """Apply one policy to its targets."""
        made, faults = self._made(resource)
        told = []
        for index, target in enumerate(resource.spec.target_refs):
            fault = self._apply(resource, target, made, ("targetRefs", index))
            part = f" port {target.section_name}" if target.section_name else ""
            here = [*faults, *([fault] if fault else [])]
            told.append(ParentStatus(f"{target.kind} {target.name}{part}", settled(here, ACCEPTED, RESOLVED)))
        self.statuses.append(Status(kind=resource.kind, namespace=resource.namespace, name=resource.name, parents=tuple(told)))

    def _apply(self, resource: Any, target: Any, made: BackendTls, path: tuple[str | int, ...]) -> Condition | None:
        services = list(self._targets(resource.namespace, target))
        if not services:
            text = f"there is no {target.kind} {resource.namespace}/{target.name} ({target.group or 'core'})"
            return bad(ACCEPTED, "TargetNotFound", text, path)
        ports = {port.name: port.number for one in services for port in one.ports}
        if target.section_name and target.section_name not in ports:
            text = f"{target.kind} {target.name} has no port of the name {target.section_name}"
            return bad(ACCEPTED, "TargetNotFound", text, (*path, "sectionName"))
        key = (resource.namespace, target.kind, target.name, target.section_name or "")
        holder = self._holders.setdefault(key, resource.name)
        if holder != resource.name:
            return bad(ACCEPTED, "Conflicted", f"BackendTLSPolicy {holder} is older, and for the same target", path)
        number = ports[target.section_name] if target.section_name else 0
        for one in services:
            self.found.setdefault((one.namespace, one.host, number), made)
        return None

    def _targets(self, namespace: str, target: Any) -> Iterable[Service]:
        match (target.group, target.kind):
            case ("" | "core", "Service"):
                found = self._backends.service(target.name, namespace)
                return [found] if found is not None and found.namespace == namespace else []
            case ("networking.istio.io", "ServiceEntry"):
                return self._backends.entry(target.name, namespace)
        return []

    def _made(self, resource: Any) -> tuple[BackendTls, list[Condition]]:
        """What a policy says. Authorities that are not there stay named: then no connection is made, rather than an unsafe one."""
        validation = resource.spec.validation
        names = tuple(name.hostname or name.uri or "" for name in validation.subject_alt_names) or (validation.hostname,)
        origin = Origin(resource.kind, resource.namespace, resource.name)
        if validation.well_known_ca_certificates == _SYSTEM:
            return BackendTls(validation.hostname, names, "", origin), []
        reference = validation.ca_certificate_refs[0]
        self.shared.add((resource.namespace, reference.name + AUTHORITY_SUFFIX))
        made = BackendTls(validation.hostname, names, f"{resource.namespace}/{reference.name}", origin)
        return made, list(self._authorities(resource, validation.ca_certificate_refs))

    def _authorities(self, resource: Any, references: Any) -> Iterable[Condition]:
        path = ("validation", "caCertificateRefs", 0)
        reference = references[0]
        held = self._credentials.get((resource.namespace, reference.name))
        told = f"{reference.kind} {resource.namespace}/{reference.name}"
        if len(references) > 1:
            yield bad(ACCEPTED, "Invalid", "only the first of several caCertificateRefs is used", path[:-1])
        if (reference.group, reference.kind) not in _AUTHORITIES:
            yield bad(RESOLVED, "InvalidKind", f"authorities of kind {reference.kind} are not read: name a ConfigMap or a Secret", path)
        elif held is None or not held.roots:
            text = f"there is no {told} with authorities (ca.crt) among the credentials of this control plane"
            yield bad(RESOLVED, "InvalidCACertificateRef", text, path)
        else:
            return
        yield bad(ACCEPTED, "NoValidCACertificate", "no backend can be verified, so that none is called", path, follows=True)
