"""A query as it came, and what of a DNS message can be told without decoding its records (RFC 1035 4.1)."""

import enum
from dataclasses import dataclass

PLAIN = 512
"""Bytes of an answer over UDP to a client that does not say more (RFC 1035 4.2.1)."""
LARGEST = 4096
"""Bytes of an answer over UDP to one that says any more than that."""
STREAM = 65535
"""Bytes of an answer over TCP."""

_HEADER = 12
_ANSWER = 0x80
_TRUNCATED = 0x02
_RECURSION_AVAILABLE = 0x80


class Code(enum.IntEnum):
    """Response codes (RFC 1035 4.1.1)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NOTIMP = 4
    REFUSED = 5


@dataclass(frozen=True, slots=True)
class Query:
    """One query; `stream` says that it came over TCP, `limit` how many bytes its answer may have."""

    wire: bytes
    stream: bool
    limit: int

    def failure(self, code: Code) -> bytes:
        """An answer without records."""
        asked = question(self.wire)
        flags = bytes((_ANSWER | self.wire[2] & 0x79, _RECURSION_AVAILABLE | code))  # opcode and RD are the query's
        return self.wire[:2] + flags + len(asked[:1]).to_bytes(2) + bytes(6) + asked

    def fitted(self, answer: bytes) -> bytes:
        """An answer that others gave, cut to what the client can take: it asks again over TCP for one that says so."""
        if len(answer) <= self.limit:
            return answer
        asked = question(answer)
        return answer[:2] + bytes((answer[2] | _TRUNCATED, answer[3])) + len(asked[:1]).to_bytes(2) + bytes(6) + asked

    def sent_as(self, number: int) -> bytes:
        """The query under another id."""
        return number.to_bytes(2) + self.wire[2:]

    def is_answered_by(self, answer: bytes, number: int) -> bool:
        """Whether a message answers what was sent as `number`; of a failure also one that does not repeat the question."""
        if is_answer(answer) and answer[:2] == number.to_bytes(2):
            asked = question(answer)
            return asked.lower() == question(self.wire).lower() if asked else code_of(answer) != Code.NOERROR
        return False


def is_answer(wire: bytes) -> bool:
    return len(wire) >= _HEADER and bool(wire[2] & _ANSWER)


def is_query(wire: bytes) -> bool:
    """Whether a message may be answered. Of what is no query, answering an answer could go on for ever."""
    return len(wire) >= _HEADER and not wire[2] & _ANSWER


def code_of(answer: bytes) -> int:
    return answer[3] & 0x0F


def question(wire: bytes) -> bytes:
    """The one question of a message as it stands there; empty when there is not exactly one, or it does not parse."""
    if wire[4:6] != b"\x00\x01":
        return b""
    end = _HEADER
    while end < len(wire) and 0 < wire[end] < 0x40:  # larger ones are pointers, of which the first name cannot have any
        end += 1 + wire[end]
    complete = end + 5 <= len(wire) and wire[end] == 0 and end - _HEADER < 255
    return wire[_HEADER : end + 5] if complete else b""
