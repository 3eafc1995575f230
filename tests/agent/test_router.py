"""The road of a task over real sockets: retry, fall back, refuse, give up; what is told and what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fake_llm import Reply, answer, completion, refusal, response, silent, status
from faults import QUESTION, RouterTest, gives_up, thinking, tick
from twisted.internet.defer import Deferred, gatherResults

from uniwizard.agent import AllBackendsFailed, BudgetSpent, ContentFiltered, Router, Task, Tool
from uniwizard.agent.config.settings import Refusals, Rule
from uniwizard.agent.core.backend import Price, Quota, Timeout
from uniwizard.agent.core.clock import sleep
from uniwizard.agent.core.events import Answered, AttemptEnded, FellBack, GaveUp, Leaked, TaskBegan, TaskEnded
from uniwizard.agent.core.failures import FailureCode
from uniwizard.agent.health.breaker import State


class Written:
    """A journal that takes as long as the test wants."""

    def __init__(self, recorded: Callable[[str], Deferred[None]]):
        self.recorded = recorded


class Answering(RouterTest):
    async def test_an_answer_comes_back_with_everything_about_it(self) -> None:
        router = self.router(self.server.backend("a", price=Price(0.1, 1.0)))
        result = await router.call_with_fallback(QUESTION)
        assert result.text == "The moon pulls on the water, and the earth turns below it."
        assert (result.backend, result.model, result.kind) == ("a", "told", "knowledge")
        assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.estimated) == (10, 20, False)
        assert abs(result.cost_usd - 0.021) < 1e-9
        assert result.latency_ms > 0
        assert not (result.refused or result.partial or result.practice)
        assert self.heard() == ["TaskBegan", "AttemptStarted", "AttemptEnded", "Answered", "TaskEnded"]

    async def test_a_plain_string_is_a_task(self) -> None:
        router = self.router(self.server.backend("a"))
        assert (await router.call_with_fallback("hello")).text
        assert router.route("hello") == "a"

    async def test_what_no_provider_reports_is_estimated_and_says_so(self) -> None:
        self.server.script("a", answer("four and twenty letters", usage=None))
        router = self.router(self.server.backend("a", price=Price(1.0, 1.0)))
        result = await router.call_with_fallback(QUESTION)
        assert result.usage.estimated
        assert result.cost_usd > 0

    async def test_parsed_content_comes_with_a_schema(self) -> None:
        self.server.script("a", answer('{"rivers": ["Vistula"]}'))
        schema = {"type": "object", "properties": {"rivers": {"type": "array"}}, "required": ["rivers"]}
        router = self.router(self.server.backend("a"))
        assert (await router.call_with_fallback(Task("rivers?", schema=schema))).content == {"rivers": ["Vistula"]}

    async def test_call_asks_one_backend_and_nobody_else(self) -> None:
        self.server.script("a", status(503))
        router = self.router(self.server.backend("a"), self.server.backend("b"))
        with self.assertRaises(AllBackendsFailed):
            await router.call("a", "hello")
        assert self.server.asked("b") == 0
        assert await router.call("b", "hello")

    async def test_an_unknown_backend_is_a_key_error_that_names_the_known_ones(self) -> None:
        router = self.router(self.server.backend("a"), self.server.backend("b"))
        for asked in (router.call("nobody", "x"), router.call_with_fallback("x", "nobody")):
            with self.assertRaises(KeyError) as caught:
                await asked
            assert "a, b" in str(caught.exception)


class Retrying(RouterTest):
    async def test_a_passing_failure_is_tried_again_on_the_same_backend(self) -> None:
        for code in (429, 500, 503, 529):
            self.server.script("a", status(code), status(code), answer())
            router = self.router(self.server.backend("a", retries=2), self.server.backend("b"))
            result = await router.call_with_fallback(QUESTION)
            assert [attempt.backend for attempt in result.attempts] == ["a", "a", "a"]
            assert self.heard().count("Retrying") == 2
        assert self.server.asked("b") == 0

    async def test_retries_end_and_the_task_moves_on(self) -> None:
        self.server.script("a", status(503))
        router = self.router(self.server.backend("a", retries=2), self.server.backend("b"))
        result = await router.call_with_fallback(QUESTION)
        assert [attempt.backend for attempt in result.attempts] == ["a", "a", "a", "b"]
        (turned,) = [event for event in self.events if isinstance(event, FellBack)]
        assert (turned.backend, turned.to, turned.failure) == ("a", "b", FailureCode.OVERLOADED)

    async def test_what_does_not_pass_is_not_tried_again(self) -> None:
        timeouts = {"timeout": Timeout(total=0.05)}
        for reply, failure, settings in (
            (status(400), FailureCode.BAD_REQUEST, {}),
            (status(401), FailureCode.AUTH, {}),
            (status(404), FailureCode.NOT_FOUND, {}),
            (status(302, "Location: /elsewhere"), FailureCode.MALFORMED, {}),
            (silent(), FailureCode.TIMEOUT, timeouts),
            (answer(""), FailureCode.EMPTY, {}),
            (refusal(), FailureCode.REFUSED, {}),
            (Reply(response(b"<html>a proxy's page</html>", kind="text/html")), FailureCode.MALFORMED, {}),
            (Reply(response(completion("cut")[:-20])), FailureCode.MALFORMED, {}),
            (Reply(response(b'{"error": {"message": "boom", "code": 500}}')), None, {}),
            (status(429, error={"code": "insufficient_quota", "message": "pay"}), FailureCode.QUOTA_EXHAUSTED, {}),
        ):
            self.server.requests.clear()
            self.server.script("a", reply)
            router = self.router(
                self.server.backend("a", retries=3 if failure else 0, **settings), self.server.backend("b")
            )
            result = await router.call_with_fallback(QUESTION)
            assert self.server.asked("a") == 1, (failure, result.attempts)
            assert result.backend == "b"
            assert failure is None or result.attempts[0].failure is failure

    async def test_a_connection_cut_anywhere_never_becomes_an_answer(self) -> None:
        whole = response(completion("The tide is high at noon."))
        for cut in range(0, len(whole), 7):
            for end in ("close", "reset"):
                self.server.script("a", Reply(whole[:cut], end=end))
                router = self.router(self.server.backend("a"), self.server.backend("b"))
                result = await router.call_with_fallback(QUESTION)
                assert result.backend == "b", cut
                assert result.attempts[0].failure is FailureCode.NETWORK

    async def test_an_answer_of_the_wrong_content_type_is_an_answer_all_the_same(self) -> None:
        self.server.script("a", Reply(response(completion("High at noon, low at six."), kind="text/plain")))
        assert (await self.router(self.server.backend("a")).call_with_fallback(QUESTION)).backend == "a"

    async def test_fifty_megabytes_are_malformed(self) -> None:
        self.server.script("a", Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n", endless=b"x" * 65536))
        failed = await gives_up(self.router(self.server.backend("a")))
        assert failed.failure is FailureCode.MALFORMED
        await self.server.until_closed()


class FallingBack(RouterTest):
    async def test_everyone_is_asked_in_order_until_one_answers(self) -> None:
        self.server.script("a", status(401))
        self.server.script("b", status(404))
        router = self.router(*map(self.server.backend, "abcd"))
        result = await router.call_with_fallback(QUESTION)
        assert [attempt.backend for attempt in result.attempts] == ["a", "b", "c"]
        assert self.server.asked("d") == 0
        assert self.heard() == [
            "TaskBegan",
            *("AttemptStarted", "AttemptEnded", "BreakerOpened", "FellBack"),
            *("AttemptStarted", "AttemptEnded", "BreakerOpened", "FellBack"),
            *("AttemptStarted", "AttemptEnded", "Answered"),
            "TaskEnded",
        ]

    async def test_a_backends_own_fallbacks_come_before_the_ranking(self) -> None:
        self.server.script("a", status(503))
        router = self.router(self.server.backend("a", fallbacks=("c",)), *map(self.server.backend, "bc"))
        assert (await router.call_with_fallback(QUESTION)).backend == "c"

    async def test_fallbacks_that_all_fail_end_the_road(self) -> None:
        self.server.script("a", status(503))
        self.server.script("c", status(503))
        router = self.router(self.server.backend("a", fallbacks=("c",)), *map(self.server.backend, "bc"))
        assert [attempt.backend for attempt in (await gives_up(router)).attempts] == ["a", "c"]

    async def test_a_pinned_backend_is_asked_first_and_its_fallbacks_apply(self) -> None:
        self.server.script("b", status(503))
        router = self.router(
            self.server.backend("a"), self.server.backend("b", fallbacks=("c",)), self.server.backend("c")
        )
        result = await router.call_with_fallback(QUESTION, "b")
        assert [attempt.backend for attempt in result.attempts] == ["b", "c"]

    async def test_giving_up_lists_every_attempt_and_everyone_who_was_not_asked(self) -> None:
        self.server.script("a", status(503))
        self.server.script("b", status(500))
        asleep = self.server.backend("c", unconfigured="C_KEY is not set")
        failed = await gives_up(self.router(self.server.backend("a"), self.server.backend("b"), asleep))
        assert [(a.backend, a.failure) for a in failed.attempts] == [
            ("a", FailureCode.OVERLOADED),
            ("b", FailureCode.SERVER_ERROR),
        ]
        assert [(s.backend, s.reason) for s in failed.skipped] == [("c", "asleep: C_KEY is not set")]
        assert "C_KEY" in str(failed)
        (told,) = [event for event in self.events if isinstance(event, GaveUp)]
        assert (told.attempts, told.failure) == (2, FailureCode.SERVER_ERROR)

    async def test_the_only_answer_there_is_is_given_although_it_declines(self) -> None:
        self.server.script("a", status(503))
        self.server.script("b", refusal())
        result = await self.router(self.server.backend("a"), self.server.backend("b")).call_with_fallback(QUESTION)
        assert (result.backend, result.refused) == ("b", True)

    async def test_nobody_to_ask_is_told_without_an_attempt(self) -> None:
        router = self.router(self.server.backend("a", unconfigured="A_KEY is not set"))
        assert (await gives_up(router)).attempts == ()
        with self.assertRaises(AllBackendsFailed):
            router.route(QUESTION)

    async def test_a_full_context_goes_on_to_a_larger_one_only(self) -> None:
        overflow = status(400, error={"code": "context_length_exceeded", "message": "too long"})
        self.server.script("a", overflow)
        router = self.router(
            self.server.backend("a", max_context=8000),
            self.server.backend("b", max_context=8000),
            self.server.backend("c", max_context=8001),
        )
        result = await router.call_with_fallback(QUESTION)
        assert [attempt.backend for attempt in result.attempts] == ["a", "c"]
        assert result.attempts[0].failure is FailureCode.CONTEXT_OVERFLOW

    async def test_a_hard_filter_is_told_and_not_shopped_around(self) -> None:
        self.server.script("a", status(400, error={"code": "content_filter", "message": "filtered"}))
        failed = await gives_up(self.router(*map(self.server.backend, "ab")))
        assert isinstance(failed, ContentFiltered)
        assert self.server.asked("b") == 0

    async def test_a_hard_filter_is_rerouted_where_the_config_says_so(self) -> None:
        self.server.script("a", status(400, error={"code": "content_filter", "message": "filtered"}))
        router = self.router(*map(self.server.backend, "ab"), content_filter="reroute")
        assert (await router.call_with_fallback(QUESTION)).backend == "b"

    async def test_a_task_that_no_json_can_carry_is_a_bad_request(self) -> None:
        failed = await gives_up(self.router(self.server.backend("a")), Task("x", temperature=float("nan")))
        assert failed.failure is FailureCode.BAD_REQUEST
        assert self.server.asked("a") == 0


class Refusing(RouterTest):
    async def test_a_refusal_goes_to_the_next_brain(self) -> None:
        self.server.script("a", refusal())
        result = await self.router(*map(self.server.backend, "ab")).call_with_fallback(QUESTION)
        assert result.backend == "b"
        assert [attempt.backend for attempt in result.refusals] == ["a"]
        assert "Refused" in self.heard()

    async def test_when_enough_brains_decline_the_refusal_is_accepted_and_says_so(self) -> None:
        for key in "ab":
            self.server.script(key, refusal())
        result = await self.router(*map(self.server.backend, "abc")).call_with_fallback(QUESTION)
        assert (result.backend, result.refused) == ("b", True)
        assert "can't help" in result.text
        assert self.server.asked("c") == 0

    async def test_one_refusal_is_enough_where_rerouting_is_off(self) -> None:
        self.server.script("a", refusal())
        router = self.router(*map(self.server.backend, "ab"), refusals=Refusals(reroute=False))
        assert (await router.call_with_fallback(QUESTION)).refused
        assert self.server.asked("b") == 0

    async def test_a_structured_refusal_counts_like_prose(self) -> None:
        self.server.script("a", answer("", refusal="I will not do that."))
        result = await self.router(*map(self.server.backend, "ab")).call_with_fallback(QUESTION)
        assert result.attempts[0].failure is FailureCode.REFUSED

    async def test_a_refusal_does_not_open_the_breaker_and_costs_what_it_costs(self) -> None:
        self.server.script("a", refusal())
        router = self.router(self.server.backend("a", allowed_fails=0, price=Price(1.0, 1.0)), self.server.backend("b"))
        result = await router.call_with_fallback(QUESTION)
        assert router.registry["a"].state is State.CLOSED
        assert result.attempts[0].cost_usd == 0.03
        assert result.cost_usd == 0.03

    async def test_whoever_keeps_declining_one_kind_is_asked_later_for_that_kind_alone(self) -> None:
        self.server.script("a", refusal())
        router = self.router(*map(self.server.backend, "ab"))
        for _ in range(12):
            await router.call_with_fallback(QUESTION)
        assert router.route(QUESTION) == "b"
        assert router.route(Task("hello", kind="chat")) == "a"


class Costs(RouterTest):
    async def test_a_failed_attempt_costs_nothing(self) -> None:
        self.server.script("a", status(503))
        router = self.router(self.server.backend("a", price=Price(1.0, 1.0)), self.server.backend("b"))
        result = await router.call_with_fallback(QUESTION)
        assert result.cost_usd == 0.0

    async def test_every_attempt_asks_for_its_most_before_it_starts_and_a_no_ends_the_road(self) -> None:
        self.server.script("a", refusal())
        dear, free = self.server.backend("a", price=Price(0.0, 1.0), max_tokens=100), self.server.backend("b")
        router = self.router(dear, free, self.server.backend("c"))
        asked: list[tuple[str, float]] = []

        class OneAttempt:
            def reserve(self, task_id: str, usd: float) -> str:
                asked.append((task_id, usd))
                return "the budget is used up" if len(asked) > 1 else ""

            def unreserve(self, task_id: str) -> None:
                released.append(task_id)

        released: list[str] = []
        router.keep_account(None, OneAttempt())
        failed = await gives_up(router)
        assert isinstance(failed, BudgetSpent)
        assert [task_id for task_id, _ in asked] == [QUESTION.id, QUESTION.id]
        assert asked[0][1] == 0.1
        assert failed.why == "the budget is used up"
        assert failed.cost_usd == 0.02
        assert released == [QUESTION.id]
        assert (self.server.asked("a"), self.server.asked("b")) == (1, 0)
        assert isinstance(self.events[-2], GaveUp)

    async def test_no_request_leaves_before_its_attempt_is_noted(self) -> None:
        self.server.script("a", status(503))
        router = self.router(self.server.backend("a"), self.server.backend("b"))
        noting: list[tuple[str, list[str], Deferred[None]]] = []

        def recorded(task_id: str) -> Deferred[None]:
            noting.append((task_id, self.heard(), Deferred()))
            return noting[-1][2]

        router.keep_account(Written(recorded), None)
        answered = Deferred.fromCoroutine(router.call_with_fallback(QUESTION))
        for key in ("a", "b"):
            while not noting:
                await tick()
            task_id, heard, written = noting.pop()
            assert (task_id, heard[-1]) == (QUESTION.id, "AttemptStarted")
            for _ in range(3):
                await tick()
            assert self.server.asked(key) == 0
            written.callback(None)
        assert (await answered).backend == "b"

    async def test_many_that_wait_to_be_noted_share_one_quota_and_one_probe(self) -> None:
        metered = self.server.backend("a", quota=(Quota(2, "requests", "day"),))
        router = self.router(metered, self.server.backend("b"))
        router.keep_account(Written(lambda _: sleep(router.clock, 0.01)), None)
        results = await gatherResults(
            [Deferred.fromCoroutine(router.call_with_fallback(Task(f"Question {n}", kind="chat"))) for n in range(6)]
        )
        assert sorted(result.backend for result in results) == ["a"] * 2 + ["b"] * 4
        assert self.server.asked("a") == 2

    async def test_a_deadline_that_passes_while_an_attempt_is_noted_sends_and_counts_nothing(self) -> None:
        router = self.router(self.server.backend("a", quota=(Quota(2, "requests", "day"),)))
        router.keep_account(Written(lambda _: Deferred()), None)
        failed = await gives_up(router, Task("How do tides work?", deadline=0.05))
        assert failed.why.startswith("the deadline of 0.05 s passed")
        assert all(attempt.latency_ms >= 0 for attempt in failed.attempts)
        assert self.server.asked("a") == 0
        assert router.registry["a"].in_flight == 0
        assert router.registry.quotas["a"].windows[0].window.used == 0

    async def test_an_answer_that_is_turned_down_costs_what_was_reported(self) -> None:
        self.server.script("a", answer(""))
        router = self.router(self.server.backend("a", price=Price(1.0, 1.0)), self.server.backend("b"))
        result = await router.call_with_fallback(QUESTION)
        assert result.attempts[0].cost_usd == 0.03
        (told,) = [event for event in self.events if isinstance(event, Answered)]
        assert told.cost_usd == result.cost_usd == 0.03
        assert router.registry["a"].cost_usd == 0.03


class Leaking(RouterTest):
    """What the last look at the bytes stops: a name that got past the veil, in words that are not the task's."""

    async def stopped(self, router: Router, task: Task) -> None:
        failed = await gives_up(router, task)
        assert sum(self.server.asked(key) for key in "ab") == 0
        assert "Anna" not in str(failed)
        assert [type(event) for event in self.events if isinstance(event, Leaked)] == [Leaked]
        assert router.registry["a"].fails == 0

    async def test_a_name_in_a_backends_options_is_not_sent(self) -> None:
        options: dict[str, Any] = {"user": "Anna"}
        router = self.router(self.server.backend("a", options=options), self.server.backend("b"))
        await self.stopped(router, Task("hello", kind="chat", identity=frozenset({"Anna"})))

    async def test_a_name_in_a_system_prompt_is_not_sent(self) -> None:
        router = self.router(self.server.backend("a"), self.server.backend("b"))
        self.patch(router.classifier, "system_prompt", lambda kind: "You are the brain of Anna.")
        await self.stopped(router, Task("hello", kind="chat", identity=frozenset({"Anna"})))

    async def test_a_name_as_the_name_of_a_tool_is_not_sent_and_comes_back(self) -> None:
        call = {"id": "1", "type": "function", "function": {"name": "ask_Person1Q", "arguments": '{"who": "Person1Q"}'}}
        self.server.script("a", answer("", tool_calls=[call], finish_reason="tool_calls"))
        router = self.router(self.server.backend("a"))
        task = Task("hello", kind="chat", tools=(Tool("ask_Anna"),), identity=frozenset({"Anna"}))
        result = await router.call_with_fallback(task)
        assert b"Anna" not in self.server.requests["a"][0].body
        assert [(call.name, call.arguments) for call in result.tool_calls] == [("ask_Anna", '{"who": "Anna"}')]

    async def test_a_player_who_is_called_like_a_word_of_the_request_can_think(self) -> None:
        names = ("User", "Content", "Model", "Role", "Messages", "System", "Stream", "False", "Application", "Object")
        schema = {"type": "object", "properties": {"model": {"type": "string"}}}
        self.server.script("a", answer('{"model": "of a ship"}'))
        router = self.router(self.server.backend("a"))
        for name in names:
            task = Task(f"What does {name} want?", kind="chat", schema=schema, identity=frozenset({name}))
            await router.call_with_fallback(task)
            assert self.server.requests["a"][-1].text == "What does Person1Q want?"

    async def test_a_reload_remembers_whom_to_hide(self) -> None:
        router = self.router(self.server.backend("a"))
        router.hide(["Anna"])
        router.reload(router.registry.config)
        await router.call_with_fallback("Where is Anna?")
        assert self.server.requests["a"][0].text == "Where is Person1Q?"

    async def test_names_come_back_in_the_answer(self) -> None:
        self.server.script("a", answer("Person1Q is at the harbour, says PERSON 2q."))
        task = Task("Where is Anna, O'Brien?", kind="chat", identity=frozenset({"Anna", "O'Brien"}))
        result = await self.router(self.server.backend("a")).call_with_fallback(task)
        assert self.server.requests["a"][0].text == "Where is Person1Q, Person2Q?"
        assert "Anna" in result.text
        assert "O'Brien" in result.text


