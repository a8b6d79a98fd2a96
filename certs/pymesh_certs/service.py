"""Istio's certificate service over gRPC: identify the caller, sign for that identity, say nothing more than needed."""

import logging
from collections.abc import Sequence
from datetime import timedelta

import grpc
import grpc.aio

from pymesh.identity import SpiffeId

from . import authenticate, messages
from .authority import Authority
from .errors import AuthenticationFailed, CsrMalformed, CsrRefused
from .messages import CertificateRequest, CertificateResponse
from .metrics import CaMetrics
from .peer import Context, PeerOf, from_auth_context
from .rate import Limiter, Rate

_log = logging.getLogger("pymesh.certs.service")

UNAUTHENTICATED = "request authenticate failure"
"""Istio's words. The reason stays in our log, for it would help an attacker more than an honest caller."""

TOO_OFTEN = "this identity asks too often; try again later"

_LONGEST = 2**31
"""Seconds; a wish beyond it is beyond any maximum too, and would overflow timedelta if passed on."""


class CertificateService:
    """The servicer. `peer_of` tells who is behind a call as far as TLS knows."""

    def __init__(
        self,
        authority: Authority,
        authenticators: Sequence[authenticate.Authenticator],
        metrics: CaMetrics,
        peer_of: PeerOf,
        limiter: Limiter,
    ) -> None:
        self._authority = authority
        self._authenticators = authenticators
        self._metrics = metrics
        self._peer_of = peer_of
        self._limiter = limiter
        metrics.root_expiry.set(authority.root_not_after.timestamp())
        metrics.chain_expiry.set(authority.signer_not_after.timestamp())

    async def create_certificate(self, request: CertificateRequest, context: Context) -> CertificateResponse:
        self._metrics.requests.inc()
        try:
            spiffe = await self._caller(context)
        except AuthenticationFailed as failure:
            self._metrics.authentication_failures.inc()
            _log.warning("certificate refused to %s: %s", context.peer(), failure)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, UNAUTHENTICATED)
        if not self._limiter.admits(spiffe):
            self._metrics.sign_errors.inc()
            _log.warning("certificate refused to %s at %s: %s", spiffe, context.peer(), TOO_OFTEN)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_OFTEN)
        return await self._signed(request, spiffe, context)

    async def _caller(self, context: Context) -> SpiffeId:
        peer = self._peer_of(context)
        if peer is None:
            raise AuthenticationFailed("the connection is plaintext; certificates are only given over TLS")
        return await authenticate.identify(authenticate.Credentials(peer, _authorization(context)), self._authenticators)

    async def _signed(self, request: CertificateRequest, spiffe: SpiffeId, context: Context) -> CertificateResponse:
        try:
            if request.metadata.get("ImpersonatedIdentity"):
                raise CsrRefused("no caller may ask for another's identity here")
            ttl = timedelta(seconds=max(-1, min(request.validity, _LONGEST)))
            chain = self._authority.sign(request.csr.encode(), spiffe, ttl)
        except CsrRefused as refusal:
            (self._metrics.csr_errors if isinstance(refusal, CsrMalformed) else self._metrics.sign_errors).inc()
            _log.warning("certificate refused to %s at %s: %s", spiffe, context.peer(), refusal)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"CSR signing error: {refusal}")
        self._metrics.issued.inc()
        _log.info("certificate issued to %s at %s", spiffe, context.peer())
        return CertificateResponse(tuple(chain))


def add_to_server(
    server: grpc.aio.Server,
    authority: Authority,
    authenticators: Sequence[authenticate.Authenticator],
    *,
    metrics: CaMetrics | None = None,
    peer_of: PeerOf = from_auth_context,
    rate: Rate | None = None,
) -> None:
    """Offer the service on a server. Calls that come in over a plaintext port of it are refused."""
    service = CertificateService(authority, authenticators, metrics or CaMetrics(), peer_of, Limiter(rate or Rate()))
    handler = grpc.unary_unary_rpc_method_handler(
        service.create_certificate,
        request_deserializer=CertificateRequest.from_bytes,
        response_serializer=CertificateResponse.to_bytes,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, {messages.METHOD_NAME: handler}),))


def _authorization(context: Context) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            return value
    return None
