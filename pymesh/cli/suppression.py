"""What is not to be told of: a code everywhere, or of some resources, in istioctl's words (`IST0103=Pod *.testing`)."""

import fnmatch
from dataclasses import dataclass

import click

from pymesh.api.diagnostic import Diagnostic
from pymesh.api.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Suppression:
    """One `CODE`, or `CODE=KIND NAME[.NAMESPACE]`, in whose name `*` stands for anything."""

    code: str
    kind: str = ""
    name: str = ""

    def hides(self, one: Diagnostic) -> bool:
        return one.code == self.code and (not self.kind or self._is_meant(one.resource))

    def _is_meant(self, resource: str) -> bool:
        kind, _, place = resource.partition(" ")
        namespace, _, name = place.rpartition("/")
        written = KINDS[kind].written if kind in KINDS else kind
        return self.kind in (kind, written) and fnmatch.fnmatchcase(f"{name}.{namespace}" if namespace else name, self.name)


def parse(text: str) -> Suppression:
    """Read what stands on a command line. Raises BadParameter."""
    code, told, rest = text.partition("=")
    kind, _, name = rest.strip().partition(" ")
    if not code or (told and not (kind and name)):
        raise click.BadParameter(f"{text!r} is neither CODE nor CODE=KIND NAME.NAMESPACE")
    return Suppression(code.strip(), kind, name.strip())
