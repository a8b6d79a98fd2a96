"""gRPC clients without a proxy, and the settings that they are to obey and cannot."""

from collections.abc import Iterable
from typing import Any

from ..ads.stream import Stream
from ..analyze.proxyless import Client, in_vain
from ..analyze.subject import Subject
from ..model import support
from ..model.view import GRPC
from ..world import World


def proxylessz(world: World, streams: Iterable[Stream]) -> list[dict[str, Any]]:
    """Each connected client with what has no effect for it, and where that stands."""
    subject = Subject(world.resources_used, world.snapshot)
    views = (world.view(stream.node, stream.identity) for stream in streams)
    known = {view.node_id: Client(view.namespace, view.labels) for view in views if view.flavor == GRPC}
    return [{"proxy": name, "without_effect": _told(subject, client)} for name, client in sorted(known.items())]


def _told(subject: Subject, client: Client) -> list[str]:
    found = sorted(in_vain(subject, [client]), key=lambda one: (one.resource.where, one.sentence))
    return [str(support.problem_at(one.resource, one.path, one.sentence, "warning")) for one in found]
