"""What the results of probes come to: a decision without I/O."""


class Judge:
    """Not ready until so many successes in a row, and again after so many failures in a row."""

    __slots__ = ("_failures", "_row", "_successes", "ready")

    def __init__(self, successes: int, failures: int) -> None:
        self._successes = successes
        self._failures = failures
        self._row = 0
        """How many results in a row have contradicted what holds."""
        self.ready = False

    def __repr__(self) -> str:
        return f"<Judge {'ready' if self.ready else 'unready'} row={self._row}>"

    def judge(self, *, good: bool) -> bool:
        """Take a result; whether what holds is something else now."""
        if good is self.ready:
            self._row = 0
            return False
        self._row += 1
        if self._row < (self._successes if good else self._failures):
            return False
        self.ready, self._row = good, 0
        return True