class Telling(RouterTest):
    async def test_a_listener_that_fails_stops_nothing(self) -> None:
        router = self.router(self.server.backend("a"))

        def fail(event: object) -> None:
            raise RuntimeError("a listener's own fault")

        router.events.subscribe(fail)
        assert (await router.call_with_fallback(QUESTION)).text
        assert len(self.flushLoggedErrors(RuntimeError)) == 5

    async def test_every_attempt_is_told_with_its_outcome(self) -> None:
        self.server.script("a", status(503))
        router = self.router(*map(self.server.backend, "ab"))
        result = await router.call_with_fallback(QUESTION)
        assert tuple(e.attempt for e in self.events if isinstance(e, AttemptEnded)) == result.attempts

    async def test_a_task_is_told_to_begin_and_to_end_whatever_comes_of_it(self) -> None:
        silent = Deferred[None]()
        self.server.script("a", answer(), status(503), status(503))
        router = self.router(self.server.backend("a"))
        await router.call_with_fallback(Task("Hi", kind="chat", context="supervisor.plan"))
        await gives_up(router)
        router.keep_account(Written(lambda _: silent), None)
        stopped = thinking(router)
        stopped.addErrback(lambda _: None)
        stopped.cancel()
        began = [event for event in self.events if isinstance(event, TaskBegan)]
        ended = [event for event in self.events if isinstance(event, TaskEnded)]
        assert [(event.kind, event.context) for event in began[:2]] == [("chat", "supervisor.plan"), ("knowledge", "")]
        assert [(event.outcome, event.backend) for event in ended] == [
            ("answered", "a"),
            ("failed", ""),
            ("stopped", ""),
        ]
        assert [event.task_id for event in began] == [event.task_id for event in ended]

    async def test_a_label_that_names_somebody_is_not_told(self) -> None:
        router = self.router(self.server.backend("a"))
        await router.call_with_fallback(Task("Hi", context="tell.Anna", identity=frozenset({"Anna"})))
        assert [e.context for e in self.events if isinstance(e, TaskBegan | TaskEnded)] == ["", ""]

    async def test_the_texts_of_a_task_that_is_over_are_told_without_names(self) -> None:
        self.server.script("a", answer("Person1Q praises the sea."))
        router = self.router(self.server.backend("a"))
        await router.call_with_fallback(Task("Praise Anna.", kind="chat", identity=frozenset({"Anna"})))
        ended = next(event for event in self.events if isinstance(event, TaskEnded))
        assert ended.veiled is not None
        asked, told = ended.veiled()
        assert [turn.text for turn in asked] == ["Praise Person1Q."]
        assert told == "Person1Q praises the sea."

    async def test_a_result_can_be_written_as_json(self) -> None:
        result = await self.router(self.server.backend("a")).call_with_fallback(QUESTION)
        assert json.loads(json.dumps(result.as_dict(), default=str))["backend"] == "a"

    async def test_explaining_asks_nobody_and_gives_every_reason(self) -> None:
        router = self.router(
            self.server.backend("a"),
            self.server.backend("b", unconfigured="B_KEY is not set"),
            rules=[Rule(frozenset({"knowledge"}), ("a",))],
        )
        decision = router.explain(QUESTION)
        assert (decision.backend, decision.kind, decision.confidence) == ("a", "knowledge", 1.0)
        assert "first choice for knowledge" in decision.ranking[0].reasons
        assert decision.skipped[0].reason == "asleep: B_KEY is not set"
        assert self.server.connections == 0
