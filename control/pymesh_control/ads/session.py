"""One client's side of the protocol, whichever form it speaks: a request or a push comes in, the responses to send come out."""

import abc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymesh.xds import proto, types

from ..built import Built
from ..holding import Difference, difference, shared
from ..metrics import Metrics
from .response import Response
from .subscription import Heard, Resources, Subscription

LATE = frozenset({types.LISTENER, types.ROUTE})
"""Types that lead requests to clusters: they wait until the client has asked for the endpoints of those that are new to it."""

SERVER = proto.base.ControlPlane(identifier="pymesh-control")


@dataclass(slots=True)
class Session(abc.ABC):
    """The state of one stream. Neither asyncio nor gRPC is known here."""

    resources: Resources
    metrics: Metrics
    clock: Callable[[], float] = time.time
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    _arriving: frozenset[str] = frozenset()
    """Clusters that are new to the client, and whose endpoints it has yet to ask for."""
    _nonces: int = 0

    @abc.abstractmethod
    def request(self, request: Any) -> list[Response]:
        """What to answer to a discovery request, in order."""

    @abc.abstractmethod
    def push(self, resources: Resources) -> list[Response]:
        """What to send because the configuration became `resources`; nothing the client already holds."""

    def subscribed(self) -> Iterable[Subscription]:
        """The subscriptions in the order in which a push carries them: make before break."""
        return (self.subscriptions[type_url] for type_url in types.PUSH_ORDER if type_url in self.subscriptions)

    def moved(self) -> Iterator[tuple[Subscription, Mapping[str, Built], Difference]]:
        """Every subscription with its present resources, and the step that its client has to make to them."""
        clusters: Mapping[str, Built] = {}
        for subscription in self.subscribed():
            current = subscription.fetch(self.resources)
            step = difference(subscription.sent, current)
            if subscription.type_url == types.CLUSTER:
                clusters = step.changed
            elif subscription.type_url == types.ENDPOINT and clusters:
                again = needs_endpoints(subscription, clusters)
                step = Difference({**step.changed, **{name: current[name] for name in again if name in current}}, step.gone)
            yield subscription, current, step

    def new_clusters(self, subscription: Subscription, step: Difference) -> frozenset[str]:
        """Those among the changed resources of a type that a client will ask for endpoints before it can use them.

        An Envoy that is sent the routes beside them answers with 503 meanwhile.
        """
        if subscription.type_url != types.CLUSTER or not step.changed:
            return frozenset()
        endpoints = self.subscriptions.get(types.ENDPOINT)
        known = endpoints.names if endpoints is not None else frozenset()
        new = shared(name for name in step.changed if name not in subscription.sent and name not in known)
        return frozenset(self.resources(types.ENDPOINT, new)) if new else new

    @property
    def holds_back(self) -> bool:
        """Whether new clusters are on their way. Who has answered what they came in, be it by refusing, is waited for no longer."""
        if self._arriving:
            endpoints = self.subscriptions.get(types.ENDPOINT)
            self._arriving &= self.subscriptions[types.CLUSTER].unanswered()
            self._arriving -= endpoints.names if endpoints is not None else frozenset()
        return bool(self._arriving)

    def hear(self, subscription: Subscription, request: Any) -> Heard:
        """Record the request's ACK or NACK, and count what is worth counting."""
        error = request.error_detail.message or "no reason given" if request.HasField("error_detail") else None
        heard = subscription.hear(request.response_nonce, error, self.clock())
        if heard is Heard.NACK:
            self.metrics.rejected(subscription.type_url)
        elif heard is Heard.STALE:
            self.metrics.expired_nonce(subscription.type_url)
        return heard

    def next_nonce(self) -> str:
        """A nonce that is unique on this stream, which is all that the protocol asks."""
        self._nonces += 1
        return str(self._nonces)

    def respond(self, head: Any, resources: Sequence[bytes]) -> Response:
        """The response with these resources, counted."""
        response = Response(head, resources)
        self.metrics.pushed(head.type_url, response.size)
        return response


def needs_endpoints(subscription: Subscription, changed: Iterable[str]) -> frozenset[str]:
    """Load assignments that must be sent again although unchanged, because their cluster was.

    Envoy warms a changed cluster until it hears its assignment anew, and a push in flight would make its own request stale.
    """
    return subscription.names.intersection(changed)
