"""How often an endpoint succeeded in the last interval, and which rates stand out from those of its neighbours."""

import math
from collections.abc import Sequence

UNKNOWN = -1.0
"""A rate that too few requests, or too few endpoints, leave open (Envoy's value for it)."""


class Tally:
    """Requests and successes of one endpoint: those of the interval under way, and those of the one before."""

    __slots__ = ("good", "past_good", "past_total", "rate", "total")

    def __init__(self) -> None:
        self.total = self.good = self.past_total = self.past_good = 0
        self.rate = UNKNOWN
        """The last interval's, in percent, when it counted for something; for /clusters."""

    def __repr__(self) -> str:
        return f"<Tally {self.past_good}/{self.past_total}, now {self.good}/{self.total}>"

    def turn(self) -> None:
        """An interval is over."""
        self.past_total, self.past_good = self.total, self.good
        self.total = self.good = 0
        self.rate = UNKNOWN

    @property
    def past_rate(self) -> float:
        """Successes in the last interval, in percent; it had requests."""
        return 100.0 * self.past_good / self.past_total


def threshold(rates: Sequence[float], stdev_factor: float) -> tuple[float, float]:
    """The mean of some rates, and the rate below which one stands out: `stdev_factor` standard deviations below the mean."""
    mean = sum(rates) / len(rates)
    deviation = math.sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates))
    return mean, mean - deviation * stdev_factor
