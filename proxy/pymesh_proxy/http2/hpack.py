"""HPACK (RFC 7541): field sections to bytes and back, with the two tables that make repeated fields one octet.

The tables live here and only Huffman strings are handed to Rust (jh2): most fields of a busy connection are one octet each,
for which a list index or a dictionary look-up is several times cheaper than a call; and jh2's own block decoder panics on
truncated blocks, accepts table size updates in the middle of one and padding that RFC 7541 5.2 forbids.

What the encoder enters in its table is what repeats: a field is sent as a literal first and entered when the same value comes
again. Request ids, traces and dates never push out what is worth keeping, without a list of their names.
"""

from typing import Final, cast

from jh2._hazmat import Decoder as HuffmanDecoder
from jh2._hazmat import HPACKError

from .errors import CompressionBroken, FieldsTooLarge
from .hpack_table import ENTRY_OVERHEAD, FIRST_DYNAMIC, HUFFMAN_LENGTHS, STATIC_TABLE
from .never_indexed import NeverIndexed

Field = tuple[bytes, bytes]
Fields = list[Field]

Entries = list[tuple[bytes, ...]]
"""Fields to loops that only pass them on. mypyc takes a tuple of known length apart when it is read from a list, and makes a new
one when it goes into a list or is looked up: `python -m tests.bench.instructions grpc` counted 161,000 with, 123,000 without."""

TABLE_SIZE: Final = 4096
"""Octets of a dynamic table (SETTINGS_HEADER_TABLE_SIZE's default). The encoder uses no more, whatever the peer offers."""

_LONGEST_STATIC: Final = 80
"""More than any entry of the static table counts."""

_SEEN_LIMIT: Final = 128
"""Names whose last value the encoder remembers."""

_PREFIX_LIMIT: Final = 1024
"""Names whose literal form is remembered, for all connections."""

_PREFIX_SIZE: Final = 64
"""Octets of the longest of them."""

_INTEGER_LIMIT: Final = 2**31
"""No length or index is that large; RFC 7541 5.1 asks for a bound."""

_NEVER: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"))
"""Secrets whose presence in a table could be probed for (RFC 7541 7.1.3)."""


