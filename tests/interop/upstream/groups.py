"""Endpoints of a cluster in short: a letter each, for its health, in groups of one priority and zone."""

from dataclasses import dataclass

HEALTH = {"H": "HEALTHY", "D": "DEGRADED", "U": "UNHEALTHY", "R": "DRAINING", "T": "TIMEOUT", "?": "UNKNOWN"}


@dataclass(frozen=True)
class Group:
    """Endpoints of one priority and zone, a letter each."""

    letters: str
    priority: int = 0
    zone: int = 0
    weight: int | None = None
    heavy: int = 1
    """The weight of each endpoint."""

    def text(self, port: int) -> str:
        hosts = ", ".join(
            f"{{health_status: {HEALTH[letter]}, load_balancing_weight: {self.heavy}, "
            f"endpoint: {{address: {{socket_address: {{address: {self.address(index)}, port_value: {port}}}}}}}}}"
            for index, letter in enumerate(self.letters)
        )
        weight = "" if self.weight is None else f"load_balancing_weight: {self.weight}, "
        return f"{{priority: {self.priority}, locality: {{zone: z{self.zone}}}, {weight}lb_endpoints: [{hosts}]}}"

    def address(self, index: int) -> str:
        return f"127.{10 + self.priority}.{10 + self.zone}.{1 + index}"


def of(text: str) -> tuple[Group, ...]:
    """`HU/H`: priorities without localities to speak of."""
    return tuple(Group(letters, priority) for priority, letters in enumerate(text.split("/")))
