import pytest
import yaml

from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.http.exchange import Downstream, Exchange
from pymesh_proxy.http.headers import RequestHead


@pytest.fixture
def edited(parse):
    """The header lines of a request after the mutations of a table's one route, in the order in which they are run."""

    def run(*, table=None, host=None, route=None, cluster=None, headers=()):
        action = {"weighted_clusters": {"clusters": [{"name": "up", "weight": 1, **(cluster or {})}]}}
        routes = [{"match": {"prefix": "/"}, "route": action, **(route or {})}]
        message = {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes, **(host or {})}], **(table or {})}
        request = RequestHead(b"GET", b"/", b"a.com", [(name.encode(), value.encode()) for name, value in headers])
        exchange = Exchange(Downstream(remote_address="", local_address=""), request, 0.0, 0.0)
        found = compile_routes(parse("routes", yaml.safe_dump(message))).match(request, 0)
        for edit in (found.action.choose(0).edit_request, found.edit_request):
            if edit is not None:
                edit(exchange)
        return [(name.decode(), value.decode()) for name, value in request.fields]

    return run


def add(value, name="x-a", **options):
    return {"request_headers_to_add": [{"header": {"key": name, "value": value}, **options}]}


LEVELS = {"table": add("table"), "host": add("host"), "route": add("route"), "cluster": add("cluster")}


def test_the_most_specific_level_is_written_first(edited):
    assert [value for _, value in edited(**LEVELS)] == ["cluster", "route", "host", "table"]


def test_the_most_specific_level_can_be_told_to_win(edited):
    levels = {**LEVELS, "table": {**add("table"), "most_specific_header_mutations_wins": True}}
    assert [value for _, value in edited(**levels)] == ["table", "host", "route", "cluster"]


def test_without_mutations_a_route_has_no_edit(edited):
    assert edited(headers=[("X", "1")]) == [("X", "1")]


def test_removal_comes_before_addition(edited):
    route = {**add("new"), "request_headers_to_remove": ["X-A"]}
    assert edited(route=route, headers=[("X-A", "old"), ("X-a", "older")]) == [("x-a", "new")]


@pytest.mark.parametrize(
    ("action", "present", "absent"),
    [
        ("APPEND_IF_EXISTS_OR_ADD", ["old", "new"], ["new"]),
        ("ADD_IF_ABSENT", ["old"], ["new"]),
        ("OVERWRITE_IF_EXISTS_OR_ADD", ["new"], ["new"]),
        ("OVERWRITE_IF_EXISTS", ["new"], []),
    ],
)
def test_append_actions(edited, action, present, absent):
    route = add("new", append_action=action)
    assert [value for _, value in edited(route=route, headers=[("X-A", "old")])] == present
    assert [value for _, value in edited(route=route)] == absent


def test_the_older_append_false_overwrites(edited):
    assert edited(route=add("new", append=False), headers=[("X-A", "old")]) == [("x-a", "new")]


def test_an_empty_value_is_skipped_unless_it_is_kept(edited):
    assert edited(route=add("")) == []
    assert edited(route=add("", keep_empty_value=True)) == [("x-a", "")]


def test_a_doubled_percent_sign_is_one(edited):
    assert edited(route=add("100%%")) == [("x-a", "100%")]


def test_a_weighted_cluster_can_rewrite_the_host(edited):
    lines = edited(cluster={"host_rewrite_literal": "new.com"}, headers=[("Host", "a.com")])
    assert lines == [("Host", "new.com")], "the old host is not kept, as in Envoy"


@pytest.mark.parametrize("name", [":path", "host", "Host"])
def test_the_request_line_and_the_host_may_not_be_touched(parse, problems, name):
    host = {"name": "v", "domains": ["*"], **add("x", name=name), "response_headers_to_remove": [name]}
    found = problems(compile_routes, parse("routes", yaml.safe_dump({"name": "r", "virtual_hosts": [host]})))
    assert set(found) == {"virtual_hosts[0].request_headers_to_add[0].header.key", "virtual_hosts[0].response_headers_to_remove[0]"}


def test_a_value_cannot_end_its_line(parse, problems):
    message = {"name": "r", **add("a\r\nx-evil: 1")}
    assert set(problems(compile_routes, parse("routes", yaml.safe_dump(message)))) == {"request_headers_to_add[0].header.value"}


def test_a_value_can_read_the_request(edited):
    assert edited(route=add("%REQ(:METHOD)% %REQ(X-B?X-C)%"), headers=[("x-c", "2")])[-1] == ("x-a", "GET 2")


@pytest.mark.parametrize("value", ["%NONSENSE%", "50%"])
def test_an_unknown_operator_is_refused_at_its_value(parse, problems, value):
    message = {"name": "r", **add(value)}
    assert set(problems(compile_routes, parse("routes", yaml.safe_dump(message)))) == {"request_headers_to_add[0].header.value"}
