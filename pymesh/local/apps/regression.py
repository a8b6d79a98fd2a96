"""Least squares with polynomial features, in plain Python: enough to fit a few dozen rows in a millisecond."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import prod

Row = Sequence[float]


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A fitted polynomial of `inputs` variables: one coefficient a term."""

    inputs: int
    degree: int
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]

    def __call__(self, row: Row) -> float:
        terms = _terms([value / unit for value, unit in zip(row, self.scale, strict=True)], self.degree)
        return sum(c * t for c, t in zip(self.coefficients, terms, strict=True))


def fit(rows: Sequence[Row], targets: Sequence[float], degree: int) -> Polynomial:
    """The polynomial of that degree with the least squared error, by the normal equations."""
    scale = tuple(max(abs(value) for value in column) or 1.0 for column in zip(*rows, strict=True))
    design = [_terms([value / unit for value, unit in zip(row, scale, strict=True)], degree) for row in rows]
    columns = list(zip(*design, strict=True))
    normal = [[_dot(a, b) for b in columns] + [_dot(a, targets)] for a in columns]
    return Polynomial(len(scale), degree, scale, tuple(_solve(normal)))


def _terms(row: Row, degree: int) -> list[float]:
    """1, x, y, xx, xy, yy, ... up to the degree."""
    return [prod(chosen) for order in range(degree + 1) for chosen in combinations_with_replacement(row, order)]


def _dot(a: Row, b: Row) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _solve(matrix: list[list[float]]) -> list[float]:
    """Gaussian elimination with partial pivoting on an augmented matrix."""
    size = len(matrix)
    for step in range(size):
        pivot = max(range(step, size), key=lambda row: abs(matrix[row][step]))
        matrix[step], matrix[pivot] = matrix[pivot], matrix[step]
        for row in range(step + 1, size):
            factor = matrix[row][step] / matrix[step][step]
            matrix[row] = [x - factor * y for x, y in zip(matrix[row], matrix[step], strict=True)]
    solution = [0.0] * size
    for row in reversed(range(size)):
        known = _dot(matrix[row][row + 1:size], solution[row + 1:])
        solution[row] = (matrix[row][size] - known) / matrix[row][row]
    return solution
