"""A real folder under a real watch; every wait ends with an event, never with a pause."""

import asyncio
import os

import pytest

from pymesh_control.errors import StartupError
from pymesh_control.store.folder import Folder

from .texts import BROKEN, hosts, service_entry

TIMEOUT = 20


class Watched:
    def __init__(self, path):
        self.path = path
        self.told = 0
        self.folder = Folder(path, self._changed)

    def _changed(self):
        self.told += 1

    async def until(self, wanted):
        """Wait for the change after which `wanted(contents)` holds."""
        async with asyncio.timeout(TIMEOUT):
            revision = self.folder.revision
            while not wanted(self.folder.contents()):
                revision = await self.folder.changed_since(revision)


@pytest.fixture
async def watched(tmp_path):
    (tmp_path / "a.yaml").write_text(service_entry("a", "one.example"))
    made = Watched(tmp_path)
    await made.folder.start()
    yield made
    await made.folder.stop()


async def test_what_the_folder_holds_at_the_start_is_read_before_start_returns(watched):
    assert hosts(watched.folder.contents()) == {"a": "one.example"}
    assert watched.told == 1


async def test_a_file_written_in_place_is_taken_in(watched):
    (watched.path / "a.yaml").write_text(service_entry("a", "two.example"))
    await watched.until(lambda contents: hosts(contents) == {"a": "two.example"})


async def test_a_file_replaced_by_an_atomic_rename_is_taken_in(watched):
    (watched.path / ".a.yaml.swp").write_text(service_entry("a", "two.example"))
    os.replace(watched.path / ".a.yaml.swp", watched.path / "a.yaml")
    await watched.until(lambda contents: hosts(contents) == {"a": "two.example"})


async def test_a_deleted_file_takes_its_resources_away(watched):
    (watched.path / "a.yaml").unlink()
    await watched.until(lambda contents: contents.resources == ())


async def test_a_file_in_a_new_folder_is_taken_in(watched):
    (watched.path / "more").mkdir()
    (watched.path / "more" / "b.yml").write_text(service_entry("b", "b.example"))
    await watched.until(lambda contents: hosts(contents) == {"a": "one.example", "b": "b.example"})


async def test_a_bad_overwrite_keeps_the_last_good_and_a_good_one_ends_that(watched):
    (watched.path / "a.yaml").write_text(BROKEN)
    await watched.until(lambda contents: contents.problems)
    assert hosts(watched.folder.contents()) == {"a": "one.example"}
    (watched.path / "a.yaml").write_text(service_entry("a", "mended.example"))
    await watched.until(lambda contents: not contents.problems)
    assert hosts(watched.folder.contents()) == {"a": "mended.example"}


async def test_a_file_that_is_not_text_is_a_problem_of_its_own(watched):
    (watched.path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    await watched.until(lambda contents: contents.problems)
    assert hosts(watched.folder.contents()) == {"a": "one.example"}
    assert watched.folder.contents().problems[0].file.endswith("b.yaml")


async def test_hidden_files_editors_leftovers_and_other_suffixes_are_not_configuration(watched):
    for name in (".hidden.yaml", "a.yaml~", "#a.yaml#", "README.md"):
        (watched.path / name).write_text(BROKEN)
    (watched.path / ".git").mkdir()
    (watched.path / ".git" / "x.yaml").write_text(BROKEN)
    (watched.path / "b.yaml").write_text(service_entry("b", "b.example"))
    await watched.until(lambda contents: "b" in hosts(contents))
    assert watched.folder.contents().problems == ()


async def test_a_mounted_config_map_is_followed_when_its_link_is_swapped(tmp_path):
    for version in ("one", "two"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "a.yaml").write_text(service_entry("a", f"{version}.example"))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    made = Watched(tmp_path)
    await made.folder.start()
    assert hosts(made.folder.contents()) == {"a": "one.example"}
    (tmp_path / "..data_tmp").symlink_to("..two")
    os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
    await made.until(lambda contents: hosts(contents) == {"a": "two.example"})
    await made.folder.stop()


async def test_a_look_that_finds_nothing_new_tells_nobody(watched):
    await watched.folder.look(())
    assert watched.told == 1


async def test_a_folder_that_vanishes_keeps_its_content_with_a_problem(watched):
    os.rename(watched.path, f"{watched.path}-elsewhere")
    await watched.until(lambda contents: contents.problems)
    assert hosts(watched.folder.contents()) == {"a": "one.example"}
    assert "its last content stays" in watched.folder.contents().problems[0].message


async def test_a_folder_that_does_not_exist_is_refused_at_the_start(tmp_path):
    with pytest.raises(StartupError, match=r"cannot read configuration folder .*: No such file"):
        await Folder(tmp_path / "none", lambda: None).start()


async def test_a_file_where_a_folder_should_be_is_refused_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="Not a directory"):
        await Folder(tmp_path / "file", lambda: None).start()
