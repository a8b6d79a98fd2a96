"""How far the life of a connection is."""

import enum
from typing import Final


class Phase(enum.IntEnum):
    """It only goes forward."""

    PREFACE = 0
    OPEN = 1
    DRAINING = 2
    """We have said that we will leave; new streams are still served."""
    LEAVING = 3
    """One side has said which stream was the last; the connection closes behind it."""
    CLOSED = 4


# As plain ints, which the hot path compares.
OPEN: Final = 1
DRAINING: Final = 2
LEAVING: Final = 3
CLOSED: Final = 4
