"""The two secrets of a workload as Envoy wants them, and what one SDS stream has still to be told. No I/O.

Both forms of the protocol are here: state-of-the-world (every answer has all subscribed secrets) and delta (only what changed).
"""

import asyncio
import logging
from typing import Any

from pymesh.xds import names, proto, types

from ..workload import Bundle

_log = logging.getLogger("pymesh.certs.sds")


class Secrets:
    """What is served now. Streams register an event that is set at every change."""

    def __init__(self) -> None:
        self.version = 0
        self.watchers: set[asyncio.Event] = set()
        self._secrets: dict[str, Any] = {}
        self._versions: dict[str, int] = {}

    def put(self, bundle: Bundle) -> None:
        """Serve a new certificate and its roots. A secret keeps its version when it is the same as before, as roots mostly are."""
        self.version += 1
        for secret in (_certificate(bundle), _roots(bundle)):
            if self._secrets.get(secret.name) != secret:
                self._secrets[secret.name] = secret
                self._versions[secret.name] = self.version
        for watcher in self.watchers:
            watcher.set()

    def get(self, name: str) -> Any | None:
        return self._secrets.get(name)

    def version_of(self, name: str) -> int:
        """When the secret last changed; 0 for one that does not exist."""
        return self._versions.get(name, 0)


class SotwSession:
    """One StreamSecrets stream: which names it wants, and whether it has to be told again."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._names: tuple[str, ...] = ()
        self._told: tuple[tuple[str, ...], int] = ((), 0)
        self._nonce = 0

    def request(self, request: Any) -> None:
        """Take a subscription, ACK or NACK. A nonce that is not the last one answers an older message and says nothing new."""
        if request.response_nonce and request.response_nonce != str(self._nonce):
            return
        _note_refusal(request)
        self._names = tuple(request.resource_names)

    def answer(self) -> Any | None:
        """The next message to send, None when the stream knows all."""
        version = max(map(self._secrets.version_of, self._names), default=0)
        due = (self._names, version)
        if not self._names or due == self._told or not self._secrets.version:
            return None
        self._told = due
        self._nonce += 1
        found = [secret for name in self._names if (secret := self._secrets.get(name)) is not None]
        return proto.discovery.DiscoveryResponse(
            version_info=str(version),
            resources=[proto.pack(secret) for secret in found],
            type_url=types.SECRET,
            nonce=str(self._nonce),
        )


class DeltaSession:
    """One DeltaSecrets stream: the version of each subscribed secret that it was told; -1 for not yet."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._told: dict[str, int] = {}
        self._nonce = 0

    def request(self, request: Any) -> None:
        """Take a change of subscription, ACK or NACK. Subscribing again asks for the secret again."""
        _note_refusal(request)
        self._told.update(dict.fromkeys(request.resource_names_subscribe, -1))
        for name in request.resource_names_unsubscribe:
            self._told.pop(name, None)

    def answer(self) -> Any | None:
        """The next message to send, None when the stream knows all."""
        due = {name: version for name, told in self._told.items() if told != (version := self._secrets.version_of(name))}
        if not due or not self._secrets.version:
            return None
        self._told.update(due)
        self._nonce += 1
        found = {name: secret for name in due if (secret := self._secrets.get(name)) is not None}
        return proto.discovery.DeltaDiscoveryResponse(
            system_version_info=str(self._secrets.version),
            resources=[
                proto.discovery.Resource(name=name, version=str(due[name]), resource=proto.pack(secret)) for name, secret in found.items()
            ],
            removed_resources=[name for name in due if name not in found],
            type_url=types.SECRET,
            nonce=str(self._nonce),
        )


Session = SotwSession | DeltaSession


def _note_refusal(request: Any) -> None:
    if request.HasField("error_detail"):
        _log.error("the proxy refused a secret: %s", request.error_detail.message)


def _certificate(bundle: Bundle) -> Any:
    pair = proto.tls_common.TlsCertificate(
        certificate_chain=proto.base.DataSource(inline_bytes=bundle.chain_pem),
        private_key=proto.base.DataSource(inline_bytes=bundle.key_pem),
    )
    return proto.secret.Secret(name=names.WORKLOAD_SECRET, tls_certificate=pair)


def _roots(bundle: Bundle) -> Any:
    trusted = proto.tls_common.CertificateValidationContext(trusted_ca=proto.base.DataSource(inline_bytes=bundle.roots_pem))
    return proto.secret.Secret(name=names.ROOT_SECRET, validation_context=trusted)
