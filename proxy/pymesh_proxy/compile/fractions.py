"""Shares of the requests: FractionalPercent, the same with a runtime key, and Percent."""

from ..filters.fraction import Fraction
from .fields import Reader

_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def fraction(reader: Reader | None) -> tuple[int, int] | None:
    """Numerator and denominator of the default value, which no runtime overrides; None when the field is not set."""
    if reader is None:
        return None
    reader.only("default_value", harmless={"runtime_key": "there is no runtime that could override the default"})
    return percentage(Reader(reader.message.default_value, reader.at("default_value"), reader.problems))


def percentage(reader: Reader) -> tuple[int, int]:
    """Numerator and denominator of a FractionalPercent."""
    reader.only("numerator", "denominator")
    return reader.message.numerator, _DENOMINATORS.get(reader.choice("denominator"), 100)


def percent(reader: Reader | None, default: float) -> float:
    """A Percent."""
    if reader is None:
        return default
    reader.only("value")
    return float(reader.message.value)


def child_fraction(parent: Reader, name: str, default: Fraction) -> Fraction:
    """The FractionalPercent in a field, or a default where it is not set."""
    found = parent.child(name)
    return default if found is None else Fraction(*percentage(found))


def runtime_fraction(parent: Reader, name: str, default: Fraction) -> Fraction:
    """The RuntimeFractionalPercent in a field, or a default where it is not set."""
    found = fraction(parent.child(name))
    return default if found is None else Fraction(*found)
