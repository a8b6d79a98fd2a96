"""Virtual host selection: exact name, longest `*suffix`, longest `prefix*`, then `*`; a star stands for at least one character."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class HostMap(Generic[T]):
    """What each domain leads to."""

    __slots__ = ("_anything", "_exact", "_ignore_port", "_prefixes", "_suffixes")

    def __init__(self, domains: Mapping[str, T], *, ignore_port: bool = False) -> None:
        self._ignore_port = ignore_port
        self._exact: dict[bytes, T] = {}
        self._anything: T | None = None
        suffixes: dict[bytes, T] = {}
        prefixes: dict[bytes, T] = {}
        for domain, found in domains.items():
            name = domain.lower().encode()
            if name == b"*":
                self._anything = found
            elif name.startswith(b"*"):
                suffixes[name[1:]] = found
            elif name.endswith(b"*"):
                prefixes[name[:-1]] = found
            else:
                self._exact[name] = found
        self._suffixes = _by_length(suffixes)
        self._prefixes = _by_length(prefixes)

    def finder(self) -> Callable[[bytes], T | None]:
        """The look-up by authority, as cheap as these domains allow."""
        if not (self._exact or self._suffixes or self._prefixes):
            anything = self._anything
            return lambda authority: anything
        return self._find

    def _find(self, authority: bytes) -> T | None:
        host = authority.lower()
        if self._ignore_port:
            host = without_port(host).removesuffix(b":")
        found = self._exact.get(host)
        if found is not None:
            return found
        for length, entries in self._suffixes:
            if length < len(host) and (found := entries.get(host[-length:])) is not None:
                return found
        for length, entries in self._prefixes:
            if length < len(host) and (found := entries.get(host[:length])) is not None:
                return found
        return self._anything


def without_port(host: bytes) -> bytes:
    """A host without `:port`; the colons inside `[::1]` are no port."""
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() and (b":" not in name or name.endswith(b"]")) else host


def _by_length(entries: dict[bytes, T]) -> list[tuple[int, dict[bytes, T]]]:
    lengths = sorted({len(name) for name in entries}, reverse=True)
    return [(length, {name: found for name, found in entries.items() if len(name) == length}) for length in lengths]
