"""Streams that fail, over real sockets: what the caller gets, how often each backend is asked, and its health after."""

from __future__ import annotations

from dataclasses import replace

from fake_llm import Reply, completion, response, silent, status
from fake_llm.streams import (
    HEAD,
    PIECES,
    SAID,
    begun,
    candidate,
    chunk,
    chunked,
    closed,
    message,
    ndjson,
    opened,
    spoken,
    sse,
    stop,
    streamed,
    whole,
)
from faults import QUESTION, tick
from streaming import PATIENCE, StreamTest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from uniwizard.agent import AllBackendsFailed, ContentFiltered
from uniwizard.agent.core.backend import APIS, Price
from uniwizard.agent.core.events import Event, WordsBegan, WordsCame
from uniwizard.agent.core.failures import FailureCode
from uniwizard.agent.engine.continuation import StreamProgress
from uniwizard.agent.health.breaker import State


class Whole(StreamTest):
    async def test_a_stream_is_an_answer_on_every_api(self) -> None:
        for api in APIS:
            self.server.script("a", streamed(whole(api)))
            router = self.router(self.streaming("a", api))
            result = await router.call_with_fallback(QUESTION)
            assert (result.text, result.backend, result.finish_reason) == (SAID, "a", "stop"), api
            heard = ["TaskBegan", "AttemptStarted", "WordsBegan", "AttemptEnded", "Answered", "TaskEnded"]
            assert self.heard() == heard
            assert [event.backend for event in self.events if isinstance(event, WordsBegan)] == ["a"]

    async def test_the_time_to_the_first_words_is_told_of_streams_alone(self) -> None:
        self.server.script("a", streamed(whole("openai")))
        clock, began = reactor.seconds(), []  # type: ignore[attr-defined]
        router = self.router(self.streaming("a"), self.server.backend("b"))
        router.events.subscribe(lambda event: began.append(event.at) if isinstance(event, WordsBegan) else None)
        (attempt,) = (await router.call_with_fallback(QUESTION)).attempts
        assert clock <= attempt.started <= began[0]
        assert attempt.first_token_ms == (began[0] - attempt.started) * 1000.0
        assert attempt.first_token_ms <= attempt.latency_ms
        self.server.script("b", Reply(response(completion(SAID))))
        (plain,) = (await router.call_with_fallback(QUESTION, "b")).attempts
        assert plain.first_token_ms is None

    async def test_streams_one_after_the_other_share_a_connection(self) -> None:
        self.server.script("a", streamed(whole("openai")))
        router = self.router(self.streaming("a"))
        for _ in range(5):
            await router.call_with_fallback(QUESTION)
        assert self.server.connections == 1

    async def test_a_backend_that_cannot_stream_is_asked_plainly(self) -> None:
        router = self.router(self.server.backend("a"))
        await router.call_with_fallback(QUESTION)
        assert b'"stream":false' in self.server.requests["a"][0].body
        assert "WordsBegan" not in self.heard()

    async def test_an_answer_in_one_piece_is_an_answer(self) -> None:
        router = self.router(self.streaming("a"))
        assert (await router.call_with_fallback(QUESTION)).text.startswith("The moon pulls")

    async def test_a_finish_reason_is_enough_whether_the_body_ends_or_stays_open_or_breaks(self) -> None:
        data = whole("openai").removesuffix(b"data: [DONE]\n\n")
        for reply in (streamed(data), begun(data, "hang"), begun(data, "reset"), begun(data, "close")):
            self.server.script("a", reply)
            router = self.router(self.streaming("a"))
            assert (await router.call_with_fallback(QUESTION)).text == SAID
            assert router.registry["a"].success_rate == 1.0

    def test_progress_is_told_once_a_second_at_the_most(self) -> None:
        clock, told = Clock(), list[Event]()
        hearing = StreamProgress(told.append, clock, "task", "a")  # type: ignore[arg-type]
        for _ in range(24):
            hearing("word ")
            clock.advance(0.125)
        assert told == [
            WordsBegan(0.0, "task", "a"),
            WordsCame(1.0, "task", "a", 45),
            WordsCame(2.0, "task", "a", 85),
        ]

    async def test_cancelling_closes_the_connection(self) -> None:
        self.server.script("a", begun(spoken("openai", *PIECES[:2]), "hang"))
        router = self.router(self.streaming("a"))
        asked = Deferred.fromCoroutine(router.call_with_fallback(QUESTION))
        while "WordsBegan" not in self.heard():
            await tick()
        asked.cancel()
        with self.assertRaises(CancelledError):
            await asked
        await self.server.until_closed()
        assert router.registry["a"].in_flight == 0


