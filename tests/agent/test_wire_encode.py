"""Our requests are those that the providers' own SDKs send for the same task: path, credentials and JSON body."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import ollama
import openai
import pytest
from fake_llm import FakeLLMThread, Reply, response
from google import genai
from google.genai import types as gt

from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.task import Image, Message, Task, Tool, ToolCall
from uniwizard.agent.wire import encode

PNG = b"\x89PNG\r\n\x1a\n\xff\xfe\x00"
PNG64 = base64.b64encode(PNG).decode()
KEY = "sk-test-0123456789"
SCHEMA = {
    "type": "object",
    "properties": {"rivers": {"type": "array", "items": {"type": "string"}}},
    "required": ["rivers"],
    "additionalProperties": False,
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather", "The weather in a city.", PARAMETERS)
CALL = ToolCall("call_7", "weather", '{"city":"Wien"}')

TASKS = {
    "plain": Task("How do tides work?"),
    "history": Task(
        "And at night?",
        messages=(Message("user", "Is the sky blue?"), Message("assistant", "By day, yes.")),
        temperature=0.5,
        max_tokens=99,
    ),
    "tools": Task("Is it warm in Wien?", tools=(WEATHER,)),
    "results": Task(
        messages=(
            Message("user", "Is it warm in Wien?"),
            Message("assistant", "", tool_calls=(CALL,)),
            Message("tool", "21 °C", tool_call_id="call_7"),
        ),
        tools=(WEATHER,),
    ),
    "picture": Task("What is this?", images=(Image("image/png", PNG),)),
    "schema": Task("Three rivers", schema=SCHEMA),
}
SYSTEM = "Answer plainly."

REPLIES: dict[str, Any] = {
    "/v1/chat/completions": {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    },
    "/v1/messages": {
        "id": "x",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "/api/chat": {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True},
    "/v1beta/models/m:generateContent": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}]
    },
}


@pytest.fixture(scope="module")
def wiretap() -> Iterator[FakeLLMThread]:
    """A server that answers just enough to please the SDK that asked."""
    with FakeLLMThread(default=lambda asked: Reply(response(json.dumps(REPLIES[asked.path]).encode()))) as server:
        yield server


def ours(api: str, url: str, task: Task, **more: Any) -> tuple[str, dict[str, str], Any]:
    backend = Backend("k", api, url, "m", api_key=KEY, **more)
    request = encode(task, backend, SYSTEM)
    assert request.method == "POST"
    return request.url, request.headers, json.loads(request.body)


def without(body: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """``body`` without the fields that only repeat the api's default."""
    return {key: value for key, value in body.items() if not (key in defaults and value == defaults[key])}


def openai_asks(name: str, url: str) -> None:
    client = openai.OpenAI(api_key=KEY, base_url=url + "/v1", max_retries=0)
    function = {"name": "weather", "description": WEATHER.description, "parameters": PARAMETERS}
    call = {"id": "call_7", "type": "function", "function": {"name": "weather", "arguments": CALL.arguments}}
    said = {"role": "system", "content": SYSTEM}
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG64}"}}
    asked = {"role": "user", "content": "Is it warm in Wien?"}
    tools = [{"type": "function", "function": function}]
    extra: dict[str, Any] = {
        "plain": {"messages": [said, {"role": "user", "content": "How do tides work?"}]},
        "history": {
            "messages": [
                said,
                {"role": "user", "content": "Is the sky blue?"},
                {"role": "assistant", "content": "By day, yes."},
                {"role": "user", "content": "And at night?"},
            ],
            "temperature": 0.5,
            "max_tokens": 99,
        },
        "tools": {"messages": [said, asked], "tools": tools},
        "results": {
            "messages": [
                said,
                asked,
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_7", "content": "21 °C"},
            ],
            "tools": tools,
        },
        "picture": {
            "messages": [said, {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
        },
        "schema": {
            "messages": [said, {"role": "user", "content": "Three rivers"}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            },
        },
    }[name]
    client.chat.completions.create(**{"model": "m", "max_tokens": 1024, **extra})


def anthropic_asks(name: str, url: str) -> None:
    client = anthropic.Anthropic(api_key=KEY, base_url=url, max_retries=0)
    asked = {"role": "user", "content": "Is it warm in Wien?"}
    tools = [{"name": "weather", "description": WEATHER.description, "input_schema": PARAMETERS}]
    use = {"type": "tool_use", "id": "call_7", "name": "weather", "input": {"city": "Wien"}}
    result = {"type": "tool_result", "tool_use_id": "call_7", "content": "21 °C"}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG64}}
    extra: dict[str, Any] = {
        "plain": {"messages": [{"role": "user", "content": "How do tides work?"}]},
        "history": {
            "messages": [
                {"role": "user", "content": "Is the sky blue?"},
                {"role": "assistant", "content": "By day, yes."},
                {"role": "user", "content": "And at night?"},
            ],
            "max_tokens": 99,
        },
        "tools": {"messages": [asked], "tools": tools},
        "results": {
            "messages": [asked, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}],
            "tools": tools,
        },
        "picture": {"messages": [{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}]},
        "schema": {
            "messages": [{"role": "user", "content": "Three rivers"}],
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        },
    }[name]
    client.messages.create(**{"model": "m", "system": SYSTEM, "max_tokens": 1024, **extra})


