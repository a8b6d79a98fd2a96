"""request_mirror_policies: where copies of a request go, and what their heads say."""

from dataclasses import dataclass

from ..http.mirror import Mirroring
from ..route import edits, rewrite
from ..route.table import Edit, Forward, Route, Target
from . import headers
from .fields import Reader
from .fractions import fraction
from .strings import string_test


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One entry, before it is known which route's requests it copies."""

    cluster: str
    cluster_header: bytes
    edit: Edit
    numerator: int
    denominator: int

    def beside(self, forward: Forward) -> Mirroring:
        """For the requests of a route, whose timeout the copies have, too."""
        action = Forward(
            targets=((1, Target(cluster=self.cluster, cluster_header=self.cluster_header)),),
            total_weight=1,
            timeout=forward.timeout,
            grpc_timeout=forward.grpc_timeout,
            max_stream_duration=0.0,
            body_limit=forward.body_limit,
            body_cap=forward.body_cap,
            rewrite=self.edit,
        )
        return Mirroring(route=Route(name="mirror", action=action), numerator=self.numerator, denominator=self.denominator)


def policies(reader: Reader) -> tuple[Policy, ...]:
    """The entries of a RouteAction, a virtual host or a table."""
    return tuple(_policy(item) for item in reader.items("request_mirror_policies"))


def _policy(item: Reader) -> Policy:
    item.only(
        "cluster",
        "cluster_header",
        "runtime_fraction",
        "disable_shadow_host_suffix_append",
        "request_headers_mutations",
        "host_rewrite_literal",
        harmless={"trace_sampled": "there is no tracing"},
    )
    message = item.message
    if bool(message.cluster) == bool(message.cluster_header):
        item.refuse("", "exactly one of cluster and cluster_header is needed")
    numerator, denominator = fraction(item.child("runtime_fraction")) or (100, 100)
    changes = [change for change in map(_mutation, item.items("request_headers_mutations")) if change is not None]
    return Policy(
        cluster=message.cluster,
        cluster_header=message.cluster_header.lower().encode(),
        edit=rewrite.shadow(changes, message.host_rewrite_literal.encode(), suffix=not message.disable_shadow_host_suffix_append),
        numerator=numerator,
        denominator=denominator,
    )


def _mutation(item: Reader) -> Edit | None:
    """One HeaderMutation; they are applied one after another."""
    item.only("remove", "append", "remove_on_match")
    match item.which("action"):
        case "remove":
            headers.check_removable(item, "remove", item.message.remove)
            return edits.request_edit([edits.Level(remove=(item.message.remove.lower().encode(),))])
        case "append" as name:
            added = headers.addition(Reader(item.message.append, item.at(name), item.problems))
            return edits.request_edit([edits.Level(add=(added,))]) if added else None
        case "remove_on_match" as name:
            match = Reader(item.message.remove_on_match, item.at(name), item.problems)
            match.only("key_matcher")
            return edits.removal(string_test(Reader(match.message.key_matcher, match.at("key_matcher"), match.problems)))
    return None
