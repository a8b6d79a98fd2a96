"""Lists the field paths of Istio's published MeshConfig, of its ProxyConfig, and of its MeshNetworks; run here as

python list_mesh_fields.py CONFIG.proto PROXY.proto NETWORK.proto > mesh_fields.txt

Messages of other files add nothing below the field that holds them: the lists of the kinds have those.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r"[\w.]+|<[^>]*>|\"[^\"]*\"|[{}\[\];=,]")
_TOPS = ("MeshConfig", "MeshNetworks")

Fields = dict[str, str]
"""By name, the name of the type, of a map that of its values."""


def messages_of(text: str) -> dict[str, Fields]:
    """The fields of each message, by its name with those of the messages around it, dots between."""
    tokens = _TOKEN.findall(_COMMENT.sub("", text))
    found: dict[str, Fields] = {}
    around: list[str] = []
    statement: list[str] = []
    for token in tokens:
        if token == "{":
            kind, name = statement[-2], statement[-1]
            around.append(name if kind == "message" else f"<{kind}>")
            if kind == "message":
                found[".".join(around)] = {}
        elif token in "};":
            if "=" in statement and around and around[-1] != "<enum>":
                _keep(found[".".join(one for one in around if one[0] != "<")], statement)
            if token == "}":
                around.pop()
        else:
            statement.append(token)
            continue
        statement = []
    return found


def _keep(fields: Fields, statement: list[str]) -> None:
    words = [word for word in statement[: statement.index("=")] if word != "repeated"]
    if words[0] not in ("option", "reserved"):
        kind = words[1][1:-1].split(",")[1].strip() if words[0] == "map" else words[0]
        fields[words[-1]] = kind


def paths_below(messages: dict[str, Fields], message: str, prefix: str) -> Iterator[str]:
    """The paths of all fields below a message, in protobuf's JSON names."""
    for name, kind in messages[message].items():
        path = f"{prefix}.{re.sub(r'_(.)', lambda match: match[1].upper(), name)}"
        yield path
        below = _lookup(messages, message, kind)
        if below is not None:
            yield from paths_below(messages, below, path)


def _lookup(messages: dict[str, Fields], message: str, kind: str) -> str | None:
    """The message of a name as protobuf finds it: from inside out."""
    around = message.split(".")
    scopes = (".".join((*around[:depth], kind)) for depth in range(len(around), -1, -1))
    return next((scope for scope in scopes if scope in messages), None)


def lines_of(texts: list[str]) -> list[str]:
    messages = {name: fields for text in texts for name, fields in messages_of(text).items()}
    return sorted({path for top in _TOPS for path in paths_below(messages, top, top)})


if __name__ == "__main__":
    print("\n".join(lines_of([Path(name).read_text() for name in sys.argv[1:]])))
