"""The gRPC shell of the access log service: Envoys alone that are admitted, and of their logs the one that this mesh asks them for."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from pymesh.xds import als
from pymesh.xds import node as nodes

from ..ads.admission import Admit
from ..ads.servicer import STATUS, Context
from ..errors import InvalidClient, RefusedClient
from .blocked import Blocked
from .entries import LOG, destinations

_log = logging.getLogger("pymesh.reports")


def add_to_server(server: grpc.aio.Server, blocked: Blocked, admit: Admit) -> None:
    """Offer the service beside others; `admit` holds the rule of the server's port."""
    handler = grpc.stream_unary_rpc_method_handler(
        _Servicer(blocked, admit).stream,
        als.messages.StreamAccessLogsMessage.FromString,
        als.messages.StreamAccessLogsResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(als.SERVICE, {als.METHOD: handler}),))


class _Servicer:
    def __init__(self, blocked: Blocked, admit: Admit) -> None:
        self._blocked = blocked
        self._admit = admit

    async def stream(self, messages: AsyncIterator[Any], context: Context) -> Any:
        """Until Envoy ends it."""
        source = ""
        try:
            async for message in messages:
                source = source or self._source(message, context.peer())
                for destination, at in destinations(message):
                    self._blocked.note(destination, source, at)
        except RefusedClient as refusal:
            _log.warning("log of %s refused: %s", context.peer(), refusal)
            await context.abort(STATUS[type(refusal)], str(refusal))
        return als.messages.StreamAccessLogsResponse()

    def _source(self, first: Any, peer: str) -> str:
        """Who reports, as `NAMESPACE/WORKLOAD`. Raises RefusedClient."""
        node = first.identifier.node
        if not node.id or first.identifier.log_name != LOG:
            raise InvalidClient(f"the first message must carry the node with its id, and be of the log {LOG}")
        identity = self._admit(peer, node)
        metadata = node.metadata.fields
        try:
            pod, _, namespace = nodes.parse(node.id).name.partition(".")
        except nodes.InvalidNodeId as error:
            raise InvalidClient(str(error)) from None
        workload = metadata["WORKLOAD_NAME"].string_value if "WORKLOAD_NAME" in metadata else ""
        return f"{identity.namespace if identity else namespace}/{workload or pod}"
