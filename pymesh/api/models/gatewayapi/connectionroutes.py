"""TLSRoute and TCPRoute: where connections go."""

from ...types import Model
from .references import BackendRef, RouteSpec


class ConnectionRule(Model):
    """The backends that share the connections."""

    name: str | None = None
    backend_refs: list[BackendRef] = []


class TLSRoute(RouteSpec):
    """The `spec` of a TLSRoute: TLS connections by server name; no host names mean those of its parents."""

    hostnames: list[str] = []
    rules: list[ConnectionRule] = []


class TCPRoute(RouteSpec):
    """The `spec` of a TCPRoute: every connection of a listener or port."""

    rules: list[ConnectionRule] = []
