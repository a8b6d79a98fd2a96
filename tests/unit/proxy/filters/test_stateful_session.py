"""Sessions that stay with an endpoint: what a cookie holds, until when, and what is counted. Envoys compare in interop/filters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh_proxy.errors import ConfigError
from pymesh_proxy.filters.services import Services
from pymesh_proxy.filters.session_cookie import decoded, encoded
from pymesh_proxy.filters.stateful_session import CookieState
from pymesh_proxy.route.cookies import NewCookie
from pymesh_proxy.upstream.config import EndpointConfig
from pymesh_proxy.upstream.endpoint import Endpoint

from .conftest import answer, chain_of, exchange, head, typed

STATES = "type.googleapis.com/envoy.extensions.http.stateful_session."
COOKIE = {"@type": f"{STATES}cookie.v3.CookieBasedSessionState", "cookie": {"name": "sticky"}}


def session(state=COOKIE, **fields):
    return typed("stateful_session.v3.StatefulSession", session_state={"name": "s", "typed_config": state}, stat_prefix="own", **fields)


@given(address=st.from_regex(r"[0-9.:\[\]a-f]{1,40}", fullmatch=True), expires=st.integers(0, 2**64 - 1))
def test_what_is_written_is_read(address, expires):
    assert decoded(encoded(address, expires)) == (address, expires)


@given(st.binary(max_size=40))
def test_whatever_a_client_brings_along_is_read_as_some_address(data):
    address, expires = decoded(data)
    assert len(address) <= len(data)
    assert expires >= 0


@pytest.mark.parametrize(("now", "found"), [(1060.9, "10.0.0.1:80"), (1061.0, "")])
def test_a_cookie_holds_for_its_time_to_live(now, found):
    clock = [1000.5]
    state = CookieState(NewCookie(name="sticky", ttl=60), lambda: clock[0])
    told = answer()
    state.write(told, "10.0.0.1:80")
    (line,) = told.get_all(b"set-cookie")
    clock[0] = now
    assert state.read(head(cookie=line.partition(b";")[0].decode())) == found


def counts(services):
    return {name: value for one in services.counts for name, value in one.values() if value}


@pytest.mark.parametrize(
    ("strict", "facts", "counted"),
    [
        (True, {"flags": "UH"}, {"failed_closed": 1}),
        (False, {"flags": "UH"}, {}),
        (True, {"endpoint": Endpoint(EndpointConfig(host="10.0.0.1", port=80), None)}, {}),
        (False, {"endpoint": Endpoint(EndpointConfig(host="10.0.0.1", port=80), None)}, {"failed_open": 1}),
    ],
)
def test_what_became_of_a_session_is_counted(strict, facts, counted):
    services = Services()
    (made,) = chain_of(services, session=session(strict=strict)).default
    ended = exchange(head(), response=answer(), **facts)
    made.on_request(ended)
    made.on_response(ended)
    assert counts(services) == counted


def test_a_request_without_sessions_is_counted_where_it_reaches_an_endpoint():
    services = Services()
    (made,) = chain_of(services, session=session(COOKIE | {"cookie": {"name": "sticky", "path": "/in"}})).default
    for facts in ({}, {"endpoint": Endpoint(EndpointConfig(host="10.0.0.1", port=80), None)}):
        ended = exchange(head(path=b"/out"), response=answer(), **facts)
        made.on_request(ended)
        made.on_response(ended)
    assert counts(services) == {"no_session": 1}


@pytest.mark.parametrize(
    "state",
    [
        {"@type": f"{STATES}cookie.v3.CookieBasedSessionState"},
        {"@type": f"{STATES}cookie.v3.CookieBasedSessionState", "cookie": {"name": ""}},
        {"@type": f"{STATES}header.v3.HeaderBasedSessionState"},
        typed("cors.v3.Cors"),
    ],
)
def test_a_state_that_nothing_can_carry_is_refused(state):
    with pytest.raises(ConfigError):
        chain_of(Services(), session=session(state))
