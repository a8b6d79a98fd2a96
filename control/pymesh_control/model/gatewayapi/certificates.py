"""TLS of listeners, as that of Istio's servers: certificates by reference, and what client certificates are verified against."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pymesh.api.models.gateway import ServerTLSSettings, TLSMode

from ..credential import AUTHORITY_SUFFIX, Credential, Credentials
from ..support import Path
from .conditions import ACCEPTED, RESOLVED, Condition, bad
from .grants import Grants, Target

_TERMINATE_MODE = "gateway.istio.io/tls-terminate-mode"
_CIPHERS = "gateway.istio.io/tls-cipher-suites"
_PROTOCOL = "gateway.istio.io/listener-protocol"
_AUTO_PASSTHROUGH = "auto-passthrough"
_NETWORK = "topology.istio.io/network"
_EAST_WEST = ("networking.istio.io/gatewayPort", "15443")
_MODES = ("MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL")
_MOST = 2
"""Certificates that Envoy serves: one with a key of RSA, one of ECDSA."""


@dataclass(slots=True)
class Secured:
    """What became of a listener's `tls`: settings, or what is wrong; and the credentials that it names, as (namespace, name)."""

    settings: ServerTLSSettings | None = None
    faults: list[Condition] = field(default_factory=list)
    credentials: list[tuple[str, str]] = field(default_factory=list)


