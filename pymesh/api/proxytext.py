"""A ProxyConfig that is the value of something else: of the annotation `proxy.istio.io/config`, or of a node's metadata."""

from . import document
from .models.proxysettings import ProxySettings
from .shape import fit
from .tree import Mapping, Mark, Path, show
from .validate.proxysettings import check
from .values import build

ANNOTATION = "proxy.istio.io/config"


def read(text: str) -> tuple[ProxySettings | None, list[str]]:
    """The settings of a YAML (or JSON) text, and a sentence for everything that is wrong; None when they cannot be used."""
    documents = document.read(text, "")
    mistakes = [problem.message for part in documents for problem in part.problems]
    roots = [part.root for part in documents if part.root is not None]
    if mistakes or not roots:
        return (None, mistakes) if mistakes else (ProxySettings(), [])
    if len(roots) > 1 or not isinstance(roots[0], Mapping):
        return None, ["expected one object"]

    def report(path: Path, _mark: Mark, message: str) -> None:
        mistakes.append(f"{show(path)}: {message}")

    settings = build(ProxySettings, fit(roots[0], ProxySettings, report), roots[0], report, ())
    if settings is not None:
        mistakes += [f"{show(one.path)}: {one.message}" for one in check(settings) if one.severity == "error"]
    return settings, mistakes
