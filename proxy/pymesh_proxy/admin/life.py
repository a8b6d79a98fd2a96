"""The process itself: whether it is ready, what it is, how it is told to drain and to end."""

import ssl
import time
from pathlib import Path

from google.protobuf import json_format

import pymesh
from pymesh.xds import proto

from ..observe.istio import IstioStats
from ..observe.stats import reset
from .facts import JSON, OK, Answer, Command, Facts, Query, as_json, flag

_STATES = proto.server_info.ServerInfo.State


def ready(facts: Facts, query: Query) -> Answer:
    """200 when the proxy serves, 503 before and after."""
    return Answer(body=f"{facts.state}\n", status=200 if facts.state == "LIVE" else 503)


def uptime(facts: Facts) -> int:
    """Whole seconds since the process started."""
    return max(0, int(time.time() - facts.runtime.started_wall))


def version() -> str:
    """In Envoy's form: revision, version, state of the tree, kind of build, TLS library."""
    return f"pymesh/{pymesh.__version__}/Clean/RELEASE/{ssl.OPENSSL_VERSION.replace(' ', '-')}"


def server_info(facts: Facts, query: Query) -> Answer:
    """Envoy's ServerInfo."""
    info = proto.server_info.ServerInfo(version=version(), state=_STATES.Value(facts.state), hot_restart_version="disabled")
    info.uptime_current_epoch.seconds = info.uptime_all_epochs.seconds = uptime(facts)
    info.command_line_options.concurrency = facts.runtime.concurrency
    if facts.runtime.node is not None:
        info.node.CopyFrom(facts.runtime.node)
        info.command_line_options.service_node = info.node.id
        info.command_line_options.service_cluster = info.node.cluster
    # As Envoy prints it, whose state is there although LIVE is the enum's zero.
    whole = json_format.MessageToJson(info, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=1)
    return Answer(body=whole + "\n", content_type=JSON)


def fail(facts: Facts, query: Query) -> Answer:
    """Say that we are draining, so that load balancers look elsewhere; traffic is served on."""
    facts.failed = True
    return OK


def recover(facts: Facts, query: Query) -> Answer:
    facts.failed = False
    return OK


def drain_listeners(facts: Facts, query: Query) -> Answer:
    """Stop accepting, or with `graceful` only ask clients to leave; `inboundonly` spares the outbound listeners."""
    direction = "INBOUND" if flag(query, "inboundonly") else None
    if flag(query, "graceful"):
        facts.runtime.listeners.drain(direction)
    else:
        facts.runtime.listeners.stop_accepting(direction)
    return OK


def quit_process(facts: Facts, query: Query) -> Answer:
    facts.stop()
    return OK


def reopen_logs(facts: Facts, query: Query) -> Answer:
    facts.reopen_logs()
    return OK


def reset_counters(facts: Facts, query: Query) -> Answer:
    reset(facts.runtime)
    for stats in facts.istio:
        _reset_istio(stats)
    return OK


def _reset_istio(stats: IstioStats) -> None:
    stats.settle()
    for request in stats.requests:
        request.requests = 0
    for connection in stats.connections:
        connection.opened = connection.closed = connection.sent = connection.received = 0


def resident_bytes() -> int:
    """Physical memory of this process; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * 4096


def memory(facts: Facts, query: Query) -> Answer:
    """Numbers as strings, as protobuf's JSON has 64-bit ones. Python's allocator tells no more than the resident size."""
    resident = str(resident_bytes())
    return as_json({"allocated": resident, "heap_size": resident, "total_physical_bytes": resident})


COMMANDS = (
    Command(path="/drain_listeners", help="drain listeners (inboundonly, graceful)", run=drain_listeners, mutates=True),
    Command(path="/healthcheck/fail", help="make /ready say DRAINING", run=fail, mutates=True),
    Command(path="/healthcheck/ok", help="take /healthcheck/fail back", run=recover, mutates=True),
    Command(path="/memory", help="print the process's memory", run=memory),
    Command(path="/quitquitquit", help="drain and exit", run=quit_process, mutates=True),
    Command(path="/ready", help="print the state of the process, 200 when it is LIVE", run=ready),
    Command(path="/reopen_logs", help="reopen access logs", run=reopen_logs, mutates=True),
    Command(path="/reset_counters", help="reset all counters to zero", run=reset_counters, mutates=True),
    Command(path="/server_info", help="print version, state, uptime and node", run=server_info),
)
