"""One Kubernetes object of a file: `apiVersion`, `kind`, `metadata`, and the spec of its kind."""

import dataclasses
from collections.abc import Iterable

from . import configmap, validate
from .foreign import is_foreign, note
from .kinds import KUBERNETES_KINDS, Kind, explain_unknown, kind_of
from .models.meshconfig import MeshConfig
from .models.meshnetworks import MeshNetworks
from .models.metadata import ForeignMetadata, Metadata
from .problem import Position, Problem, Severity, has_errors
from .resource import DEFAULT_NAMESPACE, Resource
from .shape import did_you_mean, fit
from .tree import Mapping, Mark, Node, Path, Scalar, describe, find, show
from .types import Model
from .values import build

_CONFIGURATIONS: dict[str, type[Model]] = {configmap.KEY: MeshConfig, configmap.NETWORKS_KEY: MeshNetworks}
_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")


class Envelope:
    """Reads one object and gathers its problems, each with the object's name in front."""

    def __init__(self, document: Mapping, filename: str) -> None:
        self.document, self.filename = document, filename
        self.problems: list[Problem] = []
        self.beside: list[Resource] = []
        """What else the object holds: a ConfigMap may have MeshNetworks beside its MeshConfig."""
        self._subject = " ".join(filter(None, (self._text("kind"), self._text("metadata", "name"))))

    def report(self, path: Path, mark: Mark, message: str, severity: Severity = "error", code: str = "") -> None:
        """A problem of this object; `path` is as the file spells it."""
        field = f"{show(path)}: " if path else ""
        self.problems.append(Problem(self.filename, *mark, severity, f"{self._subject or 'object'}: {field}{message}", code))

    def report_at(self, path: Path, message: str, severity: Severity = "error", code: str = "") -> None:
        """A problem of the field that a path of attributes names, at its token."""
        spot = find(self.document, path)
        self.report(spot.shown, spot.token, message, severity, code)

    def read(self) -> Resource | None:
        """The resource, or None when anything in it is wrong or its kind is not ours."""
        name, api_version = self._text("kind"), self._text("apiVersion")
        if name is None or api_version is None:
            self._report_missing_type()
            return None
        if name == "ConfigMap" and api_version == "v1" and self._text("metadata", "name") == configmap.NAME:
            return self._mesh_config()
        foreign = KUBERNETES_KINDS.get(name)
        if foreign is not None and api_version in foreign.api_versions:
            return self._foreign(foreign, api_version)
        if is_foreign(name, api_version):
            self._leave_alone(name, api_version)
            return None
        kind = self._kind(name, api_version)
        return self._resource(kind, api_version) if kind else None

    def _text(self, *path: str) -> str | None:
        spot = find(self.document, path)
        value = spot.node.value if len(spot.shown) == len(path) and isinstance(spot.node, Scalar) else None
        return value if isinstance(value, str) else None

    def _report_missing_type(self) -> None:
        for key in ("apiVersion", "kind"):
            if key not in self.document.entries:
                self.report((), self.document.mark, f'the required field "{key}" is missing')
            elif self._text(key) is None:
                self.report_at((key,), "expected a string")

    def _kind(self, name: str, api_version: str) -> Kind | None:
        kind = kind_of(name, api_version)
        if kind is None:
            self.report_at(("kind",), explain_unknown(name, api_version))
            return None
        if api_version not in kind.api_versions:
            self.report_at(("apiVersion",), f"{api_version} is not served; use one of {', '.join(kind.api_versions)}")
            return None
        return kind

    def _metadata(self, model: type[Metadata] = Metadata) -> Metadata | None:
        entry = self.document.entries.get("metadata")
        if entry is None:
            self.report((), self.document.mark, 'the required field "metadata" is missing')
            return None
        data = fit(entry.node, model, self.report, ("metadata",))
        metadata = build(model, data, self.document, self.report, ("metadata",))
        if metadata is not None and not model.OPEN:
            self._note(("metadata",), validate.check_metadata(metadata, self._text("kind") or ""))
        return metadata

    def _check_keys(self, path: Path, known: tuple[str, ...]) -> None:
        spot = find(self.document, path)
        if len(spot.shown) == len(path) and isinstance(spot.node, Mapping):
            for key, entry in spot.node.entries.items():
                if key not in known:
                    self.report(path + (key,), entry.mark, f"unknown field{did_you_mean(key, known)}")

    def _resource(self, kind: Kind, api_version: str) -> Resource | None:
        self._check_keys((), _TOP_LEVEL)
        metadata = self._metadata()
        spec = self._spec(kind.model, ("spec",))
        if spec is not None:
            namespace = metadata.namespace if metadata else None
            self._note(("spec",), validate.check(kind.name, spec, namespace or DEFAULT_NAMESPACE))
        if metadata is not None and spec is not None:
            self._note((), validate.check_together(kind.name, metadata, spec))
        status = self._spec(kind.status, ("status",)) if kind.status else None
        return self._placed(self._finish(kind.name, api_version, metadata, spec, status), kind)

    def _foreign(self, kind: Kind, api_version: str) -> Resource | None:
        """One of Kubernetes' own objects: of what is read, types are judged, names, addresses and what no API server takes."""
        metadata = self._metadata(ForeignMetadata)
        if metadata is not None:
            self._note(("metadata",), validate.check_names(metadata))
        spec = build(kind.model, fit(self.document, kind.model, self.report), self.document, self.report, ())
        if spec is not None:
            self._note((), validate.check_foreign(kind.name, spec))
        found = self._placed(self._finish(kind.name, api_version, metadata, spec), kind)
        return found and dataclasses.replace(found, root=())

    @staticmethod
    def _placed(found: Resource | None, kind: Kind) -> Resource | None:
        """The resource without the namespace that objects of the whole cluster do not have."""
        return found if found is None or kind.is_namespaced else dataclasses.replace(found, namespace="")

    def _spec(self, model: type[Model], path: Path) -> Model | None:
        spot = find(self.document, path)
        found = len(spot.shown) == len(path) and not (isinstance(spot.node, Scalar) and spot.node.value is None)
        node: Node = spot.node if found else Mapping(spot.mark)
        return build(model, fit(node, model, self.report, path), self.document, self.report, path)

    def _leave_alone(self, name: str, api_version: str) -> None:
        if name == "ConfigMap" and self._text("data", configmap.KEY) is not None:
            sentence = f'is not read: the mesh configuration is the ConfigMap named "{configmap.NAME}"'
            self.report_at(("metadata", "name"), sentence, "warning")
        else:
            severity, sentence = note(name, api_version)
            self.report((), self.document.mark, sentence, severity)

    def _mesh_config(self) -> Resource | None:
        self._check_keys((), ("apiVersion", "kind", "metadata", "data"))
        self._check_mesh_data()
        held = [key for key in configmap.KEYS if self._text("data", key) is not None]
        for key in configmap.KEYS:
            self.document, problems = configmap.expand(self.document, self.filename, key)
            self.problems += problems
        metadata = self._metadata()
        made = {key: self._held(key) for key in held or [configmap.KEY]}
        found = [self._finish(configmap.KINDS[key], "v1", metadata, spec) for key, spec in made.items()]
        placed = [one and dataclasses.replace(one, root=("data", key)) for one, key in zip(found, made, strict=True)]
        self.beside += filter(None, placed[1:])
        return placed[0]

    def _held(self, key: str) -> Model | None:
        """What the YAML of one key says."""
        path = ("data", key)
        spec = self._spec(_CONFIGURATIONS[key], path)
        if spec is not None:
            self._note(path, validate.check(configmap.KINDS[key], spec, DEFAULT_NAMESPACE))
        return spec

    def _check_mesh_data(self) -> None:
        spot = find(self.document, ("data",))
        for key, entry in spot.node.entries.items() if spot.shown and isinstance(spot.node, Mapping) else ():
            if key not in configmap.KEYS:
                self.report(("data", key), entry.mark, "not supported")
            elif self._text("data", key) is None:
                self.report(("data", key), entry.mark, f"expected a block of YAML ({key}: |), found {describe(entry.node)}")

    def _note(self, path: Path, findings: Iterable[validate.Finding]) -> None:
        for finding in findings:
            self.report_at(path + finding.path, finding.message, finding.severity, finding.code)

    def _finish(
        self, kind: str, api_version: str, metadata: Metadata | None, spec: Model | None, status: Model | None = None
    ) -> Resource | None:
        if metadata is None or spec is None or has_errors(self.problems):
            return None
        return Resource(
            kind=kind,
            api_version=api_version,
            name=metadata.name,
            namespace=metadata.namespace or DEFAULT_NAMESPACE,
            labels=metadata.labels,
            annotations=metadata.annotations,
            spec=spec,
            status=status,
            where=Position(self.filename, *self.document.mark),
            document=self.document,
            created=metadata.creation_timestamp,
            is_deleting=metadata.deletion_timestamp is not None,
        )
