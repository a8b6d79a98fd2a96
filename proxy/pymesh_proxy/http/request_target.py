"""A request's target and Host, checked once; what comes out is what policy, router and upstream all see.

RFC 9112 3.2 and 3.3; where Envoy is lenient (two Host lines joined, an empty Host) this refuses, because eleven of Istio's
security bulletins are disagreements between parsers.
"""

import re
from typing import Final

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})++(?::[0-9]{1,5})?\Z|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?\Z")
_ABSOLUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)\Z", re.DOTALL)
_CONNECT: Final = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}\Z")


_SOUND_LIMIT: Final = 1024
SOUND: Final[set[bytes]] = set()
"""Authorities that have passed: a mesh sees the same few again and again, and the pattern costs more than a look-up."""


class TargetRejected(ValueError):
    """The request is not served as it is; carries status, Envoy's detail string, a sentence, and headers of the answer."""

    def __init__(self, status: int, details: str, sentence: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(details)
        self.status = status
        self.details = details
        self.sentence = sentence
        self.headers = headers


Target = tuple[bytes, bytes]
"""Path with query, and authority."""


def read(method: bytes, url: bytes, host: bytes | None, allow_absolute: bool = True) -> Target:
    """The target of an HTTP/1 request; `host` is its only Host header. Raises TargetRejected."""
    if method == b"CONNECT":
        return _connect(url)
    if url[:1] == b"/":
        return _path(url), _authority(host)
    if url == b"*":
        raise TargetRejected(404 if method == b"OPTIONS" else 400, "absolute_path_rejected", b"no route matches this host and path")
    if not allow_absolute:
        raise TargetRejected(404, "absolute_path_rejected", b"absolute targets are not served here")
    return _absolute(url, host)


def _connect(url: bytes) -> Target:
    if not _CONNECT.match(url):
        raise TargetRejected(400, "http1.codec_error", b"CONNECT wants host:port")
    return b"", url


def _absolute(url: bytes, host: bytes | None) -> Target:
    found = _ABSOLUTE.match(url)
    if found is None:
        raise TargetRejected(400, "http1.codec_error", b"malformed request target")
    if found[1].lower() not in (b"http", b"https"):
        raise TargetRejected(400, "http1.invalid_scheme", b"the target's scheme is neither http nor https")
    if host is not None:
        _authority(host)
    path = found[3] if found[3].startswith(b"/") else b"/" + found[3]
    return _path(path), _authority(found[2])


def _path(path: bytes) -> bytes:
    if b"#" in path:
        raise TargetRejected(400, "path_normalization_failed", b"a fragment does not belong in a request target")
    return path


def _authority(host: bytes | None) -> bytes:
    if host is None:
        raise TargetRejected(400, "missing_host_header", b"no Host header")
    if host in SOUND:
        return host
    if not _HOST.match(host):
        raise TargetRejected(400, "http.invalid_authority", b"malformed Host header")
    if len(SOUND) >= _SOUND_LIMIT:
        SOUND.clear()
    SOUND.add(host)
    return host
