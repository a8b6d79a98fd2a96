"""One resource type on an xDS stream: requests out for responses in, with no I/O.

A subscription outlives streams: what it has accepted is offered to the next server, so that a reconnect moves only what
changed. Two dialects with one face: `DeltaSubscription` and `SotwSubscription` (state of the world).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from pymesh.xds import proto, types

from ..errors import ConfigError, Problem
from .source import Variant

INTERNAL = 13
"""gRPC's code, the one that Envoy puts into a NACK."""

_WRAPPER = "envoy.service.discovery.v3.Resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What one response changes. Resources are unpacked and named as they were subscribed."""

    type_url: str
    resources: Mapping[str, Any] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    """By resource; the dialect's own bookkeeping, kept when the update is accepted."""


class Subscription(ABC):
    """The names asked for and the versions held of one type. Wildcard types (CDS, LDS) name nothing and get everything."""

    def __init__(self, type_url: str) -> None:
        self.type_url = type_url
        self.wildcard = type_url in types.WILDCARD
        self.names: frozenset[str] = frozenset()
        self.version = ""
        """The last accepted version_info or system_version_info, for status."""
        self._live = False

    def __repr__(self) -> str:
        what = "*" if self.wildcard else f"{len(self.names)} names"
        return f"<{types.SHORT[self.type_url]} {what} at {self.version or 'nothing'}>"

    def want(self, names: frozenset[str]) -> Any | None:
        """Ask for exactly `names` (none, for a wildcard type); the request to send, if there is anything to say."""
        added, dropped = names - self.names, self.names - names
        self.names = names
        if self._live:
            return self._change(added, dropped) if added or dropped else None
        if not self.wildcard and not names:
            return None
        self._live = True
        return self._first()

    @abstractmethod
    def _first(self) -> Any:
        """The first request of this type on a stream."""

    @abstractmethod
    def _change(self, added: frozenset[str], dropped: frozenset[str]) -> Any:
        """The request that changes the names on a live stream."""

    @abstractmethod
    def read(self, response: Any) -> Update:
        """Decode a response, changing nothing; raises ConfigError when it cannot be decoded."""

    @abstractmethod
    def accept(self, response: Any, update: Update) -> Any:
        """The update is in use: the ACK."""

    @abstractmethod
    def reject(self, response: Any, error: ConfigError) -> Any:
        """The update was refused and what was held before still serves: the NACK."""

    def close(self) -> None:
        """The stream is gone.

        A refusal that it took with it is not said on the next one: told what is held, the server sends what was refused again,
        and hears why again. Envoy repeats it in the first request, which istiod takes for an answer and leaves unanswered.
        """
        self._live = False


def make(variant: Variant, type_url: str) -> Subscription:
    """A subscription in the dialect of the stream."""
    return DeltaSubscription(type_url) if variant is Variant.DELTA else SotwSubscription(type_url)


class DeltaSubscription(Subscription):
    """Incremental xDS: changes by name, versions by resource."""

    def __init__(self, type_url: str) -> None:
        super().__init__(type_url)
        self._versions: dict[str, str] = {}

    def _first(self) -> Any:
        self._forget()
        # An empty subscribe list in a type's first request is the wildcard.
        return self._request(subscribe=self.names, initial=self._versions)

    def _change(self, added: frozenset[str], dropped: frozenset[str]) -> Any:
        self._forget()
        return self._request(subscribe=added, unsubscribe=dropped)

    def _forget(self) -> None:
        """What is not asked for any more is not held either: asked for again, it must be sent again."""
        if not self.wildcard:
            self._versions = {name: version for name, version in self._versions.items() if name in self.names}

    def read(self, response: Any) -> Update:
        resources: dict[str, Any] = {}
        versions: dict[str, str] = {}
        problems: list[Problem] = []
        for wrapped in response.resources:
            if not wrapped.HasField("resource"):  # a TTL heartbeat: the version is still good
                continue
            try:
                _add(resources, self.type_url, wrapped)
            except ConfigError as error:
                problems += error.problems
            versions[wrapped.name] = wrapped.version
        if problems:
            raise ConfigError(*problems)
        removed = frozenset(response.removed_resources)
        return Update(
            type_url=self.type_url, resources=resources, removed=removed, version=response.system_version_info, versions=versions
        )

    def accept(self, response: Any, update: Update) -> Any:
        self._versions |= {name: version for name, version in update.versions.items() if self.wildcard or name in self.names}
        for name in update.removed:
            self._versions.pop(name, None)
        self.version = update.version
        return self._request(nonce=response.nonce)

    def reject(self, response: Any, error: ConfigError) -> Any:
        return self._request(nonce=response.nonce, error=error)

    def _request(
        self,
        *,
        subscribe: Iterable[str] = (),
        unsubscribe: Iterable[str] = (),
        initial: Mapping[str, str] | None = None,
        nonce: str = "",
        error: ConfigError | None = None,
    ) -> Any:
        return proto.discovery.DeltaDiscoveryRequest(
            type_url=self.type_url,
            resource_names_subscribe=sorted(subscribe),
            resource_names_unsubscribe=sorted(unsubscribe),
            initial_resource_versions=initial,
            response_nonce=nonce,
            error_detail=_detail(error),
        )


