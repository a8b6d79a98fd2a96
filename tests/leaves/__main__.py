"""Write docs/ISTIO_FIELDS.md; with a path to Istio's CRDs, the list of published fields."""

import sys
from pathlib import Path

from . import page, published

if __name__ == "__main__":
    if len(sys.argv) > 1:
        published.LIST.write_text("\n".join(published.lines_of(Path(sys.argv[1]).read_text())) + "\n")
    else:
        print(page.write())
