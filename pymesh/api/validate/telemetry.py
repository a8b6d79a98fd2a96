"""Telemetry: providers with names, tags with values, shares that are percentages."""

from collections.abc import Sequence

from ..models.telemetry import AccessLogging, CustomTag, Metrics, ProviderRef, TagOperation, Telemetry, Tracing
from . import attachment, expression
from .finding import Finding, Findings, below, verdict


def check(spec: Telemetry, namespace: str) -> Findings:
    """Everything wrong with one Telemetry."""
    yield from attachment.check(spec.selector, spec.target_refs, namespace, single=spec.target_ref)
    if len(spec.tracing) > 1:
        yield Finding(("tracing",), "several are not supported, in Istio either", "warning")
    for index, tracing in enumerate(spec.tracing):
        yield from below(("tracing", index), _tracing(tracing))
    for index, metrics in enumerate(spec.metrics):
        yield from below(("metrics", index), _metrics(metrics))
    for index, logging in enumerate(spec.access_logging):
        yield from below(("access_logging", index), _logging(logging))


def _providers(providers: Sequence[ProviderRef]) -> Findings:
    for index, provider in enumerate(providers):
        if not provider.name:
            yield Finding(("providers", index, "name"), "a provider needs a name")


def _tracing(tracing: Tracing) -> Findings:
    yield from _providers(tracing.providers)
    if len(tracing.providers) > 1:
        yield Finding(("providers",), "spans go to one provider, the first", "warning")
    share = tracing.random_sampling_percentage
    if share is not None and not 0 <= share <= 100:
        yield Finding(("random_sampling_percentage",), f"the percentage {share:g} must be between 0 and 100")
    for name, tag in tracing.custom_tags.items():
        yield from below(("custom_tags", name), _tag(name, tag))


def _tag(name: str, tag: CustomTag) -> Findings:
    if not name:
        yield Finding((), "a tag needs a name")
    value = tag.literal or tag.environment or tag.header or tag.formatter
    if value is None:
        yield Finding((), "has none of literal, environment, header and formatter, so it is no tag", "warning")
    elif not next(iter(value.model_dump().values())):
        yield Finding((), "needs a value that is not empty")


def _metrics(metrics: Metrics) -> Findings:
    yield from _providers(metrics.providers)
    for index, override in enumerate(metrics.overrides):
        for name, tag in override.tag_overrides.items():
            path = ("overrides", index, "tag_overrides", name)
            if tag.operation is TagOperation.REMOVE:
                if tag.value is not None:
                    yield Finding((*path, "value"), "is not used: the operation is REMOVE")
            elif not tag.value:
                yield Finding(path, "needs a value: the operation is UPSERT")
            else:  # Istio takes it, and every value of the tag is then `unknown`
                yield from verdict((*path, "value"), expression.syntax_error(tag.value), "warning")


def _logging(logging: AccessLogging) -> Findings:
    yield from _providers(logging.providers)
    if logging.filter is None:
        return
    if not logging.filter.expression:
        yield Finding(("filter",), "needs an expression")
    else:
        yield from verdict(("filter", "expression"), expression.syntax_error(logging.filter.expression))
