"""Envoy's access log service: its messages, the loggers that call it, and where they stand.

Apart from `proto`, because no data plane of ours needs them: each module of protobufs costs memory.
"""

from . import amended  # noqa: F401  isort: skip  before all that it amends

from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2 as cel_filter
from envoy.extensions.access_loggers.grpc.v3 import als_pb2 as loggers
from envoy.service.accesslog.v3 import als_pb2 as messages

__all__ = ["METHOD", "SERVICE", "cel_filter", "loggers", "messages"]

SERVICE = "envoy.service.accesslog.v3.AccessLogService"
METHOD = "StreamAccessLogs"
