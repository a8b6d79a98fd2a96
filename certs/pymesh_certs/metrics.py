"""The metrics of the CA, under Istio's names.

They are gauges that only rise: prometheus-client would append `_total` to a Counter's name, and Istio's have none.
"""

from prometheus_client import REGISTRY, CollectorRegistry, Gauge


class CaMetrics:
    """One set of `citadel_server_*` in one registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"citadel_server_{name}", text, registry=registry)

        self.requests = gauge("csr_count", "The number of CSRs received by the CA.")
        self.issued = gauge("success_cert_issuance_count", "The number of certificates issued.")
        self.authentication_failures = gauge("authentication_failure_count", "The number of callers that could not be authenticated.")
        self.csr_errors = gauge("csr_parsing_err_count", "The number of CSRs that were malformed or too weak.")
        self.sign_errors = gauge("csr_sign_err_count", "The number of CSRs that could not be signed.")
        self.root_expiry = gauge("root_cert_expiry_timestamp", "When the root certificate expires, as a unix timestamp in seconds.")
        self.chain_expiry = gauge("cert_chain_expiry_timestamp", "When the signing certificate expires, as a unix timestamp in seconds.")
