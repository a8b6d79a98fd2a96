"""The counting of gRPC calls."""

from typing import TYPE_CHECKING

from ..filters.grpc_stats import GrpcStatsFilter
from .fields import Reader

if TYPE_CHECKING:
    from .http_filters import Manager


def grpc_stats_filter(reader: Reader, manager: "Manager") -> GrpcStatsFilter:
    """A grpc_stats FilterConfig."""
    reader.only(
        "individual_method_stats_allowlist",
        "stats_for_all_methods",
        "replace_dots_in_grpc_service_name",
        harmless={"emit_filter_state": "nothing reads filter state"},
        at_default={"enable_upstream_stats": False},
    )
    if reader.wrapped("stats_for_all_methods", False):
        reader.refuse("stats_for_all_methods", "clients could make up methods without end; name those to count by themselves")
    return GrpcStatsFilter(_methods(reader), manager.ctx.services)


def _methods(reader: Reader) -> dict[bytes, str]:
    """The names' prefixes of methods that are counted by themselves, by path."""
    allowed = reader.child("individual_method_stats_allowlist")
    if allowed is None:
        return {}
    allowed.only("services")
    found: dict[bytes, str] = {}
    for service in allowed.items("services"):
        service.only("name", "method_names")
        name = service.message.name
        shown = name.replace(".", "_") if reader.message.replace_dots_in_grpc_service_name else name
        for method in service.message.method_names:
            found[f"/{name}/{method}".encode()] = f"{shown}.{method}."
    return found
