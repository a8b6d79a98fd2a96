"""RequestAuthentication: which tokens a workload can read."""

from pydantic import Field

from ..types import Bool, Duration, Model, PolicySelector, PolicyTargetReference


class JWTHeader(Model):
    """A header that may hold a token, and what stands before it."""

    name: str
    prefix: str | None = None


class ClaimToHeader(Model):
    """A claim that is passed on in a header."""

    header: str
    claim: str


class JWTRule(Model):
    """Tokens of one issuer."""

    ONEOFS = (("jwks_uri", "jwks"),)
    issuer: str | None = Field(default=None, min_length=1)
    audiences: list[str] = []
    jwks_uri: str | None = Field(default=None, min_length=1, max_length=2048)
    jwks: str | None = None
    from_headers: list[JWTHeader] = []
    from_params: list[str] = []
    from_cookies: list[str] = []
    output_payload_to_header: str | None = None
    forward_original_token: Bool | None = None
    output_claim_to_headers: list[ClaimToHeader] = []
    timeout: Duration | None = None
    space_delimited_claims: list[str] = []


class RequestAuthentication(Model):
    """The `spec` of a RequestAuthentication."""

    selector: PolicySelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: list[PolicyTargetReference] = []
    jwt_rules: list[JWTRule] = Field(default=[], max_length=4096)
