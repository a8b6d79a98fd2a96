"""`internal_address_config` in a real Envoy and in ours: who counts as internal, and what an internal request may say."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.interop.connections.twins import Twins, twins

from .differences import comparable
from .upstream import Upstream
from .wire import Answer, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

_LISTENER = """
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: ${name}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          internal_address_config: {{cidr_ranges: [{ranges}]}}
          use_remote_address: {edge}
          xff_num_trusted_hops: {hops}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: secret
              domains: [secret.org]
              require_tls: EXTERNAL_ONLY
              routes: [{{match: {{prefix: /}}, route: {{cluster: up}}}}]
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: up}}}}]}}
"""
_LOOPBACK = "{address_prefix: 127.0.0.0, prefix_len: 8}"
_PRIVATE = "{address_prefix: 10.0.0.0, prefix_len: 8}, {address_prefix: 'fd00::', prefix_len: 8}"

_LISTENERS = {
    "INNER": {"ranges": _PRIVATE, "edge": "false", "hops": 0},
    "HOPS": {"ranges": _PRIVATE, "edge": "false", "hops": 1},
    "EDGE": {"ranges": _LOOPBACK, "edge": "true", "hops": 0},
    "STRANGE": {"ranges": _PRIVATE, "edge": "true", "hops": 0},
    "BEHIND": {"ranges": f"{_PRIVATE}, {_LOOPBACK}", "edge": "true", "hops": 1},
}

_BOOTSTRAP = (
    "static_resources:\n  listeners:"
    + "".join(_LISTENER.format(name=name, **settings) for name, settings in _LISTENERS.items())
    + """
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $UP}}}}]}]
"""
)

_SAID = (
    "x-envoy-internal: true",
    "x-envoy-original-url: /x",
    "x-envoy-ip-tags: a",
    "x-envoy-decorator-operation: op",
    "x-envoy-downstream-service-cluster: c",
    "x-envoy-downstream-service-node: n",
    "x-envoy-original-path: /p",
    "x-envoy-original-host: h",
    "x-envoy-external-address: 9.9.9.9",
    "x-request-id: of-the-client",
)
_FORWARDED = (
    "",
    "X-Forwarded-For: 10.1.2.3",
    "X-Forwarded-For: 8.8.8.8",
    "X-Forwarded-For: 10.1.2.3, 10.1.2.4",
    "X-Forwarded-For: 8.8.8.8,10.1.2.4",
    "X-Forwarded-For: 10.1.2.3, 8.8.8.8",
    "X-Forwarded-For: fd00::1",
    "X-Forwarded-For: nonsense",
    "X-Forwarded-For: 127.0.0.1",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async with Upstream() as upstream, twins(tmp_path_factory.mktemp("internal"), _BOOTSTRAP, *_LISTENERS, UP=upstream.port) as started:
        yield started


@pytest.mark.parametrize("listener", _LISTENERS)
async def test_internal_requests_are_envoys(both: Twins, listener: str) -> None:
    for forwarded in _FORWARDED:
        for host, said in (("any.org", _SAID), ("secret.org", ())):
            lines = ["GET /some HTTP/1.1", f"Host: {host}", *([forwarded] if forwarded else []), *said]
            request = ("\r\n".join(lines) + "\r\n\r\n").encode()
            answers = [await ask(each.ports[listener], request) for each in (both.envoy, both.ours)]
            if _LISTENERS[listener]["edge"] == "true":
                answers = list(comparable(*answers))
            theirs, ours = [_lasting(answer) for answer in answers]
            assert ours == theirs, (forwarded, host)


def _lasting(answer: Answer) -> Answer:
    """Without what is never the same twice."""
    volatile = ("date", "x-envoy-upstream-service-time")
    return replace(answer, headers=tuple(pair for pair in answer.headers if pair[0] not in volatile))
