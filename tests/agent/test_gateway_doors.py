"""The doors as the providers' own SDKs use them: Anthropic's messages, OpenAI's responses, Google's generateContent."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from gateway_server import ASKED, REFUSAL, TIDES, WEATHER, Aside, Provider, Served, create, error, says, streams
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from pydantic import BaseModel

TOOL: Any = {"name": "weather", "description": "The weather.", "input_schema": WEATHER["function"]["parameters"]}
CALL = {"id": "call_abcdefgh", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Ulm"}'}}
CALLED = says(None, "tool_calls", tool_calls=[CALL])
FUNCTION: Any = {"type": "function", **WEATHER["function"]}


class River(BaseModel):
    name: str


@pytest.fixture
def claude(served: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="any", base_url=served.url.removesuffix("/v1"), max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def google(served: Served) -> genai.Client:
    options = types.HttpOptions(base_url=served.url.removesuffix("/v1"))
    return genai.Client(api_key="any", http_options=options)


class TestAnthropic:
    def ask(self, sdk: anthropic.Anthropic, **more: Any) -> Any:
        return sdk.messages.create(**{"model": "a", "max_tokens": 500, "messages": ASKED, **more})

    def test_an_answer(self, claude: anthropic.Anthropic, provider: Provider) -> None:
        answer = self.ask(
            claude, system="Speak like a sailor.", stop_sequences=["END"], extra_body={"temperature": 0.3}
        )
        assert (answer.content[0].text, answer.stop_reason, answer.role) == (TIDES, "end_turn", "assistant")
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 20)
        sent = provider.seen["a"][-1]
        assert [turn["role"] for turn in sent["messages"]] == ["system", "user"]
        assert sent["messages"][0]["content"] == "Speak like a sailor."
        assert (sent["max_tokens"], sent["stop"], sent["temperature"]) == (500, ["END"], 0.3)

    def test_a_stream(self, claude: anthropic.Anthropic, provider: Provider) -> None:
        provider.say("a", streams("The moon pulls on the water, and the earth turns. ", "So it is."))
        with claude.messages.stream(model="a", max_tokens=50, messages=ASKED) as stream:
            said = list(stream.text_stream)
            final = stream.get_final_message()
        assert "".join(said) == "The moon pulls on the water, and the earth turns. So it is."
        assert (final.stop_reason, final.content[0].text) == ("end_turn", "".join(said))
        assert final.usage.output_tokens > 5

    def test_tools_both_ways(self, claude: anthropic.Anthropic, provider: Provider) -> None:
        provider.say("a", CALLED)
        answer = self.ask(claude, tools=[TOOL], tool_choice={"type": "any", "disable_parallel_tool_use": True})
        (call,) = answer.content
        assert (call.type, call.name, call.input, answer.stop_reason) == (
            "tool_use",
            "weather",
            {"place": "Ulm"},
            "tool_use",
        )
        assert provider.seen["a"][-1]["parallel_tool_calls"] is False
        provider.say("a", says())
        result = [{"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}]}]
        turns = [*ASKED, {"role": "assistant", "content": answer.content}, {"role": "user", "content": result}]
        assert self.ask(claude, messages=turns, tools=[TOOL]).content[0].text == TIDES
        sent = provider.seen["a"][-1]["messages"]
        assert sent[-1] == {"role": "tool", "content": "rain", "tool_call_id": call.id}
        assert sent[-2]["tool_calls"][0]["function"]["name"] == "weather"

    def test_a_streamed_tool_call(self, claude: anthropic.Anthropic, provider: Provider) -> None:
        provider.say("a", CALLED)
        with claude.messages.stream(model="a", max_tokens=50, messages=ASKED, tools=[TOOL]) as stream:
            final = stream.get_final_message()
        assert (final.content[0].input, final.stop_reason) == ({"place": "Ulm"}, "tool_use")

    def test_a_refusal_a_cut_and_an_error(self, claude: anthropic.Anthropic, provider: Provider) -> None:
        for key in ("a", "b"):
            provider.say(key, says(REFUSAL))
        assert self.ask(claude).stop_reason == "refusal"
        provider.say("a", says("The moon pulls on the", "length"))
        assert self.ask(claude).stop_reason == "max_tokens"
        for key in ("a", "b"):
            provider.say(key, error(429))
        with pytest.raises(anthropic.RateLimitError) as caught:
            self.ask(claude)
        assert caught.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
        with pytest.raises(anthropic.NotFoundError):
            self.ask(claude, model="nobody")

    def test_pictures_and_files(self, claude: anthropic.Anthropic, provider: Provider) -> None:
        source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
        pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
        content = [{"type": "image", "source": source}, {"type": "document", "source": pdf, "title": "a.pdf"}]
        self.ask(claude, messages=[{"role": "user", "content": [*content, {"type": "text", "text": "What is it?"}]}])
        kinds = [part["type"] for part in provider.seen["a"][-1]["messages"][-1]["content"]]
        assert kinds == ["text", "image_url", "file"]

    def test_tokens_and_models(self, claude: anthropic.Anthropic) -> None:
        counted = claude.messages.count_tokens(model="a", messages=ASKED, system="Speak plainly.")
        assert 8 < counted.input_tokens < 30
        assert [model.id for model in claude.models.list()] == ["auto", "a", "b"]


class TestResponses:
    def ask(self, sdk: openai.OpenAI, **more: Any) -> Any:
        return sdk.responses.create(**{"model": "a", "input": "How do tides work?", **more})

    def test_an_answer(self, sdk: openai.OpenAI, provider: Provider) -> None:
        answer = self.ask(sdk, instructions="Be brief.", reasoning={"effort": "low"}, max_output_tokens=100)
        assert (answer.output_text, answer.status) == (TIDES, "completed")
        assert (answer.usage.input_tokens, answer.usage.total_tokens) == (10, 30)
        sent = provider.seen["a"][-1]
        assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
        assert (sent["reasoning_effort"], sent["max_tokens"]) == ("low", 100)

    def test_a_stream(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", streams("The moon pulls on the water, and the earth turns. ", "So it is."))
        with sdk.responses.stream(model="a", input="How do tides work?") as stream:
            deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
            final = stream.get_final_response()
        assert "".join(deltas) == final.output_text == "The moon pulls on the water, and the earth turns. So it is."

    def test_it_goes_on_from_what_is_kept(self, sdk: openai.OpenAI, provider: Provider) -> None:
        first = self.ask(sdk, instructions="Be brief.")
        second = self.ask(sdk, input="And why?", previous_response_id=first.id)
        said = [turn["content"] for turn in provider.seen["a"][-1]["messages"]]
        assert said == ["How do tides work?", TIDES, "And why?"]
        assert sdk.responses.retrieve(second.id).output_text == TIDES
        sdk.responses.delete(first.id)
        with pytest.raises(openai.BadRequestError) as caught:
            self.ask(sdk, previous_response_id=first.id)
        assert caught.value.code == "previous_response_not_found"

    def test_tools_both_ways(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", CALLED)
        answer = self.ask(sdk, tools=[FUNCTION], tool_choice="required")
        (call,) = answer.output
        assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"place": "Ulm"})
        provider.say("a", says())
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        items: list[Any] = [{"role": "user", "content": "And Ulm?"}, call.model_dump(exclude_none=True), result]
        assert self.ask(sdk, input=items, tools=[FUNCTION]).output_text == TIDES
        assert [turn["role"] for turn in provider.seen["a"][-1]["messages"]] == ["user", "assistant", "tool"]
        again = self.ask(sdk, input=[result], previous_response_id=answer.id)
        assert again.output_text == TIDES
        assert provider.seen["a"][-1]["messages"][1]["tool_calls"][0]["id"] == call.call_id

    def test_a_streamed_tool_call(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", CALLED)
        with sdk.responses.stream(model="a", input="And Ulm?", tools=[FUNCTION]) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        assert "response.function_call_arguments.done" in kinds
        assert json.loads(final.output[0].arguments) == {"place": "Ulm"}  # type: ignore[union-attr]

    def test_a_custom_tool_takes_free_text(self, sdk: openai.OpenAI, provider: Provider) -> None:
        patch = {
            "id": "call_abcdefgh",
            "type": "function",
            "function": {"name": "patch", "arguments": '{"input": "+ x"}'},
        }
        provider.say("a", says(None, "tool_calls", tool_calls=[patch]))
        answer = self.ask(sdk, tools=[{"type": "custom", "name": "patch", "description": "Apply a patch."}])
        assert (answer.output[0].type, answer.output[0].input) == ("custom_tool_call", "+ x")

    def test_the_sdk_parses_into_a_model(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", says('{"name": "Vistula"}'))
        answer = sdk.responses.parse(model="a", input="A river?", text_format=River)
        assert answer.output_parsed is not None and answer.output_parsed.name == "Vistula"

    def test_thoughts_go_back_to_where_they_came_from(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", says(reasoning_content="First the moon."))
        answer = self.ask(sdk)
        reasoning, message = answer.output
        assert reasoning.summary[0].text == "First the moon."
        items: list[Any] = [reasoning.model_dump(exclude_none=True), message.model_dump(exclude_none=True)]
        self.ask(sdk, input=[*items, {"role": "user", "content": "Go on."}])
        assert provider.seen["a"][-1]["messages"][0]["content"] == TIDES

    def test_a_refusal_and_a_cut(self, sdk: openai.OpenAI, provider: Provider) -> None:
        for key in ("a", "b"):
            provider.say(key, says(REFUSAL))
        assert self.ask(sdk).output[0].content[0].refusal == REFUSAL
        provider.say("a", says("The moon pulls on the", "length"))
        answer = self.ask(sdk)
        assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


class TestGoogle:
    def test_an_answer_and_a_stream(self, google: genai.Client, provider: Provider) -> None:
        config = types.GenerateContentConfig(
            system_instruction="Be brief.", temperature=0.2, max_output_tokens=50, seed=7
        )
        answer = google.models.generate_content(model="a", contents="How do tides work?", config=config)
        assert answer.text == TIDES
        assert answer.usage_metadata is not None and answer.usage_metadata.total_token_count == 30
        sent = provider.seen["a"][-1]
        assert (sent["messages"][0]["content"], sent["seed"], sent["max_tokens"]) == ("Be brief.", 7, 50)
        provider.say("a", streams("The moon pulls on the water, and the earth turns. ", "So it is."))
        said = [chunk.text or "" for chunk in google.models.generate_content_stream(model="a", contents="Tides?")]
        assert "".join(said) == "The moon pulls on the water, and the earth turns. So it is."

    def test_tools_both_ways(self, google: genai.Client, provider: Provider) -> None:
        provider.say("a", CALLED, says())
        asked: list[str] = []

        def weather(place: str) -> str:
            """The weather of a place."""
            asked.append(place)
            return "rain"

        config = types.GenerateContentConfig(tools=[weather])
        assert google.models.generate_content(model="a", contents="And Ulm?", config=config).text == TIDES
        assert asked == ["Ulm"]
        roles = [turn["role"] for turn in provider.seen["a"][-1]["messages"]]
        assert roles == ["user", "assistant", "tool"]

    def test_a_schema_tokens_and_an_error(self, google: genai.Client, provider: Provider) -> None:
        provider.say("a", says('{"name": "Vistula"}'))
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=River)
        answer = google.models.generate_content(model="a", contents="A river?", config=config)
        assert answer.parsed == River(name="Vistula")
        counted = google.models.count_tokens(model="a", contents="How do tides work?")
        assert counted.total_tokens is not None and counted.total_tokens >= 5
        with pytest.raises(genai_errors.ClientError) as caught:
            google.models.generate_content(model="nobody", contents="x")
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


class TestAddresses:
    def test_azures_client_finds_its_way(self, served: Served) -> None:
        with openai.AzureOpenAI(
            azure_endpoint=served.url.removesuffix("/v1"), api_key="any", api_version="2024-10-21", max_retries=0
        ) as azure:
            assert create(azure, model="a").choices[0].message.content == TIDES

    @pytest.mark.parametrize("path", ["/v1/chat/completions/", "/chat/completions", "/openai/v1/chat/completions"])
    def test_a_slash_more_and_a_version_less(self, served: Served, path: str) -> None:
        base = served.url.removesuffix("/v1")
        got = httpx.post(base + path, json={"model": "a", "messages": ASKED})
        assert got.status_code == 200

    def test_what_is_packed_is_unpacked_and_a_bomb_is_not(self, served: Served) -> None:
        body = json.dumps({"model": "a", "messages": ASKED}).encode()
        for encoding, sent in (("gzip", gzip.compress(body)), ("deflate", __import__("zlib").compress(body))):
            got = httpx.post(f"{served.url}/chat/completions", content=sent, headers={"content-encoding": encoding})
            assert got.status_code == 200, got.text
        bomb = gzip.compress(b" " * 300_000_000, 1)
        got = httpx.post(f"{served.url}/chat/completions", content=bomb, headers={"content-encoding": "gzip"})
        assert got.status_code == 413
        got = httpx.post(f"{served.url}/chat/completions", content=b"xx", headers={"content-encoding": "br"})
        assert got.status_code == 415

    def test_completions_of_the_older_kind(self, sdk: openai.OpenAI, provider: Provider) -> None:
        assert sdk.completions.create(model="a", prompt="How do tides work?").choices[0].text == TIDES
        provider.say("a", streams("The moon pulls on the water, and the earth turns. ", "So it is."))
        chunks = sdk.completions.create(model="a", prompt="Tides?", stream=True)
        assert "".join(chunk.choices[0].text for chunk in chunks).endswith("So it is.")


class TestPassingOn:
    def test_what_tunes_an_answer_goes_on(self, sdk: openai.OpenAI, provider: Provider) -> None:
        tuned: dict[str, Any] = {
            "seed": 7, "top_p": 0.5, "frequency_penalty": 0.1, "presence_penalty": -0.1,
            "reasoning_effort": "low", "verbosity": "low",
        }  # fmt: skip
        create(sdk, **tuned, max_tokens=-1)
        assert tuned.items() <= provider.seen["a"][-1].items()
        assert "max_tokens" not in provider.seen["a"][-1]
        strict = json.loads(json.dumps(WEATHER))
        strict["function"]["strict"] = True
        create(sdk, tools=[strict], max_tokens=100.0)  # type: ignore[arg-type]
        sent = provider.seen["a"][-1]
        assert (sent["tools"][0]["function"]["strict"], sent["max_tokens"]) == (True, 100)

    def test_nothing_is_put_before_a_clients_own_words(self, sdk: openai.OpenAI, provider: Provider) -> None:
        create(sdk)
        assert provider.seen["a"][-1]["messages"] == ASKED
        own = [{"role": "system", "content": "You are a pirate."}, *ASKED]
        create(sdk, model="auto", messages=own)
        assert provider.seen["a"][-1]["messages"] == own

    @pytest.mark.parametrize("said", ["{}", "[]", "-", "->"])
    def test_what_is_short_is_an_answer(self, sdk: openai.OpenAI, provider: Provider, said: str) -> None:
        provider.say("a", says(said))
        assert create(sdk).choices[0].message.content == said

    def test_a_tool_without_parameters_may_be_forced(self, sdk: openai.OpenAI, provider: Provider) -> None:
        call = {"id": "call_abcdefgh", "type": "function", "function": {"name": "now", "arguments": ""}}
        provider.say("a", says(None, "tool_calls", tool_calls=[call]))
        now: Any = {"type": "function", "function": {"name": "now"}}
        answer = create(sdk, tools=[now], tool_choice={"type": "function", "function": {"name": "now"}})
        assert answer.choices[0].message.tool_calls[0].function.arguments == "{}"

    def test_a_required_call_among_several_tools(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", CALLED)
        other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}
        answer = create(sdk, tools=[other, WEATHER], tool_choice="required")
        assert answer.choices[0].message.tool_calls[0].function.name == "weather"
        assert provider.seen["a"][-1]["tool_choice"] == "required"

    def test_a_single_backends_refusal_is_an_answer(self, provider: Provider) -> None:
        provider.say("a", says(REFUSAL))
        with Aside(provider.config("a")) as served:
            choice = create(served.sdk()).choices[0]
        assert (choice.message.refusal, choice.finish_reason) == (REFUSAL, "stop")

    def test_a_label_in_user_changes_no_word(self, sdk: openai.OpenAI, provider: Provider) -> None:
        code: list[Any] = [{"role": "user", "content": "class Tide: pass  # class"}]
        create(sdk, messages=code, user="class")
        assert provider.seen["a"][-1]["messages"] == code

    def test_a_schema_that_cannot_be_held_against_costs_nothing(self, sdk: openai.OpenAI, provider: Provider) -> None:
        for schema in (
            {"$ref": "#"},
            {"type": "object", "properties": {"a": {"pattern": r"(a)\1"}}},
            {"type": "wizard"},
        ):
            form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
            with pytest.raises(openai.BadRequestError) as caught:
                create(sdk, response_format=form)
            assert caught.value.code == "invalid_json_schema"
        assert not provider.seen["a"]

    def test_a_conversation_stays_with_its_brain(self, sdk: openai.OpenAI, provider: Provider) -> None:
        provider.say("a", error(503))
        first = create(sdk, model="auto")
        assert first.model_extra["uniwizard"]["backend"] == "b"
        provider.say("a", says())
        turns = [*ASKED, {"role": "assistant", "content": TIDES}, {"role": "user", "content": "Review this diff."}]
        for _ in range(3):
            again = create(sdk, model="auto", messages=turns)
            assert again.model_extra["uniwizard"]["backend"] == "b"
            turns += [{"role": "assistant", "content": TIDES}, {"role": "user", "content": "What is 2+2?"}]
