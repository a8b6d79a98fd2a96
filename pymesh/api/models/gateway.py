"""Gateway: the ports at the edge of the mesh."""

import enum

from ..types import U32, Bool, Model


class TLSMode(enum.Enum):
    """How TLS is terminated, or not."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


class TLSProtocol(enum.Enum):
    """TLS versions; TLS_AUTO as a minimum means 1.2."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_0 = "TLSV1_0"
    TLSV1_1 = "TLSV1_1"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


class TLSCertificate(Model):
    """One certificate of several."""

    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None


class ServerTLSSettings(Model):
    """TLS towards clients."""

    https_redirect: Bool | None = None
    mode: TLSMode | None = None
    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None
    ca_crl: str | None = None
    credential_name: str | None = None
    credential_names: list[str] = []
    ca_cert_credential_name: str | None = None
    tls_certificates: list[TLSCertificate] = []
    subject_alt_names: list[str] = []
    verify_certificate_spki: list[str] = []
    verify_certificate_hash: list[str] = []
    min_protocol_version: TLSProtocol | None = None
    max_protocol_version: TLSProtocol | None = None
    cipher_suites: list[str] = []
    ecdh_curves: list[str] = []
    insecure_skip_verify: Bool | None = None


class Port(Model):
    """A port with its protocol."""

    number: U32
    protocol: str
    name: str
    target_port: U32 | None = None


class Server(Model):
    """One port of a gateway, and the hosts behind it (`[namespace/]name`)."""

    port: Port
    bind: str | None = None
    hosts: list[str]
    tls: ServerTLSSettings | None = None
    default_endpoint: str | None = None
    name: str | None = None


class Gateway(Model):
    """The `spec` of a Gateway; no `selector` selects every workload."""

    servers: list[Server] = []
    selector: dict[str, str] = {}
