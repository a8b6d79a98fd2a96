"""A share of the requests, drawn by lot."""


class Fraction:
    """`numerator` of every `denominator` requests, on average."""

    __slots__ = ("denominator", "numerator")

    def __init__(self, numerator: int, denominator: int) -> None:
        self.numerator = numerator
        self.denominator = denominator

    def __repr__(self) -> str:
        return f"<Fraction {self.numerator}/{self.denominator}>"

    def takes(self, draw: int) -> bool:
        """Whether a request is in the share; `draw` is a random number of at least 32 bits."""
        return draw % self.denominator < self.numerator

    def at_most(self, numerator: int) -> "Fraction":
        """The same share, or a smaller one."""
        return self if numerator >= self.numerator else Fraction(numerator, self.denominator)


ALWAYS = Fraction(100, 100)
NEVER = Fraction(0, 100)
