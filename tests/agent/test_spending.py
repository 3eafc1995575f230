"""Nobody spends unseen: whatever a provider has worked for is booked, and nothing that it cannot have worked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_llm.replies import Reply, response, silent, status
from fake_llm.streams import PIECES, begun, opened, spoken
from faults import QUESTION, RouterTest, gives_up, thinking, tick
from hypothesis import given
from hypothesis import strategies as st
from streaming import StreamTest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from uniwizard.agent.core.answer import Usage
from uniwizard.agent.core.attempt import Attempt
from uniwizard.agent.core.backend import Backend, Price, Quota, Timeout
from uniwizard.agent.core.decision import Work
from uniwizard.agent.core.events import AttemptCancelled, AttemptEnded, UsageDoubted
from uniwizard.agent.core.pricing import estimated_usage, possible
from uniwizard.agent.gateway import Allowance, Caller
from uniwizard.agent.gateway.spending import Spending

DEAR = Price(1.0, 1.0)
DAILY = (Quota(1_000_000, "tokens", "day"),)


class LettingGo(StreamTest):
    """Whoever asks hangs up; the provider has begun to work by then."""

    async def let_go(self, asked: Deferred[Any]) -> None:
        asked.cancel()
        try:
            await asked
        except CancelledError:
            return
        raise AssertionError("it was not let go of")

    async def test_what_had_come_of_a_stream_is_charged_as_an_estimate_on_every_api(self) -> None:
        for api in ("openai", "anthropic", "gemini", "ollama"):
            self.server.script("a", begun(opened(api) + spoken(api, *PIECES[:2]), end="hang"))
            router = self.router(self.streaming("a", api, price=DEAR, quota=DAILY))
            asked = thinking(router)
            while "WordsBegan" not in self.heard():
                await tick()
            await self.let_go(asked)
            (told,) = [event for event in self.events if isinstance(event, AttemptCancelled)]
            attempt, chars = told.attempt, len("".join(PIECES[:2]))
            assert (attempt.cancelled, attempt.chars, attempt.failure) == (True, chars, None), api
            assert attempt.usage.estimated
            assert attempt.usage.input_tokens >= QUESTION.estimated_tokens
            assert attempt.cost_usd > 0
            used = attempt.usage.input_tokens + attempt.usage.output_tokens
            assert router.quota_status("a")[0].used == used
            assert router.state("a").cost_usd == attempt.cost_usd
            assert router.state("a").in_flight == 0
            assert router.free_places("a") == router.configured("a").max_parallel

    async def test_a_request_that_nobody_has_answered_yet_is_charged_its_input(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a", price=DEAR))
        asked = thinking(router)
        while not self.server.asked("a"):
            await tick()
        await self.let_go(asked)
        (told,) = [event for event in self.events if isinstance(event, AttemptCancelled)]
        assert told.attempt.usage == estimated_usage(QUESTION, 0)
        assert told.attempt.cost_usd > 0

    async def test_letting_go_says_nothing_of_the_backend(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a", allowed_fails=0), self.server.backend("b"))
        for _ in range(3):
            asked = thinking(router)
            while not router.state("a").in_flight:
                await tick()
            await self.let_go(asked)
        assert router.state("a").reliability() == 1.0
        assert router.route(QUESTION) == "a"

    async def test_before_the_request_leaves_nothing_is_charged(self) -> None:
        class Slow:
            def recorded(self, task_id: str) -> Deferred[None]:
                return Deferred()

        router = self.router(self.server.backend("a", price=DEAR, quota=DAILY))
        router.keep_account(Slow(), None)
        asked = thinking(router)
        await self.let_go(asked)
        assert "AttemptCancelled" not in self.heard()
        assert router.quota_status("a")[0].used == 0
        assert router.free_places("a") == router.configured("a").max_parallel

    async def test_a_closed_answer_stream_is_booked(self) -> None:
        self.server.script("a", begun(spoken("openai", *PIECES[:3]), end="hang"))
        router = self.router(self.streaming("a", price=DEAR))
        answer = router.stream(QUESTION, mode="eager")
        await answer.__anext__()
        await answer.aclose()
        (told,) = [event for event in self.events if isinstance(event, AttemptCancelled)]
        assert told.attempt.cost_usd > 0


class Failing(StreamTest):
    async def test_a_stream_that_breaks_off_costs_what_had_come_of_it(self) -> None:
        result = await self.fallback_after("openai", begun(spoken("openai", *PIECES[:2]), end="reset"), price=DEAR)
        first = result.attempts[0]
        assert first.usage == estimated_usage(QUESTION, len("".join(PIECES[:2])))
        assert first.cost_usd > 0

    async def test_an_attempt_that_runs_out_of_time_costs_its_input(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a", price=DEAR, timeout=Timeout(total=0.05)))
        failed = await gives_up(router)
        assert failed.attempts[0].usage == estimated_usage(QUESTION, 0)
        assert failed.cost_usd > 0

    async def test_a_request_that_is_turned_down_costs_nothing(self) -> None:
        for reply in (status(401), status(429), status(503), Reply(end="reset")):
            self.server.script("a", reply)
            failed = await gives_up(self.router(self.server.backend("a", price=DEAR)))
            assert failed.cost_usd == 0.0


class Doubting(RouterTest):
    """A provider that says it has used what it cannot have used."""

    def says(self, **usage: int) -> Reply:
        message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "The moon does."}}
        node = {"id": "x", "object": "chat.completion", "model": "m", "choices": [message], "usage": usage}
        return Reply(response(json.dumps(node).encode()))

    async def test_nine_hundred_million_tokens_for_a_line_are_not_believed(self) -> None:
        self.server.script("a", self.says(prompt_tokens=900_000_000, completion_tokens=900_000_000))
        router = self.router(self.server.backend("a", price=Price(0.01, 0.01), max_tokens=1000, quota=DAILY))
        result = await router.call_with_fallback(QUESTION)
        attempt = result.attempts[0]
        assert result.cost_usd < 0.1
        assert attempt.usage.estimated
        assert attempt.reported == Usage(900_000_000, 900_000_000)
        (doubted,) = [event for event in self.events if isinstance(event, UsageDoubted)]
        assert doubted.attempt == attempt
        assert router.quota_status("a")[0].used < 10_000

    async def test_what_is_possible_is_believed_to_the_token(self) -> None:
        self.server.script("a", self.says(prompt_tokens=31, completion_tokens=7))
        result = await self.router(self.server.backend("a")).call_with_fallback(QUESTION)
        assert result.usage == Usage(31, 7)
        assert result.attempts[0].reported is None
        assert "UsageDoubted" not in self.heard()


COUNTS = st.integers(0, 10**12)


@given(COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_no_report_costs_more_than_is_possible_and_no_likely_one_is_doubted(
    given_tokens: int, written: int, cached: int, hidden: int, sent: int, received: int, limit: int
) -> None:
    backend = Backend("a", "openai", "http://x", "m", max_context=128_000)
    work = Work("chat", sent, limit)
    usage = Usage(given_tokens, written, cached, hidden)
    believed = possible(usage, backend, work, received)
    assert believed.input_tokens <= max(sent, 128_000) + 4096
    assert believed.output_tokens <= max(limit, 4 * received) + 128_000 + 512
    assert possible(believed, backend, work, received) == believed
    likely = Usage(min(sent, 128_000), min(received, limit), 0, 0)
    assert possible(likely, backend, work, received) is likely


MONTH = 1_795_000_000.0


class TestKeys:
    """What a key at the door may spend, whatever its owner does."""

    def test_fifty_requests_at_once_cannot_share_a_tenth_of_a_cent(self) -> None:
        caller = Caller("x", Allowance(usd_per_month=0.001))
        clock = Clock()
        clock.advance(MONTH)
        spending = Spending(clock)
        for number in range(50):
            spending.open(str(number), caller)
        said = [spending.reserve(str(number), 0.0004) for number in range(50)]
        assert said.count("") == 2
        assert said[-1] == "this key cannot pay $0.0004 out of its $0.001 for the month"

    def test_what_an_attempt_costs_is_charged_and_what_was_set_aside_is_free_again(self) -> None:
        caller, clock = Caller("x", Allowance(usd_per_month=1.0)), Clock()
        clock.advance(MONTH)
        spending = Spending(clock)
        spending.open("t", caller)
        assert spending.reserve("t", 0.9) == ""
        spending(AttemptEnded(MONTH, "t", an_attempt(0.2)))
        spending.unreserve("t")
        assert (caller.spent_usd, caller.month) == (0.2, "2026-11")
        assert spending.reserve("t", 0.9) != ""
        assert spending.reserve("t", 0.7) == ""
        spending(AttemptCancelled(MONTH, "t", an_attempt(0.1)))
        spending.close("t")
        assert caller.spent_usd == pytest.approx(0.3)
        spending(AttemptEnded(MONTH, "t", an_attempt(9.0)))
        assert caller.spent_usd == pytest.approx(0.3), "nothing is charged to whom a task does not belong"

    def test_a_new_key_of_the_same_owner_is_no_new_allowance(self) -> None:
        owner = Caller("all", Allowance(requests_per_minute=3, usd_per_month=1.0))
        first = Caller("1", Allowance(requests_per_minute=3, usd_per_month=1.0), owner=owner)
        for _ in range(3):
            assert first.admit(MONTH) is None
        first.charge(0.75, MONTH)
        second = Caller("2", Allowance(requests_per_minute=3, usd_per_month=1.0), owner=owner)
        denied = second.admit(MONTH + 1)
        assert denied is not None
        assert denied.code == "rate_limit_exceeded"
        assert second.admit(MONTH + 61) is None
        assert second.reserve(0.5, MONTH + 61) != ""
        assert second.reserve(0.25, MONTH + 61) == ""

    @given(st.lists(st.tuples(st.sampled_from("roc"), st.integers(0, 5), st.floats(0.0001, 0.5)), max_size=60))
    def test_side_by_side_no_key_and_no_owner_overspends(self, steps: list[tuple[str, int, float]]) -> None:
        owner = Caller("all", Allowance(usd_per_month=1.0))
        keys = [Caller(str(number), Allowance(usd_per_month=0.7), owner=owner) for number in range(2)]
        clock = Clock()
        clock.advance(MONTH)
        spending = Spending(clock)
        reserved: dict[int, float] = {}
        for step, task, usd in steps:
            if step == "r" and task not in reserved:
                spending.open(str(task), keys[task % 2])
                if not spending.reserve(str(task), usd):
                    reserved[task] = usd
            elif step == "o" and task in reserved:
                spending(AttemptEnded(MONTH, str(task), an_attempt(min(usd, reserved.pop(task)))))
                spending.close(str(task))
            elif step == "c" and task in reserved:
                del reserved[task]
                spending.close(str(task))
            assert owner.spent_usd <= 1.0 + 1e-6
            assert all(key.spent_usd <= 0.7 + 1e-6 for key in keys)


def an_attempt(usd: float) -> Attempt:
    return Attempt("a", "m", "chat", None, "", MONTH, 1.0, Usage(), usd)