class Failing(StreamTest):
    async def test_an_error_before_the_stream_is_that_failure(self) -> None:
        for api in APIS:
            for reply, failure in (
                (status(503), FailureCode.OVERLOADED),
                (status(500), FailureCode.SERVER_ERROR),
                (status(429), FailureCode.RATE_LIMITED),
                (status(401), FailureCode.AUTH),
                (Reply(end="reset"), FailureCode.NETWORK),
                (Reply(response(b"<html>a proxy's page</html>", kind="text/html")), FailureCode.MALFORMED),
                (streamed(b""), FailureCode.MALFORMED),
            ):
                result = await self.fallback_after(api, reply)
                assert (result.backend, result.text) == ("b", SAID), (api, failure)
                assert result.attempts[0].failure is failure
                assert result.attempts[0].cost_usd == 0.0
                assert self.turn().chars == 0
                assert (self.server.asked("a"), self.server.asked("b")) == (1, 1)

    async def test_a_failure_that_passes_is_tried_again_here(self) -> None:
        for first in (status(429, "Retry-After: 0"), status(500), Reply(end="reset")):
            self.server.script("a", first, streamed(whole("openai")))
            router = self.router(self.streaming("a", retries=1), self.streaming("b"))
            result = await router.call_with_fallback(QUESTION)
            assert [attempt.backend for attempt in result.attempts] == ["a", "a"]
            assert router.registry["a"].state is State.CLOSED
        assert self.server.asked("b") == 0

    async def test_one_that_is_down_for_ever_is_left_alone_and_gets_its_work_back(self) -> None:
        self.server.script("a", status(503))
        router = self.router(self.streaming("a", allowed_fails=1, cooldown_time=0.05), self.streaming("b"))
        self.server.script("b", streamed(whole("openai")))
        for _ in range(5):
            assert (await router.call_with_fallback(QUESTION)).backend == "b"
        assert self.server.asked("a") <= 3
        self.server.script("a", streamed(whole("openai")))
        waited: Deferred[None] = Deferred()
        reactor.callLater(0.06, waited.callback, None)  # type: ignore[attr-defined]
        await waited
        assert (await router.call_with_fallback(QUESTION)).backend == "a"
        assert router.registry["a"].state is State.CLOSED

    async def test_one_that_dies_in_mid_sentence_is_never_taken_for_whole(self) -> None:
        for api in APIS:
            half = opened(api) + spoken(api, *PIECES[:2])
            for reply, failure in (
                (begun(half, "reset"), FailureCode.NETWORK),
                (begun(half, "close"), FailureCode.NETWORK),
                (streamed(half), FailureCode.MALFORMED),
                (Reply(response(half)), FailureCode.MALFORMED),
                (Reply(response(half).replace(b"Length: ", b"Length: 1"), end="close"), FailureCode.NETWORK),
                (Reply(b"HTTP/1.1 200 OK\r\n\r\n" + half, end="close"), FailureCode.MALFORMED),
                (
                    Reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(half) + whole(api)),
                    FailureCode.MALFORMED,
                ),
            ):
                result = await self.fallback_after(api, reply, retries=2)
                assert (result.backend, result.text) == ("b", SAID), (api, reply)
                assert [attempt.failure for attempt in result.attempts] == [failure, None], (api, reply)
                assert self.turn().chars == result.attempts[0].chars == len("".join(PIECES[:2])), api
                assert self.road.registry["a"].success_rate < 1.0

    async def test_alone_it_is_asked_again_and_then_given_up_with_every_attempt_named(self) -> None:
        self.server.script("a", begun(spoken("openai", PIECES[0]), "reset"))
        router = self.router(self.streaming("a", retries=1))
        with self.assertRaises(AllBackendsFailed) as caught:
            await router.call_with_fallback(QUESTION)
        assert [attempt.chars for attempt in caught.exception.attempts] == [len(PIECES[0])] * 2
        assert str(caught.exception).count("a: network") == 2

    async def test_silences_are_bounded_by_phase_and_a_silent_route_is_not_asked_twice(self) -> None:
        impatient = {"first_token": replace(PATIENCE, first_token=0.2), "idle": replace(PATIENCE, idle=0.2)}
        for api in APIS:
            for phase, reply, words_lost in (
                ("first_token", silent(), 0),
                ("first_token", begun(b": still here\n\n" if api != "ollama" else b"\n", "hang"), 0),
                ("first_token", begun(opened(api) or b"\n", "hang"), 0),
                ("idle", begun(opened(api) + spoken(api, *PIECES[:2]), "hang"), len("".join(PIECES[:2]))),
            ):
                result = await self.fallback_after(api, reply, timeout=impatient[phase], retries=3)
                assert result.backend == "b", (api, phase)
                first = result.attempts[0]
                assert (first.failure, first.chars) == (FailureCode.TIMEOUT, words_lost), (api, phase)
                assert ("first word" in first.reason) is (phase == "first_token")
                assert self.server.asked("a") == 1

    async def test_a_first_word_that_is_late_but_in_time_is_waited_for(self) -> None:
        late = replace(streamed(whole("openai")), after=0.05)
        result = await self.fallback_after("openai", late, timeout=replace(PATIENCE, idle=0.01))
        assert result.backend == "a"

    async def test_the_total_bounds_a_stream_that_never_stops_talking(self) -> None:
        data = chunked(spoken("openai", "and on "), last=False)
        result = await self.fallback_after("openai", Reply(HEAD, endless=data), timeout=replace(PATIENCE, total=0.1))
        assert result.attempts[0].failure in (FailureCode.TIMEOUT, FailureCode.MALFORMED)
        assert result.backend == "b"

    async def test_a_malformed_event_breaks_the_answer_or_nothing(self) -> None:
        events = [sse(chunk({"content": piece})) for piece in PIECES]
        harmless = b"".join([*events[:2], b"data: {oops\n\n", *events[2:], closed("openai")])
        assert (await self.fallback_after("openai", streamed(harmless))).backend == "a"
        harmful = b"".join([events[0], events[1][:-20] + b"\n\n", *events[2:], closed("openai")])
        result = await self.fallback_after("openai", streamed(harmful))
        assert (result.backend, result.attempts[0].failure) == ("b", FailureCode.MALFORMED)

    async def test_an_error_in_the_stream_falls_back(self) -> None:
        errors = {
            "openai": sse({"error": {"message": "The engine is currently overloaded", "type": "overloaded_error"}}),
            "anthropic": sse({"type": "error", "error": {"type": "overloaded_error", "message": "O"}}, names=True),
            "gemini": sse({"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}),
            "ollama": ndjson({"error": "server busy"}),
        }
        for api, error in errors.items():
            result = await self.fallback_after(api, streamed(opened(api) + spoken(api, PIECES[0]) + error))
            assert result.attempts[0].failure is FailureCode.OVERLOADED, api
            assert (result.backend, self.turn().chars) == ("b", len(PIECES[0]))

    async def test_an_error_object_with_200_falls_back(self) -> None:
        result = await self.fallback_after("openai", Reply(response(b'{"error": {"message": "boom", "code": 500}}')))
        assert (result.backend, result.attempts[0].failure) == ("b", FailureCode.SERVER_ERROR)

    async def test_a_full_context_goes_to_a_larger_one_and_never_back(self) -> None:
        error = {"code": "context_length_exceeded", "message": "too long"}
        self.server.script("a", status(400, error=error))
        self.server.script("c", streamed(whole("openai")))
        small, same, large = self.streaming("a", retries=2), self.streaming("b"), self.streaming("c", max_context=10**6)
        router = self.router(small, same, large)
        result = await router.call_with_fallback(QUESTION)
        assert [attempt.backend for attempt in result.attempts] == ["a", "c"]
        assert (self.server.asked("a"), self.server.asked("b")) == (1, 0)
        assert router.registry["a"].success_rate == 1.0

    async def test_a_hard_filter_is_told_with_the_providers_reason_and_not_shopped_around(self) -> None:
        blocked = sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
        self.server.script("a", streamed(blocked))
        router = self.router(self.streaming("a", "gemini"), self.streaming("b"))
        with self.assertRaises(ContentFiltered) as caught:
            await router.call_with_fallback(QUESTION)
        assert "PROHIBITED_CONTENT" in str(caught.exception)
        assert self.server.asked("b") == 0
        self.server.script("b", streamed(whole("openai")))
        shopping = self.router(self.streaming("a", "gemini"), self.streaming("b"), content_filter="reroute")
        assert (await shopping.call_with_fallback(QUESTION)).backend == "b"

    async def test_a_refusal_in_a_stream_is_a_refusal(self) -> None:
        refusals = {
            "openai": sse(chunk({"refusal": "I cannot help"}), chunk({"refusal": " with that."}), chunk({}, "stop")),
            "anthropic": sse(message(), *stop("refusal"), names=True),
            "gemini": sse(candidate({"text": "Well,"}, finishReason="SAFETY")),
            "ollama": whole("ollama", "I'm sorry, but ", "I can't help with that."),
        }
        for api, data in refusals.items():
            result = await self.fallback_after(api, streamed(data))
            assert (result.backend, result.attempts[0].failure) == ("b", FailureCode.REFUSED), api
            assert self.road.registry["a"].success_rate == 1.0

    async def test_an_empty_stream_is_empty(self) -> None:
        for api in APIS:
            result = await self.fallback_after(api, streamed(opened(api) + closed(api)))
            assert (result.backend, result.attempts[0].failure) == ("b", FailureCode.EMPTY), api

    async def test_tokens_that_were_reported_before_the_break_are_charged_and_others_are_estimated(self) -> None:
        price = Price(1.0, 1.0)
        for api, cost in (("anthropic", 0.013), ("openai", 0.018)):
            half = begun(opened(api) + spoken(api, PIECES[0]), "reset")
            result = await self.fallback_after(api, half, price=price)
            assert abs(result.attempts[0].cost_usd - cost) < 1e-9, api
