"""Token buckets that fill continuously, as Envoy's rate limits do. Time is given, in seconds from any beginning."""


class TokenBucket:
    """At most `capacity` tokens; `per_fill` more every `interval` seconds, or the part of them that a part of the time makes."""

    __slots__ = ("_emptied", "capacity", "rate")

    def __init__(self, capacity: int, per_fill: int, interval: float) -> None:
        """It begins full."""
        self.capacity = capacity
        self.rate = per_fill / interval
        """Tokens a second."""
        self._emptied = -float("inf")
        """When it would have been empty, had it filled without a bound ever since."""

    def __repr__(self) -> str:
        return f"<TokenBucket of {self.capacity}, {self.rate:g}/s>"

    def tokens(self, now: float) -> float:
        """How many there are."""
        return min(float(self.capacity), (now - self._emptied) * self.rate)

    def take(self, now: float, wanted: int = 1) -> bool:
        """Take that many, or none where there are fewer."""
        found = self.tokens(now)
        if found < wanted:
            return False
        self._emptied = now - (found - wanted) / self.rate
        return True

    def wait(self, now: float) -> float:
        """Seconds until there is a whole token; 0 where there is one."""
        return max(0.0, 1.0 - self.tokens(now)) / self.rate

    def fresh(self) -> "TokenBucket":
        """A full one of the same kind."""
        return TokenBucket(self.capacity, 1, 1 / self.rate)
