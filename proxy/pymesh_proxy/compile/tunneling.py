"""tunneling_config: how a TCP proxy's connections go on through HTTP."""

from ..errors import ConfigError
from ..http.options import HttpOptions, HttpStats
from ..http.route_slot import RouteSlot
from ..route.edits import Level, request_edit
from ..route.retry_policy import RetryPolicy
from ..route.table import Forward, Route, RouteTable, Target
from ..tcp.tunnel import TunnelOptions
from .fields import Reader
from .headers import addition
from .tcp_clusters import weighted
from .values import compile_value


def tunnel_options(proxy: Reader) -> TunnelOptions | None:
    """The TunnelingConfig of a TcpProxy."""
    reader = proxy.child("tunneling_config")
    if reader is None:
        return None
    reader.only("hostname", "headers_to_add", "use_post", "post_path")
    if reader.message.post_path and not reader.message.use_post:
        reader.refuse("post_path", "a CONNECT has no path; set use_post")
    try:
        hostname = compile_value(reader.message.hostname)
    except ConfigError as error:
        reader.adopt(error, "hostname")
        return None
    path = (reader.message.post_path or "/").encode() if reader.message.use_post else b""
    return TunnelOptions(hostname=hostname, manager=_manager(proxy, reader), post_path=path)


def _manager(proxy: Reader, reader: Reader) -> HttpOptions:
    """One route to the proxy's clusters, without a limit of time: the proxy's own times hold."""
    additions = [addition(item) for item in reader.items("headers_to_add")]
    attempts = proxy.wrapped("max_connect_attempts", 1)
    upper, targets = 0, []
    for name, weight in weighted(proxy):
        upper += weight
        targets.append((upper, Target(cluster=name)))
    forward = Forward(
        targets=tuple(targets),
        total_weight=upper,
        timeout=0.0,
        idle_timeout=0.0,
        retry=RetryPolicy(conditions=frozenset({"connect-failure"}), num_retries=attempts - 1) if attempts > 1 else None,
        upgrades={b"connect": True},
    )
    edit = request_edit([Level(add=tuple(item for item in additions if item is not None))])
    routes = ((lambda head, draw: True, Route(name="", action=forward, edit_request=edit)),)
    slot = RouteSlot("", RouteTable("", lambda authority: routes))
    return HttpOptions(route=slot, stats=HttpStats(prefix=""), generate_request_id=False, suppress_envoy_headers=True)
