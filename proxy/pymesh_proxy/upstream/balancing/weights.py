"""What an endpoint weighs at the moment of a pick: its load-balancing weight, less for being busy, less for being new."""

from collections.abc import Callable, Sequence

from ..endpoint import Endpoint, Standing
from .config import SlowStart

_HEALTHY = Standing.HEALTHY
_MILLISECOND = 0.001


class Weights:
    """Weighs endpoints as one cluster's configuration says. `bias` 0 leaves requests under way out of it."""

    __slots__ = ("_bias", "_clock", "_slow_start")

    def __init__(self, bias: float, slow_start: SlowStart | None, clock: Callable[[], float]) -> None:
        self._bias = bias
        self._slow_start = slow_start
        self._clock = clock

    def of(self, endpoint: Endpoint) -> float:
        """A positive number."""
        weight = float(endpoint.config.weight)
        if self._bias == 1.0:
            weight /= endpoint.rq_active + 1
        elif self._bias:
            weight /= float((endpoint.rq_active + 1) ** self._bias)
        if self._slow_start is None or endpoint.standing is not _HEALTHY:
            return weight
        return weight * grown(self._slow_start, self._clock() - endpoint.healthy_since)


def grown(slow_start: SlowStart, age: float) -> float:
    """The share of its weight that an endpoint has `age` seconds after it became healthy."""
    if age >= slow_start.window:
        return 1.0
    time = max(age, _MILLISECOND) / slow_start.window
    return max(float(time ** (1.0 / slow_start.aggression)), slow_start.min_weight)


def begin(slow_start: SlowStart, endpoints: Sequence[Endpoint], now: float) -> bool:
    """Start the time of healthy endpoints that have none yet; whether slow start tells on any of them."""
    found = False
    for endpoint in endpoints:
        if endpoint.standing is not _HEALTHY:
            continue
        endpoint.healthy_since = endpoint.healthy_since or now
        found = found or now - endpoint.healthy_since <= slow_start.window
    return found
