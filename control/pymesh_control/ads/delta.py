"""The incremental form: requests add and drop names, responses carry what changed and name what is gone."""

from collections.abc import Iterable, Mapping
from typing import Any

from pymesh.xds import proto, types

from .session import SERVER, Session, digest
from .subscription import WILDCARD_NAME, Built, Resources, Subscription

BREAK_LAST = frozenset({types.CLUSTER, types.ENDPOINT})
"""Types whose removals leave strictly after the routes: until those have moved on, they still send requests there."""


class DeltaSession(Session):
    """A client of DeltaAggregatedResources: our proxy, and Envoy as Istio starts it."""

    def request(self, request: Any) -> list[Any]:
        if request.type_url not in types.MESSAGES:
            return self._nothing_of(request)
        subscription = self.subscriptions.get(request.type_url)
        if subscription is None:
            return self._open(request)
        self.hear(subscription, request)
        # Unlike in state-of-the-world, names are instructions and not a statement: they count whatever the nonce.
        return self._ask(subscription, _subscribe(subscription, request))

    def _open(self, request: Any) -> list[Any]:
        """The first request of a type: everything, or after a reconnect only what differs from what the client holds."""
        subscription = self.subscriptions[request.type_url] = Subscription(request.type_url)
        asked = _subscribe(subscription, request)
        if request.type_url in types.WILDCARD and not request.resource_names_subscribe:
            subscription.wildcard = True
        held = request.initial_resource_versions
        subscription.sent = {name: held[name] for name in held if subscription.wildcard or name in subscription.names}
        if not subscription.wildcard and not subscription.names:
            return []
        current = subscription.fetch(self.resources)
        gone = (subscription.sent.keys() | asked) - current.keys() - {WILDCARD_NAME}
        return [self._send(subscription, current, subscription.changed(current), gone)]

    def _ask(self, subscription: Subscription, asked: set[str]) -> list[Any]:
        """Answer names at once and in any case, whether or not the client was sent them before."""
        if not asked:
            return []
        if WILDCARD_NAME in asked:
            current = subscription.fetch(self.resources)
            # What is still on its way from before a `*` was dropped will be taken in now: what of it is gone has to be said.
            asked = (asked - {WILDCARD_NAME}) | subscription.changed(current) | (subscription.unanswered() - current.keys())
        else:
            current = self.resources(subscription.type_url, frozenset(asked))
        return [self._send(subscription, current, asked & current.keys(), asked - current.keys())]

    def push(self, resources: Resources) -> list[Any]:
        self.resources = resources
        responses = []
        late: list[tuple[Subscription, set[str]]] = []
        for subscription, current, changed, gone in self.moved():
            if subscription.type_url in BREAK_LAST and gone:
                late.append((subscription, gone))
                gone = set()
            if changed or gone:
                responses.append(self._send(subscription, current, changed, gone))
        return responses + [self._send(subscription, {}, (), gone) for subscription, gone in late]

    def _send(self, subscription: Subscription, current: Mapping[str, Built], changed: Iterable[str], gone: Iterable[str]) -> Any:
        changed, gone = sorted(changed), sorted(gone)
        subscription.sent.update({name: current[name].version for name in changed})
        for name in gone:
            subscription.sent.pop(name, None)
        version = digest(f"{name}={held}" for name, held in sorted(subscription.sent.items()))
        nonce = self.next_nonce()
        subscription.record(nonce, version, [*changed, *gone])
        response = proto.discovery.DeltaDiscoveryResponse(
            system_version_info=version, type_url=subscription.type_url, nonce=nonce, control_plane=SERVER, removed_resources=gone,
            resources=[
                proto.discovery.Resource(name=name, version=current[name].version, resource=current[name].any) for name in changed
            ],
        )  # fmt: skip
        self.metrics.pushed(subscription.type_url, response.ByteSize())
        return response

    def _nothing_of(self, request: Any) -> list[Any]:
        """Tell a client that asks for a type we do not serve that none of it exists."""
        if request.response_nonce and not request.resource_names_subscribe:
            return []
        return [
            proto.discovery.DeltaDiscoveryResponse(
                type_url=request.type_url, nonce=self.next_nonce(), control_plane=SERVER,
                removed_resources=[name for name in request.resource_names_subscribe if name != WILDCARD_NAME],
            )
        ]  # fmt: skip


def _subscribe(subscription: Subscription, request: Any) -> set[str]:
    """Apply the request's names; returns those that want an answer, `*` among them when everything does."""
    asked = set(request.resource_names_subscribe)
    subscription.names |= asked - {WILDCARD_NAME}
    subscription.wildcard |= WILDCARD_NAME in asked
    dropped = set(request.resource_names_unsubscribe)
    subscription.names -= dropped
    if WILDCARD_NAME in dropped:
        subscription.wildcard = False
        subscription.sent = {name: version for name, version in subscription.sent.items() if name in subscription.names}
    elif subscription.wildcard:
        # The client forgets a name it unsubscribes from; if the wildcard still covers it, it has to be told again.
        asked |= dropped
    for name in dropped - asked:
        subscription.sent.pop(name, None)
    return asked
