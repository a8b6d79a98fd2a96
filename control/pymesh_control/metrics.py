"""The control plane's Prometheus metrics, under Istiod's names so that dashboards and alerts carry over.

Counters are gauges that only rise: prometheus-client would append `_total` to a Counter's name, and Istiod's have none.
"""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, Histogram

from pymesh import __version__
from pymesh.xds import types

_SIZES = (1, 10_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000)
"""Bytes; 4 MB is where a gRPC client refuses a message unless it was told otherwise."""
_SECONDS = (0.01, 0.1, 0.5, 1, 3, 5, 10, 20, 30)


def _since(start: float) -> Callable[[], float]:
    return lambda: time.monotonic() - start


class Metrics:
    """Every metric of one control plane, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connected = self._gauge("pilot_xds", "Clients connected over xDS.", "version").labels(__version__)
        self.pushes = self._gauge("pilot_xds_pushes", "Responses sent, by resource type.", "type")
        self.sizes = Histogram("pilot_xds_config_size_bytes", "Size of each response.", ["type"], buckets=_SIZES, registry=self.registry)
        self.rejects = self._gauge("pilot_total_xds_rejects", "Responses that a client rejected.", "type")
        self.rejects_of = {
            short: self._gauge(f"pilot_xds_{short}_reject", f"Rejected {short.upper()} responses.") for short in types.SHORT.values()
        }
        self.expired_nonces = self._gauge("pilot_xds_expired_nonce", "Requests that answered a superseded response.", "type")
        self.internal_errors = self._gauge("pilot_total_xds_internal_errors", "Errors of our own while serving xDS.")
        self.write_timeouts = self._gauge("pilot_xds_write_timeout", "Clients dropped because they did not take a push in time.")
        self.push_time = self._seconds("pilot_xds_push_time", "Seconds to generate one client's push.")
        self.send_time = self._seconds("pilot_xds_send_time", "Seconds until one client's push was written.")
        self.queue_time = self._seconds("pilot_proxy_queue_time", "Seconds a client waited for its push.")
        self.convergence_time = self._seconds("pilot_proxy_convergence_time", "Seconds from a change until its push was written.")
        self.debounce_time = self._seconds("pilot_debounce_time", "Seconds from a first change to its snapshot.")
        self.triggers = self._gauge("pilot_push_triggers", "Snapshots, by what asked for them.", "type")
        self.updates = self._gauge("pilot_inbound_updates", "Changes received, by source.", "type")
        self.snapshot_time = self._seconds("pilot_pushcontext_init_seconds", "Seconds to put a snapshot together.")
        self.census = {
            name: self._gauge(name, text)
            for name, text in (
                ("pilot_services", "Services known."),
                ("pilot_virt_services", "VirtualServices known."),
                ("pilot_vservice_dup_domain", "Hosts that several VirtualServices of sidecars name."),
                ("pilot_eds_no_instances", "Ports of services without any instance."),
                ("pilot_endpoint_not_ready", "Instances that are not ready."),
                ("pilot_no_ip", "Workloads without an address."),
                ("pilot_destrule_subsets", "Subsets that two DestinationRules of one host define."),
            )
        }
        self.refused_configs = self._gauge("pilot_total_rejected_configs", "Resources that cannot be honoured.", "type", "name")
        Gauge("istiod_uptime_seconds", "Seconds since the start.", registry=self.registry).set_function(_since(time.monotonic()))
        self.config_problems = self._gauge("pymesh_config_problems", "Problems of the present configuration.", "severity")
        self.validation_failed = self._gauge("galley_validation_failed", "Configuration changes that left errors.")
        self.validation_passed = self._gauge("galley_validation_passed", "Configuration changes that left no error.")
        self._gauge("pilot_info", "The version that runs.", "version").labels(__version__).set(1)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _seconds(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_SECONDS, registry=self.registry)

    def pushed(self, type_url: str, size: int) -> None:
        short = types.SHORT[type_url]
        self.pushes.labels(short).inc()
        self.sizes.labels(short).observe(size)

    def rejected(self, type_url: str) -> None:
        short = types.SHORT[type_url]
        self.rejects.labels(short).inc()
        self.rejects_of[short].inc()

    def expired_nonce(self, type_url: str) -> None:
        self.expired_nonces.labels(types.SHORT[type_url]).inc()
