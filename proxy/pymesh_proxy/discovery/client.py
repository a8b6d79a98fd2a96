"""The xDS client: one stream to one service, kept alive. The methods are its states: connect, stream, back off.

What it says on the stream is decided by the subscriptions; what a response does is decided by the configuration. It never
gives up: while the stream is down the last good configuration serves.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

import grpc

from pymesh.xds import proto, types

from ..errors import ConfigError
from .backoff import Backoff
from .source import GrpcSource, Variant
from .status import Status, StreamStatus
from .subscription import Subscription, Update, make

_log = logging.getLogger("pymesh.proxy.discovery")

CONNECT_TIMEOUT = 10.0
"""Seconds for a channel to come up; gRPC's own attempt lasts 20."""


GOODBYE = 1.0
"""Seconds in which a stream that works takes a last message."""


class StreamLost(Exception):
    """There is no stream any more, or none yet; the message says why."""


_FOLLOWERS = (types.ENDPOINT, types.ROUTE, types.SECRET)
"""Types asked for before the ACK of the response that named them."""


Methods = Mapping[Variant, tuple[str, Any, Any]]
"""Of one service: the gRPC path, request and response class of each dialect."""

_SOTW = (proto.discovery.DiscoveryRequest, proto.discovery.DiscoveryResponse)
_DELTA = (proto.discovery.DeltaDiscoveryRequest, proto.discovery.DeltaDiscoveryResponse)
_ADS_PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
_SDS_PATH = "/envoy.service.secret.v3.SecretDiscoveryService/"

ADS: Methods = {
    Variant.SOTW: (_ADS_PATH + "StreamAggregatedResources", *_SOTW),
    Variant.DELTA: (_ADS_PATH + "DeltaAggregatedResources", *_DELTA),
}
SDS: Methods = {
    Variant.SOTW: (_SDS_PATH + "StreamSecrets", *_SOTW),
    Variant.DELTA: (_SDS_PATH + "DeltaSecrets", *_DELTA),
}


class Consumer(Protocol):
    """Where responses go, and who knows what to ask for."""

    def wanted(self, type_url: str) -> frozenset[str] | None: ...

    async def prepare(self, update: Update) -> Mapping[str, Any]:
        """Compile; raises ConfigError."""

    async def apply(self, update: Update, prepared: Mapping[str, Any]) -> None:
        """Use; raises ConfigError only when nothing was changed."""

    async def settle(self) -> None: ...


