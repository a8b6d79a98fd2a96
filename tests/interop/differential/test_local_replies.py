"""`local_reply_config` in a real Envoy and in ours: what clients get in the place of an upstream's answer."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from pymesh.local.ports import FreePorts
from tests.interop.connections.twins import Twins, twins
from tests.interop.http2.cases import fields, head
from tests.interop.http2.client import talk

from .cases import CRLF
from .wire import Answer, ask

_BOOTSTRAP = """
static_resources:
  listeners:
  - name: mapped
    address: {socket_address: {address: 127.0.0.1, port_value: $MAPPED}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: mapped
          http_filters: &router
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config: &routes
            name: all
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /status/401}
                direct_response: {status: 401, body: {inline_string: who}}
                response_headers_to_add: [{header: {key: x-route, value: route}}]
              - {match: {prefix: /status/403}, direct_response: {status: 403, body: {inline_string: "no"}}}
              - {match: {prefix: /status/404}, direct_response: {status: 404, body: {inline_string: where}}}
              - {match: {prefix: /status/418}, direct_response: {status: 418}}
              - {match: {prefix: /status/429}, direct_response: {status: 429, body: {inline_string: slow}}}
              - {match: {prefix: /status/500}, direct_response: {status: 500, body: {inline_string: "with \\"quotes\\" and\\na line"}}}
              - {match: {prefix: /status/204}, direct_response: {status: 204}}
              - {match: {prefix: /away}, redirect: {path_redirect: /there}}
              - {match: {prefix: /dead}, route: {cluster: dead}}
          local_reply_config:
            mappers:
            - filter:
                and_filter:
                  filters:
                  - status_code_filter: {comparison: {op: EQ, value: {default_value: 401, runtime_key: of.no.effect}}}
                  - header_filter: {header: {name: x-as, string_match: {exact: text}}}
              body: {inline_string: "mapped"}
              body_format_override: {text_format_source: {inline_string: "[%LOCAL_REPLY_BODY%]"}, content_type: text/odd}
              headers_to_add:
              - {header: {key: x-mapped, value: "%RESPONSE_CODE% %REQ(:path)%"}}
              - {header: {key: x-route, value: mapper}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}
            - filter: {status_code_filter: {comparison: {op: EQ, value: {default_value: 401, runtime_key: k}}}}
              status_code: 499
              headers_to_add: [{header: {key: content-type, value: application/of-mapper}}]
            - filter: {response_flag_filter: {flags: [UF]}}
              status_code: 502
              body_format_override: {json_format: {code: "%RESPONSE_CODE%", flags: "%RESPONSE_FLAGS%", text: "%LOCAL_REPLY_BODY%"}}
            - filter:
                or_filter:
                  filters:
                  - status_code_filter: {comparison: {op: GE, value: {default_value: 600, runtime_key: k}}}
                  - status_code_filter: {comparison: {op: LE, value: {default_value: 204, runtime_key: k}}}
              headers_to_add: [{header: {key: x-small, value: small}}]
            - filter: {status_code_filter: {comparison: {op: EQ, value: {default_value: 418, runtime_key: k}}}}
              status_code: 200
              body: {inline_string: no longer empty}
            - filter: {grpc_status_filter: {statuses: [UNAVAILABLE]}}
              headers_to_add: [{header: {key: x-unavailable, value: "yes"}}]
            - filter: {status_code_filter: {comparison: {op: NE, value: {default_value: 404, runtime_key: k}}}}
              headers_to_add: [{header: {key: x-rest, value: rest}}]
  - name: json
    address: {socket_address: {address: 127.0.0.1, port_value: $JSON}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: json
          http_filters: *router
          route_config: *routes
          local_reply_config:
            body_format:
              json_format:
                text: "%LOCAL_REPLY_BODY%"
                code: "%RESPONSE_CODE%"
                path: "%REQ(:path)%"
                absent: "%REQ(x-absent)%"
                mixed: "<%REQ(x-absent)%> %RESPONSE_FLAGS%"
                more: {route: "%RESP(x-route)%", type: "%RESP(content-type)%"}
  - name: text
    address: {socket_address: {address: 127.0.0.1, port_value: $TEXT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: text
          http_filters: *router
          route_config: *routes
          local_reply_config:
            body_format:
              text_format: "%LOCAL_REPLY_BODY%:%RESPONSE_CODE%:%REQ(x-absent)%:%RESPONSE_CODE_DETAILS%:%PROTOCOL%:%RESP(:status)%"
              content_type: "text/html; charset=UTF-8"
  clusters:
  - name: dead
    type: STATIC
    load_assignment:
      cluster_name: dead
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $DEAD}}}}]}]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async with twins(tmp_path_factory.mktemp("replies"), _BOOTSTRAP, "MAPPED", "JSON", "TEXT", DEAD=FreePorts().take()) as both:
        yield both


_PATHS = ("status/401", "status/403", "status/404", "status/418", "status/429", "status/500", "status/204", "away", "dead")
_AS = ("", "x-as: text", "content-type: application/grpc")
_TRANSPORT_REASON = re.compile(r"\|[^}]*")
"""The transport's own words, which are the system's in Envoy and ours in ours."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("listener", ["MAPPED", "JSON", "TEXT"])
async def test_local_replies_are_envoys(pair: Twins, listener: str) -> None:
    for method, path, header in [("GET", path, header) for path in _PATHS for header in _AS] + [("HEAD", path, "") for path in _PATHS]:
        request = f"{method} /{path} HTTP/1.1\r\nHost: any.org\r\n{header}{CRLF if header else ''}\r\n".encode()
        theirs, ours = [_comparable(await ask(each.ports[listener], request)) for each in (pair.envoy, pair.ours)]
        if path == "status/204" or (method == "HEAD" and path == "away"):
            theirs, ours = _unframed(theirs), _unframed(ours)
        assert ours == theirs, (method, path, header)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("listener", ["MAPPED", "JSON", "TEXT"])
async def test_local_replies_over_http2_are_envoys(pair: Twins, listener: str) -> None:
    paths = [path for path in _PATHS if path not in ("status/204", "dead")]
    requests = [fields("GET", f"/{path}", *more) for path in paths for more in ((), (("content-type", "application/grpc"),))]
    steps = tuple(head(*section, stream=2 * number + 1) for number, section in enumerate(requests))
    theirs, ours = [await talk(each.ports[listener], steps) for each in (pair.envoy, pair.ours)]
    assert ours.streams == theirs.streams
    assert len(theirs.streams) == len(steps)


def _comparable(answer: Answer) -> Answer:
    """Without the date, the transport's own words, and the lengths that they change."""
    kept = tuple(pair for pair in answer.headers if pair[0] != "date" and not (pair[0] == "content-length" and "|" in answer.body))
    headers = tuple((name, _TRANSPORT_REASON.sub("", value)) for name, value in kept)
    return replace(answer, headers=headers, body=_TRANSPORT_REASON.sub("", answer.body))


def _unframed(answer: Answer) -> Answer:
    """Without what describes a body that cannot be (RFC 9110 6.4.1): Envoy says its length, or that it is chunked."""
    return replace(
        answer, headers=tuple(pair for pair in answer.headers if pair[0] not in ("content-length", "content-type", "transfer-encoding"))
    )
