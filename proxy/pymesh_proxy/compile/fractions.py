"""RuntimeFractionalPercent: a share of the requests."""

from .fields import Reader

_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def fraction(reader: Reader | None) -> tuple[int, int] | None:
    """Numerator and denominator of the default value, which no runtime overrides; None when the field is not set."""
    if reader is None:
        return None
    reader.only("default_value", harmless={"runtime_key": "there is no runtime that could override the default"})
    value = Reader(reader.message.default_value, reader.at("default_value"), reader.problems)
    return value.message.numerator, _DENOMINATORS.get(value.choice("denominator"), 100)
