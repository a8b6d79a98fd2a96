"""SDS secrets by name. A change raises `version`, and contexts built from an older one are built anew for new connections."""

import ssl
from collections.abc import Iterator

from ..errors import ConfigError, Problem
from .config import SecretValue
from .pem import load_authorities, load_chain, unreadable


class Secrets:
    """The secrets that this process holds."""

    __slots__ = ("_values", "version")

    def __init__(self) -> None:
        self._values: dict[str, SecretValue] = {}
        self.version = 0

    def __iter__(self) -> Iterator[SecretValue]:
        return iter(self._values.values())

    def get(self, name: str) -> SecretValue | None:
        return self._values.get(name)

    def check(self, value: SecretValue) -> None:
        """Raises ConfigError when key and certificate do not belong together, or a bundle has no certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if value.chain:
            try:
                load_chain(context, value.chain, value.key)
            except ssl.SSLError as error:
                reason = error.reason or unreadable(value.chain, value.key)
                raise ConfigError(Problem(f"secret {value.name}", f"failed to load private key or certificate: {reason}")) from error
        if value.trusted_ca:
            try:
                load_authorities(context, value.trusted_ca)
            except (ssl.SSLError, ValueError) as error:
                raise ConfigError(Problem(f"secret {value.name}", f"failed to load trusted CA certificates: {error}")) from error

    def put(self, value: SecretValue) -> None:
        """Take a secret; raises ConfigError for one that `check` refuses, and keeps the old one."""
        self.check(value)
        self._values[value.name] = value
        self.version += 1

    def remove(self, name: str) -> None:
        if self._values.pop(name, None) is not None:
            self.version += 1
