"""Which trailers are passed on, from either side.

What frames a message, steers it or says who speaks belongs in the head, where it was judged: behind a body it is dropped, so that
no recipient that merges trailers into the head is misled (RFC 9110 6.5.1).
"""

from typing import Final

from .headers import Fields
from .options import HOP_BY_HOP

_HEAD_ONLY: Final = HOP_BY_HOP | {
    b"host", b"content-length", b"content-encoding", b"content-type", b"content-range", b"te", b"trailer", b"expect",
    b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-request-id",
}  # fmt: skip
_HEAD_ONLY_PREFIXES: Final = (b"x-forwarded-", b"x-envoy-")


def passed_on(fields: Fields) -> Fields:
    """The trailers without those that mean something in a head only."""
    return [field for field in fields if _allowed(field[0].lower())]


def _allowed(name: bytes) -> bool:
    return name not in _HEAD_ONLY and not name.startswith(_HEAD_ONLY_PREFIXES)
