"""Where our proxy means to differ from Envoy over HTTP/2, and why; `docs/DIFFERENCES.md` tells users the same."""

from dataclasses import replace
from http import HTTPStatus

from .client import Course, Heard

DIFFERENT: dict[str, str] = {}


def comparable(theirs: Course, ours: Course) -> tuple[Course, Course]:
    """Both without the differences of every answer: sentences where Envoy is mute, and the GOAWAY of an error, which Envoy leaves out."""
    if theirs.closed and ours.closed and not theirs.goaways:
        ours = replace(ours, goaways=tuple(code for code in ours.goaways if not code))
    pairs = {number: _without_sentence(theirs.streams[number], ours.streams[number]) for number in theirs.streams.keys() & ours.streams.keys()}
    left = {number: pairs[number][0] if number in pairs else heard for number, heard in theirs.streams.items()}
    right = {number: pairs[number][1] if number in pairs else heard for number, heard in ours.streams.items()}
    return replace(theirs, streams=left), replace(ours, streams=right)


def _without_sentence(theirs: Heard, ours: Heard) -> tuple[Heard, Heard]:
    if not theirs.sections or not ours.sections or not ours.body:
        return theirs, ours
    status = dict(theirs.sections[-1]).get(":status", "")
    mute = status >= "400" and theirs.body in ("", HTTPStatus(int(status)).phrase) and dict(ours.sections[-1]).get("content-type") == "text/plain"
    return (_bare(theirs), _bare(ours)) if mute else (theirs, ours)


def _bare(heard: Heard) -> Heard:
    sections = tuple(tuple(pair for pair in section if pair[0] not in ("content-length", "content-type")) for section in heard.sections)
    return replace(heard, sections=sections, body="")
