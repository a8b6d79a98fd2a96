"""Where our proxy means to differ from Envoy over HTTP/2, and why; `docs/DIFFERENCES.md` tells users the same."""

from dataclasses import replace
from http import HTTPStatus

from .client import Course, Heard

REASONS = {
    "GOAWAY": "An error of the connection is told in a GOAWAY with its code; Envoy mostly closes without one.",
    "Errors of streams": "What RFC 9113 calls an error of one stream ends that stream: frames behind its end (5.1), a window that grows by "
    "0 or too far (6.9). Envoy closes the connection, or lets a frame behind RST_STREAM pass.",
    "Blanks around values": "A malformed request, as RFC 9113 8.2.1 says; Envoy cuts them off.",
    "Ids that go back": "The connection ends (RFC 9113 5.1.1); Envoy does not answer the stream.",
    "Names with underscores": "Where they are refused the answer is 400, as over HTTP/1; Envoy resets the stream.",
    "Heads of several times their limit": "They end the connection before they are decoded; Envoy reads on and resets the stream.",
    "Tunnels that an HTTP/1 upstream ends": "Its FIN becomes END_STREAM (RFC 9113 8.5); Envoy resets the stream with CONNECT_ERROR.",
    "Requests that a GOAWAY leaves behind": "They are sent again, once, on another connection (RFC 9113 6.8), if they have no body that "
    "has gone up; in Envoy that takes a retry policy.",
    "Access log": "Heads that are no requests are counted and told in the proxy's own log; Envoy has a line without method and status "
    "for each.",
    "Upgrades that are refused": "They end their stream; Envoy leaves the connection too, with a GOAWAY.",
}

_STREAMS, _BLANKS, _TUNNELS = "Errors of streams", "Blanks around values", "Tunnels that an HTTP/1 upstream ends"

DIFFERENT = {
    "HEADERS behind the end": _STREAMS,
    "DATA behind the end": _STREAMS,
    "WINDOW_UPDATE by 0 on a stream": _STREAMS,
    "a stream's window too large": _STREAMS,
    "a client's reset and DATA behind it": _STREAMS,
    "a blank before a value": _BLANKS,
    "a blank before a value, a stream's error only": _BLANKS,
    "an upstream that leaves": "Requests that a GOAWAY leaves behind",
    "an id that goes back": "Ids that go back",
    "underscores": "Names with underscores",
    "headers far too large": "Heads of several times their limit",
    "a websocket, to HTTP/1": _TUNNELS,
    "CONNECT, to HTTP/1": _TUNNELS,
    "an extended CONNECT of another protocol": "Upgrades that are refused",
}
"""Cases whose course is another than with Envoy, and the title of the difference; the GOAWAY is that of all of them."""


LOGGED_OTHERWISE = frozenset(
    (
        "OPTIONS for the server, to HTTP/1",
        "OPTIONS for the server, to HTTP/2",
        "a fragment in the path",
        "a fragment in the path, a stream's error only",
        "an upstream of HTTP/1 that cuts its answer short",
        "an upstream of HTTP/1 that cuts a chunk short",
    )
)
"""Cases that look alike to the client, while the access logs have other words or flags for them."""


def comparable(theirs: Course, ours: Course, *, same_log: bool = True) -> tuple[Course, Course]:
    """Both without the differences of every answer: sentences where Envoy is mute, and the GOAWAY of an error, which Envoy leaves out."""
    theirs, ours = (replace(course, log=_requests(course.log) if same_log else ()) for course in (theirs, ours))
    if theirs.closed and ours.closed and not theirs.goaways:
        ours = replace(ours, goaways=tuple(code for code in ours.goaways if not code))
    pairs = {
        number: _without_sentence(theirs.streams[number], ours.streams[number]) for number in theirs.streams.keys() & ours.streams.keys()
    }
    left = {number: pairs[number][0] if number in pairs else heard for number, heard in theirs.streams.items()}
    right = {number: pairs[number][1] if number in pairs else heard for number, heard in ours.streams.items()}
    return replace(theirs, streams=left), replace(ours, streams=right)


def _requests(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Lines of requests. What a protocol error was in particular is told in other words."""
    return tuple(line.rpartition(" ")[0] if "PE " in line else line for line in lines if not line.startswith("- "))


def _without_sentence(theirs: Heard, ours: Heard) -> tuple[Heard, Heard]:
    if not theirs.sections or not ours.sections or not ours.body:
        return theirs, ours
    status = dict(theirs.sections[-1]).get(":status", "")
    mute = (
        status >= "400"
        and theirs.body in ("", HTTPStatus(int(status)).phrase)
        and dict(ours.sections[-1]).get("content-type") == "text/plain"
    )
    return (_bare(theirs), _bare(ours)) if mute else (theirs, ours)


def _bare(heard: Heard) -> Heard:
    sections = tuple(tuple(pair for pair in section if pair[0] not in ("content-length", "content-type")) for section in heard.sections)
    return replace(heard, sections=sections, body="")
