"""What is counted of a backend: reserved before, settled after, corrected by the provider, kept over a restart."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from fake_llm import answer, silent, status
from faults import RouterTest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from uniwizard.agent import AllBackendsFailed, Task
from uniwizard.agent.config.settings import Config
from uniwizard.agent.core.backend import Backend, Price, Quota
from uniwizard.agent.core.decision import Work
from uniwizard.agent.core.failures import FailureCode
from uniwizard.agent.quota import QuotaReservation, Quotas, QuotaTracker, Spend
from uniwizard.agent.quota.headers import Reported, moment, read

NOW = 1_795_000_000.0
WORK = Work("chat", 100)


def backend(*quota: Quota, **more: Any) -> Backend:
    settings = {"price": Price(0.001, 0.01), "max_tokens": 1000} | more
    return Backend("a", "openai", "http://127.0.0.1", "m", quota=quota, **settings)


def meter(*quota: Quota, **more: Any) -> QuotaTracker:
    return QuotaTracker(backend(*quota, **more), NOW)


class NeverOver(RuleBasedStateMachine):
    """Any order of reserving, settling, letting go and moving clocks."""

    QUOTAS = (
        Quota(5, "requests", "minute"),
        Quota(9, "requests", "10m", rolling=True),
        Quota(6000, "tokens", "hour"),
        Quota(0.06, "usd", "day", zone="Europe/Warsaw", hour=3),
    )

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.meter = meter(*self.QUOTAS)
        self.open: list[tuple[QuotaReservation, float]] = []
        self.spent: list[tuple[float, Spend]] = []

    @rule(tokens=st.integers(1, 3000))
    def reserve(self, tokens: int) -> None:
        work = Work("chat", tokens)
        if not self.meter.obstacle(self.now, work):
            self.open.append((self.meter.reserve(self.now, work), self.now))

    @rule(data=st.data(), share=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float) -> None:
        if self.open:
            ticket, began = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
            assert ticket.work is not None
            output = share * 1000
            usd = (ticket.work.tokens * 0.001 + output * 0.01) / 1000
            ticket.settle(Spend(1, ticket.work.tokens, output, usd))
            self.spent.append((began, Spend(1, ticket.work.tokens, output, usd)))

    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        if self.open:
            ticket, _ = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
            ticket.release()
            ticket.settle(Spend(1, 5000, 5000, 5.0))

    @rule(seconds=st.floats(0, 4000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_is_over_its_limit_and_nothing_is_below_nothing(self) -> None:
        for tracked in self.meter.windows:
            assert -1e-9 <= tracked.window.used <= tracked.window.quota.limit * (1 + 1e-6)

    @invariant()
    def every_true_window_holds_no_more_than_its_limit(self) -> None:
        for quota, size in ((self.QUOTAS[0], 60.0), (self.QUOTAS[2], 3600.0)):
            by_window: dict[float, float] = {}
            for began, spend in self.spent:
                by_window[began // size] = by_window.get(began // size, 0.0) + spend.of(quota.unit)
            assert all(used <= quota.limit * (1 + 1e-6) for used in by_window.values())

    @invariant()
    def what_is_kept_can_be_taken_up(self) -> None:
        kept = json.loads(json.dumps(self.meter.snapshot()))
        again = meter(*self.QUOTAS)
        assert again.restore(kept, self.now) == []
        for mine, theirs in zip(self.meter.windows, again.windows, strict=True):
            mine.window.advance(self.now)
            assert math.isclose(mine.window.used, theirs.window.used, abs_tol=1e-6)


TestNeverOver = NeverOver.TestCase


@given(
    st.lists(st.tuples(st.floats(0, 20_000), st.integers(0, 900), st.integers(0, 900), st.floats(0, 0.01)), max_size=40)
)
def test_rebuilding_from_rows_counts_the_same_as_having_been_there(rows: list[tuple[float, int, int, float]]) -> None:
    quotas = (Quota(1e6, "tokens", "hour"), Quota(99, "usd", "2h", rolling=True), Quota(99, "usd", "month", day=31))
    live, rebuilt = meter(*quotas), Quotas({"a": backend(*quotas)}, NOW)
    now = NOW
    for wait, given_, taken, usd in rows:
        now += wait
        ticket = live.reserve(now, Work("chat", 1000))
        ticket.settle(Spend(1, given_, taken, usd))
        rebuilt.observe(now, "a", given_, taken, usd)
    for mine, theirs in zip(live.windows, rebuilt["a"].windows, strict=True):
        theirs.window.advance(now)
        assert math.isclose(mine.window.used, theirs.window.used, abs_tol=1e-6)


def test_parallel_calls_reserve_the_most_that_each_can_use() -> None:
    counted = meter(Quota(0.03, "usd", "day"))
    for _ in range(2):
        assert counted.obstacle(NOW, WORK) == ""
        counted.reserve(NOW, WORK)
    assert counted.obstacle(NOW, WORK).startswith("quota: 0.0098 left of 0.03 usd per day")


def test_without_quota_nothing_is_counted() -> None:
    counted = meter()
    assert counted.reserve(NOW, WORK) is counted.reserve(NOW, WORK)
    assert counted.obstacle(NOW, WORK) == ""


def test_estimates_learn_from_what_is_reported() -> None:
    counted = meter(Quota(1, "usd", "day"))
    for _ in range(200):
        counted.estimate.learn(WORK, 150, 40)
    expected = counted.estimate.expected(WORK)
    assert abs(expected.input_tokens - 150) < 2
    assert abs(expected.output_tokens - 40) < 2
    assert counted.estimate.expected(Work("analysis", 100)).output_tokens == 300
    assert counted.estimate.most(WORK).output_tokens == 1000


def test_a_reload_keeps_what_is_used_of_windows_that_stay() -> None:
    quotas = Quotas({"a": backend(Quota(10, "usd", "month"), Quota(5, "requests", "hour"))}, NOW)
    quotas.observe(NOW, "a", 10, 10, 3.0)
    quotas.reload({"a": backend(Quota(20, "usd", "month"), Quota(7, "usd", "day"))}, NOW)
    assert [tracked.window.used for tracked in quotas["a"].windows] == [3.0, 0.0]
    assert quotas["a"].windows[0].window.left == 17.0


def test_a_provider_that_says_used_up_closes_the_window_until_its_reset() -> None:
    counted = meter(Quota(10, "requests", "hour"), Quota(5, "usd", "month"))
    counted.observe(NOW, Spend(8, 0, 0, 0.1))
    counted.exhausted(NOW)
    assert "the provider says that 10 requests per hour are used up" in counted.obstacle(NOW, WORK)
    assert counted.obstacle(counted.windows[0].window.resets_at(NOW), WORK) == ""


def test_headers_correct_the_count_and_hold_back_what_the_provider_would_turn_away() -> None:
    counted = meter(Quota(100, "requests", "minute"))
    counted.heard(
        NOW,
        {
            "X-RateLimit-Limit-Requests": "100",
            "x-ratelimit-remaining-requests": "40",
            "x-ratelimit-reset-requests": "6m0s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-limit-tokens": "1000",
            "x-ratelimit-reset-tokens": "10s",
        },
    )
    assert counted.windows[0].window.used == 60.0
    assert counted.obstacle(NOW, WORK).startswith("quota: the provider says 0 tokens are left; resets ")
    # It fills up evenly: the 400 tokens that are likely are there after four seconds.
    assert counted.obstacle(NOW + 4.1, WORK) == ""


HEADERS = (
    *(f"x-ratelimit-{part}-{unit}" for part in ("limit", "remaining", "reset") for unit in ("requests", "tokens")),
    *(f"anthropic-ratelimit-{u}-{p}" for p in ("limit", "remaining", "reset") for u in ("tokens", "input-tokens")),
    *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "Retry-After"),
)
VALUES = st.one_of(
    st.text(max_size=30),
    st.floats().map(str),
    st.integers().map(str),
    st.from_regex(r"(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d+)?s)?(\d+ms)?", fullmatch=True),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
)


@given(st.dictionaries(st.sampled_from(HEADERS), VALUES), st.floats(0, 4e9))
def test_no_header_can_make_the_count_raise_or_hold_back_for_ever(headers: dict[str, str], now: float) -> None:
    for reported in read(headers, now):
        assert 0 <= reported.remaining < math.inf
        assert reported.reset is None or now <= reported.reset <= now + 33 * 86_400
    counted = QuotaTracker(backend(Quota(5, "requests", "minute")), now)
    counted.heard(now, headers)
    assert counted.obstacle(now + 33 * 86_400, Work("chat", 1)) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6m0s", 360), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("1d", 86_400), ("12", 12), ("2027-11-20T00:00:00Z", None),
     (str(NOW + 30), 30), ("", None), ("soon", None), ("-1s", None), ("2020-01-01T00:00:00Z", 0)],
)  # fmt: skip
def test_a_reset_is_read_in_every_form_that_providers_use(text: str, seconds: float | None) -> None:
    found = moment(text, NOW)
    assert found is None if seconds is None else found == pytest.approx(NOW + seconds)


def test_anthropics_headers_are_read() -> None:
    headers = {
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "7000",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-20T10:00:30Z",
    }
    assert read(headers, 1_795_168_800.0) == [Reported("output_tokens", 8000.0, 7000.0, 1_795_168_830.0)]


QUESTION = Task("How do the tides work?", kind="knowledge")


class OnTheRoad(RouterTest):
    def quota_of(self, router: Any, key: str = "a") -> float:
        return float(router.registry.quotas[key].windows[0].window.used)

    async def test_a_call_costs_what_it_used_and_not_what_was_reserved(self) -> None:
        router = self.router(self.server.backend("a", price=Price(0.1, 1.0), quota=(Quota(9, "usd", "day"),)))
        await router.call_with_fallback(QUESTION)
        assert abs(self.quota_of(router) - 0.021) < 1e-9

    async def test_a_used_up_quota_sends_the_task_on_and_says_so(self) -> None:
        router = self.router(self.server.backend("a", quota=(Quota(1, "requests", "month"),)), self.server.backend("b"))
        assert (await router.call_with_fallback(QUESTION)).backend == "a"
        assert (await router.call_with_fallback(QUESTION)).backend == "b"
        (skipped,) = router.explain(QUESTION).skipped
        assert skipped.reason.startswith("quota: 1 requests per month used up; resets ")

    async def test_calls_at_once_never_pass_the_limit(self) -> None:
        router = self.router(self.server.backend("a", quota=(Quota(3, "requests", "month"),)), self.server.backend("b"))
        asked = [Deferred.fromCoroutine(router.call_with_fallback(QUESTION)) for _ in range(8)]
        await gatherResults(asked)
        assert self.server.asked("a") == 3
        assert self.server.asked("b") == 5

    async def test_failures_and_cancelled_calls_give_back_what_they_did_not_use(self) -> None:
        quota = (Quota(9, "usd", "day"),)
        self.server.script("a", status(503))
        router = self.router(self.server.backend("a", retries=0, quota=quota, price=Price(1, 1)))
        with self.assertRaises(AllBackendsFailed):
            await router.call_with_fallback(QUESTION)
        assert self.quota_of(router) == 0.0
        self.server.script("a", silent())
        call = Deferred.fromCoroutine(router.call_with_fallback(QUESTION))
        assert self.quota_of(router) > 0.0
        call.cancel()
        with self.assertRaises(CancelledError):
            await call
        assert round(self.quota_of(router), 9) == round(router.state("a").cost_usd, 9) > 0.0, "the question was read"

    async def test_a_provider_without_credit_is_left_alone_until_the_reset(self) -> None:
        self.server.script("a", status(429, error={"code": "insufficient_quota", "message": "pay"}))
        router = self.router(
            self.server.backend("a", cooldown_time=0, quota=(Quota(9, "usd", "month"),)), self.server.backend("b")
        )
        result = await router.call_with_fallback(QUESTION)
        assert [attempt.failure for attempt in result.attempts] == [FailureCode.QUOTA_EXHAUSTED, None]
        assert "the provider says that 9 usd per month are used up" in router.explain(QUESTION).skipped[0].reason

    async def test_what_a_provider_reports_is_heeded(self) -> None:
        reply = answer()
        head = b"HTTP/1.1 200 Whatever\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 30s\r\n"
        self.server.script("a", type(reply)(reply.data.replace(b"HTTP/1.1 200 Whatever\r\n", head, 1)))
        router = self.router(self.server.backend("a"), self.server.backend("b"))
        await router.call_with_fallback(QUESTION)
        assert router.route(QUESTION) == "b"

    async def test_a_config_reload_keeps_what_is_used(self) -> None:
        one = self.server.backend("a", quota=(Quota(9, "requests", "month"),))
        router = self.router(one)
        await router.call_with_fallback(QUESTION)
        router.reload(Config({"a": one, "b": self.server.backend("b")}, practice="never"))
        assert self.quota_of(router) == 1.0


def test_what_an_unknown_kind_will_cost_is_told_by_the_known_ones_and_the_first_answers_count_most() -> None:
    counted = meter(Quota(1, "usd", "day"))
    assert counted.estimate.likely(WORK).output_tokens == counted.estimate.expected(WORK).output_tokens
    for tokens in (10, 20):
        counted.estimate.learn(WORK, 100, tokens)
    assert counted.estimate.expected(WORK).output_tokens == 15
    assert counted.estimate.likely(Work("analysis", 100)).output_tokens == 15
    kept = meter(Quota(1, "usd", "day"))
    kept.estimate.restore(counted.estimate.snapshot())
    kept.estimate.learn(WORK, 100, 35)
    assert kept.estimate.expected(WORK).output_tokens == 16