def _integer(value: int, bits: int, pattern: int) -> bytes:
    """An integer with a prefix of `bits` bits (RFC 7541 5.1), the bits above it set to `pattern`."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((pattern | value,))
    octets = bytearray((pattern | limit,))
    value -= limit
    while value >= 128:
        octets.append(value & 127 | 128)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def _read_integer(block: bytes, position: int, value: int) -> tuple[int, int]:
    """The rest of an integer whose prefix was full (`value`); the integer and the position after it."""
    shift = 0
    while True:
        octet = block[position]
        position += 1
        value += (octet & 127) << shift
        if value >= _INTEGER_LIMIT or shift > 28:
            raise CompressionBroken("an integer is too large")
        if octet < 128:
            return value, position
        shift += 7


_LENGTHS: Final = tuple(bytes((length,)) for length in range(127))
_INDEXED: Final = tuple(_integer(index, 7, 0x80) for index in range(FIRST_DYNAMIC + TABLE_SIZE // ENTRY_OVERHEAD + 1))
_STATIC_NAMES: Final = {name: index for index, (name, _) in reversed(tuple(enumerate(STATIC_TABLE, 1)))}
_STATIC_NUMBERS: Final[dict[tuple[bytes, ...], int]] = {field: -index for index, field in enumerate(STATIC_TABLE, 1)}


def _string(text: bytes) -> bytes:
    """A string as it is: Huffman coding would save a quarter of few octets, and cost both ends more than they do."""
    length = len(text)
    return (_LENGTHS[length] if length < 127 else _integer(length, 7, 0)) + text


def _literal(name: bytes, bits: int, pattern: int) -> bytes:
    """The beginning of a literal: its kind and its name (RFC 7541 6.2)."""
    index = _STATIC_NAMES.get(name)
    if index is not None:
        return _integer(index, bits, pattern)
    return bytes((pattern,)) + _string(name)


_plain_prefixes: Final[dict[bytes, bytes]] = {}


def _plain_prefix(name: bytes) -> bytes:
    """The beginning of a literal that is not entered in a table."""
    prefix = _plain_prefixes.get(name)
    if prefix is None:
        prefix = _literal(name, 4, 0)
        if len(_plain_prefixes) >= _PREFIX_LIMIT:
            _plain_prefixes.clear()
        if len(name) <= _PREFIX_SIZE:
            _plain_prefixes[name] = prefix
    return prefix


class Encoder:
    """Writes the field sections of one direction of a connection."""

    __slots__ = ("_entries", "_limit", "_newest", "_numbers", "_seen", "_size", "_smallest")

    def __init__(self) -> None:
        self._numbers: dict[tuple[bytes, ...], int] = _STATIC_NUMBERS.copy()
        """Fields that are in one of the tables: the static index, negative, or how many had been entered with this one. The latter
        stays as others are entered; its distance to the last is the index."""
        self._newest = FIRST_DYNAMIC
        """The number that would have index 0: of all entered, less where the dynamic table begins."""
        self._entries: Entries = []
        """The dynamic table, newest first."""
        self._size = 0
        self._limit = TABLE_SIZE
        self._smallest = -1
        """The smallest limit set since the last section, which the peer is told with the next one; -1 for none."""
        self._seen: dict[bytes, bytes] = {}
        """The last value of a name that was sent as a literal."""

    def __repr__(self) -> str:
        return f"<Encoder entries={len(self._entries)} {self._size}/{self._limit}>"

    def encode(self, fields: Fields) -> bytes:
        """One field section."""
        numbers = self._numbers
        never = NeverIndexed
        parts = []
        for field in cast(Entries, fields):
            number = numbers.get(field)
            if number is None or type(field[1]) is never:
                parts.append(self._spell(field))
            else:
                parts.append(_INDEXED[-number if number < 0 else self._newest - number])
        block = b"".join(parts)
        return block if self._smallest < 0 else self._size_updates() + block

    def resize(self, limit: int) -> None:
        """The peer's SETTINGS_HEADER_TABLE_SIZE."""
        limit = min(limit, TABLE_SIZE)
        if limit == self._limit and self._smallest < 0:
            return
        self._smallest = limit if self._smallest < 0 else min(limit, self._smallest)
        self._limit = limit
        self._evict()

    def _size_updates(self) -> bytes:
        """RFC 7541 4.2: the smallest size since the last section, then the one that holds."""
        smallest, self._smallest = self._smallest, -1
        last = _integer(self._limit, 5, 0x20)
        return last if smallest == self._limit else _integer(smallest, 5, 0x20) + last

    def _spell(self, field: tuple[bytes, ...]) -> bytes:
        """A field that is in no table; it is entered when it has come twice."""
        name = field[0]
        value = field[1]
        if name in _NEVER or type(value) is NeverIndexed:
            return _literal(name, 4, 0x10) + _string(value)
        size = len(name) + len(value) + ENTRY_OVERHEAD
        if size > self._limit >> 2:
            return _plain_prefix(name) + _string(value)
        if self._seen.get(name) != value:
            if len(self._seen) >= _SEEN_LIMIT:
                self._seen.clear()
            self._seen[name] = value
            return _plain_prefix(name) + _string(value)
        self._enter(field, size)
        return _literal(name, 6, 0x40) + _string(value)

    def _enter(self, field: tuple[bytes, ...], size: int) -> None:
        self._numbers[field] = self._newest - FIRST_DYNAMIC + 1
        self._newest += 1
        self._entries.insert(0, field)
        self._size += size
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            field = self._entries.pop()
            self._size -= len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
            del self._numbers[field]


