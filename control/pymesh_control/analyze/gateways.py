"""Servers that lose their port or their host to another, or wait for a certificate."""

from collections.abc import Iterator

from pymesh.api import Resource

from ..model.credential import AUTHORITY_SUFFIX, Credential
from ..model.gateway import Server
from .rule import Found, rule
from .subject import Subject

_ASKING = frozenset({"MUTUAL", "OPTIONAL_MUTUAL"})
"""Modes that look at the certificates of clients."""

_CREDENTIALS = tuple(f"servers[].tls.{field}" for field in ("credentialName", "caCertCredentialName", "credentialNames[]"))


@rule(
    "IST0101", "error", "a Gateway's credential is not there", on_load=True, offline=False,
    why="The port is not opened until the certificate has come.",
    fix="Put the certificate where the gateway's namespace has its credentials, under the name that the Gateway gives it.",
)  # fmt: skip
def credential_exists(subject: Subject) -> Iterator[Found]:
    for resource, path, name in subject.each("Gateway", *_CREDENTIALS):
        if not _held(subject, name, name.removesuffix(AUTHORITY_SUFFIX)):
            yield Found(resource, path, f"there is no credential {name} in any namespace: the server waits for it")


@rule(
    "IST0161", "error", "a Gateway's credential has no certificate with its key", on_load=True, offline=False,
    why="A server cannot speak TLS without them: its port is not opened.",
    fix="Put both into the credential: tls.crt and tls.key.",
)  # fmt: skip
def credential_pair(subject: Subject) -> Iterator[Found]:
    for resource, path, name in subject.each("Gateway", "servers[].tls.credentialName", "servers[].tls.credentialNames[]"):
        held = _held(subject, name)
        if held and not any(one.has_pair for one in held):
            yield Found(resource, path, f"the credential {name} lacks a certificate or its key: the server waits for them")


@rule(
    "PYM0303", "error", "a Gateway's credential has no authority for the certificates of clients", on_load=True, offline=False,
    why="Clients could not be told from strangers: its port is not opened.",
    fix="Put the authority's certificate into the credential as ca.crt, or into one with -cacert behind the name.",
)  # fmt: skip
def credential_authority(subject: Subject) -> Iterator[Found]:
    for resource, index, server, _ in _servers(subject):
        tls = server.tls
        if tls is None or tls.mode is None or tls.mode.value not in _ASKING:
            continue
        name = tls.ca_cert_credential_name or (tls.credential_names[0] if tls.credential_names else tls.credential_name)
        held = _held(subject, name, f"{name}{AUTHORITY_SUFFIX}", name.removesuffix(AUTHORITY_SUFFIX)) if name else []
        if held and not any(one.roots for one in held):
            yield Found(resource, ("servers", index, "tls"), f"the credential {name} has no authority: the server waits for it")


@rule(
    "PYM0301", "error", "servers that cannot share a port have the same", on_load=True,
    why="A port speaks TLS, HTTP or TCP, not several of them, and plain TCP does not say for which server it is: the first keeps it.",
    fix="Give the server a port of its own, or HTTP or TLS like the other.",
)  # fmt: skip
def port_kind(subject: Subject) -> Iterator[Found]:
    held: dict[object, Server] = {}
    for resource, index, server, place in _servers(subject):
        first = held.setdefault(place, server)
        if first is not server and not first.shares_with(server):
            text = f"port {server.port} already speaks {first.kind} for Gateway {first.gateway}: this server is left out"
            yield Found(resource, ("servers", index, "port"), text)


@rule(
    "IST0145", "error", "two servers have one host and port of the same proxies", also="KIA0301",
    why="Whose VirtualServices and certificates count is then a matter of age.",
    fix="Keep the host in one of them.",
)  # fmt: skip
def gateway_conflict(subject: Subject) -> Iterator[Found]:
    held: dict[object, list[tuple[Resource, int, int, Server]]] = {}
    for resource, index, server, place in _servers(subject):
        for number, (_, host) in enumerate(server.hosts):
            held.setdefault((place, host), []).append((resource, index, number, server))
    for claims in held.values():
        first = claims[0][3]
        rival = next((server for _, _, _, server in claims if server is not first), None)
        for resource, index, number, server in claims if rival else ():
            other = rival if server is first else first
            name = other.gateway if other else ""
            text = f"Gateway {name} has the host {server.hosts[number][1]} on port {server.port} of the same proxies"
            text += ": this server is left out" if server.tls and server is not first else ""
            yield Found(resource, ("servers", index, "hosts", number), text)


@rule(
    "IST0138", "warning", "two Gateways use one certificate",
    why="HTTP/2 clients reuse a connection for every host of its certificate: requests for the other Gateway's hosts get 404 there.",
    fix="Put the servers into one Gateway, or give each a certificate for its own hosts.",
)  # fmt: skip
def shared_certificate(subject: Subject) -> Iterator[Found]:
    held: dict[tuple[object, str, str], list[tuple[Resource, int, Server]]] = {}
    for resource, index, server, place in _servers(subject):
        name = server.tls.credential_name if server.tls else None
        if name and server.terminates:
            held.setdefault((place, resource.namespace, name), []).append((resource, index, server))
    for (_, _, name), claims in held.items():
        for resource, index, server in claims:
            other = next((one.gateway for _, _, one in claims if one.gateway != server.gateway), None)
            if other:
                text = f"Gateway {other} uses the certificate {name} on this port, too"
                yield Found(resource, ("servers", index, "tls", "credentialName"), text)


@rule(
    "PYM0302", "info", "no VirtualService is for a Gateway",
    why="It opens its ports, and answers every request with 404.",
    fix="Name it in the `gateways` of a VirtualService.",
)  # fmt: skip
def gateway_unused(subject: Subject) -> Iterator[Found]:
    used = frozenset(name for _, service in subject.virtual_services for name in service.gateways)
    for name, (resource, gateway) in subject.gateways.items():
        if name not in used and any(_needs_rules(server) for server in gateway.servers):
            yield Found(resource, (), "no VirtualService is for it: it answers every request with 404")


RULES = (credential_exists, credential_pair, credential_authority, port_kind, gateway_conflict, shared_certificate, gateway_unused)


def _held(subject: Subject, *names: str) -> list[Credential]:
    """The credentials of these names. Which namespace counts is that of the proxies, of which nothing is known here."""
    return [held for (_, name), held in subject.snapshot.credentials.items() if name in names]


def _servers(subject: Subject) -> Iterator[tuple[Resource, int, Server, object]]:
    """Every server with its place: the proxies, the address and the port that it is for."""
    for resource, gateway in subject.gateways.values():
        for index, server in enumerate(gateway.servers):
            yield resource, index, server, (frozenset(gateway.selector.items()), server.bind, server.port)


def _needs_rules(server: Server) -> bool:
    """Servers that only redirect to HTTPS, and those between networks, which go by server names alone, do without a VirtualService."""
    return not (server.tls and (server.tls.https_redirect or (server.tls.mode and server.tls.mode.value == "AUTO_PASSTHROUGH")))
