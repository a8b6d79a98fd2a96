"""Header lists: pairs of bytes in the order and case in which they came, with an index by lower-case name.

HTTP/1 to HTTP/1 keeps order and case (users' tools depend on both: envoy issues 8463, 15477). The index holds the last value
of a name; `get_all` is for the few places where repeated lines matter.
"""

Fields = list[tuple[bytes, bytes]]


class Headers:
    """A mutable header list; every method takes the name in lower case."""

    __slots__ = ("fields", "index")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.index = {name.lower(): value for name, value in fields}

    def __repr__(self) -> str:
        return f"<Headers {self.fields!r}>"

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
        return RequestHead(self.method, self.path, self.authority, self.fields.copy(), self.scheme, self.version, self.index.copy())


class ResponseHead(Headers):
    """A response's status and headers."""

    __slots__ = ("status",)

    def __init__(self, status: int, fields: Fields, index: dict[bytes, bytes] | None = None) -> None:
        self.status = status
        self.fields = fields
        self.index = {name.lower(): value for name, value in fields} if index is None else index

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}>"
