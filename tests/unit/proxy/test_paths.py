import json
from pathlib import Path

import pytest

from pymesh_proxy.http.options import EscapedSlashes
from pymesh_proxy.http.paths import PathRedirect, PathRejected, normalize


def base(path):
    return normalize(path, normalize_path=True, merge_slashes=False, escaped=EscapedSlashes.KEEP_UNCHANGED)


@pytest.mark.parametrize(
    ("path", "result"),
    [
        (b"/a/../b", b"/b"),
        (b"/a/./b", b"/a/b"),
        (b"/a/%2e%2e/b", b"/b"),
        (b"//a//b", b"//a//b"),
        (b"/a\\b", b"/a/b"),
        (b"/%41", b"/A"),
        (b"/%2F%5C%23%25%3F", b"/%2F%5C%23%25%3F"),
        (b"/a/..;x/b", b"/b"),
        (b"/a;x/b", b"/a;x/b"),
        (b"/a/..", b"/"),
        (b"/a?b=/../c", b"/a?b=/../c"),
        (b"/plain/path-1_2", b"/plain/path-1_2"),
    ],
)
def test_base_normalisation(path, result):
    assert base(path) == result


@pytest.mark.parametrize("path", [b"/..", b"/a/../../b", b"/%00", b"/a%00b"])
def test_a_path_that_climbs_or_hides_a_nul_is_rejected(path):
    with pytest.raises(PathRejected):
        base(path)


def test_escaped_slashes_can_be_refused_forwarded_or_redirected():
    def run(action):
        return normalize(b"/a%2Fb?c", normalize_path=True, merge_slashes=True, escaped=action)

    assert run(EscapedSlashes.UNESCAPE_AND_FORWARD) == b"/a/b?c"
    with pytest.raises(PathRejected):
        run(EscapedSlashes.REJECT_REQUEST)
    with pytest.raises(PathRedirect) as redirect:
        run(EscapedSlashes.UNESCAPE_AND_REDIRECT)
    assert redirect.value.location == b"/a/b?c"


MODES = {
    "NONE": (False, False, EscapedSlashes.KEEP_UNCHANGED),
    "BASE": (True, False, EscapedSlashes.KEEP_UNCHANGED),
    "MERGE_SLASHES": (True, True, EscapedSlashes.KEEP_UNCHANGED),
    "DECODE_AND_MERGE_SLASHES": (True, True, EscapedSlashes.UNESCAPE_AND_FORWARD),
}
FACTS = Path(__file__).parents[4] / "shared" / "data" / "path_normalization.json"


@pytest.mark.skipif(not FACTS.exists(), reason="the table of measured normalisations is not beside this checkout")
def test_the_measured_table_of_normalisations_agrees():
    wrong = []
    for case in json.loads(FACTS.read_text())["cases"]:
        if "#" in case["in"]:
            continue  # refused before normalisation, as by Envoy
        normalize_path, merge, escaped = MODES[case["mode"]]
        try:
            got = normalize(case["in"].encode(), normalize_path=normalize_path, merge_slashes=merge, escaped=escaped).decode()
        except PathRejected:
            got = "400"
        if got not in (case["out"], *case.get("alt", [])):
            wrong.append((case["mode"], case["in"], case["out"], got))
    assert not wrong
