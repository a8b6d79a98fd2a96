"""64-bit hashes of bytes: what decides where a key goes in a fleet whose members do not talk to each other."""

from typing import Final

from xxhash import xxh64_intdigest

_MASK: Final = 2**64 - 1
_MUL: Final = 0xC6A4A7935BD1E995
STD_HASH_SEED: Final = 0xC70F6907
"""What libstdc++'s std::hash seeds its Murmur hash with, and Envoy its own."""


def xx_hash(data: bytes, seed: int = 0) -> int:
    """xxHash64."""
    return int(xxh64_intdigest(data, seed))


def murmur_hash_2(data: bytes, seed: int = STD_HASH_SEED) -> int:
    """MurmurHash64A as std::hash has it: eight bytes at a time, little end first, and the rest at last."""
    size = len(data)
    whole = size & ~7
    value = seed ^ (size * _MUL & _MASK)
    for start in range(0, whole, 8):
        word = int.from_bytes(data[start : start + 8], "little") * _MUL & _MASK
        value = ((value ^ (_mixed(word) * _MUL & _MASK)) * _MUL) & _MASK
    if size & 7:
        value = ((value ^ int.from_bytes(data[whole:], "little")) * _MUL) & _MASK
    value = _mixed(value) * _MUL & _MASK
    return _mixed(value)


def _mixed(word: int) -> int:
    return word ^ (word >> 47)
