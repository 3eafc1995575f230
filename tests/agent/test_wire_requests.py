"""Our requests by themselves: whom they name, what they hold back, and what one api alone wants."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from uniwizard.agent.core.backend import APIS, Backend
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.core.task import Image, Message, Sampling, Task, Thought, Tool, ToolCall
from uniwizard.agent.wire import encode, probe


def body_of(task: Task, api: str = "openai", url: str = "http://h/v1", system: str = "", **more: Any) -> Any:
    return json.loads(encode(task, Backend("k", api, url, "m", **more), system).body)


KEY = "sk-test-0123456789"
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.mark.parametrize("api", APIS)
def test_the_request_names_nobody(api: str) -> None:
    request = encode(Task("x", id="task-id-1", identity=frozenset({"Zed"})), Backend("thekey", api, "http://h", "m"))
    assert request.headers["user-agent"] == "llm-client/1.0"
    assert not {"user", "metadata", "safety_identifier", "store"} & set(json.loads(request.body))
    assert b"task-id-1" not in request.body
    assert b"thekey" not in request.body
    assert b"Zed" not in request.body


@pytest.mark.parametrize("api", APIS)
def test_letters_leave_unescaped_so_that_a_scanner_reads_them(api: str) -> None:
    body = encode(Task("Grüße, 世界"), Backend("k", api, "http://h", "m")).body
    assert "Grüße, 世界".encode() in body
    assert b": " not in body


@pytest.mark.parametrize("api", APIS)
def test_half_a_character_in_a_task_does_not_stop_it(api: str) -> None:
    json.loads(encode(Task("bad \ud83d end"), Backend("k", api, "http://h", "m")).body)


@pytest.mark.parametrize("api", APIS)
def test_no_secret_in_the_repr_or_the_url(api: str) -> None:
    backend = Backend("k", api, "http://h", "m", api_key=KEY)
    for request in (encode(Task("x"), backend), probe(backend)):
        assert KEY in "".join(request.headers.values())
        assert KEY not in repr(request)
        assert KEY not in request.url


@pytest.mark.parametrize("api", APIS)
def test_a_backend_without_a_key_sends_no_credentials(api: str) -> None:
    headers = encode(Task("x"), Backend("k", api, "http://h", "m")).headers
    assert not {"authorization", "x-api-key", "x-goog-api-key"} & set(headers)


def test_options_have_the_last_word_and_null_takes_a_field_away() -> None:
    options = {"temperature": None, "top_p": 0.9, "generationConfig": {"topK": 5}}
    assert "temperature" not in body_of(Task("x", temperature=1.0), options=options)
    assert body_of(Task("x"), options=options)["top_p"] == 0.9
    config = body_of(Task("x", max_tokens=5), "gemini", options=options)["generationConfig"]
    assert config == {"maxOutputTokens": 5, "topK": 5}


@pytest.mark.parametrize(
    ("url", "options", "field"),
    [
        ("https://api.openai.com/v1", {}, {"max_completion_tokens": 7}),
        ("https://x.openai.azure.com/openai/v1", {}, {"max_completion_tokens": 7}),
        ("https://api.x.ai/v1", {}, {"max_tokens": 7}),
        ("https://api.openai.com.evil.example/v1", {}, {"max_tokens": 7}),
        ("https://api.x.ai/v1", {"max_tokens": None}, {"max_completion_tokens": 7}),
        ("https://api.openai.com/v1", {"max_completion_tokens": None}, {"max_tokens": 7}),
        ("https://api.x.ai/v1", {"max_tokens": None, "max_completion_tokens": None}, {}),
        ("https://api.openai.com/v1", {"max_tokens": 3}, {"max_tokens": 3}),
    ],
)
def test_openai_limit_is_named_as_the_server_wants(url: str, options: Any, field: dict[str, int]) -> None:
    body = body_of(Task("x", max_tokens=7), url=url, options=options)
    assert {key: value for key, value in body.items() if key.startswith("max_")} == field


def test_openai_marks_a_schema_strict_only_if_strict_mode_takes_it() -> None:
    loose = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    assert "strict" not in body_of(Task("x", schema=loose))["response_format"]["json_schema"]
    assert body_of(Task("x", schema=NUMBER))["response_format"]["json_schema"]["strict"] is True


def test_openai_itself_is_told_in_words_of_a_schema_whose_root_is_no_object() -> None:
    schema = {"type": "array", "items": {"type": "string"}}
    body = body_of(Task("x", schema=schema), url="https://api.openai.com/v1", system="Be brief.")
    assert "response_format" not in body
    assert json.dumps(schema, separators=(",", ":")) in body["messages"][0]["content"]
    assert "response_format" in body_of(Task("x", schema=schema), url="http://127.0.0.1:8000/v1")


def test_anthropic_schema_is_closed_and_freed_of_keywords_it_turns_down() -> None:
    schema = {
        "type": "object",
        "properties": {"minimum": {"type": "integer", "minimum": 1}, "l": {"type": "array", "minItems": 3}},
    }
    sent = body_of(Task("x", schema=schema), "anthropic")["output_config"]["format"]["schema"]
    assert sent == {
        "type": "object",
        "properties": {"minimum": {"type": "integer"}, "l": {"type": "array"}},
        "additionalProperties": False,
    }
    assert schema["properties"]["minimum"] == {"type": "integer", "minimum": 1}


PARALLEL = Task(
    messages=(
        Message("user", "Both?"),
        Message(
            "assistant",
            "Asking.",
            tool_calls=(ToolCall("call_7", "weather", '{"city":"Wien"}'), ToolCall("call_8", "weather", "not json")),
        ),
        Message("tool", "21", tool_call_id="call_7"),
        Message("tool", "19", tool_call_id="call_8"),
        Message("user", "Go on."),
    )
)


def test_anthropic_gathers_the_results_of_parallel_calls_in_one_user_turn() -> None:
    turns = body_of(PARALLEL, "anthropic")["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert [part["type"] for part in turns[2]["content"]] == ["tool_result", "tool_result", "text"]
    assert turns[1]["content"][2]["input"] == {"arguments": "not json"}


def test_gemini_names_the_tool_of_every_result() -> None:
    contents = body_of(PARALLEL, "gemini")["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "user"]
    assert [part["functionResponse"]["name"] for part in contents[2]["parts"]] == ["weather", "weather"]


@pytest.mark.parametrize("api", ["anthropic", "gemini"])
def test_system_turns_join_the_system_prompt_where_the_api_has_no_such_role(api: str) -> None:
    body = body_of(Task("x", messages=(Message("system", "Second."),)), api, system="First.")
    guide = body["system"] if api == "anthropic" else body["systemInstruction"]["parts"][0]["text"]
    assert guide == "First.\n\nSecond."
    assert "Second." not in json.dumps(body.get("messages", body.get("contents")))


def test_sounds_go_where_there_is_a_form_for_them_and_nowhere_else() -> None:
    sound = Task("What is said?", images=(Image("audio/wav", b"RIFF"),))
    data = base64.b64encode(b"RIFF").decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    assert part in body_of(sound)["messages"][0]["content"]
    inline = {"inlineData": {"mimeType": "audio/wav", "data": data}}
    assert inline in body_of(sound, "gemini")["contents"][0]["parts"]
    for api in ("anthropic", "ollama"):
        with pytest.raises(AttemptFailed) as failed:
            body_of(sound, api)
        assert failed.value.failure is FailureCode.BAD_REQUEST


def test_a_tuned_model_of_gemini_stands_in_the_path_as_it_is() -> None:
    backend = Backend("k", "gemini", "http://h/v1beta/", "tunedModels/my one")
    assert encode(Task("x"), backend).url == "http://h/v1beta/tunedModels/my%20one:generateContent"


@pytest.mark.parametrize(
    ("tools", "must", "one", "choice"),
    [
        (("weather",), True, False, {"type": "tool", "name": "weather"}),
        (("weather", "clock"), True, False, {"type": "any"}),
        (("weather", "clock"), False, True, {"type": "auto", "disable_parallel_tool_use": True}),
        (("weather",), True, True, {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}),
        (("weather",), False, False, None),
    ],
)
def test_anthropic_is_told_which_call_must_be_made(tools: tuple[str, ...], must: bool, one: bool, choice: Any) -> None:
    task = Task("x", tools=tuple(Tool(name, "", NUMBER) for name in tools), must_call=must, one_call=one)
    assert body_of(task, "anthropic").get("tool_choice") == choice


@pytest.mark.parametrize(
    ("sampling", "told"),
    [
        (Sampling(thinking=0), {"thinking": {"type": "disabled"}}),
        (Sampling(effort="none"), {"thinking": {"type": "disabled"}}),
        (Sampling(thinking=-1), {"thinking": {"type": "adaptive"}}),
        (Sampling(thinking=2000), {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (Sampling(thinking=9), {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (Sampling(thinking=99_999), {"thinking": {"type": "enabled", "budget_tokens": 3999}}),
        (Sampling(effort="high"), {"output_config": {"effort": "high"}}),
        (Sampling(stop=("END", " ")), {"stop_sequences": ["END"]}),
    ],
)
def test_anthropic_thinks_as_much_as_it_is_asked_to(sampling: Sampling, told: dict[str, Any]) -> None:
    body = body_of(Task("x", max_tokens=4000, sampling=sampling), "anthropic")
    assert {name: body.get(name) for name in told} == told


def test_anthropic_does_not_think_before_a_call_that_must_be_made() -> None:
    task = Task("x", tools=(Tool("weather", "", NUMBER),), must_call=True, sampling=Sampling(thinking=2000))
    assert "thinking" not in body_of(task, "anthropic")


def test_anthropic_gets_its_own_thoughts_back_and_pictures_as_they_came() -> None:
    thoughts = (Thought("Moon?", "anthropic", "s"), Thought("", "anthropic", sealed="xyz"))
    pictures = (Image("image/*", url="https://h/x.png"), Image("application/pdf", b"%PDF"))
    turns = (Message("user", "x"), Message("assistant", "The moon.", thoughts=thoughts))
    said = body_of(Task("And this?", messages=turns, images=pictures), "anthropic")["messages"]
    assert said[1]["content"][:2] == [
        {"type": "thinking", "thinking": "Moon?", "signature": "s"},
        {"type": "redacted_thinking", "data": "xyz"},
    ]
    sources = {block["type"]: block["source"] for block in said[2]["content"] if "source" in block}
    assert sources["image"] == {"type": "url", "url": "https://h/x.png"}
    assert sources["document"]["media_type"] == "application/pdf"


def test_anthropic_closes_a_strict_tools_schema_and_says_so() -> None:
    either = {"oneOf": [NUMBER, {"type": "string", "minLength": 3}]}
    schema = {"type": "object", "properties": {"what": either, "any": True}}
    (tool,) = body_of(Task("x", tools=(Tool("weather", "", schema, strict=True),)), "anthropic")["tools"]
    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False
    assert tool["input_schema"]["properties"] == {"what": {"anyOf": [NUMBER, {"type": "string"}]}, "any": True}
