"""A proxy's configuration as /config_dump tells it, an Envoy's, ours or the control plane's, by section."""

from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]

_SECTIONS = {
    "ClustersConfigDump": ("clusters", "cluster", ("static_clusters", "dynamic_active_clusters")),
    "ListenersConfigDump": ("listeners", "listener", ("static_listeners", "dynamic_listeners")),
    "RoutesConfigDump": ("routes", "route_config", ("static_route_configs", "dynamic_route_configs")),
    "EndpointsConfigDump": ("endpoints", "endpoint_config", ("static_endpoint_configs", "dynamic_endpoint_configs")),
    "SecretsConfigDump": ("secrets", "secret", ("static_secrets", "dynamic_active_secrets", "dynamic_warming_secrets")),
}
"""By the name of a section's message: what we call it, where the resource is in an entry, and the fields that hold entries."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource, and whether discovery brought it."""

    message: Message
    is_dynamic: bool
    is_warming: bool = False


@dataclass(slots=True)
class Dump:
    """Entries by section, in the order of the dump."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    bootstrap: Message | None = None

    @classmethod
    def of(cls, told: Message) -> "Dump":
        found = cls()
        for config in told.get("configs", ()):
            kind = config.get("@type", "").rpartition(".")[2]
            if kind == "BootstrapConfigDump":
                found.bootstrap = config.get("bootstrap")
            elif kind in _SECTIONS:
                section, key, fields = _SECTIONS[kind]
                found.entries.setdefault(section, []).extend(_entries(config, key, fields))
        return found

    def all(self, section: str) -> list[Message]:
        """The resources of a section."""
        return [entry.message for entry in self.entries.get(section, ())]

    def dynamic(self, section: str) -> dict[str, Message]:
        """Those that discovery brought, by name."""
        return {name_of(entry.message): entry.message for entry in self.entries.get(section, ()) if entry.is_dynamic}


def name_of(message: Message) -> str:
    return str(message.get("name") or message.get("cluster_name") or "")


def _entries(config: Message, key: str, fields: tuple[str, ...]) -> list[Entry]:
    found = []
    for field_name in fields:
        for item in config.get(field_name, ()):
            state = item.get("active_state") or item.get("warming_state") or item
            if key in state:
                found.append(Entry(state[key], field_name.startswith("dynamic"), "warming" in field_name))
    return found
