"""What the gateway says when it cannot do what is asked, as OpenAI's own Python SDK finds it."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from gateway_server import WEATHER, Provider, Served, create, error, says

FAILURES = [
    (error(429), openai.RateLimitError, 429, "rate_limit_exceeded"),
    (error(402), openai.RateLimitError, 429, "insufficient_quota"),
    (error(408), openai.InternalServerError, 504, "timeout"),
    (error(503), openai.InternalServerError, 503, "all_backends_failed"),
    (error(400, "context_length_exceeded"), openai.BadRequestError, 400, "context_length_exceeded"),
    (error(400, "content_filter", "by our policy"), openai.BadRequestError, 400, "content_filter"),
    (error(400), openai.BadRequestError, 400, "invalid_request"),
    ((200, {}, b"<html>Welcome</html>"), openai.InternalServerError, 503, "all_backends_failed"),
    (says(""), openai.InternalServerError, 503, "all_backends_failed"),
]


class TestFailing:
    @pytest.mark.parametrize(("reply", "raised", "status", "code"), FAILURES, ids=lambda each: str(each)[:40])
    def test_a_task_that_nobody_does_is_an_error_with_every_attempt(
        self, sdk: openai.OpenAI, provider: Provider, reply: Any, raised: Any, status: int, code: str
    ) -> None:
        for key in ("a", "b"):
            provider.say(key, reply)
        with pytest.raises(raised) as caught:
            create(sdk)
        assert (caught.value.status_code, caught.value.code) == (status, code)
        attempts = caught.value.body["uniwizard"]["attempts"]
        # A provider's filter is not shopped around, and a full context does not go to one that is no larger.
        expected = ["a"] if code in ("content_filter", "context_length_exceeded") else ["a", "b"]
        assert [attempt["backend"] for attempt in attempts] == expected
        assert all(attempt["failure"] for attempt in attempts)

    def test_mixed_failures_are_a_503_that_hides_none(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", error(429))
        provider.say("b", error(500))
        with pytest.raises(openai.InternalServerError) as caught:
            create(sdk)
        assert caught.value.status_code == 503
        assert [a["failure"] for a in caught.value.body["uniwizard"]["attempts"]] == ["rate_limited", "server_error"]
        assert "rate_limited" in caught.value.message
        assert "server_error" in caught.value.message

    def test_the_sdk_does_not_walk_a_road_again_that_has_been_walked_to_its_end(
        self, served: Served, provider: Provider
    ) -> None:
        for key in ("a", "b"):
            provider.say(key, error(503))
        with pytest.raises(openai.InternalServerError):
            create(served.sdk(retries=3))
        assert len(provider.seen["a"]) == 1

    def test_a_task_that_fits_nobody_is_a_full_context(self, sdk: openai.OpenAI, provider: Provider) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            create(sdk, model="auto", messages=[{"role": "user", "content": "word " * 100_000}])
        assert caught.value.code == "context_length_exceeded"
        assert not provider.seen["a"]

    def test_an_unknown_model_is_not_found_and_the_error_names_those_there_are(self, sdk: openai.OpenAI) -> None:
        for ask in (lambda: create(sdk, model="gpt-4o"), lambda: sdk.models.retrieve("gpt-4o")):
            with pytest.raises(openai.NotFoundError) as caught:
                ask()
            assert caught.value.code == "model_not_found"
            assert "auto, a, b" in caught.value.message

    @pytest.mark.parametrize(
        ("asked", "param"),
        [
            ({"n": 2}, "n"),
            ({"logprobs": True}, "logprobs"),
            ({"functions": [{"name": "x", "parameters": {}}]}, "functions"),
            ({"modalities": ["text", "audio"]}, "modalities"),
            ({"temperature": 3}, "temperature"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "user", "content": ""}]}, "messages"),
            ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
            ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
            ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
            ({"extra_body": {"stream_mode": "eagerly"}}, "stream_mode"),
        ],
        ids=lambda each: str(each)[:50],
    )
    def test_what_cannot_be_honoured_is_refused_by_name(
        self, sdk: openai.OpenAI, provider: Provider, asked: dict[str, Any], param: str
    ) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            create(sdk, **asked)
        assert caught.value.param == param
        assert not provider.seen["a"]

    def test_a_pictures_address_goes_on_and_is_not_fetched_here(self, sdk: openai.OpenAI, provider: Provider) -> None:
        parts: list[Any] = [{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]
        create(sdk, messages=[{"role": "user", "content": parts}])
        assert provider.seen["a"][-1]["messages"][-1]["content"] == parts

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "cat.png", "data:text/html;base64,QQ==", "ftp://a/b"])
    def test_what_is_no_picture_is_refused(self, sdk: openai.OpenAI, url: str) -> None:
        parts: list[Any] = [{"type": "image_url", "image_url": {"url": url}}]
        with pytest.raises(openai.BadRequestError):
            create(sdk, messages=[{"role": "user", "content": parts}])
