"""The translation of gRPC-Web."""

from typing import TYPE_CHECKING

from ..filters.grpc_web import GrpcWebFilter
from .fields import Reader

if TYPE_CHECKING:
    from .http_filters import Manager


def grpc_web_filter(reader: Reader, manager: "Manager") -> GrpcWebFilter:
    """A GrpcWeb message, which says nothing."""
    reader.only()
    return GrpcWebFilter()
