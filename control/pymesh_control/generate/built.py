"""A resource ready to be sent: packed bytes, and a version that changes only when they do."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from pymesh.xds import proto


@dataclass(frozen=True, slots=True)
class Built:
    """One resource, packed in `Any`; `version` is a hash of its bytes."""

    any: Any = field(repr=False, compare=False)
    version: str


def pack(message: Any) -> Built:
    packed = proto.pack(message)
    return Built(packed, hashlib.blake2b(packed.value, digest_size=8).hexdigest())
