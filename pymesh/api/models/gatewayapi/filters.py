"""Filters of routes: what is changed in requests and answers, besides where they go."""

import enum
from typing import Annotated

from pydantic import Field, Strict

from ...types import I32, Bool, Model
from ..kubernetes import PortNumber
from .references import BackendObjectReference, LocalObjectReference

Positive = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
NotNegative = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
Percentage = Annotated[int, Strict(), Field(ge=0, le=100)]


class HTTPHeader(Model):
    """One header."""

    name: str
    value: str


class HTTPHeaderFilter(Model):
    """Edits of headers; of two edits of one header in a list the first counts."""

    set: list[HTTPHeader] = []
    add: list[HTTPHeader] = []
    remove: list[str] = []


class PathModifierType(enum.Enum):
    """Which part of a path is replaced."""

    REPLACE_FULL_PATH = "ReplaceFullPath"
    REPLACE_PREFIX_MATCH = "ReplacePrefixMatch"


class HTTPPathModifier(Model):
    """A path, or what stands for the prefix that matched."""

    type: PathModifierType
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class RedirectScheme(enum.Enum):
    """Schemes of HTTP."""

    HTTP = "http"
    HTTPS = "https"


class HTTPRequestRedirectFilter(Model):
    """An answer that sends the client elsewhere."""

    scheme: RedirectScheme | None = None
    hostname: str | None = None
    path: HTTPPathModifier | None = None
    port: PortNumber | None = None
    status_code: I32 = 302


class HTTPURLRewriteFilter(Model):
    """What changes in the request's target before it is forwarded."""

    hostname: str | None = None
    path: HTTPPathModifier | None = None


class Fraction(Model):
    """A share of requests."""

    numerator: NotNegative
    denominator: Positive = 100


class HTTPRequestMirrorFilter(Model):
    """A backend that gets a copy of some requests: of all, unless a share is given."""

    ONEOFS = (("percent", "fraction"),)
    backend_ref: BackendObjectReference
    percent: Percentage | None = None
    fraction: Fraction | None = None


class HTTPCORSFilter(Model):
    """Cross-origin resource sharing."""

    allow_origins: list[str] = []
    allow_credentials: Bool | None = None
    allow_methods: list[str] = []
    allow_headers: list[str] = []
    expose_headers: list[str] = []
    max_age: Positive = 5


class GRPCAuthConfig(Model):
    """What an authorization service that speaks gRPC is told."""

    allowed_request_headers: list[str] = Field(default=[], alias="allowedHeaders")


class HTTPAuthConfig(Model):
    """What an authorization service that speaks HTTP is told."""

    path: str | None = None
    allowed_request_headers: list[str] = Field(default=[], alias="allowedHeaders")
    allowed_response_headers: list[str] = []


class ForwardBodyConfig(Model):
    """How much of a request's body an authorization service is sent."""

    max_size: NotNegative | None = None


class ExternalAuthProtocol(enum.Enum):
    """How an authorization service is asked."""

    HTTP = "HTTP"
    GRPC = "GRPC"


class HTTPExternalAuthFilter(Model):
    """A service that is asked whether requests may pass."""

    protocol: ExternalAuthProtocol
    backend_ref: BackendObjectReference
    grpc: GRPCAuthConfig | None = None
    http: HTTPAuthConfig | None = None
    forward_body: ForwardBodyConfig | None = None


class GRPCFilterType(enum.Enum):
    """The filters of GRPCRoutes."""

    REQUEST_HEADER_MODIFIER = "RequestHeaderModifier"
    RESPONSE_HEADER_MODIFIER = "ResponseHeaderModifier"
    REQUEST_MIRROR = "RequestMirror"
    EXTENSION_REF = "ExtensionRef"


class GRPCRouteFilter(Model):
    """One filter: its type, and the field of that name."""

    type: GRPCFilterType
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None


class HTTPFilterType(enum.Enum):
    """The filters of HTTPRoutes."""

    REQUEST_HEADER_MODIFIER = "RequestHeaderModifier"
    RESPONSE_HEADER_MODIFIER = "ResponseHeaderModifier"
    REQUEST_MIRROR = "RequestMirror"
    REQUEST_REDIRECT = "RequestRedirect"
    URL_REWRITE = "URLRewrite"
    CORS = "CORS"
    EXTERNAL_AUTH = "ExternalAuth"
    EXTENSION_REF = "ExtensionRef"


class HTTPRouteFilter(Model):
    """One filter: its type, and the field of that name."""

    type: HTTPFilterType
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    external_auth: HTTPExternalAuthFilter | None = None
    extension_ref: LocalObjectReference | None = None
