"""What follows from a verdict: whom a refusal is taken to, when brains are believed, what feedback changes."""

from __future__ import annotations

from typing import Any

from fake_llm import Reply, answer, completion, refusal, response
from faults import RouterTest

from uniwizard.agent import AllBackendsFailed, Task
from uniwizard.agent.config.settings import Refusals
from uniwizard.agent.core.backend import Price
from uniwizard.agent.core.events import Feedback
from uniwizard.agent.core.failures import FailureCode

QUESTION = Task("How do the tides work?", kind="knowledge")
UNSURE = Task("How do the tides work? End with a line that says your confidence, 0 to 1.", kind="knowledge")
PARTIAL = """I can't provide a list of the people who live at the harbour, as that would violate their privacy.
However, here is the poem you asked for:

The tide comes in, the tide goes out,
the moon above it turns about.
The boats lie down upon the sand
and dream of sea along the land."""


def declined_in_a_field() -> Reply:
    """A 200 OK whose message.refusal says no."""
    body = completion("").replace(b'"content": ""', b'"content": null, "refusal": "Not this."')
    assert b"Not this." in body
    return Reply(response(body))


def sure(confidence: float) -> Reply:
    return answer(f"The moon pulls on the water twice a day, and the land turns below.\n\nConfidence: {confidence}")


class Refusing(RouterTest):
    def refusing_router(self, **settings: Any) -> Any:
        for key in "ab":
            self.server.script(key, refusal())
        backends = [self.server.backend(key) for key in "abc"]
        return self.router(*backends, refusals=Refusals(**settings))

    async def test_two_brains_that_decline_are_believed_and_the_third_is_not_asked(self) -> None:
        result = await self.refusing_router().call_with_fallback(QUESTION)
        assert result.refused
        assert [attempt.backend for attempt in result.refusals] == ["a", "b"]
        assert self.server.asked("c") == 0

    async def test_one_kind_of_work_may_want_more_brains_to_agree(self) -> None:
        result = await self.refusing_router(kinds={"knowledge": {"max_refusals": 3}}).call_with_fallback(QUESTION)
        assert (result.backend, result.refused) == ("c", False)

    async def test_one_backend_may_be_believed_at_once(self) -> None:
        result = await self.refusing_router(backends={"a": {"reroute": False}}).call_with_fallback(QUESTION)
        assert (result.backend, result.refused) == ("a", True)

    async def test_a_refusal_in_a_field_of_its_own_may_be_believed_where_prose_is_not(self) -> None:
        router = self.refusing_router(provider={"reroute": False}, max_refusals=3)
        assert not (await router.call_with_fallback(QUESTION)).refused
        self.server.script("a", declined_in_a_field())
        result = await router.call_with_fallback(QUESTION)
        assert (result.backend, result.refused) == ("a", True)
        assert result.attempts[-1].verdict.source == "provider"

    async def test_a_refusal_opens_no_breaker_but_that_kind_of_work_is_asked_of_others_first(self) -> None:
        self.server.script("a", *[refusal()] * 12)
        router = self.router(self.server.backend("a", strengths=("knowledge",)), self.server.backend("b"))
        assert router.route(QUESTION) == "a"
        for _ in range(6):
            await router.call_with_fallback(QUESTION, pin="a")
        assert router.registry["a"].state == "closed"
        assert router.route(QUESTION) == "b"
        assert router.route(Task("hello", kind="chat")) == "a"

    async def test_a_partial_refusal_is_accepted_and_marked_unless_the_config_says_otherwise(self) -> None:
        task = Task("Write a poem on tides, then list who lives at the harbour.", kind="write")
        self.server.script("a", answer(PARTIAL))
        result = await self.router(self.server.backend("a"), self.server.backend("b")).call_with_fallback(task)
        assert (result.backend, result.partial, result.refused) == ("a", True, False)
        self.server.script("a", answer(PARTIAL))
        strict = self.router(self.server.backend("a"), self.server.backend("b"), judge={"a": {"partial": "refuse"}})
        assert (await strict.call_with_fallback(task)).backend == "b"


class Doubting(RouterTest):
    def doubting_router(self, first: float, **settings: Any) -> Any:
        self.server.script("a", sure(first))
        for key in "bc":
            self.server.script(key, sure(0.95))
        prices = {"a": Price(1, 1), "b": Price(0.1, 0.1), "c": Price(5, 5)}
        backends = [self.server.backend(key, price=price) for key, price in prices.items()]
        return self.router(*backends, judge={key: {"min_confidence": 0.6} for key in "abc"}, **settings)

    async def test_an_unsure_answer_goes_to_the_next_stronger_brain(self) -> None:
        router = self.doubting_router(0.2)
        result = await router.call_with_fallback(UNSURE, pin="a")
        assert [a.failure for a in result.attempts] == [FailureCode.LOW_CONFIDENCE, None]
        assert result.backend == "c", "the dearer one, though the cheaper ranks before it"

    async def test_a_sure_answer_stays(self) -> None:
        assert (await self.doubting_router(0.9).call_with_fallback(UNSURE, pin="a")).backend == "a"

    async def test_when_nobody_is_sure_everyone_is_listed(self) -> None:
        router = self.doubting_router(0.2)
        for key in "bc":
            self.server.script(key, sure(0.1))
        with self.assertRaises(AllBackendsFailed) as caught:
            await router.call_with_fallback(UNSURE, pin="a")
        assert {a.failure for a in caught.exception.attempts} == {FailureCode.LOW_CONFIDENCE}

    async def test_feedback_teaches_how_far_a_brain_can_be_believed(self) -> None:
        router = self.doubting_router(0.9)
        told: list[Feedback] = []
        router.events.subscribe(lambda event: told.append(event) if isinstance(event, Feedback) else None)
        result = await router.call_with_fallback(UNSURE, pin="a")
        for right in [True] * 6 + [False] * 6:
            router.feedback(UNSURE.id, result.attempts[-1], good=right)
        assert len(told) == 12
        assert router.calibrations() == {"a": [(0.9, True)] * 6 + [(0.9, False)] * 6}
        self.server.script("a", sure(0.9))
        assert (await router.call_with_fallback(UNSURE, pin="a")).backend == "c"