class SotwSubscription(Subscription):
    """State of the world: one version for the whole type; absence from an answer removes clusters and listeners only."""

    def __init__(self, type_url: str) -> None:
        super().__init__(type_url)
        self._nonce = ""
        self._held: frozenset[str] = frozenset()

    def _first(self) -> Any:
        self._nonce = ""  # a nonce belongs to its stream
        return self._request()

    def _change(self, added: frozenset[str], dropped: frozenset[str]) -> Any:
        return self._request()  # once names were sent, an empty list unsubscribes from all

    def read(self, response: Any) -> Update:
        resources: dict[str, Any] = {}
        problems: list[Problem] = []
        for packed in response.resources:
            try:
                _add(resources, self.type_url, _wrapped(packed))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*problems)
        removed = self._held - resources.keys() if self.wildcard else frozenset[str]()
        return Update(type_url=self.type_url, resources=resources, removed=removed, version=response.version_info)

    def accept(self, response: Any, update: Update) -> Any:
        self.version = update.version
        self._held = frozenset(update.resources)
        self._nonce = response.nonce
        return self._request()

    def reject(self, response: Any, error: ConfigError) -> Any:
        self._nonce = response.nonce
        return self._request(error)

    def _request(self, error: ConfigError | None = None) -> Any:
        return proto.discovery.DiscoveryRequest(
            type_url=self.type_url,
            version_info=self.version,
            resource_names=sorted(self.names),
            response_nonce=self._nonce,
            error_detail=_detail(error),
        )


def _detail(error: ConfigError | None) -> Any:
    return None if error is None else proto.status.Status(code=INTERNAL, message=str(error))


def _wrapped(packed: Any) -> Any:
    """State-of-the-world resources may come bare or inside a Resource."""
    if packed.type_url.endswith(_WRAPPER):
        wrapped = proto.discovery.Resource()
        try:
            wrapped.MergeFromString(packed.value)
        except DecodeError as error:
            raise ConfigError(Problem(_WRAPPER, f"does not parse: {error}")) from error
        return wrapped
    return proto.discovery.Resource(resource=packed)


def _add(resources: dict[str, Any], type_url: str, wrapped: Any) -> None:
    message = types.MESSAGES[type_url]()
    kind = message.DESCRIPTOR.name
    if wrapped.HasField("ttl"):
        raise ConfigError(Problem(f"{kind} {wrapped.name}", "ttl is not supported"))
    if wrapped.resource.type_url != type_url:
        raise ConfigError(Problem(f"{kind} {wrapped.name}", f"unable to unpack as {type_url}: it is {wrapped.resource.type_url}"))
    try:
        message.MergeFromString(wrapped.resource.value)
    except DecodeError as error:
        raise ConfigError(Problem(f"{kind} {wrapped.name}", f"does not parse: {error}")) from error
    name = types.resource_name(type_url, message)
    if name in resources:
        raise ConfigError(Problem(f"{kind} {name}", "duplicate name in one response"))
    resources[name] = message
