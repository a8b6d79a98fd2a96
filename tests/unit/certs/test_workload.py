"""A workload's identity against a CA that answers, fails and lies on cue, under a clock that only sleeps move."""

import asyncio
from datetime import timedelta

import pytest
from cryptography import x509

from pymesh import tasks
from pymesh.identity import workload_id
from pymesh_certs import keys
from pymesh_certs.errors import CaRefused, CaUnavailable
from pymesh_certs.workload import Policy, SystemClock, WorkloadIdentity

MODEL = workload_id("ml", "model")
HOUR = timedelta(hours=1)


class SteppedClock:
    """A sleep ends at once and moves the clock by its length; the last of `steps` sleeps never ends."""

    def __init__(self, clock):
        self.clock = clock
        self.steps = 1_000
        self.slept = []
        self.stuck = asyncio.Event()

    def now(self):
        return self.clock.now

    async def sleep_until(self, moment):
        self.slept.append((moment - self.clock.now).total_seconds())
        if len(self.slept) >= self.steps:
            self.stuck.set()
            await asyncio.Event().wait()
        self.clock.now = moment


class ScriptedCa:
    """Signs with the authority, unless the script has an error for that attempt."""

    def __init__(self, authority, *script):
        self.authority = authority
        self.script = list(script)
        self.spiffe = MODEL
        self.proofs = []

    async def sign(self, csr_pem, ttl, current):
        self.proofs.append(current)
        if self.script and (error := self.script.pop(0)):
            raise error
        return tuple(self.authority.sign(csr_pem, self.spiffe, ttl))


class Story:
    def __init__(self, authority, clock, *script, steps=1_000, **policy):
        self.ca = ScriptedCa(authority, *script)
        self.clock = SteppedClock(clock)
        self.clock.steps = steps
        self.seen = []
        self.identity = WorkloadIdentity(
            MODEL, self.ca, policy=Policy(**policy), on_change=self.seen.append, clock=self.clock, uniform=lambda low, high: high
        )

    async def run(self):
        """Until the clock stands still."""
        start = tasks.spawn(self.identity.start(), name="start")
        await self.clock.stuck.wait()
        await self.identity.close()
        start.cancel()
        return self.seen


async def test_a_certificate_is_renewed_at_half_its_life_with_jitter(authority, clock):
    story = Story(authority, clock, steps=3, ttl=HOUR)
    first, second, third = await story.run()
    assert story.clock.slept == pytest.approx([0.49 * 3600] * 3, abs=2), "ratio 0.5 and the highest jitter of 0.01: 0.51 is left"
    assert first.not_after < second.not_after < third.not_after


async def test_each_certificate_has_a_key_of_its_own(authority, clock):
    first, second = await Story(authority, clock, steps=2).run()
    assert first.key_pem != second.key_pem
    for bundle in (first, second):
        leaf = x509.load_pem_x509_certificate(bundle.chain_pem)
        assert keys.from_pem(bundle.key_pem, "bundle").public_key() == leaf.public_key()
        assert bundle.roots_pem == authority.root_pem


async def test_a_renewal_shows_the_current_certificate(authority, clock):
    story = Story(authority, clock, steps=2)
    first, _ = await story.run()
    assert story.ca.proofs[0] is None
    assert story.ca.proofs[1].chain_pem == first.chain_pem


async def test_the_held_certificate_is_served_while_the_ca_is_down(authority, clock):
    story = Story(authority, clock, None, *[CaUnavailable("down")] * 10, steps=6, ttl=HOUR)
    (first,) = await story.run()
    assert story.identity.current == first
    assert story.identity.seconds_left > 0


async def test_attempts_back_off_up_to_half_a_minute(authority, clock):
    story = Story(authority, clock, *[CaUnavailable("down")] * 9, steps=9)
    await story.run()
    assert story.clock.slept == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


async def test_the_ca_coming_back_ends_the_back_off(authority, clock):
    story = Story(authority, clock, CaUnavailable("down"), CaRefused("no"), steps=3)
    assert len(await story.run()) == 1
    assert (story.identity.requests, story.identity.failures) == (3, 2)


