"""The Gateway API: what its objects' conditions tell in a cluster."""

from collections.abc import Iterator

from ..model.gatewayapi.conditions import Condition
from ..model.origin import Origin
from .rule import Found, rule
from .subject import Subject

_CERTIFICATES = frozenset({"InvalidCertificateRef", "InvalidCACertificateRef"})


@rule(
    "IST0171", "warning", "an object of the Gateway API is not served as it stands", also="KIA1401", on_load=True,
    why="A route that no parent takes routes nothing; a backend that is not there, or not for it, is answered with 500.",
    fix="What the condition says: write the parent, listener or backend as it is called, or allow it (allowedRoutes, ReferenceGrant).",
)  # fmt: skip
def condition_unmet(subject: Subject) -> Iterator[Found]:
    return _unmet(subject, certificates=False)


@rule(
    "IST0161", "error", "a listener of the Gateway API has no usable certificate", on_load=True, offline=False,
    why="No proxy opens a listener that ends TLS before its certificate is there.",
    fix="Put certificate and key among the credentials, under the namespace and name that the Gateway gives them.",
)  # fmt: skip
def listener_certificate(subject: Subject) -> Iterator[Found]:
    return _unmet(subject, certificates=True)


@rule(
    "PYM0901", "info", "a wish for what is deployed for a Gateway", on_load=True,
    why="Nothing is deployed for a Gateway here: its proxies are started by somebody else.",
    fix="Start the gateway's proxies with these labels, annotations and parameters.",
)  # fmt: skip
def deployment_wish(subject: Subject) -> Iterator[Found]:
    for kind, name in (("KubernetesGateway", "infrastructure"), ("GatewayClass", "parametersRef")):
        for resource, path, _ in subject.each(kind, name):
            yield Found(resource, path, f"{name} has no effect here: nothing here deploys gateways")


def _unmet(subject: Subject, *, certificates: bool) -> Iterator[Found]:
    resources = {Origin(one.kind, one.namespace, one.name): one for one in subject.resources}
    for status in subject.snapshot.gateway_api.statuses:
        for condition in status.unmet:
            if (condition.reason in _CERTIFICATES) == certificates:
                yield Found(resources[status.origin], condition.path, _sentence(condition))


def _sentence(condition: Condition) -> str:
    return f"{condition.message} ({condition.type}: {condition.reason})"


RULES = (condition_unmet, listener_certificate, deployment_wish)