class Decoder:
    """Reads the field sections of one direction of a connection."""

    __slots__ = ("_ceiling", "_huffman", "_limit", "_max_bytes", "_max_count", "_size", "_table", "_table_size", "changes")

    def __init__(self, *, table_size: int = TABLE_SIZE, max_bytes: int, max_count: int) -> None:
        """`table_size`: our SETTINGS_HEADER_TABLE_SIZE; `max_bytes` of one section as RFC 9113 6.5.2 counts, `max_count` fields."""
        self._huffman = HuffmanDecoder(2**31)
        self._table: Fields = [(b"", b""), *STATIC_TABLE]
        """Both tables by index; what the peer entered last stands at FIRST_DYNAMIC."""
        self._size = 0
        self._limit = TABLE_SIZE
        self._table_size = table_size
        self._ceiling = max(table_size, TABLE_SIZE)
        """What the peer may set the limit to. It may not have read our SETTINGS, so it starts with the default (RFC 9113 4.3.1)."""
        self._max_bytes = max_bytes
        self._max_count = max_count
        self.changes = 0
        """How often the table has changed: sections in between that are equal mean the same."""

    def __repr__(self) -> str:
        return f"<Decoder entries={len(self._table) - FIRST_DYNAMIC} {self._size}/{self._limit}>"

    def decode(self, block: bytes) -> Fields:
        """The fields of a section.

        The caller bounds the block. An index of one octet may stand for a field of 4 KiB, but what is collected is a reference
        to it: memory is bounded by the block's size, and the limits can be checked at the end, when the table is in step.
        Raises CompressionBroken (the connection cannot go on) or FieldsTooLarge (it can).
        """
        try:
            fields = self._read(block)
        except IndexError:
            raise CompressionBroken("a field section is truncated, or names an entry that does not exist") from None
        count = len(fields)
        if count > self._max_count:
            raise FieldsTooLarge(f"{count} fields are more than {self._max_count}")
        if count * (self._ceiling + _LONGEST_STATIC) + 2 * len(block) > self._max_bytes:
            size = sum([len(name) + len(value) for name, value in fields]) + count * ENTRY_OVERHEAD
            if size > self._max_bytes:
                raise FieldsTooLarge(f"{size} octets of fields are more than {self._max_bytes}")
        return fields

    def settle(self) -> None:
        """The peer has acknowledged our SETTINGS: its next section has to keep to the table's size, and say so."""
        self._ceiling = self._table_size

    def _read(self, block: bytes) -> Fields:
        table = self._table
        fields: Fields = []
        position = self._size_updates(block)
        end = len(block)
        while position < end:
            octet = block[position]
            position += 1
            if octet >= 0x80:
                index = octet - 0x80
                if index == 0x7F:
                    index, position = _read_integer(block, position, index)
                elif index == 0:
                    raise CompressionBroken("index 0")
                fields.append(table[index])
            elif octet >= 0x40:
                field, position = self._literal(block, position, octet & 0x3F, 0x3F)
                self._enter(field)
                fields.append(field)
            elif octet >= 0x20:
                raise CompressionBroken("a table size update within a field section")
            else:
                field, position = self._literal(block, position, octet & 0x0F, 0x0F)
                fields.append(field if octet < 0x10 else (field[0], NeverIndexed(field[1])))
        return fields

    def _size_updates(self, block: bytes) -> int:
        """Updates stand before everything else (RFC 7541 4.2); the position after them."""
        position = 0
        while position < len(block) and block[position] & 0xE0 == 0x20:
            limit = block[position] & 0x1F
            position += 1
            if limit == 0x1F:
                limit, position = _read_integer(block, position, limit)
            if limit > self._ceiling:
                raise CompressionBroken(f"a table of {limit} octets, where {self._ceiling} are allowed")
            self._limit = limit
            self.changes += 1
            self._evict()
        if self._limit > self._ceiling:
            raise CompressionBroken(f"a table of {self._limit} octets was not made smaller")
        return position

    def _literal(self, block: bytes, position: int, index: int, full: int) -> tuple[Field, int]:
        if index == 0:
            name, position = self._string(block, position)
        else:
            if index == full:
                index, position = _read_integer(block, position, index)
            name = self._table[index][0]
        value, position = self._string(block, position)
        return (name, value), position

    def _string(self, block: bytes, position: int) -> tuple[bytes, int]:
        octet = block[position]
        position += 1
        length = octet & 0x7F
        if length == 0x7F:
            length, position = _read_integer(block, position, length)
        end = position + length
        text = block[position:end]
        if len(text) != length:
            raise CompressionBroken("a string is truncated")
        return (self._unpack(text) if octet >= 0x80 else text), end

    def _unpack(self, coded: bytes) -> bytes:
        """A Huffman string. jh2 decodes a whole block of one literal; its padding is checked here (RFC 7541 5.2)."""
        try:
            text: bytes = self._huffman.decode(b"\x00\x01x" + _integer(len(coded), 7, 0x80) + coded, True)[0][1]
        except HPACKError as error:
            raise CompressionBroken("a string is not Huffman coded") from error
        padding = 8 * len(coded) - sum(text.translate(HUFFMAN_LENGTHS))
        if not 0 <= padding < 8 or (padding and ~coded[-1] & ((1 << padding) - 1)):
            raise CompressionBroken("a Huffman string is badly padded")
        return text

    def _enter(self, field: Field) -> None:
        size = len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        self.changes += 1
        self._table.insert(FIRST_DYNAMIC, field)
        self._size += size
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + ENTRY_OVERHEAD
