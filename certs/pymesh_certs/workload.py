"""A workload's certificate life: key in memory, request, use, renewal at half life, for as long as the process runs.

One coroutine whose methods are the states: fetching (with back-off while the CA says no, or nothing) and holding (until it is
time to renew). What is held is served until something better is there; a failing CA never takes it away.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pymesh import tasks
from pymesh.identity import SpiffeId

from . import keys, svid
from .client import Ca, KeyPair
from .errors import AuthenticationFailed, CaRefused, CaUnavailable, CertsError

_log = logging.getLogger("pymesh.certs.workload")

JITTER = 0.01
"""Istio's SECRET_GRACE_PERIOD_RATIO_JITTER: a fleet that was started together does not renew together."""

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
"""Seconds between attempts: short enough that the CA's return is noticed, long enough to let it come up."""

_SLICE = 60.0


class Clock(Protocol):
    """What time is for here."""

    def now(self) -> datetime: ...

    async def sleep_until(self, moment: datetime) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime) -> None:
        """In slices: the loop's own clock stands still while a laptop is suspended, and certificates age meanwhile."""
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110  nobody sets an event when time passes
            await asyncio.sleep(min(left, _SLICE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A certificate chain (no root) with its key, and the roots to verify peers by; all PEM."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    roots_pem: bytes
    obtained: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is asked for, and the part of its life (SECRET_GRACE_PERIOD_RATIO) that is left when it is renewed."""

    ttl: timedelta = timedelta(hours=24)
    ratio: float = 0.5
    rsa_bits: int | None = None


class WorkloadIdentity:
    """One workload's identity. `on_change` is called on the loop with every new bundle, the first one included."""

    def __init__(
        self,
        spiffe: SpiffeId,
        ca: Ca,
        *,
        policy: Policy | None = None,
        on_change: Callable[[Bundle], None] = lambda bundle: None,
        clock: Clock | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.spiffe = spiffe
        self.requests = 0
        self.failures = 0
        self._ca = ca
        self._policy = policy or Policy()
        self._on_change = on_change
        self._clock = clock or SystemClock()
        self._uniform = uniform
        self._bundle: Bundle | None = None
        self._task: asyncio.Task[None] | None = None
        self._state = "new"

    def __repr__(self) -> str:
        return f"<WorkloadIdentity {self.spiffe} {self._state}>"

    @property
    def current(self) -> Bundle:
        """What to serve now; raises LookupError before the first certificate."""
        if self._bundle is None:
            raise LookupError(f"{self.spiffe} has no certificate yet")
        return self._bundle

    @property
    def seconds_left(self) -> float:
        """Until the served certificate expires; negative when it has, and before there is one."""
        return -1.0 if self._bundle is None else (self._bundle.not_after - self._clock.now()).total_seconds()

    async def start(self) -> None:
        """Wait until the first certificate is in use, however long the CA takes (cancel to give up), and renew from then on."""
        self._task = tasks.spawn(self._live(await self._fetching()), name=f"identity of {self.spiffe}")
        await asyncio.sleep(0)  # one turn, in which `on_change` is called: who waits here may show the certificate next

    async def close(self) -> None:
        """Stop renewing. The current bundle stays readable."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._state = "closed"

    async def _live(self, bundle: Bundle) -> None:
        while True:
            await self._holding(bundle)
            bundle = await self._fetching()

    async def _holding(self, bundle: Bundle) -> None:
        self._state = f"holding until {bundle.not_after:%Y-%m-%d %H:%M:%S}"
        await self._clock.sleep_until(self._renewal(bundle))

    async def _fetching(self) -> Bundle:
        self._state = "fetching"
        failed = 0
        while True:
            self.requests += 1
            try:
                bundle = await self._attempt()
            except CertsError as error:
                self.failures += 1
                failed += 1
                delay = self._backoff(failed)
                self._tell(error, delay)
                await self._clock.sleep_until(self._clock.now() + timedelta(seconds=delay))
            else:
                self._adopt(bundle)
                return bundle

    async def _attempt(self) -> Bundle:
        """With the held certificate, and if that fails without it.

        A CA that has a new root no longer knows the old certificate and cuts the handshake, while a token still gets through.
        """
        if self._bundle is None or self.seconds_left <= 0:
            return await self._fetch(None)
        try:
            return await self._fetch(KeyPair(self._bundle.chain_pem, self._bundle.key_pem))
        except CertsError as first:
            try:
                return await self._fetch(None)
            except CertsError as second:
                raise CaUnavailable(f"with the held certificate, {first}; with a token, {second}") from None

    async def _fetch(self, proof: KeyPair | None) -> Bundle:
        key = await asyncio.to_thread(keys.generate, self._policy.rsa_bits)  # an RSA key takes up to a second
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        chain = await self._ca.sign(csr.public_bytes(Encoding.PEM), self._policy.ttl, proof)
        leaf = self._checked(chain, key.public_key())
        return Bundle(
            chain_pem="".join(chain[:-1]).encode(),
            key_pem=keys.to_pem(key),
            roots_pem=chain[-1].encode(),
            obtained=self._clock.now(),
            not_after=leaf.not_valid_after_utc,
        )

    def _checked(self, chain: tuple[str, ...], key: keys.PublicKey) -> x509.Certificate:
        """The leaf, if it is what was asked for; raises CaRefused. Serving another's certificate would break every peer's check."""
        try:
            leaf = x509.load_pem_x509_certificate(chain[0].encode())
            given = svid.identity_of(leaf)
        except (ValueError, AuthenticationFailed) as error:
            raise CaRefused(f"the CA sent what is no workload certificate: {error}") from None
        if leaf.public_key() != key:
            raise CaRefused("the CA certified another key than ours")
        if given != self.spiffe:
            raise CaRefused(f"the CA made us {given}, but this workload is {self.spiffe}")
        if leaf.not_valid_after_utc <= self._clock.now():
            raise CaRefused(f"the CA's certificate ended at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC; is the clock right?")
        return leaf

    def _adopt(self, bundle: Bundle) -> None:
        self._bundle = bundle
        _log.info("%s has a certificate until %s", self.spiffe, bundle.not_after.isoformat())
        # By way of the loop: a failing listener is logged there and cannot end the renewals.
        asyncio.get_running_loop().call_soon(self._on_change, bundle)

    def _tell(self, error: CertsError, delay: float) -> None:
        left = self.seconds_left
        held = f"the held certificate is good for {left:.0f} s" if left > 0 else "no valid certificate is held"
        self._state = f"fetching, failed: {error}"
        _log.warning("no certificate for %s: %s; %s; next attempt in %.1f s", self.spiffe, error, held, delay)

    def _renewal(self, bundle: Bundle) -> datetime:
        """At half of the life, more or less; at least a second after its begin, so that a tiny life makes no busy loop."""
        ratio = self._policy.ratio + self._uniform(-JITTER, JITTER)
        moment = bundle.not_after - ratio * (bundle.not_after - bundle.obtained)
        return max(moment, bundle.obtained + timedelta(seconds=1))

    def _backoff(self, failed: int) -> float:
        ceiling: float = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failed - 1, 16))
        return self._uniform(ceiling / 2, ceiling)
