"""The data the demo's models are fitted on: bearings run to failure, one row each.

Columns: temperature (degrees Celsius), vibration (mm/s RMS), load (percent), remaining life (hours). The last twelve
rows are held out: no model sees them while it is fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FEATURES = ("temperature", "vibration", "load")

_ROWS: tuple[tuple[float, float, float, float], ...] = (
    (59.4, 3.92, 65, 3832), (63.0, 4.01, 67, 3635), (70.9, 5.61, 83, 1520), (35.9, 2.7, 85, 4516),
    (93.8, 7.84, 97, -2118), (40.2, 0.6, 21, 7465), (42.4, 1.98, 39, 6415), (58.6, 3.95, 87, 2826),
    (62.5, 3.76, 73, 3485), (94.8, 8.91, 100, -3134), (50.5, 1.69, 38, 6306), (79.8, 3.99, 52, 3335),
    (92.3, 7.62, 88, -1282), (89.2, 5.11, 58, 1984), (34.7, 2.25, 70, 5465), (35.7, 2.25, 47, 6288),
    (37.7, 1.48, 40, 6796), (81.8, 2.05, 34, 5013), (42.4, 3.45, 79, 4282), (37.6, 1.91, 54, 6226),
    (93.1, 6.73, 84, -373), (43.7, 2.44, 52, 5696), (36.5, 3.33, 99, 3453), (80.2, 3.27, 46, 4035),
    (35.9, 2.19, 67, 5704), (54.2, 3.23, 56, 4786), (67.3, 5.5, 89, 1451), (89.0, 6.81, 85, -328),
    (78.1, 7.04, 95, -323), (87.3, 5.16, 68, 1672), (32.5, 2.89, 97, 3989), (46.7, 3.31, 86, 3716),
    (41.4, 3.2, 78, 4449), (66.4, 4.98, 88, 1795), (89.6, 3.26, 36, 3884), (59.0, 1.52, 25, 6379),
    (67.2, 1.26, 31, 6195), (93.7, 5.94, 73, 498), (39.1, 1.79, 23, 6927), (75.6, 7.23, 97, -547),
    (61.3, 3.58, 78, 3600), (34.9, 1.93, 64, 5773), (77.9, 5.6, 76, 1358), (52.9, 4.31, 75, 3437),
    (57.1, 4.65, 83, 2672), (70.6, 2.71, 51, 4562), (35.2, 3.17, 71, 5023), (77.3, 3.49, 51, 3766),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of the chosen features, and the remaining life of each in hours."""

    rows: Sequence[Sequence[float]]
    targets: Sequence[float]


def training(features: Sequence[str]) -> Sample:
    """The rows that models are fitted on."""
    return _sample(_ROWS[:-12], features)


def held_out(features: Sequence[str]) -> Sample:
    """The rows that models are judged by."""
    return _sample(_ROWS[-12:], features)


def _sample(rows: Sequence[tuple[float, float, float, float]], features: Sequence[str]) -> Sample:
    columns = [FEATURES.index(feature) for feature in features]
    return Sample([[row[column] for column in columns] for row in rows], [row[-1] for row in rows])
