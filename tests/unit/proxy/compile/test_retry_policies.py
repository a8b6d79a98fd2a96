import pytest
import yaml

from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.http.headers import RequestHead, ResponseHead
from pymesh_proxy.route.retry_policy import RateLimitedBackOff
from pymesh_proxy.upstream.avoided import Avoided
from pymesh_proxy.upstream.cluster import Endpoint
from pymesh_proxy.upstream.config import EndpointConfig

HOSTS = "type.googleapis.com/envoy.extensions.retry.host."

PREVIOUS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
}


def message(route_policy=None, host_policy=None):
    action = {"cluster": "up", **({"retry_policy": route_policy} if route_policy is not None else {})}
    host = {"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}
    return yaml.safe_dump({"name": "r", "virtual_hosts": [{**host, **({"retry_policy": host_policy} if host_policy is not None else {})}]})


@pytest.fixture
def policy(parse):
    def compile_it(*args):
        return compile_routes(parse("routes", message(*args))).match(RequestHead(b"GET", b"/", b"a", []), 0).action.retry

    return compile_it


def test_istios_default_policy_is_read(policy):
    retry_on = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    found = policy(
        {
            "retry_on": retry_on,
            "num_retries": 2,
            "retriable_status_codes": [503],
            "host_selection_retry_max_attempts": 5,
            "retry_host_predicate": [PREVIOUS],
        }
    )
    assert found.conditions == set(retry_on.split(","))
    assert (found.num_retries, found.status_codes, found.host_selection_attempts, found.avoid_previous_hosts) == (2, {503}, 5, True)
    assert (found.base_interval, found.max_interval, found.per_try_timeout) == (0.025, 0.25, 0.0)


def test_unknown_tokens_are_left_out_one_by_one(policy):
    assert policy({"retry_on": " 5xx , 503,nonsense,reset"}).conditions == {"5xx", "reset"}
    assert policy({"retry_on": "nonsense"}) is None


def test_one_retry_is_the_default_and_none_can_be_asked_for(policy):
    assert policy({"retry_on": "5xx"}).num_retries == 1
    assert policy({"retry_on": "5xx", "num_retries": 0}).num_retries == 0


def test_the_longest_back_off_is_ten_times_the_base(policy):
    found = policy({"retry_on": "5xx", "retry_back_off": {"base_interval": "0.1s"}})
    assert (found.base_interval, found.max_interval) == (0.1, 1.0)


def test_a_route_without_a_policy_takes_the_virtual_hosts(policy):
    assert policy(None, {"retry_on": "reset"}).conditions == {"reset"}
    assert policy({"retry_on": "5xx"}, {"retry_on": "reset"}).conditions == {"5xx"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"retry_back_off": {"base_interval": "1s", "max_interval": "0.5s"}}, "retry_back_off.max_interval"),
        ({"retry_back_off": {"base_interval": "0s"}}, "retry_back_off.base_interval"),
        ({"retriable_headers": [{"name": "x", "range_match": {}, "invert_match": True}, {}]}, "retriable_headers[1].name"),
        ({"retry_priority": {"name": "x"}}, "retry_priority.typed_config"),
        ({"retry_priority": PREVIOUS}, "retry_priority.typed_config"),
        ({"retry_options_predicates": [PREVIOUS]}, "retry_options_predicates"),
        ({"rate_limited_retry_back_off": {}}, "rate_limited_retry_back_off.reset_headers"),
        ({"retry_host_predicate": [{"name": "other"}]}, "retry_host_predicate[0].typed_config"),
    ],
)
def test_what_cannot_be_honoured_is_refused(parse, problems, wrong, field):
    found = problems(compile_routes, parse("routes", message({"retry_on": "5xx", **wrong})))
    assert set(found) == {f"virtual_hosts[0].routes[0].route.retry_policy.{field}"}


def test_a_policy_without_conditions_only_times_its_tries(policy):
    found = policy({"per_try_timeout": "1s", "per_try_idle_timeout": "2s", "retry_on": "http3-post-connect-failure"})
    assert (found.enabled, found.timed, found.per_try_timeout, found.per_try_idle_timeout) == (False, True, 1.0, 2.0)


def test_headers_of_answers_and_requests_are_matched(policy):
    matchers = [{"name": "X-Again", "string_match": {"prefix": "y"}}, {"name": ":status", "range_match": {"start": 410, "end": 412}}]
    found = policy({"retry_on": "retriable-headers", "retriable_headers": matchers, "retriable_request_headers": matchers[:1]})
    answers = [ResponseHead(200, [(b"x-again", b"yes")]), ResponseHead(411, []), ResponseHead(412, [(b"x-again", b"no")])]
    assert [any(test(answer) for test in found.headers) for answer in answers] == [True, True, False]
    assert [test(RequestHead(b"GET", b"/", b"a", [(b"x-again", b"yes")])) for test in found.request_headers] == [True]


def test_an_upstream_may_say_when_it_wants_to_be_asked_again(policy):
    headers = [{"name": "Retry-After"}, {"name": "x-reset", "format": "UNIX_TIMESTAMP"}]
    found = policy({"retry_on": "5xx", "rate_limited_retry_back_off": {"reset_headers": headers, "max_interval": "9s"}})
    assert found.rate_limited == RateLimitedBackOff(headers=((b"retry-after", False), (b"x-reset", True)), max_interval=9.0)


def test_endpoints_can_be_avoided_for_what_they_are(policy):
    canaries = {"name": "c", "typed_config": {"@type": HOSTS + "omit_canary_hosts.v3.OmitCanaryHostsPredicate"}}
    labels = {"filter_metadata": {"envoy.lb": {"zone": "a", "old": True}}}
    labelled = {"name": "m", "typed_config": {"@type": HOSTS + "omit_host_metadata.v3.OmitHostMetadataConfig", "metadata_match": labels}}
    found = policy({"retry_on": "5xx", "retry_host_predicate": [PREVIOUS, canaries, labelled]})
    tried, canary, old, other = (
        Endpoint(EndpointConfig(host=f"10.0.0.{number}", port=80, labels=labels), None)
        for number, labels in enumerate(((), (("canary", "True"),), (("old", "True"), ("zone", "a")), (("zone", "a"),)))
    )
    avoided = Avoided(found, [tried])
    assert [endpoint in avoided for endpoint in (tried, canary, old, other)] == [True, True, True, False]


def test_retries_may_leave_out_priorities(policy):
    previous = {
        "name": "p",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 2,
        },
    }
    assert policy({"retry_on": "5xx", "retry_priority": previous}).priority_update == 2
