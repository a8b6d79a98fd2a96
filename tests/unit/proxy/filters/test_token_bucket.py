"""Token buckets against a model that counts in whole fractions."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.filters.descriptors import Descriptor
from pymesh_proxy.filters.local_ratelimit import Buckets
from pymesh_proxy.filters.token_bucket import TokenBucket

EIGHTHS = st.integers(0, 400).map(lambda value: Fraction(value, 8))  # exact as floats, so that the model and the bucket can agree


class Model:
    """As the text of the bucket says it: every moment adds a little, up to the capacity."""

    def __init__(self, capacity, per_fill, interval):
        self.capacity = self.tokens = Fraction(capacity)
        self.rate = Fraction(per_fill) / interval

    def pass_time(self, seconds):
        self.tokens = min(self.capacity, self.tokens + seconds * self.rate)

    def take(self, wanted):
        if self.tokens < wanted:
            return False
        self.tokens -= wanted
        return True


@given(
    st.integers(1, 6),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([Fraction(1, 4), Fraction(1), Fraction(2)]),
    st.lists(st.tuples(EIGHTHS, st.integers(1, 3)), max_size=40),
)
@settings(deadline=None)
def test_a_bucket_gives_what_the_model_gives(capacity, per_fill, interval, steps):
    bucket, model = TokenBucket(capacity, per_fill, float(interval)), Model(capacity, per_fill, interval)
    now = Fraction(1000)
    for passed, wanted in steps:
        now += passed
        model.pass_time(passed)
        assert bucket.tokens(float(now)) == model.tokens
        assert bucket.wait(float(now)) == max(0, 1 - model.tokens) / model.rate
        assert bucket.take(float(now), wanted) is model.take(wanted)


@given(st.integers(1, 5), st.lists(st.floats(0, 3), max_size=60))
@settings(deadline=None)
def test_never_more_is_given_than_the_capacity_and_what_time_makes(capacity, pauses):
    bucket = TokenBucket(capacity, 1, 0.7)
    now = given_out = 0.0
    for pause in pauses:
        now += pause
        given_out += bucket.take(now)
        assert given_out <= capacity + now / 0.7 + 1e-6


ENTRIES = ("a", "b", "c")


@given(st.lists(st.lists(st.sampled_from(ENTRIES), max_size=3, unique=True), max_size=30), st.booleans())
@settings(deadline=None)
def test_slow_buckets_are_asked_first_and_the_default_one_last(requests, takes_both):
    sizes = {"a": (3, 1), "b": (2, 3), "c": (4, 2)}
    buckets = Buckets(
        TokenBucket(6, 1, 1000.0),
        {((name, "1"),): TokenBucket(size, rate, 1000.0) for name, (size, rate) in sizes.items()},
        takes_both=takes_both,
    )
    left = {"": 6} | {name: size for name, (size, _) in sizes.items()}
    for names in requests:
        descriptors = [Descriptor(((name, "1"),)) for name in names] + [Descriptor((("unknown", "1"),))]
        asked = sorted(names, key=lambda name: sizes[name][1]) + ([""] if takes_both or not names else [])
        passes, decided = True, (asked or [""])[0]
        for name in asked:
            if not left[name]:
                passes, decided = False, name
                break
            left[name] -= 1
        found, bucket = buckets.take(descriptors, 0.0)
        assert found is passes
        assert bucket is not None
        assert bucket.capacity == (sizes[decided][0] if decided else 6)


@given(st.integers(1, 4), st.integers(1, 5))
@settings(deadline=None)
def test_workers_give_out_a_part_each_but_never_nothing(workers, capacity):
    each = [Buckets(TokenBucket(capacity, 1, 1000.0), {}) for _ in range(workers)]
    passed = sum(buckets.take([], 0.0, workers)[0] for buckets in each for _ in range(capacity + 1))
    assert workers * max(1, capacity // workers) == passed


def test_hits_that_no_bucket_can_hold_never_pass():
    buckets = Buckets(None, {(("a", "1"),): TokenBucket(3, 1, 1.0)})
    assert buckets.take([Descriptor((("a", "1"),), 4)], 0.0)[0] is False
    assert buckets.take([Descriptor((("a", "1"),), 3)], 0.0)[0] is True