async def test_a_refused_renewal_is_tried_with_the_token_alone_at_once(authority, clock):
    story = Story(authority, clock, None, CaUnavailable("handshake"), steps=2)
    assert len(await story.run()) == 2
    assert [proof is None for proof in story.ca.proofs] == [True, False, True]
    assert story.identity.failures == 0


async def test_a_renewal_that_fails_both_ways_says_why_in_both(authority, clock, caplog):
    story = Story(authority, clock, None, CaUnavailable("handshake cut"), CaUnavailable("token gone"), steps=2)
    await story.run()
    assert "with the held certificate, handshake cut; with a token, token gone" in caplog.text


async def test_an_expired_certificate_is_not_shown(authority, clock):
    story = Story(authority, clock, None, *[CaUnavailable("down")] * 300, steps=200, ttl=timedelta(minutes=2))
    await story.run()
    assert story.identity.seconds_left < 0
    assert story.ca.proofs[-1] is story.ca.proofs[-2] is None


async def test_an_expired_join_token_is_told_and_its_replacement_is_used(authority, clock, caplog):
    story = Story(authority, clock, CaRefused("UNAUTHENTICATED (has the join token expired?)"), steps=2)
    assert len(await story.run()) == 1
    assert "has the join token expired?" in caplog.text


async def test_a_certificate_for_somebody_else_is_not_served(authority, clock):
    story = Story(authority, clock, steps=1)
    story.ca.spiffe = workload_id("ml", "other")
    assert await story.run() == []
    assert story.identity.failures == 1


async def test_a_certificate_for_another_key_is_not_served(authority, clock, make_csr):
    story = Story(authority, clock, steps=1)
    other = make_csr()

    async def sign(csr_pem, ttl, current):
        return tuple(authority.sign(other, MODEL, ttl))

    story.ca.sign = sign
    assert await story.run() == []


@pytest.mark.parametrize("chain", [("", ""), ("nonsense", "root")])
async def test_what_is_no_certificate_is_not_served(authority, clock, chain):
    story = Story(authority, clock, steps=1)

    async def sign(csr_pem, ttl, current):
        return chain

    story.ca.sign = sign
    assert await story.run() == []


async def test_a_listener_that_fails_does_not_end_the_renewals(authority, clock):
    story = Story(authority, clock, steps=2)
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

    def fail(bundle):
        raise RuntimeError("listener")

    story.identity._on_change = fail
    await story.run()
    assert len(told) == story.identity.requests == 2


async def test_the_first_certificate_is_in_use_when_start_returns(authority, clock):
    story = Story(authority, clock, steps=1)
    await story.identity.start()
    assert story.seen == [story.identity.current]
    await story.identity.close()


async def test_an_rsa_key_is_made_when_asked(authority, clock):
    (bundle,) = await Story(authority, clock, steps=1, rsa_bits=2048).run()
    assert keys.from_pem(bundle.key_pem, "bundle").key_size == 2048


async def test_the_key_stays_out_of_repr_and_log(authority, clock, caplog):
    caplog.set_level(0)
    story = Story(authority, clock, steps=1)
    (bundle,) = await story.run()
    secret = bundle.key_pem.decode().splitlines()[1]
    assert secret not in repr(bundle) + repr(story.identity) + caplog.text


async def test_there_is_nothing_to_serve_before_the_first_certificate(authority, clock):
    identity = Story(authority, clock).identity
    with pytest.raises(LookupError):
        _ = identity.current
    assert identity.seconds_left < 0


async def test_the_machines_clock_does_not_wait_for_a_moment_that_has_passed():
    clock = SystemClock()
    await clock.sleep_until(clock.now() - timedelta(days=1))


async def test_a_suspended_laptop_notices_that_time_went_on(monkeypatch):
    """The loop's timer measures waking time only; the wall clock jumped a day during one slice of sleep."""
    clock, now = SystemClock(), SystemClock().now()
    moments = iter([now, now + timedelta(days=1)])
    slices = []

    async def sleep(seconds):
        slices.append(seconds)

    monkeypatch.setattr(clock, "now", lambda: next(moments), raising=False)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await clock.sleep_until(now + timedelta(hours=12))
    assert slices == [60]
