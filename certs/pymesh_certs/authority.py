"""The certificate authority: signs what an authenticated caller may have, and nothing that a request asks for beyond that."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pymesh.identity import SpiffeId

from . import cadir, csr, keys, template
from .errors import CsrRefused

DEFAULT_TTL = timedelta(hours=24)
MAX_TTL = timedelta(days=90)
SERVER_TTL = timedelta(days=90)

Now = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Authority:
    """A signer with its way up to the roots. Create it with `load_or_create`."""

    def __init__(
        self,
        signer: template.Signer,
        intermediates: Sequence[x509.Certificate],
        roots: Sequence[x509.Certificate],
        trust_domain: str,
        now: Now,
    ) -> None:
        self.trust_domain = trust_domain
        self.root_pem = b"".join(_pem(root) for root in roots)
        self.signer_not_after = signer.certificate.not_valid_after_utc
        self.root_not_after = min(root.not_valid_after_utc for root in roots)
        self._signer = signer
        self._intermediates = [_pem(certificate).decode() for certificate in intermediates]
        self._now = now

    @classmethod
    def load_or_create(cls, directory: Path, trust_domain: str, now: Now = utc_now) -> "Authority":
        """The authority of a directory, which gets a self-signed root if it has none. Raises FileUnusable."""
        cadir.prepare(directory, trust_domain, now())
        signer, intermediates, roots = cadir.load(directory, now())
        return cls(signer, intermediates, roots, trust_domain, now)

    def sign(self, csr_pem: bytes, spiffe: SpiffeId, ttl: timedelta) -> list[str]:
        """A workload's chain: leaf, intermediates, and the root bundle as the last element. Raises CsrRefused.

        A `ttl` of zero or less means the default; one above the maximum is refused rather than clamped, as Istio does,
        because a client that counts on its wish would rotate too late.
        """
        key = csr.public_key(csr_pem)
        if ttl > MAX_TTL:
            raise CsrRefused(f"a life of {ttl} was asked for; at most {MAX_TTL} is given")
        now = self._now()
        end = self._end(now, ttl if ttl > timedelta(0) else DEFAULT_TTL)
        leaf = template.workload(self._signer, key, spiffe, now, end)
        return [_pem(leaf).decode(), *self._intermediates, self.root_pem.decode()]

    def issue_server(self, dns_names: Sequence[str], ips: Sequence[str], ttl: timedelta = SERVER_TTL) -> tuple[bytes, bytes]:
        """A new server key with its certificate: (chain without root, key), both PEM."""
        key = keys.generate()
        now = self._now()
        leaf = template.server(self._signer, key.public_key(), dns_names, ips, now, self._end(now, ttl))
        return _pem(leaf) + "".join(self._intermediates).encode(), keys.to_pem(key)

    def _end(self, now: datetime, ttl: timedelta) -> datetime:
        """No leaf outlives its signer: verifiers would refuse it, and its owner would not know why."""
        return min(now + ttl, self.signer_not_after)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
