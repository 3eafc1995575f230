"""What a reader sees while an answer comes, over real sockets: judged first, eager, continued, or broken off."""

from __future__ import annotations

from itertools import pairwise

from examples import examples
from fake_llm import status
from fake_llm.streams import PIECES, SAID, begun, spoken, streamed, whole
from faults import QUESTION
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming import StreamTest

from uniwizard.agent import AnswerBroken, Router, Task
from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.failures import FailureCode
from uniwizard.agent.engine.continuation import StreamContinuation
from uniwizard.agent.privacy.blindfold import Redacted

LETTERS = st.text("ab. ", max_size=30)


@settings(max_examples=examples(400), deadline=None)
@given(before=LETTERS.filter(str.strip), after=LETTERS, repeats=st.integers(0, 30), cuts=st.lists(st.integers(0, 60)))
def test_what_a_continuation_shows_is_always_the_beginning_of_the_whole(
    before: str, after: str, repeats: int, cuts: list[int]
) -> None:
    shown: list[str] = []
    release = StreamContinuation(Redacted(QUESTION, {}), shown.append)
    release.begin()
    before = f"{PIECES[0]}{PIECES[1]}{before}"
    release.hear(before)
    assert shown == [before], "the first sentence is there, and has been judged"
    assert release.begin().turns[-1].text == before.rstrip()
    continuation = before[len(before) - min(repeats, len(before)) :] + after
    edges = [0, *sorted(cuts), len(continuation)]
    for start, end in pairwise(edges):
        release.hear(continuation[start:end])
    whole = release.complete(Answer(continuation)).text
    assert whole.startswith("".join(shown))
    assert whole.startswith(before)


class Shown(StreamTest):
    """Router.stream: what a reader sees while the answer comes."""

    def readers_router(self, *second: str) -> Router:
        able = frozenset({"stream", *second})
        return self.router(self.streaming("a"), self.streaming("b", capabilities=able))

    async def test_whole_shows_nothing_before_the_judge_has_seen_it(self) -> None:
        self.server.script("a", streamed(whole("openai", "I'm sorry, but ", "I can't help with that.")))
        self.server.script("b", streamed(whole("openai")))
        answer = self.readers_router().stream(QUESTION)
        assert [piece async for piece in answer] == [SAID]
        assert answer.result is not None and answer.result.backend == "b"

    async def test_eager_shows_it_from_the_first_sentence_on(self) -> None:
        self.server.script("a", begun(spoken("openai", *PIECES[:3]), "hang"))
        answer = self.readers_router().stream(QUESTION, mode="eager")
        shown = await answer.__anext__()
        assert shown == "".join(PIECES[:3])
        assert answer.result is None
        await answer.aclose()
        await self.server.until_closed()

    async def test_eager_shows_no_refusal(self) -> None:
        self.server.script("a", streamed(whole("openai", "I'm sorry, but I can't help ", "with that. Really not. ")))
        self.server.script("b", streamed(whole("openai")))
        answer = self.readers_router().stream(QUESTION, mode="eager")
        assert "".join([piece async for piece in answer]) == SAID

    async def test_a_broken_answer_is_continued_by_one_that_takes_a_prefill_without_repeating(self) -> None:
        rest = "So the sea rises twice a day."
        for continuation in (rest, " " + rest, "below it. " + rest, SAID):
            self.server.requests.clear()
            self.server.script("a", begun(spoken("openai", *PIECES[:2]), "reset"))
            self.server.script("b", streamed(whole("openai", *continuation.partition("rises"))))
            answer = self.readers_router("prefill").stream(QUESTION, mode="eager")
            shown = [piece async for piece in answer]
            assert "".join(shown) == SAID, continuation
            assert shown[0] == "".join(PIECES[:2])
            assert answer.result is not None
            assert (answer.result.text, answer.result.backend) == (SAID, "b")
            assert self.server.requests["b"][0].text == "".join(PIECES[:2]).rstrip()

    async def test_without_one_it_ends_cleanly_with_what_was_shown(self) -> None:
        self.server.script("a", begun(spoken("openai", *PIECES[:2]), "reset"))
        answer = self.readers_router().stream(QUESTION, mode="eager")
        shown = []
        with self.assertRaises(AnswerBroken) as caught:
            async for piece in answer:
                shown.append(piece)
        assert caught.exception.text == "".join(shown) == "".join(PIECES[:2])
        assert [attempt.failure for attempt in caught.exception.attempts] == [FailureCode.NETWORK]
        assert self.server.asked("b") == 0

    async def test_one_that_turns_the_prefill_down_is_an_attempt_like_any_other(self) -> None:
        self.server.script("a", begun(spoken("openai", *PIECES[:2]), "reset"))
        self.server.script("b", status(400))
        answer = self.readers_router("prefill").stream(QUESTION, mode="eager")
        with self.assertRaises(AnswerBroken) as caught:
            [piece async for piece in answer]
        assert [attempt.failure for attempt in caught.exception.attempts] == [
            FailureCode.NETWORK,
            FailureCode.BAD_REQUEST,
        ]

    async def test_what_breaks_before_anything_was_shown_falls_back_as_ever(self) -> None:
        self.server.script("a", begun(spoken("openai", "The moon "), "reset"))
        self.server.script("b", streamed(whole("openai")))
        answer = self.readers_router().stream(QUESTION, mode="eager")
        assert "".join([piece async for piece in answer]) == SAID

    async def test_names_are_put_back_although_they_come_in_pieces(self) -> None:
        pieces = ("Dear Per", "son1Q, the moon pulls on the water and on PERSON", " 1Q as well. So the ", "sea rises.")
        self.server.script("a", streamed(whole("openai", *pieces)))
        task = Task("Write to Hildegard of the tides", kind="chat", identity=frozenset({"Hildegard"}))
        answer = self.readers_router().stream(task, mode="eager")
        shown = [piece async for piece in answer]
        meant = "Dear Hildegard, the moon pulls on the water and on Hildegard as well. So the sea rises."
        assert "".join(shown) == meant
        assert answer.result is not None and answer.result.text == meant

    async def test_closing_early_lets_go_of_the_backend(self) -> None:
        self.server.script("a", begun(spoken("openai", *PIECES), "hang"))
        router = self.readers_router()
        answer = router.stream(QUESTION, mode="eager")
        await answer.__anext__()
        await answer.aclose()
        await self.server.until_closed()
        assert router.registry["a"].in_flight == 0
        assert router.registry["a"].success_rate == 1.0

    async def test_a_task_with_a_schema_is_always_whole(self) -> None:
        self.server.script("a", streamed(whole("openai", '{"seas": ', '["Baltic"]}')))
        task = Task("seas?", schema={"type": "object"})
        backend = self.streaming("a", capabilities=frozenset({"stream", "json"}))
        answer = self.router(backend).stream(task, mode="eager")
        assert [piece async for piece in answer] == ['{"seas": ["Baltic"]}']
        assert answer.result is not None and answer.result.content == {"seas": ["Baltic"]}

    async def test_mistakes_are_told_at_once(self) -> None:
        router = self.readers_router()
        with self.assertRaises(KeyError):
            router.stream("x", pin="nobody")
        with self.assertRaises(ValueError):
            router.stream("x", mode="fast")
