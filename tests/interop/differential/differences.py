"""Where our proxy means to differ from Envoy, and why. `docs/DIFFERENCES.md` tells users the same, and a test compares the two."""

import re
from dataclasses import dataclass, replace
from http import HTTPStatus

from .wire import Answer

_VOLATILE = {"date", "x-envoy-upstream-service-time"}

_EVERYWHERE = {
    "Sentences": "Where Envoy's error has an empty body or only repeats the status, ours says in a plain sentence what was wrong.",
    "Names of headers": "They keep the case in which the client or the upstream wrote them; Envoy writes them in small letters.",
    "Clients on loopback": "`x-forwarded-for` gets the address that the connection has, 127.0.0.1; Envoy puts the machine's own address.",
}
"""Differences of every answer, which `comparable` takes out."""


@dataclass(frozen=True)
class Difference:
    """Cases in which the answers differ. `status` is Envoy's and ours; None stands for no answer."""

    title: str
    reason: str
    status: tuple[int | None, int | None]
    cases: tuple[str, ...]


DIFFERENCES = (
    Difference(
        "Line ends",
        "A line feed or a carriage return alone is refused: parsers that take it for a line's end and parsers that do not see two "
        "different requests in the same bytes. Envoy repairs it.",
        (200, 400),
        ("bare line feeds", "bare line feed after one header", "carriage return in a header"),
    ),
    Difference(
        "Folded header lines",
        "Refused, as RFC 9112 5.2 asks of a server; Envoy joins them.",
        (200, 400),
        ("folded header",),
    ),
    Difference(
        "Chunks longer than their size",
        "Refused; Envoy drops the bytes too many.",
        (200, 400),
        ("chunk longer than its size",),
    ),
    Difference(
        "Line ends and folds of an upstream",
        "A line feed alone or a folded header in an upstream's answer makes it malformed (502), as in a request; Envoy repairs it.",
        (200, 502),
        ("response with a folded header", "response with a bare line feed"),
    ),
    Difference(
        "Chunks of an upstream that are longer than their size",
        "The answer is cut there; Envoy drops the bytes too many.",
        (200, 200),
        ("response with a chunk longer than its size",),
    ),
    Difference(
        "Statuses that do not exist",
        "An upstream's status below 100 or beyond 999 is its error (502); Envoy passes it on.",
        (None, 502),
        ("response of a status of two digits", "response of a status beyond 999"),
    ),
    Difference(
        "Host headers",
        "One that is empty, repeated or names a user is refused, as RFC 9112 3.2 asks; Envoy passes it on.",
        (200, 400),
        ("empty host", "two hosts", "host with a user"),
    ),
    Difference(
        "Paths that climb above the root",
        "Where paths are normalised, `/../x` is refused: nobody writes it in good faith. Envoy makes it `/x`.",
        (200, 400),
        (
            "dots beyond the root", "dots beyond the root twice", "dots beyond the root behind a segment",
            "dots beyond the root at the end", "dots in escapes beyond the root", "dots beyond the root, further in",
        ),
    ),
    Difference(
        "Transfer codings besides chunked",
        "A list of codings is a malformed request here (400); Envoy says that it does not implement it (501).",
        (501, 400),
        ("chunked twice", "chunked not last"),
    ),
    Difference(
        "Versions that do not exist",
        "HTTP/1.2 is a malformed request (400); Envoy asks for another version (426).",
        (426, 400),
        ("version 1.2",),
    ),
    Difference(
        "Absolute targets with a query and no path",
        "`http://host?query` asks for the path `/` (RFC 3986 6.2.3); Envoy does not find it.",
        (404, 200),
        ("absolute target with a query and no path",),
    ),
    Difference(
        "Methods",
        "`M-SEARCH` is passed on; Envoy's parser does not know it.",
        (400, 200),
        ("method M-SEARCH",),
    ),
    Difference(
        "Upgrades that the upstream does not take",
        "Its answer is passed on whole; Envoy drops the body, unless it is an error.",
        (200, 200),
        ("websocket that the upstream refuses",),
    ),
    Difference(
        "Direct responses of 201",
        "They have the headers that the configuration gives them; Envoy adds a `location` made of the request's own address.",
        (201, 201),
        ("direct response", "direct response to HEAD", "direct response to a body"),
    ),
    Difference(
        "Redirects of HEAD",
        "The answer has no framing headers, as it has no body; Envoy says `transfer-encoding: chunked`.",
        (302, 302),
        ("redirect of HEAD",),
    ),
)


_PIPELINED = "Pipelined requests that the configuration answers"

_SWITCHED = "Switches of protocol that were not asked for"
_TRAILERS = "Trailers that belong in a head"

TALKS = {
    _PIPELINED: "All are answered at once; Envoy keeps the third until more bytes come.",
    _SWITCHED: "A 101 without a request for it, or to another protocol, is the upstream's error (502); Envoy passes it on.",
    _TRAILERS: "Fields that frame, route or identify are dropped from trailers; Envoy passes them on with the others.",
}
"""Differences that take several steps to see."""

TALK_DIFFERENCES = {
    "three requests at once": _PIPELINED,
    "a malformed request behind two": _PIPELINED,
    "a switch to another protocol": _SWITCHED,
    "a switch that nobody asked for": _SWITCHED,
    "trailers that belong in a head": _TRAILERS,
}
"""Talks whose course is another than with Envoy, and the title of the difference."""


def difference(case: str) -> Difference | None:
    """The documented difference that a case shows."""
    return next((each for each in DIFFERENCES if case in each.cases), None)


def documented() -> dict[str, str]:
    """Title -> reason of everything that users should know."""
    return _EVERYWHERE | {each.title: each.reason for each in DIFFERENCES} | TALKS


def comparable(theirs: Answer, ours: Answer) -> tuple[Answer, Answer]:
    """Both without what changes from one request to the next and without the differences of every answer."""
    theirs, ours = (_without(answer, _VOLATILE) for answer in (theirs, ours))
    theirs = _with_loopback(theirs)
    if _is_mute_error(theirs) and theirs.status == ours.status and ours.header("content-type") == "text/plain" and ours.body:
        theirs, ours = (replace(_without(answer, {"content-length", "content-type"}), body="") for answer in (theirs, ours))
    return theirs, ours


def _without(answer: Answer, names: set[str]) -> Answer:
    return replace(answer, headers=tuple(pair for pair in answer.headers if pair[0] not in names))


def _is_mute_error(answer: Answer) -> bool:
    """Whether an error's body says no more than its status; HTTPStatus's words and Envoy's are the same."""
    if answer.status is None or answer.status < 400 or any(name == "x-secret" for name, _ in answer.headers):
        return False
    return answer.body in ("", HTTPStatus(answer.status).phrase) if answer.status in list(HTTPStatus) else not answer.body


def _with_loopback(answer: Answer) -> Answer:
    """The upstream tells its request as JSON; within it the machine's address, last of x-forwarded-for, becomes 127.0.0.1."""
    body = re.sub(r'(\["x-forwarded-for", "(?:[^"]*,)?)(?!127\.)[0-9.]+("\])', r"\g<1>127.0.0.1\2", answer.body)
    grown = len(body) - len(answer.body)
    headers = tuple((name, str(int(value) + grown) if name == "content-length" else value) for name, value in answer.headers)
    return replace(answer, body=body, headers=headers)
