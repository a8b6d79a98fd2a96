from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.errors import Cause
from pymesh_proxy.http.try_times import TryTimes
from pymesh_proxy.wheel import NEVER

durations = st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0])
moments = st.floats(0, 20)


@settings(deadline=None)
@given(durations, durations, durations, st.none() | moments, moments, moments, st.booleans())
def test_an_attempt_is_over_at_its_first_limit(timeout, idle, longest, complete, active, now, answered):
    """Against the sentences: from the request's end, from the last sign of life after it, from the connection."""
    times = TryTimes(timeout=timeout, idle=idle, longest=longest, now=0.0)
    if complete is not None:
        times.complete(complete)
    if answered:
        times.answered()
    ends = {
        Cause.PER_TRY_TIMEOUT: complete + timeout if timeout and complete is not None and not answered else NEVER,
        Cause.UPSTREAM_DURATION: longest or NEVER,
        Cause.PER_TRY_IDLE: max(active, complete) + idle if idle and complete is not None else NEVER,
    }
    assert times.deadline(active) == min(ends.values())
    over = times.over(now, active)
    assert (over is None) is (min(ends.values()) > now)
    assert over is None or ends[over] <= now
