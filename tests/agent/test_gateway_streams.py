"""Streams of the gateway as OpenAI's own Python SDK finds them: judged first, or eager."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from gateway_server import REFUSAL, TIDES, Provider, Served, create, error, says, streams


class TestStreaming:
    def test_chunks_put_together_are_the_answer(self, sdk: openai.OpenAI, provider: Provider) -> None:
        text = " ".join(
            f"At harbour {n} high tide comes at {n % 12}:{n:02} (潮の満ち引き, Ebbe)." for n in range(1, 40)
        )
        provider.say("a", says(text))
        chunks = list(create(sdk, stream=True, stream_options={"include_usage": True}))
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert len({chunk.id for chunk in chunks}) == 1
        assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
        assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 30)
        assert chunks[-2].model_extra["uniwizard"]["backend"] == "a"

    def test_without_being_asked_for_no_usage_comes(self, sdk: openai.OpenAI) -> None:
        chunks = list(create(sdk, stream=True))
        assert all(chunk.choices for chunk in chunks)

    def test_a_stream_that_fails_at_once_has_the_status_of_its_failure(
        self, sdk: openai.OpenAI, provider: Provider
    ) -> None:
        for key in ("a", "b"):
            provider.say(key, error(429))
        with pytest.raises(openai.RateLimitError):
            create(sdk, stream=True)

    @pytest.mark.parametrize("stream", [True, False])
    def test_a_client_that_goes_away_has_its_attempt_cancelled(
        self, served: Served, provider: Provider, stream: bool
    ) -> None:
        provider.go.clear()
        impatient = served.sdk().with_options(timeout=0.3)
        with pytest.raises(openai.APITimeoutError):
            create(impatient, stream=stream)
        assert provider.left.acquire(timeout=20)
        assert not provider.seen["b"], "nobody else is asked for a client that has gone"


EAGER: Any = {"stream": True, "extra_body": {"stream_mode": "eager"}}
BEGUN = ("The moon pulls on the water nearest to it harder ", "than on the rest. ", "The earth turns below it, and ")


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


class TestEagerStreaming:
    def test_an_answer_comes_as_it_is_said(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", streams(*BEGUN, "so on."))
        chunks = list(create(sdk, **EAGER, stream_options={"include_usage": True}))
        assert text_of(chunks) == "".join((*BEGUN, "so on."))
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert {chunk.model for chunk in chunks[:-2]} == {"a-model"}, (
            "its configured name, until the provider's own is known"
        )
        assert (chunks[-2].model, chunks[-2].model_extra["uniwizard"]["backend"]) == ("told", "a")
        assert chunks[-1].usage.completion_tokens > 0

    def test_a_header_asks_for_it_as_well(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", streams(*BEGUN, cut=True))
        provider.say("b", error(503))
        with pytest.raises(openai.APIError) as caught:
            list(create(sdk, stream=True, extra_headers={"x-stream-mode": "eager"}))
        assert caught.value.code == "answer_broken"

    def test_a_broken_answer_is_continued_by_a_backend_that_can(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", streams(*BEGUN, cut=True))
        provider.say("b", streams("two high tides come a day."))
        chunks = list(create(sdk, **EAGER))
        assert text_of(chunks).startswith("".join(BEGUN))
        assert text_of(chunks).endswith("two high tides come a day.")
        assert [a["backend"] for a in chunks[-1].model_extra["uniwizard"]["attempts"]] == ["a", "b"]

    def test_a_broken_answer_that_nobody_continues_ends_with_an_error_and_is_never_called_whole(
        self, sdk: openai.OpenAI, provider: Provider
    ) -> None:
        provider.say("a", streams(*BEGUN, cut=True))
        provider.say("b", error(503))
        chunks: list[Any] = []
        with pytest.raises(openai.APIError) as caught:
            chunks.extend(iter_into(chunks, create(sdk, **EAGER)))
        assert caught.value.code == "answer_broken"
        assert [a["backend"] for a in caught.value.body["uniwizard"]["attempts"]] == ["a", "b"]
        assert text_of(chunks).startswith("The moon pulls on the water nearest to it")
        assert all(chunk.choices[0].finish_reason is None for chunk in chunks)

    def test_a_refusal_is_not_shown_before_it_is_judged(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", streams(REFUSAL, " Is there something else?"))
        provider.say("b", streams(TIDES))
        assert text_of(list(create(sdk, **EAGER))) == TIDES


def iter_into(seen: list[Any], chunks: Any) -> list[Any]:
    """Everything of ``chunks``, kept in ``seen`` also when they break off."""
    for chunk in chunks:
        seen.append(chunk)
    return []
