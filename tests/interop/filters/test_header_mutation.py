"""The filter `header_mutation` in a real Envoy and in ours: what the server gets, and what the client gets."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.connections.twins import Twins, twins
from tests.interop.differential.upstream import Upstream
from tests.interop.differential.wire import ask

_KIND = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3"


def _add(name: str, value: str, action: str = "APPEND_IF_EXISTS_OR_ADD", more: str = "") -> str:
    return f"{{append: {{header: {{key: {name}, value: '{value}'}}, append_action: {action}{more}}}}}"


def _who(word: str, last: bool) -> str:
    name = "last" if last else "first"
    said = _add("x-who", word, "OVERWRITE_IF_EXISTS_OR_ADD")
    return f"{name}: {{'@type': {_KIND}.HeaderMutationPerRoute, mutations: {{request_mutations: [{said}], response_mutations: [{said}]}}}}"


_REQUEST = ", ".join([
    "{remove: X-Gone}", _add("x-gone", "back", "ADD_IF_ABSENT"), _add("x-copy", "%REQ(x-gone)%"), _add("x-there", "more"),
    _add("x-there", "no", "ADD_IF_ABSENT"), _add("x-absent", "no", "OVERWRITE_IF_EXISTS"), _add("x-replaced", "new", "OVERWRITE_IF_EXISTS"),
    _add("x-empty", ""), _add("x-kept", "", more=", keep_empty_value: true"), _add("x-none", "%REQ(x-nobody)%"),
])  # fmt: skip
_RESPONSE = ", ".join([
    "{remove: X-Secret}", _add("x-code", "%RESPONSE_CODE%"), _add("x-asked", "%REQ(x-copy)%"), _add("x-code", "7", "OVERWRITE_IF_EXISTS"),
    _add("x-secret", "no", "OVERWRITE_IF_EXISTS"), _add("x-asked", "again"),
])  # fmt: skip
_BOOTSTRAP = f"""
static_resources:
  listeners:
  - name: web
    address: {{socket_address: {{address: 127.0.0.1, port_value: $WEB}}}}
    filter_chains:
    - filters:
      - name: h
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: p
          http_filters:
          - name: first
            typed_config:
              "@type": {_KIND}.HeaderMutation
              mutations: {{request_mutations: [{_REQUEST}], response_mutations: [{_RESPONSE}]}}
          - {{name: last, typed_config: {{"@type": {_KIND}.HeaderMutation, most_specific_header_mutations_wins: true}}}}
          - {{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
          route_config:
            virtual_hosts:
            - name: first
              domains: [first.test]
              typed_per_filter_config: {{{_who("host", last=False)}}}
              routes: [{{match: {{prefix: /}}, route: {{cluster: up}}, typed_per_filter_config: {{{_who("route", last=False)}}}}}]
            - name: last
              domains: [last.test]
              typed_per_filter_config: {{{_who("host", last=True)}}}
              routes:
              - {{match: {{prefix: /direct}}, direct_response: {{status: 418, body: {{inline_string: tea}}}}}}
              - {{match: {{prefix: /}}, route: {{cluster: up}}, typed_per_filter_config: {{{_who("route", last=True)}}}}}
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: up}}}}]}}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: $UP}}}}}}}}]}}]
"""
CASES = {
    "none of them there": ("a", "/", ""),
    "all of them there": ("a", "/", "x-gone: 1\r\nx-there: 1\r\nx-absent: 1\r\nx-replaced: old\r\nx-empty: 1\r\n"),
    "several of a name": ("a", "/", "x-gone: 1\r\nx-gone: 2\r\nx-replaced: 1\r\nx-replaced: 2\r\n"),
    "the least specific wins": ("first.test", "/", ""),
    "the most specific wins": ("last.test", "/", ""),
    "an answer of the configuration": ("last.test", "/direct", ""),
}


_THEIR_OWN = frozenset({"date", "x-envoy-upstream-service-time", "connection", "content-length", "x-request-id"})
"""What differs with every request, or with what so differs."""


def _upstream_saw(body: str) -> object:
    """The headers of the request, which the server tells; a body that is not the server's stays what it is."""
    if not body.startswith("{"):
        return body
    return sorted((name.lower(), value) for name, value in json.loads(body)["headers"] if name.lower() not in _THEIR_OWN)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async with Upstream() as upstream, twins(tmp_path_factory.mktemp("mutation"), _BOOTSTRAP, "WEB", UP=upstream.port) as both:
        yield both


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CASES)
async def test_headers_are_edited_as_in_envoy(pair: Twins, name: str) -> None:
    host, path, headers = CASES[name]
    seen = []
    for each in (pair.envoy, pair.ours):
        answer = await ask(each.ports["WEB"], f"GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n".encode())
        down = sorted(field for field in answer.headers if field[0] not in _THEIR_OWN)
        seen.append((answer.status, down, _upstream_saw(answer.body)))
    theirs, ours = seen
    assert ours == theirs
