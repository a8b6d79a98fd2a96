"""A request's target and Host, checked once; what comes out is what policy, router and upstream all see.

RFC 9112 3.2 and 3.3; where Envoy is lenient (two Host lines joined, an empty Host) this refuses, because eleven of Istio's
security bulletins are disagreements between parsers.
"""

import re
from dataclasses import dataclass

from .headers import Fields

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})++(?::[0-9]{1,5})?\Z|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?\Z")
_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)\Z", re.DOTALL)
_CONNECT = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}\Z")


class TargetRejected(ValueError):
    """The request cannot be told apart from an attack; carries status, Envoy's detail string and a sentence."""

    def __init__(self, status: int, details: str, sentence: bytes) -> None:
        super().__init__(details)
        self.status = status
        self.details = details
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request wants to go."""

    path: bytes
    authority: bytes


def read(method: bytes, url: bytes, fields: Fields, hosts: "list[bytes]") -> Target:
    """The target of an HTTP/1 request; `hosts` are the values of its Host lines. Raises TargetRejected."""
    if len(hosts) > 1:
        raise TargetRejected(400, "http1.duplicate_host_header", b"more than one Host header")
    host = hosts[0] if hosts else b""
    if method == b"CONNECT":
        return _connect(url)
    if url.startswith(b"/"):
        return Target(_path(url), _authority(host, bool(hosts)))
    if url == b"*":
        raise TargetRejected(404 if method == b"OPTIONS" else 400, "absolute_path_rejected", b"no route matches this host and path")
    return _absolute(url, host, bool(hosts))


def _connect(url: bytes) -> Target:
    if not _CONNECT.match(url):
        raise TargetRejected(400, "http1.codec_error", b"CONNECT wants host:port")
    return Target(b"", url)


def _absolute(url: bytes, host: bytes, has_host: bool) -> Target:
    found = _ABSOLUTE.match(url)
    if found is None:
        raise TargetRejected(400, "http1.codec_error", b"malformed request target")
    if found[1].lower() not in (b"http", b"https"):
        raise TargetRejected(400, "http1.invalid_scheme", b"the target's scheme is neither http nor https")
    if has_host:
        _authority(host, True)
    path = found[3] if found[3].startswith(b"/") else b"/" + found[3]
    return Target(_path(path), _authority(found[2], True))


def _path(path: bytes) -> bytes:
    if b"#" in path:
        raise TargetRejected(400, "http1.codec_error", b"a fragment does not belong in a request target")
    return path


def _authority(host: bytes, present: bool) -> bytes:
    if not present:
        raise TargetRejected(400, "missing_host_header", b"no Host header")
    if not _HOST.match(host):
        raise TargetRejected(400, "http.invalid_authority", b"malformed Host header")
    return host
