"""`pymesh analyze` as people and programs use it."""

import json

import pytest
from click.testing import CliRunner

from pymesh.api import Problem
from pymesh.cli import main, reading

SERVICE = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}]
"""
ROUTE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews}
"""
LOST = ROUTE.replace("{host: reviews}", "{host: nobody}")
WEIGHED = ROUTE.replace("{host: reviews}", "{host: reviews}\n      weight: 7")
GONE = (
    "VirtualService default/reviews: no service has the host nobody.default.svc.cluster.local: "
    "requests sent there are answered with 503 (NC)"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in (("a/service.yaml", SERVICE), ("a/route.yaml", ROUTE), ("lost.yaml", LOST), ("weighed.yaml", WEIGHED)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)


def run(*arguments, stdin=None):
    return CliRunner().invoke(main, ["analyze", *arguments], input=stdin)


@pytest.mark.usefixtures("folder")
def test_a_folder_whose_parts_fit_exits_with_0():
    result = run("-f", "a")
    assert (result.exit_code, result.output) == (0, "nothing found\n")


@pytest.mark.usefixtures("folder")
def test_a_mistake_between_files_is_a_line_that_editors_understand_and_exits_with_1():
    result = run("-f", "a/service.yaml", "lost.yaml")
    assert (result.exit_code, result.output) == (1, f"lost.yaml:8:7: error [IST0101]: {GONE}\n1 error\n")


@pytest.mark.usefixtures("folder")
def test_files_are_judged_together_and_standard_input_with_them():
    assert run("-f", "a/route.yaml").exit_code == 1
    assert run("-f", "a/route.yaml", "-f", "-", stdin=SERVICE).exit_code == 0


@pytest.mark.usefixtures("folder")
def test_what_is_no_error_exits_with_0():
    result = run("a/service.yaml", "weighed.yaml")
    assert result.exit_code == 0
    assert result.output.splitlines()[0].startswith("weighed.yaml:9:7: info [KIA1104]: VirtualService default/reviews: weight 7")
    assert result.output.splitlines()[-1] == "1 info"


@pytest.mark.usefixtures("folder")
def test_reasons_and_ways_out_are_told_when_asked_for():
    lines = run("a/service.yaml", "lost.yaml", "--explain").output.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["lost.yaml", "    why", "    fix", "1 error"]


@pytest.mark.usefixtures("folder")
def test_a_code_can_be_suppressed():
    result = run("a/service.yaml", "lost.yaml", "--suppress", "IST0101")
    assert (result.exit_code, result.output) == (0, "nothing found\n")


def test_what_validation_finds_is_there_with_istios_codes():
    result = run("-f", "-", stdin=ROUTE.replace("hosts", "hots"))
    assert result.exit_code == 1
    assert '<stdin>:5:3: error [IST0106]: VirtualService reviews: spec.hots: unknown field (did you mean "hosts"?)' in result.output
    warned = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w}\nspec: {network: n}\n"
    assert "<stdin>:4:1: warning [IST0133]: WorkloadEntry default/w: spec: has no address" in run("-", stdin=warned).output
    beside = run("-", stdin="apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n")
    assert (beside.exit_code, beside.output.splitlines()[0]) == (
        0,
        "<stdin>:1:1: info [PYM0001]: Job j: is no configuration of a mesh, and is left alone",
    )


@pytest.mark.usefixtures("folder")
def test_what_a_plane_refuses_is_an_error_and_takes_no_part(monkeypatch):
    class Plane:
        @staticmethod
        def load():
            return lambda resource: [Problem.at(resource.where, "refused")] if resource.kind == "VirtualService" else []

    monkeypatch.setattr(reading, "entry_points", lambda group: [Plane] if group == "pymesh.checks" else [])
    assert run("a/service.yaml", "lost.yaml").output == "lost.yaml:1:1: error [IST0106]: refused\n1 error\n"


@pytest.mark.usefixtures("folder")
def test_programs_get_everything_in_json():
    result = run("-f", "a/service.yaml", "lost.yaml", "--output", "json")
    assert result.exit_code == 1
    told = json.loads(result.output)
    assert (told["files"], told["resources"]) == (2, 2)
    (one,) = told["diagnostics"]
    why, fix = one.pop("why"), one.pop("fix")
    assert why.startswith("Requests sent there")
    assert fix.startswith("Write the host")
    assert one == {
        "file": "lost.yaml",
        "line": 8,
        "column": 7,
        "code": "IST0101",
        "severity": "error",
        "resource": "VirtualService default/reviews",
        "message": GONE.partition(": ")[2],
    }


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("suppressed", "code"),
    [
        ("IST0101", 0),
        ("IST0101=VirtualService reviews.default", 0),
        ("IST0101=VirtualService *.default", 0),
        ("IST0101=VirtualService *.other", 1),
        ("IST0101=Gateway *", 1),
        ("IST0174=VirtualService *", 1),
    ],
)
def test_a_code_can_be_suppressed_for_some_resources_in_istioctls_words(suppressed, code):
    assert run("a/service.yaml", "lost.yaml", "-S", suppressed).exit_code == code


@pytest.mark.usefixtures("folder")
def test_thresholds_say_what_is_told_and_what_is_a_failure():
    assert run("a/service.yaml", "weighed.yaml", "--failure-threshold", "Info").exit_code == 1
    quiet = run("a/service.yaml", "weighed.yaml", "--output-threshold", "warning", "--failure-threshold", "warning")
    assert (quiet.exit_code, quiet.output) == (0, "nothing found\n")
    assert run("a/service.yaml", "lost.yaml", "--output-threshold", "error").exit_code == 1


def test_warnings_of_validation_have_istios_codes_and_heed_the_annotation_of_their_resource():
    shadowed = ROUTE.replace("- route:", "- directResponse: {status: 200}\n  - route:")
    told = run("-", stdin=SERVICE + "---\n" + shadowed).output
    assert "warning [IST0130]: VirtualService default/reviews: spec.http[1]: never reached" in told
    quiet = shadowed.replace("{name: reviews}", "{name: reviews, annotations: {galley.istio.io/analyze-suppress: IST0130}}")
    assert run("-", stdin=SERVICE + "---\n" + quiet).output == "nothing found\n"


def test_what_istioctl_thinks_worse_of_than_a_webhook_fails():
    patch = "{applyTo: CLUSTER, patch: {operation: REPLACE, value: {}}}"
    head = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n"
    text = "---\n".join(
        f"{head}metadata: {{name: a, namespace: {place}}}\nspec: {{configPatches: [{patch}]}}\n" for place in ("one", "two")
    )
    result = run("-", stdin=text)
    assert result.exit_code == 1
    assert [line.partition(": spec")[0] for line in result.output.splitlines() if "IST0152" in line] == [
        "<stdin>:4:62: error [IST0152]: EnvoyFilter one/a",
        "<stdin>:9:62: error [IST0152]: EnvoyFilter two/a",
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["-", "-S", "IST0101=Pod"], "neither CODE nor CODE=KIND NAME.NAMESPACE"), (["-", "--failure-threshold", "bad"], "is not one of")],
)
def test_words_that_cannot_be_understood_are_wrong_usage(arguments, sentence):
    result = run(*arguments, stdin="")
    assert (result.exit_code, sentence in result.output) == (2, True)


@pytest.mark.parametrize(("arguments", "sentence"), [([], "-f PATH"), (["gone.yaml"], "pymesh analyze: cannot read gone.yaml")])
def test_wrong_usage_and_unreadable_paths_exit_with_2(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output
