"""The C library's heap, which Python's large objects come from."""

import ctypes

_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of mallopt(3)."""

_LARGE = 1 << 20
"""Bytes."""


def return_large_blocks() -> None:
    """Have large blocks mapped by themselves, so that freeing one gives its memory back.

    glibc stops to do that as soon as one has been freed, and then a thousand clients' first responses leave the heap full of holes:
    a quarter more memory at peak, for a third less time (`python -m tests.bench.scale`). Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
