"""The state-of-the-world form: every request carries all names, every CDS or LDS response the full state."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pymesh.xds import proto, types

from ..built import Built
from ..holding import EMPTY, Difference, digest, shared
from .response import Response
from .session import LATE, SERVER, Session
from .subscription import WILDCARD_NAME, Heard, Resources, Status, Subscription


class SotwSession(Session):
    """A client of StreamAggregatedResources: Envoy with api_type GRPC, and every grpcio client."""

    def request(self, request: Any) -> list[Response]:
        if request.type_url not in types.MESSAGES:
            return self._nothing_of(request)
        waited = self.holds_back
        responses = self._respond(request)
        return responses + self.push(self.resources) if waited and not self.holds_back else responses

    def _respond(self, request: Any) -> list[Response]:
        subscription = self.subscriptions.get(request.type_url)
        if subscription is None:
            subscription = self.subscriptions[request.type_url] = Subscription(request.type_url)
            heard = Heard.NEW
        else:
            heard = self.hear(subscription, request)
        if heard is Heard.STALE:
            return []  # the client will repeat its names when it answers the newer response
        before = subscription.interest
        _subscribe(subscription, request.resource_names)
        return self._answer(subscription, heard, before)

    def hear(self, subscription: Subscription, request: Any) -> Heard:
        """Endpoints and routes are refused by themselves, so the verdict counts although the names beside an old nonce do not."""
        subscription.pass_over(request.response_nonce)
        heard = super().hear(subscription, request)
        if heard in {Heard.ACK, Heard.NACK} and request.response_nonce != subscription.nonce:
            self.metrics.expired_nonce(subscription.type_url)
            return Heard.STALE
        return heard

    def _answer(self, subscription: Subscription, heard: Heard, before: frozenset[str]) -> list[Response]:
        if not subscription.interest:
            subscription.sent = EMPTY
            return []
        added = subscription.interest - before
        # An answered nonce that comes again, with names the same or more, means that a warming cluster wants its endpoints.
        again = heard is Heard.REPEAT and before <= subscription.interest
        current = subscription.fetch(self.resources)
        if heard is Heard.NEW or again or WILDCARD_NAME in added:
            return [self._send(subscription, current, current)]
        return [self._send(subscription, current, added)] if added else []

    def push(self, resources: Resources) -> list[Response]:
        self.resources = resources
        responses = []
        late: list[tuple[Subscription, Mapping[str, Built]]] = []
        for subscription, current, step in self.moved():
            new = self.new_clusters(subscription, step)
            if subscription.type_url in LATE and self.holds_back:
                continue
            if kept := _still_used(subscription, step):
                late.append((subscription, current))
                if step.changed:
                    responses.append(self._send(subscription, {**current, **kept}, step.changed))
            elif step.changed or (step.gone and subscription.type_url in types.WILDCARD):
                responses.append(self._send(subscription, current, step.changed))
            elif step.gone:
                subscription.sent = current
            self._arriving |= new
        return responses if self.holds_back else responses + [self._send(*rest, ()) for rest in late]

    def _send(self, subscription: Subscription, current: Mapping[str, Built], wanted: Iterable[str]) -> Response:
        """A response with the wanted resources; of CDS and LDS with all of them, since there absence means removal."""
        full = subscription.type_url in types.WILDCARD
        told = current if full else {name: current[name] for name in wanted if name in current}
        subscription.sent = subscription.after(Difference(told, frozenset(subscription.sent.keys() - current.keys())), current)
        version = digest(subscription.sent)
        nonce = self.next_nonce()
        if full:
            subscription.supersede()
        subscription.record(nonce, version, told)
        head = proto.discovery.DiscoveryResponse(version_info=version, type_url=subscription.type_url, nonce=nonce, control_plane=SERVER)
        return self.respond(head, [told[name].in_full() for name in sorted(told)])

    def _nothing_of(self, request: Any) -> list[Response]:
        """Answer a first request for a type we do not serve with nothing, so that the client does not wait for it."""
        if request.response_nonce:
            return []
        return [Response(proto.discovery.DiscoveryResponse(type_url=request.type_url, nonce=self.next_nonce(), control_plane=SERVER))]


def _still_used(subscription: Subscription, step: Difference) -> dict[str, Built]:
    """Clusters that are gone, and that routes still lead to until those have moved on; the full state has them until then.

    What the client has refused is not among them: with it, it would refuse everything once more.
    """
    if subscription.type_url != types.CLUSTER:
        return {}
    held = cast(Mapping[str, Built], subscription.sent)
    return {name: held[name] for name in step.gone if subscription.standing(name) is not Status.NACKED}


def _subscribe(subscription: Subscription, requested: Iterable[str]) -> None:
    """Replace the names. An empty list is the wildcard of CDS and LDS only until names were given; then it ends everything."""
    names, before = set(requested), subscription.interest
    if names:
        subscription.wildcard = WILDCARD_NAME in names
        subscription.named = True
    elif subscription.type_url in types.WILDCARD:
        subscription.wildcard = not subscription.named
    subscription.names = shared(names - {WILDCARD_NAME})
    if not subscription.wildcard and subscription.interest != before:
        # What is not asked for any more is not missed when it is absent from the next push.
        subscription.forget(subscription.sent.keys() - subscription.names)
