"""local_reply_config: mappers and body formats of the answers that the proxy makes itself."""

from google.protobuf import json_format

from ..errors import ConfigError
from ..http.local_reply import BodyFormat, LocalReplies, Mapper
from ..observe.format import Layout, compile_body
from ..route.edits import Level, response_edit
from .fields import Reader
from .headers import addition
from .log_filters import log_filter
from .sources import data


def local_replies(manager: Reader) -> LocalReplies | None:
    """The LocalReplyConfig of an HttpConnectionManager; None when nothing is changed."""
    reader = manager.child("local_reply_config")
    if reader is None:
        return None
    reader.only("mappers", "body_format")
    return LocalReplies(tuple(_mapper(item) for item in reader.items("mappers")), body_format(reader, "body_format"))


def _mapper(reader: Reader) -> Mapper:
    reader.only("filter", "status_code", "body", "body_format_override", "headers_to_add")
    condition = Reader(reader.message.filter, reader.at("filter"), reader.problems)
    additions = [addition(item) for item in reader.items("headers_to_add")]
    return Mapper(
        matches=log_filter(condition),
        status=reader.wrapped("status_code", 0),
        body=data(reader.child("body")) if reader.has("body") else None,
        format=body_format(reader, "body_format_override"),
        edit=response_edit([Level(add=tuple(item for item in additions if item is not None))]),
    )


def body_format(parent: Reader, name: str) -> BodyFormat | None:
    """A SubstitutionFormatString that writes bodies; None when the field is not set."""
    reader = parent.child(name)
    if reader is None:
        return None
    reader.only(
        "text_format",
        "text_format_source",
        "json_format",
        "omit_empty_values",
        "content_type",
        harmless={"json_format_options": "keys are in order in any case"},
    )
    layout, default_type = _layout(reader)
    try:
        write = compile_body(layout, omit_empty=reader.message.omit_empty_values)
    except ConfigError as error:
        reader.adopt(error, reader.which("format"))
        return None
    return BodyFormat((reader.message.content_type or default_type).encode(), write)


def _layout(reader: Reader) -> tuple[Layout, str]:
    """The format, and the content type that it has unless told otherwise."""
    match reader.which("format"):
        case "json_format":
            return json_format.MessageToDict(reader.message.json_format), "application/json"
        case "text_format_source":
            return data(reader.child("text_format_source")).decode("utf-8", "replace"), "text/plain"
    return reader.message.text_format, "text/plain"
