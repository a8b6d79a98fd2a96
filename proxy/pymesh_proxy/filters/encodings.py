"""What an Accept-Encoding asks for, as Envoy's compressors read it: the first of the encodings with the highest weight that is known."""

import enum
from collections.abc import Iterator


class Asked(enum.Enum):
    """What came of an Accept-Encoding; the value is the name of its counter."""

    USED = "header_compressor_used"
    WILDCARD = "header_wildcard"
    IDENTITY = "header_identity"
    NOT_VALID = "header_not_valid"


_COMPRESSES = (Asked.USED, Asked.WILDCARD)


def compresses(asked: Asked) -> bool:
    """Whether an answer may be compressed."""
    return asked in _COMPRESSES


def read(header: bytes, encoding: bytes) -> Asked:
    """What a header means to a compressor of one encoding; an empty one for an answer that it does not compress."""
    chosen, highest = b"", 0.0
    for name, weight in _weighed(header):
        if weight > highest and name and name in (encoding, b"identity", b"*"):
            chosen, highest = name, weight
    if not chosen:
        return Asked.NOT_VALID
    return {encoding: Asked.USED, b"*": Asked.WILDCARD}.get(chosen, Asked.IDENTITY)


def _weighed(header: bytes) -> Iterator[tuple[bytes, float]]:
    for part in header.split(b","):
        if not part:
            continue
        name, _, parameters = part.partition(b";")
        weight = 1.0
        key, equals, value = parameters.partition(b"=")
        if equals and key.strip().lower() == b"q":
            try:
                weight = float(value.strip())
            except ValueError:
                continue
        yield name.strip(), weight
