"""What became of handshakes, under Envoy's names and by reason."""

import re

NAMES = (
    "ssl.connection_error", "ssl.fail_verify_cert_hash", "ssl.fail_verify_error", "ssl.fail_verify_no_cert", "ssl.fail_verify_san",
    "ssl.handshake", "ssl.session_reused",
)  # fmt: skip

_VERIFICATION = {
    "CERTIFICATE_VERIFY_FAILED": "ssl.fail_verify_error",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "ssl.fail_verify_no_cert",
    "SAN_matcher": "ssl.fail_verify_san",
    "SPIFFE": "ssl.fail_verify_san",
    "certificate_hash": "ssl.fail_verify_cert_hash",
}
"""Reasons to which Envoy gives a counter of their own; all others are connection errors."""

_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


class Handshakes:
    """Counters of one listener or one cluster."""

    __slots__ = ("_values", "failures")

    def __init__(self) -> None:
        self._values: dict[str, int] = dict.fromkeys(NAMES, 0)
        self.failures: dict[str, int] = {}
        """Failed handshakes by reason: OpenSSL's, without the peer's own words."""

    def __repr__(self) -> str:
        return f"<Handshakes {self['ssl.handshake']} good, {sum(self.failures.values())} failed>"

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def good(self, *, resumed: bool) -> None:
        """A handshake is over."""
        self._values["ssl.handshake"] += 1
        self._values["ssl.session_reused"] += resumed

    def failed(self, reason: str) -> None:
        """A handshake has failed; what stands before a colon names why."""
        cause = _NO_NAME.sub("_", reason.partition(":")[0])[:64]
        self.failures[cause] = self.failures.get(cause, 0) + 1
        self._values[_VERIFICATION.get(cause, "ssl.connection_error")] += 1

    def items(self) -> list[tuple[str, int]]:
        """Every counter with its name; those by reason are ours."""
        return [*self._values.items(), *((f"ssl.failed.{cause}", count) for cause, count in self.failures.items())]

    def reset(self) -> None:
        """Everything is zero again."""
        self._values = dict.fromkeys(self._values, 0)
        self.failures.clear()
