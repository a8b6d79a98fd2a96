"""Files and folders."""

import pytest

from pymesh.api import parse_paths

GOOD = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: %s}\n"


def test_a_folder_is_read_with_its_folders_in_the_order_of_names(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("c.yml", "a.yaml", "b/x.json"):
        (tmp_path / name).write_text(GOOD % name.replace("/", "-"))
    parsed = parse_paths([tmp_path])
    assert [resource.name for resource in parsed.resources] == ["a.yaml", "b-x.json", "c.yml"]
    assert parsed.resources[0].where.file == str(tmp_path / "a.yaml")


def test_other_files_and_hidden_ones_are_left_alone(tmp_path):
    (tmp_path / "..data").mkdir()
    for name in ("notes.txt", ".hidden.yaml", "..data/x.yaml"):
        (tmp_path / name).write_text("not: mesh configuration")
    assert parse_paths([tmp_path]).problems == []


def test_a_file_given_by_name_is_read_whatever_its_suffix(tmp_path):
    (tmp_path / "mesh.conf").write_text(GOOD % "a")
    assert len(parse_paths([str(tmp_path / "mesh.conf")]).resources) == 1


@pytest.mark.parametrize("name", ["missing.yaml", "latin.yaml"])
def test_an_unreadable_file_is_a_problem_and_the_others_are_read(tmp_path, name):
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    (tmp_path / "good.yaml").write_text(GOOD % "a")
    parsed = parse_paths([tmp_path / name, tmp_path / "good.yaml"])
    assert len(parsed.resources) == 1
    (problem,) = parsed.problems
    assert (problem.file, problem.severity) == (str(tmp_path / name), "error")
    assert problem.message.startswith(f"cannot read {tmp_path / name}: ")


def test_the_same_object_in_two_files_is_an_error_that_names_both(tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD % "same")
    parsed = parse_paths([tmp_path])
    assert [str(problem) for problem in parsed.problems] == [
        f"{tmp_path / 'b.yaml'}:1:1: error: PeerAuthentication same: already defined at {tmp_path / 'a.yaml'}:1:1"
    ]
    assert [resource.where.file for resource in parsed.resources] == [str(tmp_path / "a.yaml")]
