"""Several backends for one task, over real sockets: races, hedges, votes, cascades and comparisons in the shadow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fake_llm import Reply, answer, completion, refusal, response, silent, status
from faults import QUESTION, RouterTest, gives_up
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from uniwizard.agent import AllBackendsFailed, BudgetSpent, Router, RouteResult, Task
from uniwizard.agent.core.backend import Price, Quota, Timeout
from uniwizard.agent.core.clock import sleep
from uniwizard.agent.core.events import AttemptCancelled, AttemptStarted, Compared, FellBack, Learned
from uniwizard.agent.core.failures import FailureCode

SUM = Task("What is 17 * 23? Confidence?", kind="quick_answer")


def logged(text: str, logprob: float) -> Reply:
    """An answer whose tokens have that mean log-probability."""
    import json

    body = json.loads(completion(text))
    body["choices"][0]["logprobs"] = {"content": [{"token": "x", "logprob": logprob}]}
    return Reply(response(json.dumps(body).encode()))


class Together(RouterTest):
    def over(self, route: Any, *keys: str, **settings: Any) -> Router:
        backends = [self.server.backend(key, price=Price(0.1, 1.0), **settings.get(key, {})) for key in keys]
        return self.router(*backends, route=route, **settings.get("config", {}))

    def cancelled(self) -> list[str]:
        return [event.attempt.backend for event in self.events if isinstance(event, AttemptCancelled)]


class Racing(Together):
    async def test_the_first_answer_wins_and_the_others_connections_are_closed(self) -> None:
        self.server.script("a", silent())
        self.server.script("b", answer("The sun pulls as well, at half the strength."))
        router = self.over({"use": "race", "over": ["a", "b"]}, "a", "b")
        result = await router.call_with_fallback(QUESTION)
        assert result.backend == "b"
        assert self.cancelled() == ["a"]
        assert "was enough" in next(each.reason for each in result.attempts if each.cancelled)
        assert result.path == ("race: 2 at once, the first accepted answer counts",)
        await router.stop()
        await self.server.until_closed()

    async def test_the_beaten_are_charged_for_what_they_were_asked_and_give_back_their_place(self) -> None:
        self.server.script("a", silent())
        quota = (Quota(100, "requests", "day"), Quota(50, "usd", "day"))
        router = self.over({"use": "race", "over": ["a", "b"]}, "a", "b", a={"quota": quota, "max_parallel": 1})
        result = await router.call_with_fallback(QUESTION)
        (beaten,) = [event.attempt for event in self.events if isinstance(event, AttemptCancelled)]
        assert beaten.cancelled
        assert beaten.usage.estimated
        assert beaten.cost_usd > 0
        requests, usd = router.quota_status("a")
        assert (requests.used, round(usd.used, 9)) == (1, round(beaten.cost_usd, 9))
        assert abs(result.cost_usd - sum(attempt.cost_usd for attempt in result.attempts)) < 1e-12
        assert beaten in result.attempts
        assert router.free_places("a") == 1
        assert router.state("a").available() == ""
        assert router.state("a").reliability() == 1.0

    async def test_a_refusal_or_a_failure_does_not_win(self) -> None:
        self.server.script("a", refusal())
        self.server.script("b", status(503))
        self.server.script("c", replace(answer("Here is what you have asked for."), after=0.05))
        router = self.over({"use": "race", "over": ["a", "b", "c"]}, "a", "b", "c")
        assert (await router.call_with_fallback(QUESTION)).backend == "c"

    async def test_those_that_do_not_run_follow_when_all_runners_fail(self) -> None:
        for key in "ab":
            self.server.script(key, status(500))
        router = self.over({"use": "race", "over": ["a", "b", "c"], "width": 2}, "a", "b", "c")
        result = await router.call_with_fallback(QUESTION)
        assert result.backend == "c"
        assert {attempt.backend for attempt in result.attempts[:2]} == {"a", "b"}
        assert [event.to for event in self.events if isinstance(event, FellBack)] == ["c"]

    async def test_refusals_of_enough_runners_are_believed(self) -> None:
        for key in "ab":
            self.server.script(key, refusal())
        router = self.over({"use": "race", "over": ["a", "b", "c"], "width": 2}, "a", "b", "c")
        result = await router.call_with_fallback(QUESTION)
        assert result.refused
        assert self.server.asked("c") == 0

    async def test_who_lets_go_lets_go_of_all(self) -> None:
        for key in "ab":
            self.server.script(key, silent())
        router = self.over({"use": "race", "over": ["a", "b"]}, "a", "b")
        road = Deferred.fromCoroutine(router.call_with_fallback(QUESTION))
        while self.server.asked("a") + self.server.asked("b") < 2:
            await sleep(reactor, 0.005)  # type: ignore[arg-type]
        road.addErrback(lambda _: None).cancel()
        assert sorted(self.cancelled()) == ["a", "b"]
        assert [router.free_places(key) for key in "ab"] == [8, 8]
        await router.stop()
        await self.server.until_closed()

    async def test_attempt_numbers_of_one_task_are_never_the_same(self) -> None:
        self.server.script("a", silent())
        router = self.over({"use": "race", "over": ["a", "b"]}, "a", "b")
        await router.call_with_fallback(QUESTION)
        assert [event.number for event in self.events if isinstance(event, AttemptStarted)] == [1, 2]

    async def test_a_budget_is_set_aside_for_all_runners_together(self) -> None:
        class Purse:
            left_usd, held = 2.5, 0.0
            most = 0.0

            def reserve(self, task_id: str, usd: float) -> str:
                if usd > self.left_usd:
                    return "the budget is used up"
                self.held = usd
                self.most = max(self.most, usd)
                return ""

            def unreserve(self, task_id: str) -> None:
                self.held = 0.0

            def left(self, task_id: str) -> float:
                return 1.0

        self.server.script("b", replace(answer(), after=0.02))
        task = Task("How do the tides work?", kind="knowledge", max_tokens=1000)
        router = self.over({"use": "race", "over": ["a", "b", "c"]}, "a", "b", "c")
        purse = Purse()
        router.keep_account(None, purse)
        result = await router.call_with_fallback(task)
        assert isinstance(result, RouteResult)
        assert 2.0 < purse.most <= 2.5
        assert purse.held == 0.0
        assert self.server.asked("c") == 0, "a third would have passed the budget"
        purse.left_usd = 0.5
        with self.assertRaises(BudgetSpent):
            await router.call_with_fallback(task)

    async def test_a_leak_ends_the_race(self) -> None:
        self.server.script("b", silent())
        router = self.over({"use": "race", "over": ["b", "a"]}, "a", "b", a={"options": {"metadata": "for Merlinus"}})
        failed = await gives_up(router, replace(QUESTION, identity=frozenset({"Merlinus"})))
        assert "named someone" in failed.why
        assert self.server.asked("a") == 0
        await router.stop()
        await self.server.until_closed()


class Hedging(Together):
    async def test_the_second_is_asked_only_when_the_first_takes_long(self) -> None:
        router = self.over({"use": "hedge", "over": ["a", "b"], "after": 5.0}, "a", "b")
        assert (await router.call_with_fallback(QUESTION)).backend == "a"
        assert self.server.asked("b") == 0
        self.server.script("a", silent())
        router = self.over({"use": "hedge", "over": ["a", "b"], "after": 0.05}, "a", "b")
        assert (await router.call_with_fallback(QUESTION)).backend == "b"
        assert self.cancelled() == ["a"]

    async def test_the_second_is_asked_at_once_when_the_first_fails(self) -> None:
        self.server.script("a", status(503))
        router = self.over({"use": "hedge", "over": ["a", "b"], "after": 3600.0}, "a", "b")
        assert (await router.call_with_fallback(QUESTION)).backend == "b"


class Voting(Together):
    async def test_the_majority_counts(self) -> None:
        self.server.script("a", answer("The answer is 390."))
        self.server.script("b", answer("17 * 23 = 391"))
        self.server.script("c", answer("I make that 391."))
        router = self.over({"use": "vote", "over": ["a", "b", "c"]}, "a", "b", "c")
        result = await router.call_with_fallback(SUM)
        assert "391" in result.text
        assert result.backend in "bc"

    async def test_a_majority_waits_for_nobody(self) -> None:
        self.server.script("a", answer("391"))
        self.server.script("b", answer("391"))
        self.server.script("c", silent())
        router = self.over({"use": "vote", "over": ["a", "b", "c"]}, "a", "b", "c")
        assert (await router.call_with_fallback(SUM)).text == "391"
        assert self.cancelled() == ["c"]

    async def test_without_a_majority_the_surest_answer_counts(self) -> None:
        self.server.script("a", logged("390", -2.0))
        self.server.script("b", logged("391", -0.01))
        for by in ("majority", "judge"):
            router = self.over({"use": "vote", "over": ["a", "b"], "by": by}, "a", "b")
            assert (await router.call_with_fallback(SUM)).text == "391", by

    async def test_who_refuses_or_fails_has_no_vote(self) -> None:
        self.server.script("a", refusal())
        self.server.script("b", status(500))
        self.server.script("c", answer("391"))
        router = self.over({"use": "vote", "over": ["a", "b", "c"]}, "a", "b", "c")
        assert (await router.call_with_fallback(SUM)).backend == "c"

    async def test_parsed_content_is_what_is_compared(self) -> None:
        self.server.script("a", answer('{"n": 390}'))
        self.server.script("b", answer('```json\n{ "n" : 391 }\n```'))
        self.server.script("c", answer('{"n":391}'))
        router = self.over({"use": "vote", "over": ["a", "b", "c"]}, "a", "b", "c")
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        assert (await router.call_with_fallback(Task("n?", schema=schema))).content == {"n": 391}


class Cascading(Together):
    CASCADE = {"use": "cascade", "over": ["a", "b"], "until": {"confidence": 0.7}}

    async def test_a_sure_answer_of_the_cheap_one_is_enough(self) -> None:
        self.server.script("a", logged("391", -0.05))
        router = self.over(self.CASCADE, "a", "b")
        assert (await router.call_with_fallback(SUM)).backend == "a"
        assert self.server.asked("b") == 0

    async def test_a_doubtful_one_goes_on_and_says_why(self) -> None:
        self.server.script("a", logged("390", -1.0))
        router = self.over(self.CASCADE, "a", "b")
        result = await router.call_with_fallback(SUM)
        assert [attempt.backend for attempt in result.attempts] == ["a", "b"]
        (turned,) = [event for event in self.events if isinstance(event, FellBack)]
        assert (turned.failure, turned.reason) == (FailureCode.LOW_CONFIDENCE, "37% sure, 70% wanted")

    async def test_a_doubtful_answer_is_better_than_none(self) -> None:
        self.server.script("a", logged("390", -1.0))
        self.server.script("b", status(500))
        router = self.over(self.CASCADE, "a", "b")
        result = await router.call_with_fallback(SUM)
        assert (result.backend, result.text) == ("a", "390")
        assert "GaveUp" not in self.heard()

    async def test_calibration_tells_how_sure_a_backend_can_be_believed_to_be(self) -> None:
        self.server.script("a", logged("391", -0.05))
        router = self.over(self.CASCADE, "a", "b")
        result = await router.call_with_fallback(SUM)
        for number in range(40):
            router.feedback(str(number), result.attempts[0], good=number % 2 == 0)
        assert (await router.call_with_fallback(SUM)).backend == "b"

    async def test_samples_that_disagree_go_on_where_no_confidence_can_be_had(self) -> None:
        cascade = {"use": "cascade", "over": ["a", "b"], "until": {"agreement": 0.6, "samples": 3}}
        self.server.script("a", answer("390"), answer("392"), answer("401"))
        router = self.over(cascade, "a", "b")
        assert (await router.call_with_fallback(SUM)).backend == "b"
        self.server.script("a", answer("391"), answer("390"), answer("391"))
        self.server.requests.clear()
        assert (await router.call_with_fallback(SUM)).backend == "a"
        assert self.server.asked("a") == 3
        self.server.script("a", answer("391"))
        self.server.requests.clear()
        assert (await router.call_with_fallback(SUM)).backend == "a"
        assert self.server.asked("a") == 2, "two of three are enough"

    async def test_an_eager_stream_shows_nothing_that_may_not_count(self) -> None:
        self.server.script("a", logged("Three hundred and ninety it is, I think.", -1.0))
        router = self.over(self.CASCADE, "a", "b")
        stream = router.stream(SUM, mode="eager")
        text = "".join([piece async for piece in stream])
        assert stream.result is not None
        assert stream.result.backend == "b"
        assert "ninety" not in text

    async def test_a_deadline_ends_a_cascade_with_what_there_is(self) -> None:
        self.server.script("a", logged("390", -1.0))
        self.server.script("b", silent())
        router = self.over(self.CASCADE, "a", "b", b={"timeout": Timeout(total=30.0)})
        result = await router.call_with_fallback(replace(SUM, deadline=0.3))
        assert result.text == "390"


class Shadowing(Together):
    SHADOW = {"use": "shadow", "then": "a", "shadow": "b", "share": 1}

    async def test_another_is_asked_afterwards_and_only_the_comparison_is_told(self) -> None:
        self.server.script("b", answer("The moon pulls on the water while the earth turns below it."))
        backends = [self.server.backend("a", price=Price(0.1, 1.0)), self.server.backend("b")]
        router = self.router(*backends, route=self.SHADOW)
        result = await router.call_with_fallback(QUESTION)
        assert result.backend == "a"
        assert len(result.attempts) == 1
        while not any(isinstance(event, Compared) for event in self.events):
            await sleep(reactor, 0.005)  # type: ignore[arg-type]
        (compared,) = [event for event in self.events if isinstance(event, Compared)]
        assert (compared.backend, compared.shadow, compared.agreed) == ("a", "b", True)
        assert self.server.requests["b"][0].text == self.server.requests["a"][0].text
        own = {event.task_id for event in self.events if isinstance(event, AttemptStarted)}
        assert len(own) == 2
        assert ("b", "shadow") in {(e.backend, e.source) for e in self.events if isinstance(e, Learned)}

    async def test_nobody_is_asked_besides_where_that_costs_something(self) -> None:
        backends = [self.server.backend("a"), self.server.backend("b", price=Price(0.1, 1.0))]
        router = self.router(*backends, route=self.SHADOW)
        await router.call_with_fallback(QUESTION)
        await sleep(reactor, 0.02)  # type: ignore[arg-type]
        assert self.server.asked("b") == 0

    async def test_a_router_that_stops_lets_go_of_its_comparisons(self) -> None:
        self.server.script("b", silent())
        router = self.router(self.server.backend("a"), self.server.backend("b"), route=self.SHADOW)
        await router.call_with_fallback(QUESTION)
        while not self.server.asked("b"):
            await sleep(reactor, 0.005)  # type: ignore[arg-type]
        await router.stop()
        await self.server.until_closed()


class Nesting(Together):
    async def test_a_race_within_a_fallback_within_a_condition(self) -> None:
        for key in "ab":
            self.server.script(key, status(500))
        race = {"use": "race", "over": ["a", "b"]}
        route = {
            "use": "conditional",
            "cases": [{"when": {"kind": "knowledge"}, "then": {"use": "fallback", "over": [race, "c"]}}],
            "otherwise": "d",
        }
        router = self.over(route, "a", "b", "c", "d")
        result = await router.call_with_fallback(QUESTION)
        assert result.backend == "c"
        assert result.path == (
            "conditional: case 1, as the kind is knowledge",
            "fallback: a is the first that can be asked",
            "race: 2 at once, the first accepted answer counts",
        )
        self.server.script("c", status(500))
        with self.assertRaises(AllBackendsFailed):
            await router.call_with_fallback(QUESTION)
        assert self.server.asked("d") == 0
