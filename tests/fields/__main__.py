"""Write docs/FIELDS.md."""

from .page import write
from .probes import declared

if __name__ == "__main__":
    print(write(declared()))
