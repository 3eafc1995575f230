"""What a request's JSON asks for, door by door, without a server: what is understood, and what is refused by name."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from uniwizard.agent.core.task import Image, Message, Task, Thought
from uniwizard.agent.gateway.asked import Asked, Asking
from uniwizard.agent.gateway.doors import DOORS
from uniwizard.agent.gateway.doors.responses_in import sealed
from uniwizard.agent.gateway.errors import Rejected
from uniwizard.agent.gateway.naming import Names

NAMES = Names(("a",))
PNG = b"\x89PNG\r\n\x1a\n"
PNG64 = base64.b64encode(PNG).decode()
PDF64 = base64.b64encode(b"%PDF-1.7").decode()
DATA_URL = f"data:image/png;base64,{PNG64}"
PARAMETERS = {"type": "object", "properties": {"place": {"type": "string"}}}


def asked(door: str, **said: Any) -> Asked:
    """What a request through ``door`` asks for; one that says something, unless ``said`` has it otherwise."""
    plain: dict[str, Any] = {
        "chat": {"messages": [{"role": "user", "content": "Tides?"}]},
        "messages": {"messages": [{"role": "user", "content": "Tides?"}]},
        "responses": {"input": "Tides?"},
        "gemini": {"contents": "Tides?"},
    }[door]
    return DOORS[door].read({"model": "a", **plain, **said}, NAMES, Asking())


def understood(door: str, **said: Any) -> Task:
    return asked(door, **said).task


def chat(*content: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    """A chat's one message."""
    return {"messages": [{"role": role, "content": list(content), **more}]}


def blocks(*content: Any, role: str = "user") -> dict[str, Any]:
    """A message of Anthropic's."""
    return {"messages": [{"role": role, "content": list(content)}]}


def source(**said: Any) -> dict[str, Any]:
    return blocks({"type": "document", "source": said})


def result(**said: Any) -> dict[str, Any]:
    return blocks({"type": "tool_result", **said})


def items(*given: Any) -> dict[str, Any]:
    return {"input": list(given)}


def parts(*given: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(given)}]}


def deep(levels: int) -> dict[str, Any]:
    node: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        node = {"type": "array", "items": node}
    return node


FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
CLAUDES = {"name": "weather", "input_schema": PARAMETERS}
OWN = {"type": "function", "name": "weather", "parameters": PARAMETERS}
GOOGLES = {"functionDeclarations": [{"name": "weather"}, {"name": "clock"}]}
USER = {"role": "user", "content": "Tides?"}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("chat", {"messages": [USER] * 5001}, "messages"),
    ("chat", {"messages": ["Tides?"]}, "messages[0]"),
    ("chat", {"messages": [{"role": "user"}]}, "messages[0].content"),
    ("chat", {"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    ("chat", chat("Tides?"), "messages[0].content[0]"),
    ("chat", chat({"type": "text", "text": 7}), "messages[0].content[0]"),
    ("chat", chat({"type": "video"}), "messages[0].content[0]"),
    ("chat", chat({"type": "input_audio", "input_audio": {"format": "ogg"}}), "messages[0].content[0]"),
    ("chat", chat({"type": "file", "file": {"file_id": "file-1"}}), "messages[0].content[0]"),
    ("chat", chat({"type": "file", "file": {"file_data": "no base64"}}), "messages[0].content[0]"),
    ("chat", chat({"type": "image_url", "image_url": {"url": DATA_URL}}, role="system"), "messages[0]"),
    ("chat", {"messages": [{"role": "assistant", "tool_calls": [{"id": 1}]}]}, "messages[0].tool_calls[0]"),
    ("chat", {"tools": [{"type": "web_search"}]}, "tools[0]"),
    ("chat", {"tools": [{"type": "function"}]}, "tools[0]"),
    ("chat", {"tools": [{"type": "function", "function": {"name": "no words"}}]}, "tools[0].function.name"),
    ("chat", {"tools": {}}, "tools"),
    ("chat", {"tools": [FUNCTION] * 513}, "tools"),
    ("chat", {"tools": [FUNCTION], "tool_choice": {"type": "custom"}}, "tool_choice"),
    ("chat", {"response_format": {"type": "json_object", "schema": "x"}}, "response_format"),
    ("chat", {"stream": "yes"}, "stream"),
    ("chat", {"seed": "x"}, "seed"),
    ("chat", {"seed": 2**64}, "seed"),
    ("chat", {"reasoning_effort": "immense"}, "reasoning_effort"),
    ("chat", {"stop": ["x"] * 17}, "stop"),
    ("chat", {"stop": [7]}, "stop"),
    ("messages", {"mcp_servers": [{"url": "https://example.org"}]}, "mcp_servers"),
    ("messages", {"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
    ("messages", {"output_config": {"format": {"type": "json_schema"}}}, "output_config.format"),
    ("messages", {"system": [{"type": "image"}]}, "system"),
    ("messages", {"messages": "Tides?"}, "messages"),
    ("messages", {"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
    ("messages", {"messages": [{"role": "user", "content": [{}] * 20_001}]}, "messages.0.content"),
    ("messages", {"messages": [{"role": "assistant", "content": [{"type": "x"}] * 15_000}] * 2}, "messages"),
    ("messages", blocks({"type": "video"}), "messages.0.content.0"),
    ("messages", blocks({"type": "image"}), "messages.0.content.0"),
    ("messages", source(type="file", file_id="f"), "messages.0.content.0"),
    ("messages", source(type="url", url=7), "messages.0.content.0"),
    ("messages", source(type="base64", media_type="text/html", data=PNG64), "messages.0.content.0"),
    ("messages", source(type="base64", media_type="image/png", data=""), "messages.0.content.0"),
    ("messages", result(content="x"), "messages.0.content.0"),
    ("messages", blocks({"type": "image"}, role="assistant"), "messages.0.content.0"),
    ("messages", blocks({"type": "tool_use", "id": "1", "name": "x", "input": "y"}, role="assistant"),
     "messages.0.content.0"),
    ("messages", {"tools": [{"name": "weather", "input_schema": deep(200)}]}, "tools.0.parameters"),
    ("messages", {"tools": [{"name": "weather", "input_schema": "x"}]}, "tools.0.parameters"),
    ("messages", {"tools": [CLAUDES], "tool_choice": {"type": "some"}}, "tool_choice"),
    ("messages", {"tool_choice": {"type": "any"}}, "tool_choice"),
    ("responses", {"background": True}, "background"),
    ("responses", {"text": {"format": {"type": "grammar"}}}, "text.format"),
    ("responses", items({"role": "user", "content": "x"}, {"role": "user", "content": ["x"] * 20_001}), "input"),
    ("responses", {"input": []}, "input"),
    ("responses", items({"type": "item_reference", "id": "i"}), "input[0]"),
    ("responses", items({"role": "tool", "content": "x"}), "input[0]"),
    ("responses", items({"role": "system", "content": [{"type": "input_image", "image_url": DATA_URL}]}), "input[0]"),
    ("responses", items({"role": "user", "content": [{"type": "input_text", "text": 7}]}), "input[0].content[0]"),
    ("responses", items({"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}), "input[0].content[0]"),
    ("responses", items({"type": "function_call", "name": "weather"}), "input[0]"),
    ("responses", items({"type": "function_call_output", "output": "x"}), "input[0]"),
    ("responses", items({"type": "function_call_output", "call_id": "1", "output": 7}), "input[0]"),
    ("responses", {"tool_choice": "required"}, "tool_choice"),
    ("responses", {"tools": [OWN], "tool_choice": {"type": "mcp"}}, "tool_choice"),
    ("responses", {"tools": [OWN], "tool_choice": {"type": "function", "name": "clock"}}, "tool_choice"),
    ("gemini", {"cachedContent": "cachedContents/1"}, "cachedContent"),
    ("gemini", {"generationConfig": {"candidateCount": 2}}, "candidateCount"),
    ("gemini", {"generationConfig": []}, "generationConfig"),
    ("gemini", {"contents": []}, "contents"),
    ("gemini", {"contents": [{"parts": [{"text": "x"}] * 15_000}] * 2}, "contents"),
    ("gemini", parts({"video": 1}), "contents[0].parts[0]"),
    ("gemini", parts({"functionCall": {"name": "weather", "args": "x"}}), "contents[0].parts[0]"),
    ("gemini", parts({"functionResponse": {"response": "x"}}), "contents[0].parts[0]"),
    ("gemini", parts({"fileData": {"fileUri": "gs://bucket/x"}}), "contents[0].parts[0]"),
    ("gemini", {"tools": [GOOGLES], "toolConfig": {"functionCallingConfig": {
        "mode": "ANY", "allowedFunctionNames": ["nothing"]}}}, "tool_choice"),
]  # fmt: skip


@pytest.mark.parametrize(("door", "said", "param"), REFUSED, ids=lambda each: str(each)[:60])
def test_what_no_task_can_be_made_of_is_refused_by_its_place(door: str, said: dict[str, Any], param: str) -> None:
    with pytest.raises(Rejected) as caught:
        asked(door, **said)
    assert caught.value.status == 400
    assert caught.value.param == param
    assert caught.value.message and json.dumps(DOORS[door].error(caught.value))


# -- pictures, files and other people's blocks -------------------------------------------------------------------

PICTURE = Image("image/png", PNG)
ADDRESS = Image("image/*", url="https://example.org/x.png")


@pytest.mark.parametrize(
    ("door", "said", "image"),
    [
        ("chat", chat({"type": "file", "file": {"file_data": PDF64, "filename": "x.pdf"}}),
         Image("application/pdf", b"%PDF-1.7", name="x.pdf")),
        ("chat", chat({"type": "file", "file": {"file_data": DATA_URL}}), PICTURE),
        ("messages", source(type="base64", media_type="image/PNG", data=PNG64), PICTURE),
        ("messages", source(type="url", url="https://example.org/x.png"), ADDRESS),
        ("responses", items({"role": "user", "content": [{"type": "input_image", "image_url": DATA_URL}]}), PICTURE),
        ("responses", items({"role": "user", "content": [
            {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF64}", "filename": "x.pdf"}]}),
         Image("application/pdf", b"%PDF-1.7", name="x.pdf")),
        ("gemini", parts({"inlineData": {"mimeType": "image/png", "data": PNG64}}), PICTURE),
        ("gemini", parts({"inline_data": {"mime_type": "image/png", "data": PNG64}}), PICTURE),
        ("gemini", parts({"fileData": {"fileUri": "https://example.org/x.png"}}), ADDRESS),
    ],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
def test_a_picture_or_a_file_is_the_same_whatever_it_comes_in(door: str, said: dict[str, Any], image: Image) -> None:
    task = understood(door, **said)
    assert [*task.images, *(each for turn in task.turns for each in turn.images)][:1] == [image]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (source(type="text", data="The moon."), "The moon."),
        (source(type="content", content="The moon."), "The moon."),
        (source(type="content", content=[{"type": "text", "text": "The moon."}]), "The moon."),
        (blocks({"type": "search_result", "content": [{"type": "text", "text": "The moon."}]}), "The moon."),
        (blocks({"type": "tool_reference", "tool_name": "weather"}), "weather"),
    ],
    ids=str,
)
def test_a_document_of_text_is_read_as_text(said: dict[str, Any], text: str) -> None:
    assert understood("messages", **said).turns[-1].text == text


@pytest.mark.parametrize(
    ("door", "said", "text"),
    [
        ("messages", result(tool_use_id="1", content="21 °C"), "21 °C"),
        ("messages", result(tool_use_id="1", content=[{"type": "text", "text": "21 °C"}]), "21 °C"),
        ("messages", result(tool_use_id="1", is_error=True), "The tool failed."),
        ("responses", items({"type": "function_call_output", "call_id": "1", "output": "21 °C"}), "21 °C"),
        ("responses", items({"type": "function_call_output", "call_id": "1", "output": {"degrees": 21}}),
         '{"degrees":21}'),
        ("responses", items({"type": "function_call_output", "call_id": "1", "output": [
            {"type": "input_text", "text": "21 °C"}]}), "21 °C"),
        ("gemini", parts({"functionResponse": {"id": "1", "name": "weather", "response": {"result": "21 °C"}}}),
         "21 °C"),
    ],
    ids=lambda each: str(each)[:60],
)  # fmt: skip
def test_a_tools_result_is_a_message_of_its_own(door: str, said: dict[str, Any], text: str) -> None:
    last = understood(door, **said).turns[-1]
    assert (last.role, last.text) == ("tool", text)
    assert last.tool_call_id


def test_results_without_ids_answer_the_calls_of_their_name_in_order() -> None:
    calls = [{"functionCall": {"name": "weather", "args": {"place": place}}} for place in ("Wien", "Oslo")]
    named = {"functionCall": {"name": "clock", "id": "c1"}}
    back = [{"functionResponse": {"name": "weather", "response": {"output": said}}} for said in ("warm", "cold")]
    told = {"functionResponse": {"name": "clock", "id": "c1", "response": "noon"}}
    turns = understood(
        "gemini",
        contents=[
            {"role": "user", "parts": [{"text": "Tides?"}]},
            {"role": "model", "parts": [*calls, named]},
            {"role": "user", "parts": [*back, told]},
        ],
    ).turns
    wien, oslo, clock = turns[1].tool_calls
    assert [(turn.text, turn.tool_call_id) for turn in turns[2:]] == [
        ("warm", wien.id), ("cold", oslo.id), ("noon", clock.id),
    ]  # fmt: skip
    assert clock.id == "c1" and wien.id != oslo.id


# -- thoughts ----------------------------------------------------------------------------------------------------


def thoughts(door: str, **said: Any) -> tuple[Thought, ...]:
    return next(turn.thoughts for turn in understood(door, **said).turns if turn.role == "assistant")


@pytest.mark.parametrize(
    ("block", "thought"),
    [
        ({"type": "redacted_thinking", "data": "xyz"}, (Thought("", "anthropic", sealed="xyz"),)),
        ({"type": "thinking", "thinking": "Moon?", "signature": "s"}, (Thought("Moon?", "anthropic", "s"),)),
        ({"type": "thinking", "thinking": "Moon?"}, (Thought("Moon?"),)),
    ],
)
def test_a_thought_keeps_what_its_own_api_wants_back(block: Any, thought: tuple[Thought, ...]) -> None:
    said = {"role": "assistant", "content": [block, {"type": "text", "text": "The moon."}]}
    assert thoughts("messages", messages=[USER, said, USER]) == thought
    assert thoughts("chat", messages=[USER, said, USER]) == thought
    within = {"role": "assistant", "content": "The moon.", "thinking_blocks": [block, "none"]}
    assert thoughts("chat", messages=[USER, within, USER]) == thought


def test_a_sealed_thought_is_taken_back_and_nobody_elses() -> None:
    ours, said = Thought("Moon?", "anthropic", "s"), {"role": "assistant", "content": "The moon."}
    seals = [sealed(ours), "uw1:no base64", "uw1:" + base64.b64encode(b"[1]").decode(), "gAAAA", None]
    reasoning = [{"type": "reasoning", "encrypted_content": seal} for seal in seals]
    assert thoughts("responses", input=[USER, *reasoning, said, USER]) == (ours,)


def test_googles_thoughts_are_no_text() -> None:
    said = {"role": "model", "parts": [{"text": "Moon?", "thought": True}, {"text": "The moon."}]}
    task = understood("gemini", contents=[{"parts": [{"text": "Tides?"}]}, said, {"parts": [{"text": "Why?"}]}])
    assert (task.turns[1].text, task.turns[1].thoughts) == ("The moon.", (Thought("Moon?", "gemini"),))


def test_what_an_assistant_declined_to_say_is_what_it_said() -> None:
    said = {"role": "assistant", "content": None, "refusal": "I cannot."}
    assert understood("chat", messages=[USER, said, USER]).turns[1].text == "I cannot."


def test_how_much_to_think_is_read() -> None:
    for told, thinking in (({"type": "disabled"}, 0), ({"type": "enabled", "budget_tokens": 99}, 99), ({}, -1)):
        assert understood("messages", thinking=told).sampling.thinking == thinking
    assert understood("gemini", generationConfig={"thinkingConfig": {"thinkingLevel": "LOW"}}).sampling.effort == "low"
    assert understood("chat", seed=7.0).sampling.seed == 7


# -- tools -------------------------------------------------------------------------------------------------------


def test_only_allowed_tools_may_be_called() -> None:
    clock = {"type": "function", "function": {"name": "clock"}}
    both: dict[str, Any] = {"tools": [FUNCTION, clock]}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "clock"}}]}
    task = understood("chat", **both, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert ([tool.name for tool in task.tools], task.must_call) == (["clock"], True)
    own = {"tools": [OWN, {"type": "function", "name": "clock"}]}
    task = understood("responses", **own, tool_choice={"type": "allowed_tools", "tools": [{"name": "clock"}]})
    assert ([tool.name for tool in task.tools], task.must_call) == (["clock"], False)
    assert asked("responses", **own, tool_choice={"type": "function", "name": "clock"}).forced_tool == "clock"
    for mode, names, must in (
        ("NONE", [], False), ("AUTO", ["weather", "clock"], False), ("ANY", ["clock"], True),
        ("VALIDATED", ["clock"], False),
    ):  # fmt: skip
        config = {"functionCallingConfig": {"mode": mode, "allowedFunctionNames": ["clock"]}}
        task = understood("gemini", tools=[GOOGLES], toolConfig=config)
        assert ([tool.name for tool in task.tools], task.must_call) == (names, must)


def test_tools_that_run_elsewhere_are_left_out_and_named() -> None:
    for door, theirs, ours in (
        ("messages", {"type": "web_search_20250305", "name": "web_search"}, CLAUDES),
        ("responses", {"type": "web_search"}, OWN),
        ("gemini", {"googleSearch": {}}, GOOGLES),
    ):
        got = asked(door, tools=[theirs, ours])
        assert got.extra["dropped"] == ["tools[0]"]
        assert got.task.tools[0].name == "weather"


def test_a_custom_tools_grammar_is_told_to_whoever_fills_it_in() -> None:
    form = {"type": "grammar", "syntax": "lark", "definition": "start: /[a-z]+/"}
    got = asked("responses", tools=[{"type": "custom", "name": "say", "description": "Says it.", "format": form}])
    (tool,) = got.task.tools
    assert tool.description == "Says it.\n\nThe input is held to this grammar:\nstart: /[a-z]+/"
    assert got.extra["custom"] == {"say"}
    call = {"type": "custom_tool_call", "call_id": "1", "name": "say", "input": "moon"}
    own = {"role": "assistant", "content": "Well."}
    assert (
        understood("responses", **items(USER, own, call, USER)).turns[1].tool_calls[0].arguments == '{"input":"moon"}'
    )


def test_a_calls_arguments_may_be_an_object() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": {"place": "Wien"}}}
    said = {"role": "assistant", "tool_calls": [call]}
    turns = understood("chat", messages=[USER, said, {"role": "tool", "tool_call_id": "1", "content": "warm"}]).turns
    assert turns[1].tool_calls[0].arguments == '{"place":"Wien"}'


def test_googles_schema_becomes_json_schema() -> None:
    theirs = {
        "type": "OBJECT",
        "properties": {
            "name": {"type": "STRING", "nullable": True, "maxLength": "9", "example": "Inn"},
            "either": {"anyOf": [{"type": "INTEGER"}, True]},
            "many": {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": 1},
        },
        "propertyOrdering": ["name"],
    }
    tool = {"functionDeclarations": [{"name": "weather", "parameters": theirs}]}
    assert understood("gemini", tools=tool).tools[0].parameters == {
        "type": "object",
        "properties": {
            "name": {"type": ["string", "null"], "maxLength": 9},
            "either": {"anyOf": [{"type": "integer"}, True]},
            "many": {"type": "array", "items": {"type": "number"}, "minItems": 1},
        },
    }


@pytest.mark.parametrize(
    ("door", "said", "schema"),
    [
        ("chat", {"response_format": {"type": "text"}}, None),
        ("chat", {"response_format": {"type": "json_object"}}, {"type": "object"}),
        ("responses", {"text": {"format": {"type": "json_object"}}}, {"type": "object"}),
        ("messages", {"output_config": {"format": {"type": "json_schema", "schema": PARAMETERS}}}, PARAMETERS),
        ("gemini", {"generationConfig": {"responseMimeType": "application/json"}}, {"type": "object"}),
    ],
)  # fmt: skip
def test_the_shape_of_an_answer_is_read(door: str, said: dict[str, Any], schema: Any) -> None:
    assert understood(door, **said).schema == schema


def test_who_speaks_for_the_house_stands_first() -> None:
    for door, said in (
        ("messages", {"system": [{"type": "text", "text": "Be plain."}]}),
        ("responses", {"instructions": "Be plain."}),
        ("gemini", {"systemInstruction": "Be plain."}),
        ("gemini", {"system_instruction": {"parts": [{"text": "Be plain."}]}}),
    ):
        assert understood(door, **said).turns[0] == Message("system", "Be plain.")
