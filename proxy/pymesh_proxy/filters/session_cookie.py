"""What a session's cookie holds: Envoy's message of an address (field 1) and of seconds since the epoch (field 2), without base64."""

_ADDRESS, _EXPIRES = 1, 2
_VARINT, _LONG, _BYTES, _SHORT = 0, 1, 2, 5
_SIZES = {_LONG: 8, _SHORT: 4}
_MOST = 10
"""Bytes of a number."""


class _Malformed(ValueError):
    """The bytes are no message."""


def encoded(address: str, expires: int = 0) -> bytes:
    """The message; `expires` 0 says nothing of an end."""
    text = address.encode()
    end = b"" if not expires else bytes([_EXPIRES << 3 | _VARINT]) + _number(expires)
    return bytes([_ADDRESS << 3 | _BYTES]) + _number(len(text)) + text + end


def decoded(data: bytes) -> tuple[str, int]:
    """Address and end, empty and 0 where they are not told. What is no message is the address itself, as in cookies of former Envoys."""
    try:
        return _read(data)
    except _Malformed:
        return data.decode("latin-1"), 0


def _read(data: bytes) -> tuple[str, int]:
    address, expires, position = "", 0, 0
    while position < len(data):
        key, position = _varint(data, position)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            number, position = _varint(data, position)
            expires = number if field == _EXPIRES else expires
            continue
        size, position = _varint(data, position) if wire == _BYTES else (_SIZES.get(wire, -1), position)
        if size < 0 or position + size > len(data) or not field:
            raise _Malformed
        if (field, wire) == (_ADDRESS, _BYTES):
            address = data[position : position + size].decode("latin-1")
        position += size
    return address, expires


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(data[position : position + _MOST]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, position + index + 1
    raise _Malformed


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
