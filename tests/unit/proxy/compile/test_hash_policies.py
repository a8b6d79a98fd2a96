"""Hash policies: what is read of a request, and how several become one number."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.http.exchange import Downstream, Exchange
from pymesh_proxy.http.headers import RequestHead, ResponseHead
from pymesh_proxy.route.hashing import combined, hand_out, ip_hash
from pymesh_proxy.upstream.balancing.hashes import xx_hash


def table(parse, policies):
    route = {"match": {"prefix": "/"}, "route": {"cluster": "up", "hash_policy": yaml.safe_load(policies)}}
    hosts = [{"name": "v", "domains": ["*"], "routes": [route]}]
    return parse("routes", yaml.safe_dump({"name": "r", "virtual_hosts": hosts}))


def forward(parse, action):
    hosts = [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}]
    return compile_routes(parse("routes", yaml.safe_dump({"name": "r", "virtual_hosts": hosts}))).match(request().head, 0).action


@pytest.fixture
def key(parse):
    """The key that a request gets from some policies."""

    def read(policies, exchange):
        route = compile_routes(table(parse, policies)).match(exchange.head, 0)
        return route.action.hashing and route.action.hashing(exchange)

    return read


def request(*headers, path=b"/", remote="192.0.2.7:4000"):
    head = RequestHead(b"GET", path, b"a.com", [(b"Host", b"a.com"), *headers])
    return Exchange(Downstream(remote_address=remote, local_address="192.0.2.1:80"), head, 0.0, 0.0)


@pytest.mark.parametrize(
    ("policies", "exchange", "hashed"),
    [
        ("[{header: {header_name: X-User}}]", request((b"x-user", b"ann")), b"ann"),
        ("[{header: {header_name: x-user}}]", request((b"x-user", b"")), b""),
        ("[{header: {header_name: x-user}}]", request(), None),
        ("[{header: {header_name: ':authority'}}]", request(), b"a.com"),
        ("[{header: {header_name: x, regex_rewrite: {pattern: {regex: '[0-9]'}, substitution: n}}}]", request((b"x", b"a1b2")), b"anbn"),
        ("[{cookie: {name: s}}]", request((b"cookie", b"s=1")), b"1"),
        ("[{cookie: {name: s}}]", request(), None),
        ("[{query_parameter: {name: u}}]", request(path=b"/?a&u=%20&u=2"), b"%20"),
        ("[{query_parameter: {name: u}}]", request(path=b"/?u"), b""),
        ("[{query_parameter: {name: u}}]", request(path=b"/u=1"), None),
        ("[{connection_properties: {source_ip: true}}]", request(), b"192.0.2.7"),
        ("[{connection_properties: {source_ip: true}}]", request(remote="[2001:db8::1]:1"), b"2001:db8::1"),
        ("[{connection_properties: {source_ip: true}}]", request(remote="/run/client.sock"), None),
    ],
)
def test_a_policy_hashes_the_bytes_that_came(key, policies, exchange, hashed):
    assert key(policies, exchange) == (None if hashed is None else xx_hash(hashed))


def test_policies_that_read_nothing_are_none(key):
    assert key("[{connection_properties: {}}]", request()) is None
    assert key("[]", request()) is None


def test_lines_of_a_header_are_a_chain_in_sorted_order(key):
    policies = "[{header: {header_name: x}}]"
    chained = xx_hash(b"b", xx_hash(b"a"))
    assert key(policies, request((b"x", b"a"), (b"X", b"b"))) == key(policies, request((b"x", b"b"), (b"x", b"a"))) == chained


@settings(deadline=None)
@given(st.lists(st.tuples(st.none() | st.integers(0, 2**64 - 1), st.booleans()), max_size=6))
def test_hashes_are_rotated_and_mixed_until_a_terminal_policy(policies):
    wanted = None
    for value, terminal in policies:
        if value is not None:
            bits = f"{wanted or 0:064b}"
            wanted = int(bits[1:] + bits[0], 2) ^ value
        if terminal and wanted is not None:
            break
    made = combined([(lambda exchange, value=value: value, terminal) for value, terminal in policies])
    assert made(request()) == wanted


def test_a_new_cookie_is_the_same_for_a_connection_and_goes_out_once(key):
    policies = "[{cookie: {name: s, ttl: 60.9s, path: /p, attributes: [{name: Secure}, {name: SameSite, value: Lax}]}}]"
    exchange = request((b"cookie", b"s="))
    value = f"{xx_hash(b'192.0.2.7:4000192.0.2.1:80'):016x}"
    assert key(policies, exchange) == xx_hash(value.encode())
    response = ResponseHead(200, [(b"set-cookie", b"own=1")])
    hand_out(exchange, response)
    line = f'{"s"}="{value}"; Max-Age=60; Path=/p; Secure; SameSite=Lax; HttpOnly'.encode()
    assert response.get_all(b"set-cookie") == [b"own=1", line]
    known = request((b"cookie", b"s=" + value.encode()))
    assert key(policies, known) == xx_hash(value.encode())
    untouched = ResponseHead(200, [])
    hand_out(known, untouched)
    assert untouched.fields == []


def test_an_address_hashes_without_its_port():
    assert ip_hash("10.0.0.1:80") == ip_hash("10.0.0.1:81") == xx_hash(b"10.0.0.1")


@pytest.mark.parametrize(
    ("lines", "target"),
    [
        ([b"29"], "a"),
        ([b" +130 "], "b"),
        ([b"18446744073709551615"], "a"),
        ([b"18446744073709551616"], None),
        ([b"1", b"1"], None),
        ([b"x"], None),
    ],
)
def test_a_header_can_hold_the_number_that_decides_among_weights(parse, lines, target):
    weighted = {"clusters": [{"name": "a", "weight": 30}, {"name": "b", "weight": 70}], "header_name": "x-n"}
    draws = forward(parse, {"weighted_clusters": weighted}).draws
    drawn = draws(request(*((b"x-n", line) for line in lines)))
    assert target == (None if drawn is None else forward(parse, {"weighted_clusters": weighted}).choose(drawn).cluster)


def test_the_hash_can_decide_among_weights_and_then_makes_no_cookie(parse):
    weighted = {"clusters": [{"name": "a", "weight": 30}, {"name": "b", "weight": 70}], "use_hash_policy": True}
    policies = [{"header": {"header_name": "x"}}, {"cookie": {"name": "s", "ttl": "1s"}}]
    draws = forward(parse, {"weighted_clusters": weighted, "hash_policy": policies}).draws
    assert draws(request((b"x", b"1"))) == xx_hash(b"1")
    exchange = request()
    assert draws(exchange) is None
    assert exchange.notes is None


@pytest.mark.parametrize(
    ("policies", "field"),
    [
        ("[{filter_state: {key: a}}]", "hash_policy[0].filter_state"),
        ("[{header: {header_name: ''}}]", "hash_policy[0].header.header_name"),
        ("[{header: {header_name: a, regex_rewrite: {pattern: {regex: '('}, substitution: ''}}}]", "regex_rewrite.pattern.regex"),
        ("[{cookie: {name: a}}, {cookie: {name: ''}}]", "hash_policy[1].cookie.name"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(parse, problems, policies, field):
    assert any(path.endswith(field) for path in problems(compile_routes, table(parse, policies)))
