"""The gateway as OpenAI's own Python SDK finds it: ``python -m agent serve``, asked over a real socket."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai
import pytest
from gateway_server import ASKED, REFUSAL, ROOT, TIDES, WEATHER, Aside, Provider, create, error, says
from pydantic import BaseModel

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"picture").decode()


class TestAnswering:
    def test_a_plain_answer_names_who_gave_it_and_what_it_cost(self, sdk: openai.OpenAI) -> None:
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASKED)
        answer = raw.parse()
        assert answer.object == "chat.completion"
        assert answer.choices[0].message.content == TIDES
        assert (answer.choices[0].finish_reason, answer.choices[0].message.role) == ("stop", "assistant")
        assert answer.choices[0].message.refusal is None
        assert answer.model == "told"
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

    def test_a_cut_that_nobody_asked_for_is_told_and_never_thrown_away(
        self, sdk: openai.OpenAI, provider: Provider
    ) -> None:
        provider.say("a", says("The moon pulls on the", "length"))
        choice = create(sdk).choices[0]
        assert (choice.message.content, choice.finish_reason) == ("The moon pulls on the", "length")
        assert "max_tokens" not in provider.seen["a"][-1]

    def test_what_is_cut_in_a_tools_arguments_or_in_json_is_told_as_well(
        self, sdk: openai.OpenAI, provider: Provider
    ) -> None:
        call = {"id": "call_12345678", "type": "function", "function": {"name": "weather", "arguments": '{"pla'}}
        provider.say("a", says(None, "length", tool_calls=[call]))
        choice = create(sdk, tools=[WEATHER]).choices[0]
        assert (choice.finish_reason, choice.message.tool_calls[0].function.arguments) == ("length", '{"pla')
        provider.say("a", says('{"rivers": ["Wis', "length"))
        choice = create(sdk, response_format={"type": "json_object"}).choices[0]
        assert (choice.finish_reason, choice.message.content) == ("length", '{"rivers": ["Wis')

    def test_stop_ends_the_answer_before_it(self, sdk: openai.OpenAI) -> None:
        answer = create(sdk, stop=["nowhere", ", and"])
        assert answer.choices[0].message.content == "The moon pulls on the water"
        assert answer.choices[0].finish_reason == "stop"

    def test_nothing_of_the_client_goes_on(self, sdk: openai.OpenAI, provider: Provider) -> None:
        messages = [{"role": "user", "name": "Zephyrine", "content": "Write to zephyrine about tides."}]
        provider.say("a", says("Dear Person1Q, the moon pulls on the water."))
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
    def test_a_tool_that_must_be_called_is_asked_for_twice_and_then_of_another(
        self, sdk: openai.OpenAI, provider: Provider, choice: Any
    ) -> None:
        provider.say("a", says("Rain falls in Ulm today, and the wind comes from the west."))
        provider.say("b", says('{"place": "Ulm"}'))
        answer = create(sdk, tools=[WEATHER], tool_choice=choice)
        call = answer.choices[0].message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"place": "Ulm"})
        assert answer.model_extra["uniwizard"]["backend"] == "b"
        first, second = provider.seen["a"]
        assert first["tool_choice"] == second["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
        assert "weather" in second["messages"][-1]["content"]


class TestModels:
    def test_models_are_auto_and_the_backends(self, sdk: openai.OpenAI) -> None:
        assert [model.id for model in sdk.models.list()] == ["auto", "a", "b"]
        assert sdk.models.retrieve("b").id == "b"
        assert sdk.models.retrieve("auto:chat").id == "auto:chat"


class TestKeys:
    def test_a_wrong_or_missing_key_is_turned_away(self, provider: Provider) -> None:
        with Aside(provider.config("a"), key="right") as guarded:
            assert create(guarded.sdk()).choices[0].message.content == TIDES
            for wrong in ("wrong", "righ", "rightt"):
                with pytest.raises(openai.AuthenticationError) as caught:
                    create(guarded.sdk(wrong))
                assert caught.value.code == "invalid_api_key"
            with pytest.raises(openai.AuthenticationError):
                guarded.sdk("wrong").models.list()
        assert guarded.trouble == []


class TestPractice:
    def test_without_any_key_practice_answers_and_says_so(self) -> None:
        with Aside((ROOT / "configs/backends.yaml").read_text("utf-8")) as practising:
            answer = create(practising.sdk(), model="auto")
            assert answer.model_extra["uniwizard"]["practice"] is True
            assert answer.choices[0].message.content.startswith("[practice]")
            parsed = practising.sdk().chat.completions.parse(model="auto", messages=ASKED, response_format=River)
            assert isinstance(parsed.choices[0].message.parsed, River)
