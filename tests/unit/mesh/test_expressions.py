"""CEL is told from what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh.api.validate.expression import syntax_error


@pytest.mark.parametrize(
    "text",
    [
        "response.code >= 400",
        "has(request.url_path) && request.url_path.startsWith('/a')",
        "connection.mtls || request.headers['x-env'] == \"test\"",
        "response.code == 200 ? 'ok' : 'err'",
        "string(destination.port)",
        "request.time > timestamp('2020-01-01T00:00:00Z') && x in [1, 2u, 3.0, b'4']",
        "filter_state['wasm.upstream_peer'].name.matches('^a.*')",
    ],
)
def test_what_istio_documents_is_taken(text):
    assert syntax_error(text) is None


@pytest.mark.parametrize(("text", "place"), [("1 +", "line 1, column 4"), ("a &&\nb |c", "line 2, column 3"), ("f(", "line 1, column 3")])
def test_the_place_of_the_mistake_is_told(text, place):
    assert place in syntax_error(text)


@given(st.text(st.sampled_from("ab1.'\"\\()[]{}?:,+-*/%<=!&| \n\0\u00fc"), max_size=30))
def test_whatever_a_file_holds_there_is_a_verdict(text):
    assert syntax_error(text) is None or syntax_error(text).startswith("is not an expression in CEL")
