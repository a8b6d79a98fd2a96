"""Values that no hop may put in a table; a room of its own because a subclass of bytes stays interpreted."""


class NeverIndexed(bytes):
    """A value that its sender wants in no table, of any hop (RFC 7541 6.2.3).

    It compares like other bytes but hashes differently, so that a table finds no entry for it: an index in its place would
    tell whoever watches sizes that the value has been guessed.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        return ~bytes.__hash__(self)
