"""When an application is ready, against a slow model."""

from hypothesis import given
from hypothesis import strategies as st

from pymesh.readiness.judge import Judge


def as_told(results, successes, failures):
    """What holds after each result: a look back over all of them."""
    ready, since, held = False, 0, []
    for index in range(len(results)):
        wanted = failures if ready else successes
        last = results[max(since, index + 1 - wanted) : index + 1]
        if len(last) == wanted and all(one is not ready for one in last):
            ready, since = not ready, index + 1
        held.append(ready)
    return held


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_so_many_in_a_row_change_what_holds(results, successes, failures):
    judge, before = Judge(successes, failures), False
    for good, expected in zip(results, as_told(results, successes, failures), strict=True):
        assert judge.judge(good=good) is (expected is not before)
        assert judge.ready is expected
        before = expected