class Certificates:
    """The credentials of the mesh, and which Gateways may name them."""

    def __init__(self, credentials: Credentials, grants: Grants) -> None:
        self._held, self._grants = credentials, grants

    def secure(self, gateway: Any, owner: Any, listener: Any, path: Path) -> Secured:
        """TLS of a listener that stands at `path` of its owner, the Gateway itself or a ListenerSet that it takes in."""
        made = Secured()
        tls = listener.tls
        if tls is None:
            if listener.protocol in ("HTTPS", "TLS"):
                made.faults.append(bad(RESOLVED, "InvalidCertificateRef", f"a listener of protocol {listener.protocol} needs tls", path))
            return made
        ciphers = [text.strip() for text in tls.options.get(_CIPHERS, "").split(",") if text.strip()]
        if tls.mode.value == "Passthrough":
            mode = TLSMode.AUTO_PASSTHROUGH if _passes_by_name(owner, listener) else TLSMode.PASSTHROUGH
            made.settings = ServerTLSSettings(mode=mode, cipher_suites=ciphers)
        elif tls.options.get(_TERMINATE_MODE) == "ISTIO_MUTUAL":
            made.settings = ServerTLSSettings(mode=TLSMode.ISTIO_MUTUAL)
        else:
            self._terminate(made, gateway, owner, listener, (*path, "tls"))
            if made.settings is not None:
                made.settings = made.settings.model_copy(update={"cipher_suites": ciphers})
        return made

    def _terminate(self, made: Secured, gateway: Any, owner: Any, listener: Any, path: Path) -> None:
        names = list(self._names(made, owner, listener.tls.certificate_refs, (*path, "certificateRefs")))
        authorities = self._authorities(made, gateway, owner, listener.port)
        wanted = listener.tls.options.get(_TERMINATE_MODE, "")
        if wanted and wanted not in _MODES:
            text = f"the option {_TERMINATE_MODE} is {wanted}, and must be one of {', '.join(_MODES)}"
            made.faults.append(bad(ACCEPTED, "UnsupportedValue", text, (*path, "options", _TERMINATE_MODE)))
        mode = TLSMode(wanted) if wanted in _MODES else (TLSMode.MUTUAL if authorities else TLSMode.SIMPLE)
        if names and mode is not TLSMode.SIMPLE and not authorities:
            self._beside(made, names[0], (*path, "options", _TERMINATE_MODE))
        if names and not any(one.type == ACCEPTED for one in made.faults):
            several = names if len(names) > 1 else []
            made.settings = ServerTLSSettings(
                mode=mode,
                credential_name=None if several else names[0],
                credential_names=several,
                ca_cert_credential_name=authorities or None,
            )

    def _names(self, made: Secured, owner: Any, references: list[Any], path: Path) -> Iterator[str]:
        """The credentials that can be served, each as `namespace/name`."""
        if len(references) > _MOST:
            text = f"at most {_MOST} certificates are served, one for each kind of key"
            made.faults.append(bad(RESOLVED, "InvalidCertificateRef", text, path))
            return
        for index, reference in enumerate(references):
            here = (*path, index)
            if (reference.group, reference.kind) != ("", "Secret"):
                text = f"a certificate of kind {reference.kind} is not served: name a Secret"
                made.faults.append(bad(RESOLVED, "InvalidCertificateRef", text, here))
                continue
            held = self._find(made, owner, reference, here, "InvalidCertificateRef")
            if held is not None and not held.has_pair:
                text = f"the Secret {reference.name} lacks a certificate or its key: tls.crt and tls.key"
                made.faults.append(bad(RESOLVED, "InvalidCertificateRef", text, here))
            elif held is not None:
                yield "/".join(self._admitted(made, owner, reference, ""))

    def _authorities(self, made: Secured, gateway: Any, owner: Any, port: int) -> str:
        """The credential whose authorities clients' certificates are verified against; none where clients need none."""
        validation, path = _validation(gateway.spec, port)
        if validation is None:
            return ""
        path = (*path, "caCertificateRefs") if owner is gateway else ()
        here = (*path, 0) if path else ()
        reference = validation.ca_certificate_refs[0]
        fault = None
        if len(validation.ca_certificate_refs) > 1:
            fault = bad(RESOLVED, "InvalidCACertificateRef", "only one caCertificateRef is supported", path)
        elif (reference.group, reference.kind) not in (("", "Secret"), ("", "ConfigMap")):
            text = f"authorities of kind {reference.kind} are not read: name a Secret or a ConfigMap"
            fault = bad(RESOLVED, "InvalidCACertificateKind", text, here)
        held = None if fault else self._find(made, gateway, reference, here, "InvalidCACertificateRef")
        if held is not None and not held.roots:
            fault = bad(RESOLVED, "InvalidCACertificateRef", f"{reference.kind} {reference.name} holds no authorities: ca.crt", here)
        if fault is not None:
            made.faults.append(fault)
        if held is None or fault is not None:
            made.faults.append(bad(ACCEPTED, "NoValidCACertificate", "no client could be verified", here, follows=True))
            return ""
        return "/".join(self._admitted(made, gateway, reference, AUTHORITY_SUFFIX))

    def _beside(self, made: Secured, name: str, path: Path) -> None:
        """Authorities that come with the certificate, as Istio's option has it."""
        namespace, _, title = name.partition("/")
        held = [self._held.get((namespace, one)) for one in (title, title + AUTHORITY_SUFFIX)]
        if any(one is not None and one.roots for one in held):
            made.credentials.append((namespace, title + AUTHORITY_SUFFIX))
        else:
            text = f"no client could be verified: the Secret {name} holds no authorities (ca.crt), and tls.frontend names none"
            made.faults.append(bad(ACCEPTED, "NoValidCACertificate", text, path))

    def _find(self, made: Secured, owner: Any, reference: Any, path: Path, reason: str) -> Credential | None:
        """The credential that an object names, if it is there and the object may name it; that it may is asked first."""
        namespace = reference.namespace or owner.namespace
        kind = "ListenerSet" if owner.kind == "ListenerSet" else "Gateway"
        told = f"{reference.kind} {namespace}/{reference.name}"
        if not self._grants.allow(kind, owner.namespace, Target("", reference.kind, namespace, reference.name)):
            text = f"{told} is of another namespace, and no ReferenceGrant there lets a {kind} of {owner.namespace} name it"
            made.faults.append(bad(RESOLVED, "RefNotPermitted", text, path))
            return None
        held = self._held.get((namespace, reference.name))
        if held is None:
            made.faults.append(bad(RESOLVED, reason, f"there is no {told} among the credentials of this control plane", path))
        return held

    @staticmethod
    def _admitted(made: Secured, owner: Any, reference: Any, suffix: str) -> tuple[str, str]:
        found = (reference.namespace or owner.namespace, reference.name + suffix)
        made.credentials.append(found)
        return found


def _validation(spec: Any, port: int) -> tuple[Any, Path]:
    """What a Gateway says of client certificates on a port, with its place."""
    if spec.tls is None or spec.tls.frontend is None:
        return None, ()
    for index, one in enumerate(spec.tls.frontend.per_port):
        if one.port == port:
            return one.tls.validation, ("tls", "frontend", "perPort", index, "tls", "validation")
    return spec.tls.frontend.default.validation, ("tls", "frontend", "default", "validation")


def _passes_by_name(owner: Any, listener: Any) -> bool:
    """Whether server names alone say where connections go: the gateway between networks, by option or by label and port."""
    if listener.tls.options.get(_PROTOCOL) == _AUTO_PASSTHROUGH:
        return True
    label, usual = _EAST_WEST
    return bool(_NETWORK in owner.labels and str(listener.port) == owner.labels.get(label, usual))
