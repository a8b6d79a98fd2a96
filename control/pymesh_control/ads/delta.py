"""The incremental form: requests add and drop names, responses carry what changed and name what is gone."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymesh.xds import proto, types

from ..built import Built
from ..holding import Difference, Held, difference, digest, shared
from .response import Response
from .session import LATE, SERVER, Session, needs_endpoints
from .subscription import WILDCARD_NAME, Heard, Resources, Subscription

BREAK_LAST = frozenset({types.CLUSTER, types.ENDPOINT})
"""Types whose removals leave strictly after the routes: until those have moved on, they still send requests there."""


class DeltaSession(Session):
    """A client of DeltaAggregatedResources: our proxy, and Envoy as Istio starts it."""

    def request(self, request: Any) -> list[Response]:
        if request.type_url not in types.MESSAGES:
            return self._nothing_of(request)
        waited = self.holds_back
        responses = self._respond(request)
        return responses + self.push(self.resources) if waited and not self.holds_back else responses

    def _respond(self, request: Any) -> list[Response]:
        subscription = self.subscriptions.get(request.type_url)
        if subscription is None:
            return self._open(request)
        heard = self.hear(subscription, request)
        # Unlike in state-of-the-world, names are instructions and not a statement: they count whatever the nonce.
        responses = self._ask(subscription, _subscribe(subscription, request))
        return responses + self._without_culprits(subscription) if heard is Heard.NACK else responses

    def _without_culprits(self, subscription: Subscription) -> list[Response]:
        """What a client refused only because it came with something bad, and may not have taken in: once more, without that."""
        current = subscription.fetch(self.resources)
        wanted = subscription.suspended if subscription.wildcard else subscription.suspended & subscription.names
        step = Difference({name: current[name] for name in wanted if name in current}, wanted - current.keys())
        if not step:
            return []
        responses = [self._send(subscription, step, subscription.after(step, current))]
        endpoints = self.subscriptions.get(types.ENDPOINT)
        if subscription.type_url == types.CLUSTER and endpoints is not None:
            responses += self._ask(endpoints, set(needs_endpoints(endpoints, step.changed)))
        return responses

    def _open(self, request: Any) -> list[Response]:
        """The first request of a type: everything, or after a reconnect only what differs from what the client holds."""
        subscription = self.subscriptions[request.type_url] = Subscription(request.type_url)
        asked = _subscribe(subscription, request)
        if request.type_url in types.WILDCARD and not request.resource_names_subscribe:
            subscription.wildcard = True
        if held := request.initial_resource_versions:
            subscription.sent = {name: _Known(held[name]) for name in held if subscription.wildcard or name in subscription.names}
        if not subscription.wildcard and not subscription.names:
            return []
        current = subscription.fetch(self.resources)
        step = difference(subscription.sent, current)
        absent = asked - current.keys() - {WILDCARD_NAME}
        return [self._send(subscription, Difference(step.changed, step.gone | absent) if absent else step, current)]

    def _ask(self, subscription: Subscription, asked: set[str]) -> list[Response]:
        """Answer names at once and in any case, whether or not the client was sent them before."""
        if not asked:
            return []
        whole = subscription.fetch(self.resources)
        if WILDCARD_NAME in asked:
            # What is still on its way from before a `*` was dropped will be taken in now: what of it is gone has to be said.
            changed = difference(subscription.sent, whole).changed.keys()
            asked = (asked - {WILDCARD_NAME}) | changed | (subscription.unanswered() - whole.keys())
            current = whole
        else:
            current = self.resources(subscription.type_url, frozenset(asked))
        there = asked & current.keys()
        step = Difference({name: current[name] for name in there}, frozenset(asked - there))
        return [self._send(subscription, step, subscription.after(step, whole))]

    def push(self, resources: Resources) -> list[Response]:
        self.resources = resources
        responses = []
        late: list[tuple[Subscription, Difference, Mapping[str, Built]]] = []
        for subscription, current, step in self.moved():
            new = self.new_clusters(subscription, step)
            waits = bool(new) or self.holds_back
            if subscription.type_url in BREAK_LAST and step.gone:
                if not waits:
                    late.append((subscription, Difference({}, step.gone), current))
                step = Difference(step.changed)
            if step and not (waits and subscription.type_url in LATE):
                responses.append(self._send(subscription, step, subscription.after(step, current) if waits else current))
            self._arriving |= new
        return responses + [self._send(*rest) for rest in late]

    def _send(self, subscription: Subscription, step: Difference, held: Held) -> Response:
        """The response that tells of a step; `held` is what the client holds when all is said."""
        subscription.sent = held
        version = digest(held)
        nonce = self.next_nonce()
        subscription.record(nonce, version, step.names)
        head = proto.discovery.DeltaDiscoveryResponse(
            system_version_info=version, type_url=subscription.type_url, nonce=nonce, control_plane=SERVER,
            removed_resources=sorted(step.gone),
        )  # fmt: skip
        return self.respond(head, step.delta)

    def _nothing_of(self, request: Any) -> list[Response]:
        """Tell a client that asks for a type we do not serve that none of it exists."""
        if request.response_nonce and not request.resource_names_subscribe:
            return []
        head = proto.discovery.DeltaDiscoveryResponse(
            type_url=request.type_url, nonce=self.next_nonce(), control_plane=SERVER,
            removed_resources=[name for name in request.resource_names_subscribe if name != WILDCARD_NAME],
        )  # fmt: skip
        return [Response(head)]


@dataclass(frozen=True, slots=True)
class _Known:
    """What a client says it holds, of which only the version is known."""

    version: str


def _subscribe(subscription: Subscription, request: Any) -> set[str]:
    """Apply the request's names; returns those that want an answer, `*` among them when everything does."""
    asked, dropped = set(request.resource_names_subscribe), set(request.resource_names_unsubscribe)
    if not asked and not dropped:
        return asked
    subscription.names = _renamed(subscription.names, frozenset(asked), frozenset(dropped))
    subscription.wildcard |= WILDCARD_NAME in asked
    if WILDCARD_NAME in dropped:
        subscription.wildcard = False
        subscription.forget(subscription.sent.keys() - subscription.names)
    elif subscription.wildcard:
        # The client forgets a name it unsubscribes from; if the wildcard still covers it, it has to be told again.
        asked |= dropped
    subscription.forget(dropped - asked)
    return asked


@functools.lru_cache(maxsize=32)
def _renamed(names: frozenset[str], asked: frozenset[str], dropped: frozenset[str]) -> frozenset[str]:
    """What is subscribed to after a request. Remembered, because a new service makes every client add one name to the same thousand."""
    return shared((names | (asked - {WILDCARD_NAME})) - dropped)
