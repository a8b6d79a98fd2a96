"""What a single proxy's ProxyConfig asks of what it is sent: the parts that Istio's generators read."""

from dataclasses import dataclass, replace
from typing import Any

_EDGE = {
    "listener_per_connection_buffer_limit_bytes": 32 * 1024,
    "http_idle_timeout": 3600.0,
    "http_stream_idle_timeout": 300.0,
    "http_request_timeout": 300.0,
    "http_request_headers_timeout": 60.0,
    "http_max_concurrent_streams": 100,
    "http2_initial_stream_window_size": 64 * 1024,
    "http2_initial_connection_window_size": 1024 * 1024,
    "http_merge_slashes": True,
}
"""Istio's numbers for the profile EDGE. Times are seconds, sizes bytes."""
_EDGE_CHOICES = {"http_headers_with_underscores_action": "REJECT_REQUEST", "http_path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT"}

_HEADERS_KEPT = ("forwarded_client_cert", "request_id", "server", "attempt_count", "envoy_debug_headers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One proxy's settings; what is None leaves the word to the level above: node, pod, mesh."""

    topology: Any = None
    headers: Any = None
    limits: Any = None
    idle_timeout: float | None = None
    """Seconds after which connections of clients without traffic are closed, where no rule says (node metadata IDLE_TIMEOUT)."""
    reports_to: str = ""
    """The cluster by which an Envoy reports what it does not let through (node metadata BLOCKED_REPORTS); empty: it does not."""
    takes_http10: bool = False
    """Whether HTTP/1.0 is answered (node metadata HTTP10)."""

    def over(self, above: "Settings | None") -> "Settings":
        """These, completed by those of the level above; a part is replaced whole, but for some headers, as in Istio."""
        if above is None:
            return self
        headers = _headers_over(self.headers, above.headers)
        return replace(self, topology=self.topology or above.topology, headers=headers, limits=self.limits or above.limits)

    @property
    def trusted_hops(self) -> int:
        """How many proxies in front of a gateway are believed."""
        return (self.topology and self.topology.num_trusted_proxies) or 0

    @property
    def reads_proxy_header(self) -> bool:
        return bool(self.topology and self.topology.proxy_protocol is not None)

    @property
    def counts_attempts(self) -> bool:
        """Whether requests tell at which attempt they are."""
        return not self._disables("attempt_count")

    @property
    def makes_request_ids(self) -> bool:
        return not self._disables("request_id")

    @property
    def tells_of_itself(self) -> bool:
        """Whether the router's own headers (x-envoy-*) are added."""
        return not self._disables("envoy_debug_headers")

    @property
    def server(self) -> str | None:
        """The value of the header `server`: None leaves that of the application, empty is the usual one."""
        return None if self._disables("server") else (self.headers and self.headers.server and self.headers.server.value) or ""

    @property
    def keeps_header_case(self) -> bool:
        return bool(self.headers and self.headers.preserve_http1_header_case)

    @property
    def forwards_host(self) -> bool:
        return self._enables("x_forwarded_host")

    @property
    def forwards_port(self) -> bool:
        return self._enables("x_forwarded_port")

    @property
    def client_cert(self) -> str:
        """What a sidecar does with x-forwarded-client-cert."""
        return _word(self.headers and self.headers.forwarded_client_cert, "UNDEFINED") or "APPEND_FORWARD"

    @property
    def client_cert_at_the_edge(self) -> str:
        """What a gateway does with it."""
        return _word(self.topology and self.topology.forward_client_cert_details, "UNDEFINED") or "SANITIZE_SET"

    def tells_of_client(self, detail: str, *, usual: bool) -> bool:
        """Whether a sidecar tells the application this detail of the client's certificate."""
        details = self.headers and self.headers.set_current_client_cert_details
        stated = getattr(details, detail) if details else None
        return usual if stated is None else bool(stated)

    def limit(self, name: str, *, at_the_edge: bool) -> Any:
        """A number of the connection settings: the one stated, else a gateway's by its profile, else None."""
        stated = getattr(self.limits, name) if self.limits else None
        return _EDGE.get(name) if stated is None and at_the_edge and self._is_edge else stated

    def choice(self, name: str, *, at_the_edge: bool) -> str:
        """The same of a word, by Envoy's name; empty where nothing is said."""
        stated = _word(getattr(self.limits, name) if self.limits else None, "UNSPECIFIED")
        return stated or (_EDGE_CHOICES[name] if at_the_edge and self._is_edge else "")

    @property
    def _is_edge(self) -> bool:
        return bool(self.limits and self.limits.profile and self.limits.profile.value == "EDGE")

    def _disables(self, header: str) -> bool:
        one = getattr(self.headers, header) if self.headers else None
        return bool(one and one.disabled)

    def _enables(self, header: str) -> bool:
        one = getattr(self.headers, header) if self.headers else None
        return bool(one and one.enabled)


NOTHING = Settings()


def from_config(config: Any) -> Settings:
    """The settings of a ProxyConfig; NOTHING of none."""
    if config is None:
        return NOTHING
    return Settings(topology=config.gateway_topology, headers=config.proxy_headers, limits=config.connection_settings)


def _headers_over(own: Any, above: Any) -> Any:
    """`proxyHeaders` of two levels: what Istio completes part by part (its correctProxyHeaders)."""
    if not own or not above:
        return own or above
    silent = [name for name in _HEADERS_KEPT if _is_silent(getattr(own, name))]
    return own.model_copy(update={name: getattr(above, name) for name in silent})


def _is_silent(part: Any) -> bool:
    return part is None or getattr(part, "value", part) == "UNDEFINED"


def _word(choice: Any, unsaid: str) -> str:
    """An enum's word in Envoy's spelling; empty for none and for the one that says nothing."""
    word = choice.value.removeprefix("HEADERS_WITH_UNDERSCORES_") if choice is not None else ""
    return "" if word.endswith(unsaid) else str(word)
