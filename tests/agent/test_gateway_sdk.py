"""The gateway as OpenAI's own Python SDK finds it: ``python -m agent serve``, asked over a real socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from gateway_server import ASKED, TIDES, Provider, Served, error, says, streams
from pydantic import BaseModel

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"picture").decode()
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
            "additionalProperties": False,
        },
    },
}
REFUSAL = "I'm sorry, but I can't help with that request."


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as told:
        yield told


@pytest.fixture(scope="module")
def served(provider: Provider) -> Iterator[Served]:
    with Served(provider.config("a", "b")) as server:
        yield server


@pytest.fixture(autouse=True)
def quiet(provider: Provider) -> None:
    provider.quiet()


@pytest.fixture
def sdk(served: Served) -> openai.OpenAI:
    return served.sdk()


def create(sdk: openai.OpenAI, **more: Any) -> Any:
    return sdk.chat.completions.create(**{"model": "a", "messages": ASKED, **more})


class TestAnswering:
    def test_a_plain_answer_names_who_gave_it_and_what_it_cost(self, sdk: openai.OpenAI) -> None:
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASKED)
        answer = raw.parse()
        assert answer.object == "chat.completion"
        assert answer.choices[0].message.content == TIDES
        assert (answer.choices[0].finish_reason, answer.choices[0].message.role) == ("stop", "assistant")
        assert answer.choices[0].message.refusal is None
        assert answer.model == "told-1"
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (10, 20, 30)
        about = (answer.model_extra or {})["uniwizard"]
        assert (about["backend"], about["practice"], about["refused"]) == ("a", False, False)
        assert about["cost_usd"] == pytest.approx(0.021)
        assert [attempt["backend"] for attempt in about["attempts"]] == ["a"]
        assert raw.headers["x-uniwizard-backend"] == "a"
        assert raw.headers["x-uniwizard-attempts"] == "1"
        assert float(raw.headers["x-uniwizard-cost-usd"]) == pytest.approx(0.021)
        assert raw.headers["x-request-id"].startswith("req_")

    def test_a_failed_first_attempt_is_told_and_the_next_backend_answers(
        self, sdk: openai.OpenAI, provider: Provider
    ) -> None:
        provider.say("a", error(503))
        answer = create(sdk)
        about = answer.model_extra["uniwizard"]
        assert about["backend"] == "b"
        assert [(a["backend"], a["failure"]) for a in about["attempts"]] == [("a", "overloaded"), ("b", None)]

    def test_a_backends_key_pins_and_its_fallbacks_still_apply(self, sdk: openai.OpenAI, provider: Provider) -> None:
        assert create(sdk, model="b").model_extra["uniwizard"]["backend"] == "b"
        assert not provider.seen["a"]
        provider.say("a", error(500))
        assert create(sdk, model="a").model_extra["uniwizard"]["backend"] == "b"

    def test_auto_may_name_the_kind_of_work(self, sdk: openai.OpenAI) -> None:
        assert create(sdk, model="auto:code_review").model_extra["uniwizard"]["kind"] == "code_review"

    def test_every_shape_of_a_conversation_reaches_the_backend(self, sdk: openai.OpenAI, provider: Provider) -> None:
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Ulm"}'}}
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "In verse."}]},
            {"role": "user", "content": [{"type": "text", "text": "First."}, {"type": "text", "text": "Second."}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "Rain."}]},
        ]
        create(sdk, messages=messages, tools=[WEATHER])
        sent = provider.seen["a"][-1]["messages"]
        assert [turn["role"] for turn in sent][-5:] == ["system", "system", "user", "assistant", "tool"]
        assert sent[-3]["content"] == "First.\nSecond."
        assert sent[-2]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"place":"Ulm"}'}
        assert (sent[-1]["tool_call_id"], sent[-1]["content"]) == ("call_1", "Rain.")

    def test_pictures_and_sounds_go_on_as_data(self, sdk: openai.OpenAI, provider: Provider) -> None:
        parts = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
        ]
        create(sdk, messages=[{"role": "user", "content": parts}])
        sent = provider.seen["a"][-1]["messages"][-1]["content"]
        assert sent[1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
        assert sent[2]["input_audio"] == {"data": PNG, "format": "wav"}

    def test_limits_and_temperature_go_on_and_a_cut_that_was_asked_for_is_told(
        self, sdk: openai.OpenAI, provider: Provider
    ) -> None:
        provider.say("a", says("The moon pulls on the", "length"))
        answer = create(sdk, max_completion_tokens=5, temperature=0.5)
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (
            "The moon pulls on the",
            "length",
        )
        assert (provider.seen["a"][-1]["max_tokens"], provider.seen["a"][-1]["temperature"]) == (5, 0.5)

    def test_an_answer_that_nobody_asked_to_cut_is_never_handed_over_cut(
        self, sdk: openai.OpenAI, provider: Provider
    ) -> None:
        provider.say("a", says("The moon pulls on the", "length"))
        assert create(sdk).choices[0].message.content == TIDES

    def test_stop_ends_the_answer_before_it(self, sdk: openai.OpenAI) -> None:
        answer = create(sdk, stop=["nowhere", ", and"])
        assert answer.choices[0].message.content == "The moon pulls on the water"
        assert answer.choices[0].finish_reason == "stop"

    def test_nothing_of_the_client_goes_on(self, sdk: openai.OpenAI, provider: Provider) -> None:
        messages = [{"role": "user", "name": "Zephyrine", "content": "Write to zephyrine about tides."}]
        provider.say("a", says("Dear [NAME_1], the moon pulls on the water."))
        answer = create(sdk, messages=messages, user="zephyrine", safety_identifier="zephyrine", store=True)
        assert "ephyrine, the moon" in answer.choices[0].message.content
        sent = json.dumps([provider.seen["a"][-1], provider.headers[-1]]).casefold()
        for word in ("zephyrine", "stainless", "openai/python", "127.0.0.1:0"):
            assert word not in sent
        assert set(provider.headers[-1]) <= {
            "host", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "connection",
        }  # fmt: skip


class TestRefusing:
    def test_a_refusal_that_the_brains_agree_on_stands_in_the_refusal_field(
        self, sdk: openai.OpenAI, provider: Provider
    ) -> None:
        provider.say("a", says(REFUSAL))
        provider.say("b", says(REFUSAL))
        answer = create(sdk)
        assert answer.choices[0].message.refusal == REFUSAL
        assert answer.model_extra["uniwizard"]["refused"] is True
        assert len(answer.model_extra["uniwizard"]["attempts"]) == 2

    def test_a_refusal_of_one_brain_is_answered_by_the_next(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", says(REFUSAL))
        answer = create(sdk)
        assert (answer.choices[0].message.content, answer.choices[0].message.refusal) == (TIDES, None)

    def test_a_refusal_in_a_stream(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", says(REFUSAL))
        provider.say("b", says(REFUSAL))
        chunks = list(create(sdk, stream=True))
        assert "".join(c.choices[0].delta.refusal or "" for c in chunks) == REFUSAL


class River(BaseModel):
    name: str
    km: int


class TestJson:
    def test_the_sdk_parses_into_a_model(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", says('Here it is:\n```json\n{"name": "Vistula", "km": 1047}\n```'))
        answer = sdk.chat.completions.parse(model="a", messages=ASKED, response_format=River)
        assert answer.choices[0].message.parsed == River(name="Vistula", km=1047)
        assert provider.seen["a"][-1]["response_format"]["json_schema"]["schema"]["required"] == ["name", "km"]

    def test_json_that_does_not_fit_goes_on_to_the_next_backend(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", says('{"name": "Vistula"}'))
        provider.say("b", says('{"name": "Danube", "km": 2850}'))
        answer = sdk.chat.completions.parse(model="a", messages=ASKED, response_format=River)
        assert answer.choices[0].message.parsed == River(name="Danube", km=2850)

    def test_a_refusal_is_not_parsed(self, sdk: openai.OpenAI, provider: Provider) -> None:
        for key in ("a", "b"):
            provider.say(key, says(REFUSAL))
        answer = sdk.chat.completions.parse(model="a", messages=ASKED, response_format=River)
        assert (answer.choices[0].message.parsed, answer.choices[0].message.refusal) == (None, REFUSAL)

    def test_json_object_asks_for_any_object(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", says('{"anything": 1}'))
        answer = create(sdk, response_format={"type": "json_object"})
        assert json.loads(answer.choices[0].message.content) == {"anything": 1}


CALLED = says(
    None,
    "tool_calls",
    tool_calls=[
        {
            "id": f"call_{place}",
            "type": "function",
            "function": {"name": "weather", "arguments": f'{{"place":"{place}"}}'},
        }
        for place in ("Ulm", "Bern")
    ],
)


class TestTools:
    def test_tool_calls_come_back(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", CALLED)
        choice = create(sdk, tools=[WEATHER]).choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        assert [json.loads(call.function.arguments)["place"] for call in choice.message.tool_calls] == ["Ulm", "Bern"]
        assert provider.seen["a"][-1]["tools"][0]["function"]["name"] == "weather"

    def test_tool_calls_come_back_in_a_stream(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", CALLED)
        with sdk.chat.completions.stream(model="a", messages=ASKED, tools=[WEATHER]) as stream:
            for _ in stream:
                pass
            choice = stream.get_final_completion().choices[0]
        assert choice.finish_reason == "tool_calls"
        assert [call.function.arguments for call in choice.message.tool_calls or ()] == [
            '{"place":"Ulm"}',
            '{"place":"Bern"}',
        ]

    def test_one_call_where_parallel_ones_are_not_wanted(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", CALLED)
        assert len(create(sdk, tools=[WEATHER], parallel_tool_calls=False).choices[0].message.tool_calls) == 1

    def test_no_tools_where_none_are_to_be_called(self, sdk: openai.OpenAI, provider: Provider) -> None:
        create(sdk, tools=[WEATHER], tool_choice="none")
        assert "tools" not in provider.seen["a"][-1]

    @pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
    def test_a_tool_that_must_be_called_is_asked_for_as_json_and_judged(
        self, sdk: openai.OpenAI, provider: Provider, choice: Any
    ) -> None:
        provider.say("a", says("It is raining, I believe."))
        provider.say("b", says('{"place": "Ulm"}'))
        answer = create(sdk, tools=[WEATHER], tool_choice=choice)
        call = answer.choices[0].message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"place": "Ulm"})
        assert answer.model_extra["uniwizard"]["backend"] == "b"


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
        impatient = served.sdk().with_options(timeout=1.0)
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
        assert (chunks[-2].model, chunks[-2].model_extra["uniwizard"]["backend"]) == ("told-1", "a")
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

    def test_a_pictures_address_is_not_fetched(self, sdk: openai.OpenAI) -> None:
        parts = [{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]
        with pytest.raises(openai.BadRequestError) as caught:
            create(sdk, messages=[{"role": "user", "content": parts}])
        assert caught.value.code == "invalid_image_url"
        assert "data:image" in caught.value.message


class TestModels:
    def test_models_are_auto_and_the_backends(self, sdk: openai.OpenAI) -> None:
        assert [model.id for model in sdk.models.list()] == ["auto", "a", "b"]
        assert sdk.models.retrieve("b").id == "b"
        assert sdk.models.retrieve("auto:chat").id == "auto:chat"


class TestKeys:
    def test_a_wrong_or_missing_key_is_turned_away(self, provider: Provider) -> None:
        with Served(provider.config("a"), key="right") as guarded:
            assert create(guarded.sdk()).choices[0].message.content == TIDES
            for wrong in ("wrong", "righ", "rightt"):
                with pytest.raises(openai.AuthenticationError) as caught:
                    create(guarded.sdk(wrong))
                assert caught.value.code == "invalid_api_key"
            with pytest.raises(openai.AuthenticationError):
                guarded.sdk("wrong").models.list()
            assert "right" not in guarded.log.read_text()


class TestPractice:
    def test_without_any_key_practice_answers_and_says_so(self) -> None:
        with Served() as practising:
            answer = create(practising.sdk(), model="auto")
            assert answer.model_extra["uniwizard"]["practice"] is True
            assert answer.choices[0].message.content.startswith("[practice]")
            parsed = practising.sdk().chat.completions.parse(model="auto", messages=ASKED, response_format=River)
            assert isinstance(parsed.choices[0].message.parsed, River)
