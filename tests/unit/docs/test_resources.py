"""The tables of kinds and refused fields are the code's, and every example does what the page says."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pymesh.api import parse_text
from pymesh.api.kinds import KINDS
from pymesh.cli import main as pymesh
from pymesh.local.meshfile import MeshFile
from pymesh_control.model import assembly, support
from pymesh_proxy.launch import Rejected, prepare
from pymesh_proxy.main import parser
from pymesh_proxy.process import validate

from .pages import CONFIGURATION, README, blocks, code, rows, same, section


def test_the_kinds_read_and_those_without_effect_are_those_documented() -> None:
    kinds = section(CONFIGURATION, "Istio resources").partition("### MeshConfig")[0].partition("Credentials")[0]
    acting, _, inert = kinds.partition("without effect")
    same([word for word in code(acting) if word[0].isupper()], {*KINDS, "ConfigMap"} - support.INERT.keys(), "kinds")
    same(code(inert), set(support.INERT), "kinds without effect")


def test_the_refused_fields_are_those_documented() -> None:
    table = rows(section(CONFIGURATION, "What is refused").partition("Fields of which")[0])
    told = {code(kind)[0]: set(code(fields)) for kind, fields in table}
    assert told == {kind: set(map(_shortest, fields)) for kind, fields in support.FIELDS.items()}


def test_the_partly_refused_fields_are_those_documented() -> None:
    table = rows(section(CONFIGURATION, "What is refused").partition("Fields of which")[2])
    told = {(code(kind)[0], code(field)[0]) for kind, field, _ in table}
    assert told == {(kind, _shortest(field)) for kind, fields in support.VALUES.items() for field in fields}


def test_the_smallest_mesh_of_the_readme_is_accepted_whole() -> None:
    mesh = MeshFile.parse(_block(README, "shop/mesh.yaml"), "mesh.yaml")
    parsed = parse_text(_block(README, "shop/config/web.yaml"), "web.yaml")
    assert parsed.problems == []
    _, problems = assembly.build(parsed.resources, (), 1)
    assert [problem for problem in problems if problem.severity == "error"] == []
    assert {f"{mesh.gateways[0].ports[0]}"} == set(re.findall(r"number: (\d{4})", _block(README, "shop/config/web.yaml")))


def test_the_wrong_file_of_the_readme_gets_the_answer_that_is_shown(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(_block(README, "wrong.yaml"))
    result = CliRunner().invoke(pymesh, ["validate", "-f", str(tmp_path / "wrong.yaml")])
    (shown,) = (text for text in blocks(README) if text.startswith("$ pymesh validate"))
    assert result.output.replace(f"{tmp_path}/", "") == shown.partition("\n")[2].partition("$ echo")[0]
    assert result.exit_code == 1


async def test_the_smallest_bootstrap_is_accepted(tmp_path: Path) -> None:
    (bootstrap,) = blocks(CONFIGURATION, "yaml")
    file = tmp_path / "envoy.yaml"
    file.write_text(bootstrap)
    await validate(prepare(parser().parse_args(["-c", str(file)]), {}))


def test_the_mistake_in_a_bootstrap_gets_the_answer_that_is_shown(tmp_path: Path) -> None:
    """The README's line is of the documented bootstrap with one word misspelt."""
    (bootstrap,) = blocks(CONFIGURATION, "yaml")
    (shown,) = (text for text in blocks(README) if text.startswith("$ pymesh-proxy -c"))
    file = tmp_path / "envoy.yaml"
    file.write_text(bootstrap.replace("type: STATIC\n", "type: STATIC\n    lb_polcy: RANDOM\n"))
    with pytest.raises(Rejected) as rejected:
        prepare(parser().parse_args(["-c", str(file)]), {})
    assert str(rejected.value).replace(f"{tmp_path}/", "") in shown


def _block(page: Path, name: str) -> str:
    """The YAML block whose first line is a comment with a file's name, whole."""
    return next(text for text in blocks(page, "yaml") if text.startswith(f"# {name}\n"))


def _shortest(field: str) -> str:
    """The form in which a policy's field is documented once: without subsets and ports."""
    return field.removeprefix("subsets[].").replace(".portLevelSettings[]", "")
