"""The access logs by which an Envoy reports what it did not let through, where its bootstrap has a cluster that leads here."""

import functools
from typing import Any

from pymesh.xds import als, proto

from ..reports.entries import LOG, SNI_TAG
from .common import V3, extension

BLOCKING_ROUTE = "block_all"
"""Istio's name for the route of hosts that nothing declares."""


@functools.cache
def of_connections(cluster: str) -> Any:
    """For the chain of connections that go nowhere."""
    config = als.loggers.TcpGrpcAccessLogConfig(common_config=_common(cluster))
    return proto.accesslog.AccessLog(**extension("envoy.access_loggers.tcp_grpc", config))


@functools.cache
def of_requests(cluster: str) -> Any:
    """For a connection manager: of its requests those alone that were answered because nothing declares their host."""
    config = als.loggers.HttpGrpcAccessLogConfig(common_config=_common(cluster))
    log = proto.accesslog.AccessLog(**extension("envoy.access_loggers.http_grpc", config))
    condition = als.cel_filter.ExpressionFilter(expression=f"xds.route_name == '{BLOCKING_ROUTE}'")
    log.filter.extension_filter.name = "envoy.access_loggers.extension_filters.cel"
    log.filter.extension_filter.typed_config.CopyFrom(proto.pack(condition))
    return log


def _common(cluster: str) -> Any:
    common = als.loggers.CommonGrpcAccessLogConfig(log_name=LOG, transport_api_version=V3)
    common.grpc_service.envoy_grpc.cluster_name = cluster
    common.custom_tags.add(tag=SNI_TAG, value="%REQUESTED_SERVER_NAME%")
    return common
