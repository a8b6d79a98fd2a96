"""`featurestore-s3`: as much of the S3 REST API as a feature store needs, path style, in memory.

    PUT | GET | HEAD | DELETE /<bucket>/<key>      objects, with ETag (MD5, as S3's single-part uploads) and If-None-Match
    GET /<bucket>?list-type=2&prefix=&max-keys=&continuation-token=      ListObjectsV2, XML

It stands outside the mesh, as Amazon's does, and starts with the features of eight machines.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.etree import ElementTree

from aiohttp import web

from .serving import arguments, serve

BUCKET = "features"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_MAX_KEYS = 1000  # S3's cap on one page of a listing

# Two machines have no vibration sensor: the selector must choose another model for them.
MACHINES: Mapping[str, Mapping[str, float]] = {
    "press-01": {"temperature": 61.5, "vibration": 1.8, "load": 70},
    "press-02": {"temperature": 84.0, "vibration": 6.4, "load": 92},
    "lathe-01": {"temperature": 48.2, "vibration": 0.9, "load": 35},
    "lathe-02": {"temperature": 55.0, "vibration": 2.7, "load": 58},
    "pump-01": {"temperature": 39.7, "vibration": 3.3, "load": 80},
    "pump-02": {"temperature": 77.1, "vibration": 5.0, "load": 64},
    "oven-01": {"temperature": 91.0, "load": 40},
    "oven-02": {"temperature": 88.5, "load": 95},
}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object's bytes and what S3 tells about them."""

    body: bytes
    content_type: str
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'

    @property
    def headers(self) -> dict[str, str]:
        return {"ETag": self.etag, "Last-Modified": format_datetime(self.modified, usegmt=True), "Content-Type": self.content_type}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, and the key the next one begins after."""

    keys: list[str]
    more_after: str | None


def page_of(keys: Iterable[str], *, prefix: str, after: str, limit: int) -> Page:
    """The first `limit` keys, in order, that have the prefix and follow `after`."""
    matching = sorted(key for key in keys if key.startswith(prefix) and key > after)
    shown = matching[:limit]
    return Page(shown, shown[-1] if shown and len(matching) > limit else None)


class Store:
    """Buckets of objects, and the handlers over them."""

    def __init__(self) -> None:
        self._buckets: dict[str, dict[str, StoredObject]] = {BUCKET: _seed()}

    async def read(self, request: web.Request) -> web.Response:
        """GetObject and HeadObject."""
        if (found := self._find(request)) is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        if request.headers.get("If-None-Match") == found.etag:
            return web.Response(status=304, headers={"ETag": found.etag})
        return web.Response(body=found.body, headers=found.headers)

    async def write(self, request: web.Request) -> web.Response:
        """PutObject."""
        stored = StoredObject(await request.read(), request.headers.get("Content-Type", "binary/octet-stream"))
        self._buckets.setdefault(request.match_info["bucket"], {})[request.match_info["key"]] = stored
        return web.Response(headers={"ETag": stored.etag})

    async def delete(self, request: web.Request) -> web.Response:
        """DeleteObject, which succeeds also when there is none."""
        self._buckets.get(request.match_info["bucket"], {}).pop(request.match_info["key"], None)
        return web.Response(status=204)

    async def list(self, request: web.Request) -> web.Response:
        """ListObjectsV2."""
        name, query = request.match_info["bucket"], request.query
        if (bucket := self._buckets.get(name)) is None:
            return _error(404, "NoSuchBucket", "The specified bucket does not exist")
        if query.get("list-type") != "2":
            return _error(501, "NotImplemented", "Only ListObjectsV2 (list-type=2) is implemented.")
        if not (asked := query.get("max-keys", str(_MAX_KEYS))).isdecimal():
            return _error(400, "InvalidArgument", "max-keys is not a number.")
        prefix, limit = query.get("prefix", ""), min(int(asked), _MAX_KEYS)
        after = query.get("continuation-token", query.get("start-after", ""))
        page = page_of(bucket, prefix=prefix, after=after, limit=limit)
        return _xml(200, _listing(name, prefix, limit, page, bucket))

    def _find(self, request: web.Request) -> StoredObject | None:
        return self._buckets.get(request.match_info["bucket"], {}).get(request.match_info["key"])


def make_app() -> web.Application:
    """The application."""
    store = Store()
    app = web.Application()
    app.router.add_get("/{bucket}", store.list)
    app.router.add_get("/{bucket}/", store.list)
    app.router.add_get("/{bucket}/{key:.+}", store.read)  # aiohttp answers HEAD with it too
    app.router.add_put("/{bucket}/{key:.+}", store.write)
    app.router.add_delete("/{bucket}/{key:.+}", store.delete)
    return app


def _seed() -> dict[str, StoredObject]:
    return {f"machines/{name}.json": StoredObject(json.dumps(row).encode(), "application/json") for name, row in MACHINES.items()}


def _listing(bucket: str, prefix: str, limit: int, page: Page, objects: Mapping[str, StoredObject]) -> ElementTree.Element:
    root = ElementTree.Element("ListBucketResult", xmlns=_NAMESPACE)
    truncated = "true" if page.more_after else "false"
    facts = {"Name": bucket, "Prefix": prefix, "KeyCount": len(page.keys), "MaxKeys": limit, "IsTruncated": truncated}
    for tag, value in facts.items():
        ElementTree.SubElement(root, tag).text = str(value)
    if page.more_after:
        ElementTree.SubElement(root, "NextContinuationToken").text = page.more_after
    for key in page.keys:
        entry, found = ElementTree.SubElement(root, "Contents"), objects[key]
        modified = found.modified.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for tag, value in {"Key": key, "LastModified": modified, "ETag": found.etag, "Size": len(found.body)}.items():
            ElementTree.SubElement(entry, tag).text = str(value)
    return root


def _error(status: int, code: str, message: str) -> web.Response:
    root = ElementTree.Element("Error")
    ElementTree.SubElement(root, "Code").text = code
    ElementTree.SubElement(root, "Message").text = message
    return _xml(status, root)


def _xml(status: int, root: ElementTree.Element) -> web.Response:
    body = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return web.Response(status=status, body=body, content_type="application/xml")


def main() -> None:
    """Run the service."""
    serve(make_app, arguments("an S3-compatible feature store in memory").parse_args())


if __name__ == "__main__":
    main()
