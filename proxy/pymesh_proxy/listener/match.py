"""Which filter chain a connection belongs to: Envoy's stepwise narrowing, most specific first, no way back.

Nine steps, each a dict from a chain's criterion to what is left after it. A connection takes the most specific entry of each
step; an entry once taken is final, even when a later step finds nothing in it.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from .config import ChainMatch, FilterChain


@dataclass(slots=True, kw_only=True)
class Traits:
    """What is known of a connection when its chain is chosen."""

    destination_ip: str
    destination_port: int
    source_ip: str
    source_port: int
    direct_source_ip: str = ""
    """The TCP peer's, where a PROXY header named another source."""
    server_name: str = ""
    transport_protocol: str = "raw_buffer"
    application_protocols: tuple[str, ...] = ()


class ChainMatcher(Protocol):
    """The compiled decision of one listener."""

    def find(self, traits: Traits) -> "FilterChain | None":
        """The chain, the default chain, or None: the connection is refused (flag NR)."""


class Ambiguous(ValueError):
    """Two chains take exactly the same connections; `index` is the later one's."""

    def __init__(self, index: int, other: int) -> None:
        super().__init__(f"multiple filter chains with the same matching rules: this one and filter_chains[{other}]")
        self.index = index


def build(chains: "Sequence[FilterChain]", default: "FilterChain | None") -> ChainMatcher:
    """Compile a listener's decision; raises Ambiguous."""
    tree: dict[Any, Any] = {}
    for index, chain in enumerate(chains):
        _insert(tree, chain.match, index)
    if _takes_everything(chains):
        return Always(chains[0])
    return Narrowing(_freeze(tree, 0, chains), default)


class Always:
    """One chain that asks for nothing."""

    __slots__ = ("_chain",)

    def __init__(self, chain: "FilterChain") -> None:
        self._chain = chain

    def find(self, traits: Traits) -> "FilterChain | None":
        """The one chain."""
        return self._chain


class Narrowing:
    """The nine steps."""

    __slots__ = ("_default", "_tree")

    def __init__(self, tree: Any, default: "FilterChain | None") -> None:
        self._tree = tree
        self._default = default

    def find(self, traits: Traits) -> "FilterChain | None":
        """Walk the steps; what none of them takes is the default chain's."""
        node = self._tree
        for step in _STEPS:
            node = step.pick(node, traits)
            if node is None:
                return self._default
        return node  # type: ignore[no-any-return]


_ANY = ""
"""The key of chains that do not ask for anything at a step."""


class Step(NamedTuple):
    """One criterion: the keys a chain is filed under, and the entry a connection takes."""

    keys: "Callable[[ChainMatch], Iterable[Any]]"
    pick: Callable[[Any, Traits], Any]
    networks: bool = False


class Prefixes:
    """Networks by prefix length, longest first, so that a look-up is a few dict accesses."""

    __slots__ = ("_any", "_levels")

    def __init__(self, entries: dict[Any, Any]) -> None:
        self._any = entries.pop(_ANY, None)
        lengths = sorted({(network.version, network.prefixlen) for network in entries}, reverse=True)
        self._levels = [
            (version, (32 if version == 4 else 128) - length, _by_prefix(entries, version, length)) for version, length in lengths
        ]

    def find(self, ip: str) -> Any:
        """The entry of the longest network that holds an address; else the one for any address."""
        if self._levels:
            address = ipaddress.ip_address(ip)
            for version, shift, entries in self._levels:
                if version == address.version and (found := entries.get(int(address) >> shift)) is not None:
                    return found
        return self._any


def _by_prefix(entries: dict[Any, Any], version: int, length: int) -> dict[int, Any]:
    shift = (32 if version == 4 else 128) - length
    return {
        int(network.network_address) >> shift: node
        for network, node in entries.items()
        if (network.version, network.prefixlen) == (version, length)
    }


def _pick_server_name(node: dict[str, Any], traits: Traits) -> Any:
    name = traits.server_name.lower()
    if name in node:
        return node[name]
    _, dot, rest = name.partition(".")
    while dot:
        if (wildcard := f"*.{rest}") in node:
            return node[wildcard]
        _, dot, rest = rest.partition(".")
    return node.get(_ANY)


def _pick_application_protocol(node: dict[str, Any], traits: Traits) -> Any:
    for protocol in traits.application_protocols:
        if protocol in node:
            return node[protocol]
    return node.get(_ANY)


def _pick_source_type(node: dict[str, Any], traits: Traits) -> Any:
    local = traits.source_ip == traits.destination_ip or ipaddress.ip_address(traits.source_ip).is_loopback
    return node.get("SAME_IP_OR_LOOPBACK" if local else "EXTERNAL") or node.get("ANY")


def _pick_direct_source(node: Any, traits: Traits) -> Any:
    return node.find(traits.direct_source_ip or traits.source_ip)


def _one_or_any(name: str) -> Callable[[Any, Traits], Any]:
    def pick(node: dict[Any, Any], traits: Traits) -> Any:
        found = node.get(getattr(traits, name))
        return node.get(_ANY) if found is None else found

    return pick


_STEPS = (
    Step(lambda match: [match.destination_port or _ANY], _one_or_any("destination_port")),
    Step(lambda match: match.prefix_ranges or [_ANY], lambda node, traits: node.find(traits.destination_ip), networks=True),
    Step(lambda match: match.server_names or [_ANY], _pick_server_name),
    Step(lambda match: [match.transport_protocol], _one_or_any("transport_protocol")),
    Step(lambda match: match.application_protocols or [_ANY], _pick_application_protocol),
    Step(lambda match: match.direct_source_prefix_ranges or [_ANY], _pick_direct_source, networks=True),
    Step(lambda match: [match.source_type], _pick_source_type),
    Step(lambda match: match.source_prefix_ranges or [_ANY], lambda node, traits: node.find(traits.source_ip), networks=True),
    Step(lambda match: match.source_ports or [_ANY], _one_or_any("source_port")),
)


def _insert(tree: dict[Any, Any], match: "ChainMatch", index: int) -> None:
    """File a chain under every combination of its criteria."""
    nodes = [tree]
    for step in _STEPS[:-1]:
        nodes = [node.setdefault(key, {}) for node in nodes for key in step.keys(match)]
    for node in nodes:
        for key in _STEPS[-1].keys(match):
            other = node.setdefault(key, index)
            if other != index:
                raise Ambiguous(index, other)


def _freeze(node: Any, depth: int, chains: "Sequence[FilterChain]") -> Any:
    """The finished tree: chains for their indexes, prefix tables for dicts of networks."""
    if depth == len(_STEPS):
        return chains[node]
    frozen = {key: _freeze(child, depth + 1, chains) for key, child in node.items()}
    return Prefixes(frozen) if _STEPS[depth].networks else frozen


def _takes_everything(chains: "Sequence[FilterChain]") -> bool:
    return len(chains) == 1 and all(list(step.keys(chains[0].match)) in ([_ANY], ["ANY"]) for step in _STEPS)
