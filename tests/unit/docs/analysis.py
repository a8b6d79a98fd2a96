"""docs/ANALYSIS.md: the rules of `pymesh analyze`, written from the rules. `python -m tests.unit.docs.analysis` writes it."""

# ruff: noqa: E501  (lines of a page)

from collections.abc import Iterator
from pathlib import Path

from pymesh_control.analyze.catalogue import RULES
from pymesh_control.analyze.rule import Rule

PAGE = Path(__file__).resolve().parents[3] / "docs" / "ANALYSIS.md"

_HEAD = """# Analysis

What `pymesh analyze` finds. `python -m tests.unit.docs.analysis` writes this page from the rules, and a test fails when it is stale.

Each resource is checked by itself first, as `pymesh validate` does; errors of that have the code IST0106, warnings IST0133, objects that
are nothing to a mesh PYM0001, and a resource with an error takes no part in what follows. Codes are Istio's (ISTnnnn), else Kiali's (KIAnnnn), else our own (PYMnnnn). An error makes the
command exit with 1, or what `--failure-threshold` says. A resource that is not to be told of carries Istio's annotation
`galley.istio.io/analyze-suppress: "CODE, CODE"` (`*` for every code), or is named on the command line (`-S "CODE=KIND NAME.NAMESPACE"`).

**On load**: the control plane warns of it, too, in its log and at `/debug/configz`; there nothing is an error, since the resource is honoured.
**Not from files**: only a running control plane knows enough.

## Rules
"""

_LEFT_OUT = """
## What is left out

- What speaks of objects that are not read, or of what is not looked at in those that are: Deployments and injection (IST0102, IST0103, IST0143,
  IST0146 to IST0148, IST0158, KIA0701), alpha annotations, of which istioctl says nothing any more (IST0136), webhooks (IST0139), Ingress objects (IST0140), clusters and their versions
  (IST0126, IST0141, IST0142, IST0163, IST0164, IST0168 to IST0170), versions of the Gateway API
  (IST0156, IST0165, IST0172, IST0176), and what its conditions tell in other words (KIA1402, KIA1501 to KIA1504).
- Service accounts of other clusters (KIA0107), workloads that no policy covers (KIA1301).
- What `pymesh validate` tells already, and here has its code: deprecated fields (IST0002), routes and matches that are never reached (IST0130,
  IST0131), old names of gateways (KIA1108), operations of EnvoyFilters that do not fit what they are applied to (IST0152 to IST0154).
- What is not done here: routing by claims, which is refused (IST0149), fetching keys of tokens (IST0175), and policies of proxies, whose
  selectors could miss gateways of the Gateway API (IST0166).
"""


def text() -> str:
    return _HEAD + "".join(part for rule in RULES for part in _section(rule)) + _LEFT_OUT


def _section(rule: Rule) -> Iterator[str]:
    marks = [f"`{rule.code}`", *([f"`{rule.also}`"] if rule.also else []), rule.severity]
    marks += ["on load"] if rule.on_load else []
    marks += [] if rule.offline else ["not from files"]
    yield f"\n### {rule.name}\n\n{', '.join(marks)}: {rule.what}.\n\n{rule.why} *{rule.fix}*\n"


if __name__ == "__main__":
    PAGE.write_text(text())
