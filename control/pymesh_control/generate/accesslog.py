"""Access logs: Istio's default line, or what MeshConfig says, into the file that MeshConfig names."""

import functools
import json
from typing import Any

from pymesh.xds import proto

from ..model.filelog import FileLog
from ..model.mesh import Mesh
from .common import extension, struct

ISTIO_TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%'
    " %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%"
    ' "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%'
    ' "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
    " %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%"
    " %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)

ISTIO_JSON = {
    "start_time": "%START_TIME%",
    "route_name": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}


def access_logs(mesh: Mesh) -> list[Any]:
    """The access logs of a connection manager or TCP proxy; none when the mesh names no file."""
    return [_log(one) for one in mesh.logs]


def refusal_logs(mesh: Mesh) -> list[Any]:
    """The access logs of a listener: for connections that no filter chain took, of which nobody else could tell."""
    return [_log(one, flag="NR") for one in mesh.logs] if mesh.logs_refusals else []


@functools.lru_cache(maxsize=8)
def _log(wanted: FileLog, flag: str = "") -> Any:
    log = proto.file_log.FileAccessLog(path=wanted.path, log_format=_format(wanted))
    entry = proto.accesslog.AccessLog(**extension("envoy.access_loggers.file", log))
    if flag:
        entry.filter.response_flag_filter.flags.append(flag)
    return entry


def _format(wanted: FileLog) -> Any:
    form = proto.format_string.SubstitutionFormatString(omit_empty_values=wanted.omits_empty)
    if wanted.is_json:
        form.json_format.CopyFrom(struct(json.loads(wanted.labels) if wanted.labels else ISTIO_JSON))
    else:
        form.text_format_source.inline_string = wanted.text or ISTIO_TEXT
    return form
