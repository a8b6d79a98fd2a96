"""`pymesh validate` and `pymesh version` as people and programs use them."""

import json

import pytest
from click.testing import CliRunner

from pymesh import __version__
from pymesh.cli import main

GOOD = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\n"
BAD = GOOD.replace("name: a", "name: b") + "spec: {mtsl: {}}\n"
WARNED = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w}\nspec: {network: n}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in (("good.yaml", GOOD), ("bad.yaml", BAD), ("warned.yaml", WARNED)):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, stdin=None):
    return CliRunner().invoke(main, arguments, input=stdin)


def test_valid_configuration_exits_with_0(folder):
    result = run("validate", "-f", "good.yaml")
    assert (result.exit_code, result.output) == (0, "1 valid resource in 1 file: no problems\n")


def test_what_is_nothing_to_a_mesh_is_left_alone(folder):
    beside = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n---\n"
    result = run("validate", "-", stdin=beside + GOOD)
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            "<stdin>:1:1: info: Deployment web: is no configuration of a mesh, and is left alone",
            "1 valid resource in 1 file, 1 object left alone: no problems",
        ],
    )


def test_a_warning_is_printed_and_does_not_fail(folder):
    result = run("validate", "-f", "warned.yaml")
    assert result.exit_code == 0
    assert result.output.splitlines()[0].startswith("warned.yaml:4:1: warning: WorkloadEntry w: spec: has no address")


def test_an_error_is_printed_without_colours_or_wrapping_and_exits_with_1(folder):
    result = run("validate", "-f", "good.yaml", "-f", "bad.yaml")
    assert result.exit_code == 1
    assert result.output == (
        'bad.yaml:4:8: error: PeerAuthentication b: spec.mtsl: unknown field (did you mean "mtls"?)\n1 valid resource in 2 files: 1 error\n'
    )


def test_what_istio_takes_and_the_mesh_does_not_honour_is_an_error(folder):
    tls = "{mode: SIMPLE, credentialName: c, insecureSkipVerify: true}"
    server = f"{{port: {{number: 80, name: s, protocol: HTTPS}}, hosts: [a.test], tls: {tls}}}"
    text = f"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g}}\nspec: {{servers: [{server}]}}\n"
    result = run("validate", "-f", "-", stdin=f"{text}---\n{GOOD}")
    assert result.exit_code == 1
    assert result.output == (
        "<stdin>:4:121: error: Gateway default/g: servers[0].tls.insecureSkipVerify is not supported\n1 valid resource in 1 file: 1 error\n"
    )


def test_a_shell_pattern_after_the_option_is_taken_whole(folder):
    result = run("validate", "-f", "bad.yaml", "good.yaml", "warned.yaml")
    assert result.output.splitlines()[-1] == "2 valid resources in 3 files: 1 error, 1 warning"


def test_a_folder_is_checked_with_all_its_files(folder):
    assert run("validate", "-f", str(folder)).output.splitlines()[-1] == "2 valid resources in 3 files: 1 error, 1 warning"


def test_standard_input_is_read_for_a_dash(folder):
    result = run("validate", "-f", "-", stdin=BAD)
    assert result.exit_code == 1
    assert result.output.startswith("<stdin>:4:8: error: ")


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_json_output_is_for_programs(folder, option):
    result = run("validate", "-f", "bad.yaml", option, "json")
    assert result.exit_code == 1
    assert json.loads(result.output) == {
        "valid": False,
        "files": 1,
        "resources": 0,
        "problems": [
            {
                "file": "bad.yaml",
                "line": 4,
                "column": 8,
                "severity": "error",
                "message": 'PeerAuthentication b: spec.mtsl: unknown field (did you mean "mtls"?)',
                    "code": "",
            }
        ],
    }


def test_every_unreadable_path_is_named_and_exits_with_2(folder):
    (folder / "latin.yaml").write_bytes(b"\xe9")
    result = run("validate", "-f", "gone.yaml", "-f", "good.yaml", "-f", "latin.yaml")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "pymesh validate: cannot read gone.yaml: No such file or directory",
        "pymesh validate: cannot read latin.yaml: it is not UTF-8 text (byte 0)",
    ]


@pytest.mark.parametrize("arguments", ["", "-f", "-f x --output xml", "--wrong"])
def test_wrong_usage_exits_with_2(arguments):
    assert run("validate", *arguments.split()).exit_code == 2


def test_the_version_is_told():
    assert run("version").output.startswith(f"pymesh {__version__} ")
