"""Values that no hop may put in a table; a room of its own because a subclass of bytes stays interpreted."""


class NeverIndexed(bytes):
    """A value that its sender wants in no table, of any hop (RFC 7541 6.2.3): an index in its place would tell whoever watches
    sizes that the value has been guessed. In all else it is like other bytes, which routes and policies have to match."""

    __slots__ = ()