def gemini_asks(name: str, url: str) -> None:
    client = genai.Client(api_key=KEY, http_options=gt.HttpOptions(base_url=url, api_version="v1beta"))
    declaration = gt.FunctionDeclaration(
        name="weather", description=WEATHER.description, parameters_json_schema=PARAMETERS
    )
    tools = [gt.Tool(function_declarations=[declaration])]
    unsigned = base64.urlsafe_b64decode("skip_thought_signature_validator")
    call = gt.FunctionCall(id="call_7", name="weather", args={"city": "Wien"})
    result = gt.FunctionResponse(id="call_7", name="weather", response={"output": "21 °C"})

    def turn(role: str, *parts: gt.Part) -> gt.Content:
        return gt.Content(role=role, parts=list(parts))

    asked = turn("user", gt.Part(text="Is it warm in Wien?"))
    contents, config = {
        "plain": ([turn("user", gt.Part(text="How do tides work?"))], {}),
        "history": (
            [
                turn("user", gt.Part(text="Is the sky blue?")),
                turn("model", gt.Part(text="By day, yes.")),
                turn("user", gt.Part(text="And at night?")),
            ],
            {"temperature": 0.5, "max_output_tokens": 99},
        ),
        "tools": ([asked], {"tools": tools}),
        "results": (
            [
                asked,
                turn("model", gt.Part(function_call=call, thought_signature=unsigned)),
                turn("user", gt.Part(function_response=result)),
            ],
            {"tools": tools},
        ),
        "picture": (
            [turn("user", gt.Part(text="What is this?"), gt.Part.from_bytes(data=PNG, mime_type="image/png"))],
            {},
        ),
        "schema": (
            [turn("user", gt.Part(text="Three rivers"))],
            {"response_mime_type": "application/json", "response_json_schema": SCHEMA},
        ),
    }[name]
    settings: dict[str, Any] = {"system_instruction": SYSTEM, "max_output_tokens": 1024} | config
    client.models.generate_content(model="m", contents=contents, config=gt.GenerateContentConfig(**settings))


def ollama_asks(name: str, url: str) -> None:
    client = ollama.Client(host=url, headers={"Authorization": f"Bearer {KEY}"})
    said = {"role": "system", "content": SYSTEM}
    asked = {"role": "user", "content": "Is it warm in Wien?"}
    function = {"name": "weather", "description": WEATHER.description, "parameters": PARAMETERS}
    tools = [{"type": "function", "function": function}]
    call = {"function": {"name": "weather", "arguments": {"city": "Wien"}}}
    extra: dict[str, Any] = {
        "plain": {"messages": [said, {"role": "user", "content": "How do tides work?"}]},
        "history": {
            "messages": [
                said,
                {"role": "user", "content": "Is the sky blue?"},
                {"role": "assistant", "content": "By day, yes."},
                {"role": "user", "content": "And at night?"},
            ],
            "options": {"num_predict": 99, "temperature": 0.5},
        },
        "tools": {"messages": [said, asked], "tools": tools},
        "results": {
            "messages": [
                said,
                asked,
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "content": "21 °C", "tool_name": "weather"},
            ],
            "tools": tools,
        },
        "picture": {"messages": [said, {"role": "user", "content": "What is this?", "images": [PNG]}]},
        "schema": {"messages": [said, {"role": "user", "content": "Three rivers"}], "format": SCHEMA},
    }[name]
    client.chat(**{"model": "m", "options": {"num_predict": 1024}, **extra})


@pytest.mark.parametrize("name", TASKS)
def test_openai_request_is_the_sdks(wiretap: FakeLLMThread, name: str) -> None:
    openai_asks(name, wiretap.url)
    url, headers, body = ours("openai", wiretap.url + "/v1", TASKS[name])
    assert url == wiretap.url + wiretap.log[-1].path
    assert headers["authorization"] == wiretap.log[-1].headers["authorization"]
    assert without(body, stream=False) == wiretap.log[-1].json


@pytest.mark.parametrize("name", TASKS)
def test_anthropic_request_is_the_sdks(wiretap: FakeLLMThread, name: str) -> None:
    anthropic_asks(name, wiretap.url)
    url, headers, body = ours("anthropic", wiretap.url + "/v1", TASKS[name])
    assert url == wiretap.url + wiretap.log[-1].path
    assert "Bearer " + headers["x-api-key"] == wiretap.log[-1].headers["authorization"]  # the api takes either
    assert headers["anthropic-version"] == wiretap.log[-1].headers["anthropic-version"]
    assert without(body, stream=False) == without(wiretap.log[-1].json, stream=False)


@pytest.mark.parametrize("name", TASKS)
def test_gemini_request_is_the_sdks(wiretap: FakeLLMThread, name: str) -> None:
    gemini_asks(name, wiretap.url)
    url, headers, body = ours("gemini", wiretap.url + "/v1beta", TASKS[name])
    sent = wiretap.log[-1].json
    sent["systemInstruction"].pop("role", None)  # the SDK writes "user", which the api does not read
    for tool in sent.get("tools", ()):
        for declared in tool["functionDeclarations"]:  # the SDK leaves this one name in Python's case
            declared["parametersJsonSchema"] = declared.pop("parameters_json_schema")
    for part in sent["contents"][0]["parts"]:  # it writes base64 with the other two letters, and this name so as well
        if inline := part.get("inlineData"):
            inline["mimeType"] = inline.pop("mime_type")
            inline["data"] = base64.b64encode(base64.urlsafe_b64decode(inline["data"])).decode()
    assert url == wiretap.url + wiretap.log[-1].path
    assert "key=" not in url
    assert headers["x-goog-api-key"] == wiretap.log[-1].headers["x-goog-api-key"]
    assert body == sent


@pytest.mark.parametrize("name", TASKS)
def test_ollama_request_is_the_sdks(wiretap: FakeLLMThread, name: str) -> None:
    ollama_asks(name, wiretap.url)
    url, headers, body = ours("ollama", wiretap.url, TASKS[name])
    assert url == wiretap.url + wiretap.log[-1].path
    assert headers["authorization"] == wiretap.log[-1].headers["authorization"]
    assert body == without(wiretap.log[-1].json, tools=[])
