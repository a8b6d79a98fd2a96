"""AuthorizationPolicy: who may ask what of a workload."""

import enum
from typing import Annotated

from pydantic import Field

from ..types import Model, PolicySelector, PolicyTargetReference

ServiceAccount = Annotated[str, Field(max_length=320)]


class Action(enum.Enum):
    """What becomes of requests that match; ALLOW when absent."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


class ExtensionProvider(Model):
    """Who decides instead (CUSTOM): a provider of the mesh configuration."""

    name: str | None = None


class Source(Model):
    """Who asks; all that is set has to hold."""

    principals: list[str] = []
    not_principals: list[str] = []
    request_principals: list[str] = []
    not_request_principals: list[str] = []
    namespaces: list[str] = []
    not_namespaces: list[str] = []
    service_accounts: list[ServiceAccount] = Field(default=[], max_length=16)
    not_service_accounts: list[ServiceAccount] = Field(default=[], max_length=16)
    ip_blocks: list[str] = []
    not_ip_blocks: list[str] = []
    remote_ip_blocks: list[str] = []
    not_remote_ip_blocks: list[str] = []
    trust_domains: list[str] = []
    not_trust_domains: list[str] = []


class RuleFrom(Model):
    """A source, in the message Istio wraps it in."""

    source: Source | None = None


class Operation(Model):
    """What is asked; all that is set has to hold."""

    hosts: list[str] = []
    not_hosts: list[str] = []
    ports: list[str] = []
    not_ports: list[str] = []
    methods: list[str] = []
    not_methods: list[str] = []
    paths: list[str] = []
    not_paths: list[str] = []


class RuleTo(Model):
    """An operation, in the message Istio wraps it in."""

    operation: Operation | None = None


class Condition(Model):
    """A further attribute and its values."""

    key: str
    values: list[str] = []
    not_values: list[str] = []


class Rule(Model):
    """One of `from`, one of `to`, and all of `when`."""

    from_: list[RuleFrom] = Field([], alias="from", max_length=512)
    to: list[RuleTo] = []
    when: list[Condition] = []


class AuthorizationPolicy(Model):
    """The `spec` of an AuthorizationPolicy; no rules match nothing, an empty rule everything."""

    selector: PolicySelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: list[PolicyTargetReference] = []
    rules: list[Rule] = Field(default=[], max_length=512)
    action: Action | None = None
    provider: ExtensionProvider | None = None
