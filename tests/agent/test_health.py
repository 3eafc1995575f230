"""The breaker and the figures: what opens it, what closes it, what is kept over a restart."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.events import BreakerClosed, BreakerHalfOpened, BreakerOpened, Event
from uniwizard.agent.core.failures import HANDLING, FailureCode, Opens
from uniwizard.agent.health.breaker import Health, State


class Kept:
    """A health on a clock of its own."""

    def __init__(self, **settings: Any):
        self.now = 1_000_000.0
        self.events: list[Event] = []
        backend = Backend("a", "openai", "http://127.0.0.1", "m", **({"allowed_fails": 2} | settings))
        self.health = Health(backend, lambda: self.now, self.events.append)

    def heard(self) -> list[type]:
        return [type(event) for event in self.events]


@pytest.mark.parametrize("failure", [f for f in FailureCode if HANDLING[f].opens is Opens.AFTER_ALLOWED_FAILS])
def test_a_failure_that_counts_opens_the_breaker_once_more_than_allowed(failure: FailureCode) -> None:
    kept = Kept()
    for _ in range(2):
        kept.health.failed(failure, "x")
    assert kept.health.available() == ""
    kept.health.failed(failure, "x")
    assert kept.health.state is State.OPEN
    assert kept.health.available().startswith("breaker open for 60 s more")


@pytest.mark.parametrize("failure", [f for f in FailureCode if HANDLING[f].opens is Opens.NEVER])
def test_a_failure_that_is_not_the_backends_fault_never_opens_it(failure: FailureCode) -> None:
    kept = Kept(allowed_fails=0)
    for _ in range(50):
        kept.health.failed(failure, "x")
    assert kept.health.state is State.CLOSED
    assert kept.health.reliability() == 1.0


def test_no_allowed_fails_means_the_first_one_opens_it() -> None:
    kept = Kept(allowed_fails=0)
    kept.health.failed(FailureCode.TIMEOUT, "x")
    assert kept.health.state is State.OPEN


def test_an_answer_in_between_starts_the_count_again() -> None:
    kept = Kept()
    for _ in range(5):
        kept.health.failed(FailureCode.TIMEOUT, "x")
        kept.health.failed(FailureCode.TIMEOUT, "x")
        kept.health.succeeded(1.0)
    assert kept.health.state is State.CLOSED


def test_the_breaker_goes_through_its_positions_and_tells_each_once() -> None:
    kept = Kept(allowed_fails=0)
    kept.health.failed(FailureCode.OVERLOADED, "503")
    kept.now += 60
    for _ in range(3):
        kept.health.available()
    kept.health.begin()
    kept.health.succeeded(1.0)
    kept.health.end()
    assert kept.heard() == [BreakerOpened, BreakerHalfOpened, BreakerClosed]
    opened = kept.events[0]
    assert isinstance(opened, BreakerOpened)
    assert (opened.reason, opened.until) == ("overloaded: 503", 1_000_060.0)


def test_half_open_admits_one_probe() -> None:
    kept = Kept(allowed_fails=0)
    kept.health.failed(FailureCode.OVERLOADED, "503")
    kept.now += 60
    assert kept.health.available() == ""
    kept.health.begin()
    assert kept.health.available() == "breaker half-open: its probe is under way"
    kept.health.end()
    assert kept.health.available() == ""


def test_retry_after_lengthens_the_cooldown_and_never_shortens_it() -> None:
    for retry_after, until in ((5.0, 60.0), (600.0, 600.0), (None, 60.0)):
        kept = Kept(allowed_fails=0)
        kept.health.failed(FailureCode.RATE_LIMITED, "429", retry_after)
        assert kept.health.cooldown_until == kept.now + until


def test_what_comes_back_late_does_not_shorten_a_cooldown() -> None:
    kept = Kept(allowed_fails=0)
    kept.health.failed(FailureCode.RATE_LIMITED, "429", 600.0)
    kept.health.failed(FailureCode.RATE_LIMITED, "429", None)
    assert kept.health.cooldown_until == kept.now + 600.0


def test_failures_fade_so_that_the_first_choice_gets_its_work_back() -> None:
    kept = Kept(allowed_fails=99)
    for _ in range(10):
        kept.health.failed(FailureCode.TIMEOUT, "x")
    low = kept.health.reliability()
    kept.now += 600
    assert low < 0.2
    assert kept.health.reliability() > 0.9


def test_refusals_count_for_their_kind_and_fade() -> None:
    kept = Kept()
    for _ in range(8):
        kept.health.judged("chat", declined=True)
    assert kept.health.willingness("chat") < 0.5
    assert kept.health.willingness("knowledge") == 1.0
    kept.now += 6 * 3600
    assert kept.health.willingness("chat") > 0.9


def test_a_simulated_answer_says_nothing_of_the_real_backend() -> None:
    kept = Kept(allowed_fails=0)
    real = kept.health.backend
    kept.health.failed(FailureCode.NETWORK, "refused")
    kept.health.play(replace(real, practice=True))
    assert kept.health.available() == ""
    kept.health.succeeded(0.1)
    assert kept.health.reachable is False


def test_disabled_and_asleep_are_reasons_not_to_ask() -> None:
    kept = Kept(unconfigured="A_KEY is not set")
    assert kept.health.available() == "asleep: A_KEY is not set"
    kept = Kept()
    kept.health.disabled = True
    assert kept.health.available() == "disabled by an admin"


def test_an_open_breaker_restored_later_stays_open_for_the_rest_of_its_cooldown() -> None:
    before, after = Kept(allowed_fails=0), Kept(allowed_fails=0)
    before.health.failed(FailureCode.OVERLOADED, "503")
    after.now = before.now + 45
    assert after.health.restore(json.loads(json.dumps(before.health.snapshot()))) == []
    assert after.health.available() == "breaker open for 15 s more: overloaded: 503"
    after.now += 15
    assert after.health.available() == ""
    assert after.health.state is State.HALF_OPEN


def test_a_wrong_key_is_remembered_over_a_restart() -> None:
    before, after = Kept(), Kept()
    before.health.failed(FailureCode.AUTH, "401")
    after.health.restore(before.health.snapshot())
    after.now += 10**9
    assert after.health.available() == "breaker open until it is reset: auth: 401"


def test_an_admin_may_open_a_breaker_by_hand() -> None:
    kept = Kept()
    kept.health.restore({"state": "open"})
    assert kept.health.available() == "breaker open for 60 s more: opened by an admin"


def test_what_cannot_be_restored_is_told_and_changes_nothing() -> None:
    kept = Kept()
    kept.health.succeeded(1.0)
    before = kept.health.snapshot()
    wrong = {
        "state": "ajar",
        "fails": -1,
        "success_rate": float("nan"),
        "latency_ms": "fast",
        "cost_usd": True,
        "attempts": 10**400,
        "by_kind": {"chat": [1, 2], "knowledge": [float("inf"), 0, 0], "read": "no", "write": [10**400, 1, 1]},
    }
    assert len(kept.health.restore(wrong)) == 10
    assert kept.health.snapshot() == before


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from([*Kept().health.snapshot(), "unknown"])
states = st.sampled_from(list(map(str, State)))


@settings(deadline=None)
@given(st.dictionaries(fields, anything | states, max_size=12))
def test_restoring_anything_at_all_leaves_a_health_that_works(kept_state: dict[str, Any]) -> None:
    kept = Kept()
    kept.health.restore(kept_state)
    kept.health.available()
    kept.health.begin()
    kept.health.failed(FailureCode.OVERLOADED, "503")
    kept.health.succeeded(0.5)
    kept.health.judged("chat", declined=True)
    kept.health.end()
    assert 0.0 <= kept.health.reliability() <= 1.0
    assert all(0.0 <= kept.health.willingness(kind) <= 1.0 for kind in (*kept.health.by_kind, "chat"))
    again = Kept()
    assert again.health.restore(json.loads(json.dumps(kept.health.snapshot()))) == []


class Breaker(RuleBasedStateMachine):
    """Whatever happens in whatever order, the breaker's promises hold."""

    @initialize(allowed=st.integers(0, 3))
    def begin(self, allowed: int) -> None:
        self.kept = Kept(allowed_fails=allowed)
        self.health = self.kept.health

    @rule(failure=st.sampled_from(list(FailureCode)), after=st.none() | st.floats(0, 500))
    def fail(self, failure: FailureCode, after: float | None) -> None:
        self.health.failed(failure, "x", after)

    @precondition(lambda self: self.health.available() == "")
    @rule()
    def start(self) -> None:
        self.health.begin()

    @precondition(lambda self: self.health.in_flight > 0)
    @rule(well=st.booleans())
    def finish(self, well: bool) -> None:
        self.health.end()
        if well:
            self.health.succeeded(0.5)

    @rule(seconds=st.floats(0, 1000))
    def wait(self, seconds: float) -> None:
        self.kept.now += seconds

    @rule()
    def restart(self) -> None:
        after = Kept(allowed_fails=self.health.backend.allowed_fails)
        after.now = self.kept.now
        assert after.health.restore(self.health.snapshot()) == []
        assert (after.health.available() == "") or self.health.available()
        self.kept, self.health = after, after.health

    @invariant()
    def an_open_breaker_has_an_end_a_reason_and_takes_nobody(self) -> None:
        if self.health.state is State.OPEN:
            assert self.health.reason
            if self.health.cooldown_until > self.kept.now:
                assert self.health.available()

    @invariant()
    def a_closed_one_has_no_more_fails_than_allowed(self) -> None:
        if self.health.state is State.CLOSED:
            assert self.health.fails <= self.health.backend.allowed_fails
            assert self.health.available() == ""

    @invariant()
    def it_is_never_stuck(self) -> None:
        if self.health.state is State.HALF_OPEN and self.health.in_flight == 0:
            assert self.health.available() == ""


TestBreaker = Breaker.TestCase
TestBreaker.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
