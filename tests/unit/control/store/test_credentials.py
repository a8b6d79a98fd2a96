"""The folder of credentials: read, watched, and never half taken in."""

import asyncio
import os

import pytest

from pymesh_control.errors import StartupError
from pymesh_control.model.credential import Credential, from_members
from pymesh_control.store.credentials import MAX_MEMBER, CredentialFolder


def put(folder, place, **members):
    where = folder / place
    where.mkdir(parents=True, exist_ok=True)
    for name, content in members.items():
        fresh = where / f".{name}"
        fresh.write_bytes(content)
        os.replace(fresh, where / name.replace("_", "."))


class Watched:
    """A folder under watch; `changed` waits for the next change that it tells."""

    def __init__(self, path):
        self._told = asyncio.Event()
        self.folder = CredentialFolder(path, self._told.set)

    async def __aenter__(self):
        await self.folder.start()
        self._told.clear()
        return self

    async def __aexit__(self, *_):
        await self.folder.stop()

    async def changed(self):
        async with asyncio.timeout(20):
            await self._told.wait()
        self._told.clear()
        return self.folder.contents()


async def test_what_lies_there_is_read(tmp_path):
    put(tmp_path, "edge/web", tls_crt=b"chain", tls_key=b"key", ca_crt=b"roots")
    put(tmp_path, "edge/old", cert=b"c", key=b"k", cacert=b"r", crl=b"x")
    put(tmp_path, "other/.hidden", tls_crt=b"no")
    async with Watched(tmp_path) as watched:
        assert watched.folder.contents() == {
            ("edge", "web"): Credential(b"chain", b"key", b"roots"),
            ("edge", "old"): Credential(b"c", b"k", b"r", b"x"),
        }


async def test_a_replaced_certificate_is_seen(tmp_path):
    put(tmp_path, "edge/web", tls_crt=b"one", tls_key=b"key")
    async with Watched(tmp_path) as watched:
        put(tmp_path, "edge/web", tls_crt=b"two")
        assert (await watched.changed())["edge", "web"].chain == b"two"
        put(tmp_path, "edge/new", ca_crt=b"roots")
        assert ("edge", "new") in await watched.changed()


async def test_what_is_too_large_is_told_and_the_last_content_stays(tmp_path):
    put(tmp_path, "edge/web", tls_crt=b"one", tls_key=b"key")
    async with Watched(tmp_path) as watched:
        put(tmp_path, "edge/web", tls_crt=b"x" * (MAX_MEMBER + 1))
        assert (await watched.changed())["edge", "web"].chain == b"one"
        (problem,) = watched.folder.problems
        assert "cannot read this credential" in problem.message


async def test_without_the_folder_there_is_no_start(tmp_path):
    with pytest.raises(StartupError, match="it is no folder"):
        await CredentialFolder(tmp_path / "absent", lambda: None).start()


def test_keys_are_not_shown():
    assert "secret" not in repr(from_members({"tls.crt": b"chain", "tls.key": b"secret"}))
