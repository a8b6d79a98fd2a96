"""Header lists: pairs of bytes in the order and case in which they came, with an index by lower-case name.

HTTP/1 to HTTP/1 keeps order and case (users' tools depend on both: envoy issues 8463, 15477). The index holds the last value
of a name; `get_all` is for the few places where repeated lines matter.
"""

from typing import cast

Fields = list[tuple[bytes, bytes]]


class Headers:
    """A mutable header list; every method takes the name in lower case.

    `fields` grows at its end; whatever else changes it puts another list in its place.
    """

    __slots__ = ("_written", "_written_of", "_written_size", "fields", "index")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self._written = b""
        """The lines of HTTP/1 of the first `_written_size` fields of the list `_written_of`; empty when nobody has written them yet."""
        self._written_of: Fields | None = None
        self._written_size = 0
        self.index = {name.lower(): value for name, value in fields}

    def __repr__(self) -> str:
        return f"<Headers {self.fields!r}>"

    def lines(self, fields: Fields) -> bytes:
        """The lines of HTTP/1 of `fields`, which are this head's own or others in their place; each ends in CR LF."""
        parts = []
        if fields is self._written_of:
            parts.append(self._written)
            fields = fields[self._written_size :]
        for field in cast("list[tuple[bytes, ...]]", fields):
            parts.append(field[0])
            parts.append(b": ")
            parts.append(field[1])
            parts.append(b"\r\n")
        return b"".join(parts)

    def remember_lines(self) -> None:
        """Write the lines now, for the copies that will be made of this head."""
        self._written = self.lines(self.fields)

    def _pass_lines(self, copy: "Headers") -> None:
        if self._written:
            copy._written = self._written
            copy._written_of = copy.fields
            copy._written_size = len(copy.fields)

    def get(self, name: bytes) -> bytes | None:
        """The last value of `name`, or None."""
        return self.index.get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of `name`, in order."""
        if name not in self.index:
            return []
        return [value for key, value in self.fields if key.lower() == name]

    def add(self, name: bytes, value: bytes) -> None:
        """Append one more line."""
        self.fields.append((name, value))
        self.index[name.lower()] = value

    def set(self, name: bytes, value: bytes) -> None:
        """Replace every line of `name` by one, at the end of the list."""
        if name in self.index:
            self.remove(name)
        self.add(name, value)

    def remove(self, name: bytes) -> None:
        """Drop every line of `name`; nothing happens when there is none."""
        if self.index.pop(name, None) is not None:
            size = len(name)  # compared first: most names differ in it, which spares folding each
            self.fields = [field for field in self.fields if len(field[0]) != size or field[0].lower() != name]


class RequestHead(Headers):
    """A request's line and headers. `path` holds the query too; `authority` is the Host header or the absolute target's."""

    __slots__ = ("authority", "method", "path", "scheme", "version")

    def __init__(
        self,
        method: bytes,
        path: bytes,
        authority: bytes,
        fields: Fields,
        scheme: bytes = b"http",
        version: str = "1.1",
        index: dict[bytes, bytes] | None = None,
    ) -> None:
        self.fields = fields
        self._written = b""
        self._written_of = None
        self._written_size = 0
        self.index = {name.lower(): value for name, value in fields} if index is None else index
        self.method = method
        self.path = path
        self.authority = authority
        self.scheme = scheme
        self.version = version

    def __repr__(self) -> str:
        return f"<RequestHead {self.method.decode('latin-1')} {self.path.decode('latin-1')} host={self.authority.decode('latin-1')}>"

    def copy(self) -> "RequestHead":
        """A head like this one, to be edited on its way."""
        copy = RequestHead(self.method, self.path, self.authority, self.fields.copy(), self.scheme, self.version, self.index.copy())
        self._pass_lines(copy)
        return copy


class ResponseHead(Headers):
    """A response's status and headers."""

    __slots__ = ("status",)

    def __init__(self, status: int, fields: Fields, index: dict[bytes, bytes] | None = None) -> None:
        self.status = status
        self.fields = fields
        self._written = b""
        self._written_of = None
        self._written_size = 0
        self.index = {name.lower(): value for name, value in fields} if index is None else index

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}>"

    def copy(self) -> "ResponseHead":
        """A head like this one, to be edited on its way."""
        copy = ResponseHead(self.status, self.fields.copy(), self.index.copy())
        self._pass_lines(copy)
        return copy
