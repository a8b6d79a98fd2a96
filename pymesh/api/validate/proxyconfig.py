"""ProxyConfig: settings that a proxy can be started with."""

from ..models.proxyconfig import ProxyConfig
from . import common
from .finding import Finding, Findings, below

_LONGEST_VALUE = 2048  # the published schema's limit


def check(spec: ProxyConfig, _namespace: str) -> Findings:
    """Everything wrong with one ProxyConfig."""
    yield from below("selector", common.policy_selector(spec.selector))
    if (spec.concurrency or 0) < 0:
        yield Finding(("concurrency",), f"{spec.concurrency} is negative")
    for name, value in spec.environment_variables.items():
        if not name:
            yield Finding(("environment_variables", name), "a variable needs a name")
        if len(value) > _LONGEST_VALUE:
            yield Finding(("environment_variables", name), f"a value has at most {_LONGEST_VALUE} characters")