class Client:
    """One stream with its subscriptions."""

    def __init__(
        self,
        source: GrpcSource,
        *,
        open_channel: Callable[[GrpcSource, int], grpc.aio.Channel],
        methods: Methods,
        subscribe: tuple[str, ...],
        consumer: Consumer,
        node: Any,
        status: Status,
        stream: StreamStatus,
        name: str,
    ) -> None:
        """`subscribe` are the types to speak of, in push order; `name` stands in the log."""
        self._source = source
        self._open_channel = open_channel
        self._path, self._request_class, self._response_class = methods[source.variant]
        self._subscriptions = {url: make(source.variant, url) for url in subscribe}
        self._consumer = consumer
        self._node = node
        self._status = status
        self._stream_status = stream
        self._name = name
        self._backoff = Backoff(source.back_off_base, source.back_off_max)
        self._outbox: asyncio.Queue[Any] | None = None
        self._attempt = 0
        self._node_sent = False
        self._unwell = ""

    def __repr__(self) -> str:
        return f"<Client {self._name} {'streaming' if self._outbox is not None else 'waiting'} {list(self._subscriptions.values())}>"

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                async with self._open_channel(self._source, self._attempt) as channel:
                    await self._connect(channel)
                    await self._stream(channel)
            except grpc.aio.AioRpcError as error:
                self._lost(f"{error.code().name}: {error.details()}")
            except TimeoutError:
                self._lost(f"no connection within {CONNECT_TIMEOUT:g} s")
            except StreamLost as error:
                self._lost(str(error))
            except Exception:  # noqa: BLE001  a defect of ours met by one response: what was accepted before serves on, and news must come
                _log.exception("%s: a response could not be worked on", self._name)
                self._lost("an error of our own")
            self._attempt += 1
            await self._back_off()

    def refresh(self) -> None:
        """What is wanted may have changed: say so on the stream, if there is one."""
        self._ask(types.PUSH_ORDER)

    async def say_unwell(self, reason: str) -> None:
        """Let the control plane send nobody here any more, in the words of Istio's agent; returns when that is on its way.

        Without a stream nothing is waited for: a stream that comes later says it first.
        """
        self._unwell = reason
        outbox = self._outbox
        self._send(self._health())
        if outbox is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    await outbox.join()

    def feel(self, reason: str) -> None:
        """The workload is unwell for a reason, or well again where that is empty: have the control plane know, now and on later streams."""
        self._unwell = reason
        self._send(self._health() or self._request_class(type_url=types.HEALTH))

    def _health(self) -> Any | None:
        if not self._unwell:
            return None
        reason = {"code": grpc.StatusCode.UNAVAILABLE.value[0], "message": self._unwell}
        return self._request_class(type_url=types.HEALTH, error_detail=reason)

    async def _connect(self, channel: grpc.aio.Channel) -> None:
        """Wait for the connection, but only for one attempt: when to try again is our decision, not gRPC's."""
        async with asyncio.timeout(CONNECT_TIMEOUT):
            while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    raise StreamLost("cannot connect")
                await channel.wait_for_state_change(state)

    async def _stream(self, channel: grpc.aio.Channel) -> None:
        self._outbox = asyncio.Queue()  # bounded by our own requests: one for each response and change
        self._node_sent = False
        try:
            call = channel.stream_stream(
                self._path, request_serializer=self._request_class.SerializeToString, response_deserializer=self._response_class.FromString
            )(self._requests(self._outbox), metadata=self._source.metadata or None)
            self._send(self._health())
            self.refresh()
            async for response in call:
                if response is None:  # gRPC's word for one that its deserializer refused
                    raise StreamLost("a response does not parse")
                self._alive(response)
                await self._handle(response)
                self._backoff.reset()
            raise StreamLost("the server ended the stream")
        finally:
            self._outbox = None
            for subscription in self._subscriptions.values():
                subscription.close()

    async def _requests(self, outbox: asyncio.Queue[Any]) -> AsyncIterator[Any]:
        while True:
            request = await outbox.get()
            if not (self._node_sent and self._source.node_once):
                request.node.CopyFrom(self._node)
                self._node_sent = True
            yield request
            outbox.task_done()

    async def _handle(self, response: Any) -> None:
        subscription = self._subscriptions.get(response.type_url)
        if subscription is None:
            _log.warning("%s: response of type %s, which was not asked for", self._name, response.type_url)
            return
        status = self._status.of(response.type_url)
        status.update_attempt += 1
        try:
            update = subscription.read(response)
            await self._consumer.apply(update, await self._consumer.prepare(update))
        except ConfigError as error:
            status.update_rejected += 1
            status.last_error = str(error)
            _log.warning("%s: refused: %s", self._name, error)
            self._send(subscription.reject(response, error))
            return
        status.update_success += 1
        status.last_error = ""
        acknowledgement = subscription.accept(response, update)
        status.version_text = subscription.version
        self._ask(_FOLLOWERS)
        self._send(acknowledgement)
        self.refresh()
        await self._consumer.settle()

    def _ask(self, type_urls: tuple[str, ...]) -> None:
        for type_url in type_urls:
            subscription: Subscription | None = self._subscriptions.get(type_url)
            names = self._consumer.wanted(type_url)
            if subscription is not None and names is not None and self._outbox is not None:
                self._send(subscription.want(names))

    def _send(self, request: Any | None) -> None:
        if request is not None and self._outbox is not None:
            self._outbox.put_nowait(request)

    def _alive(self, response: Any) -> None:
        if not self._stream_status.connected_state:
            _log.info("%s: connected", self._name)
        self._attempt = 0
        self._stream_status.connected_state = 1
        self._stream_status.last_failure = ""
        self._stream_status.identifier = response.control_plane.identifier

    def _lost(self, reason: str) -> None:
        log = _log.warning if self._stream_status.connected_state or not self._stream_status.last_failure else _log.debug
        log("%s: stream lost (%s); the last good configuration serves", self._name, reason)
        self._stream_status.connected_state = 0
        self._stream_status.last_failure = reason
        for type_url in self._subscriptions:
            self._status.of(type_url).update_attempt += 1
            self._status.of(type_url).update_failure += 1

    async def _back_off(self) -> None:
        await asyncio.sleep(self._backoff.next())
