"""Tests of an answer's head: a HeaderMatcher, and a MatchPredicate of them."""

from ..http.headers import RequestHead, ResponseHead
from ..route.retry_policy import AnswerTest
from .fields import Reader
from .route_match import header


def answer_test(item: Reader) -> AnswerTest:
    """A HeaderMatcher over an answer: a request's matcher, which finds the answer's headers, and its status by the name `:status`."""
    match = header(item)

    def test(response: ResponseHead) -> bool:
        fields = [*response.fields, (b":status", b"%d" % response.status)]
        return match(RequestHead(b"", b"", b"", fields), 0)

    return test


def answer_predicate(reader: Reader) -> AnswerTest:
    """A MatchPredicate that is asked when an answer's head is there. Rules about anything else could never hold then, and are refused."""
    reader.only("or_match", "and_match", "not_match", "any_match", "http_response_headers_match")
    message = reader.message
    which = reader.which("rule")
    inner = reader.child(which) if which in ("or_match", "and_match", "not_match", "http_response_headers_match") else None
    if inner is None:
        return lambda response: bool(message.any_match)
    if which == "not_match":
        opposite = answer_predicate(inner)
        return lambda response: not opposite(response)
    if which == "http_response_headers_match":
        inner.only("headers")
        tests = [answer_test(item) for item in inner.items("headers")]
    else:
        inner.only("rules")
        tests = [answer_predicate(item) for item in inner.items("rules")]
    combine = any if which == "or_match" else all
    return lambda response: combine(test(response) for test in tests)
