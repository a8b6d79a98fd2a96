"""The formats that are written out as code say what the same text says when it is compiled."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_control.generate.accesslog import ISTIO_TEXT
from pymesh_proxy.http.exchange import Downstream, Exchange
from pymesh_proxy.http.headers import RequestHead, ResponseHead
from pymesh_proxy.observe.format import compile_http
from pymesh_proxy.observe.written_out import ENVOY_DEFAULT, ISTIO_DEFAULT, WRITTEN_OUT
from pymesh_proxy.route.table import DirectReply, Route
from pymesh_proxy.upstream.config import EndpointConfig
from pymesh_proxy.upstream.endpoint import Endpoint

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=8)
raw = st.binary(max_size=8)
names = st.sampled_from(
    [b"x-forwarded-for", b"user-agent", b"x-request-id", b"x-envoy-original-path", b"x-envoy-upstream-service-time", b"x-other"]
)
fields = st.lists(st.tuples(names, raw), max_size=6)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.25)


@st.composite
def exchanges(draw: Any) -> Exchange:
    downstream = Downstream(remote_address=draw(texts), local_address=draw(texts), sni=draw(texts))
    head = RequestHead(draw(raw), draw(raw), draw(raw), draw(fields))
    made = Exchange(downstream, head, draw(st.floats(0, 100)), draw(st.floats(0, 2e9)))
    made.response = ResponseHead(200, draw(fields)) if draw(st.booleans()) else None
    made.endpoint = Endpoint(EndpointConfig(host=draw(texts), port=1), None) if draw(st.booleans()) else None
    made.route = Route(action=DirectReply(status=200), name=draw(texts)) if draw(st.booleans()) else None
    made.status, made.request_bytes, made.response_bytes = draw(st.tuples(*[st.integers(0, 10**12)] * 3))
    for name in ("flags", "details", "upstream_failure", "cluster_name", "upstream_local_address", "remote_address", "protocol"):
        setattr(made, name, draw(texts))
    return made


@settings(max_examples=300, deadline=None)
@given(exchange=exchanges(), text=st.sampled_from(sorted(WRITTEN_OUT)))
def test_a_line_is_the_compiled_one(exchange: Exchange, text: str) -> None:
    assert compile_http(text)(exchange) + "." == compile_http(text + ".")(exchange)


def test_they_are_envoys_and_istios_defaults() -> None:
    assert set(WRITTEN_OUT) == {ENVOY_DEFAULT, ISTIO_DEFAULT}
    assert ISTIO_DEFAULT == ISTIO_TEXT
    assert compile_http(ISTIO_DEFAULT) is WRITTEN_OUT[ISTIO_DEFAULT]
