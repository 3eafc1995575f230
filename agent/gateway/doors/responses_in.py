"""OpenAI's responses, inwards (https://platform.openai.com/docs/api-reference/responses): what a request asks for.

What came before is either in ``input``, whole, or kept here under ``previous_response_id``; :class:`Asked` then has the
id in ``extra["previous"]``, and :func:`continued` puts the turns before it. Reasoning items that this door wrote hold
the thoughts of the backend that answered, and go back to it; others are left out.

Function tools go on. A ``custom`` tool takes free text, which becomes a function with one argument, ``input``, and is
turned back on the way out. Tools that run at OpenAI (web search, files, computers) are left out, and named in
``x-uniwizard-dropped``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ...core.task import PLAIN, Image, Message, Sampling, Task, Thought, Tool, ToolCall
from ...wire.body import Json, Malformed, dumps, parse
from .. import fields
from ..asked import Asked, Asking, conversation_key, understood
from ..errors import Rejected
from ..naming import Names
from .chat_in import EFFORTS, VERBOSITIES, chosen, known_tools, tool_of, unsupported

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

#: What a custom tool's one argument is called.
INPUT = "input"

_CUSTOM: Json = {"type": "object", "properties": {INPUT: {"type": "string"}}, "required": [INPUT]}

#: Fields of a request that its response repeats.
_ECHOED = (
    *("instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "previous_response_id", "reasoning"),
    *("store", "temperature", "text", "tool_choice", "tools", "top_p", "truncation", "prompt_cache_key"),
)


def read(node: object, names: Names, asking: Asking) -> Asked:
    """What the request ``node`` asks for. Raises Rejected."""
    if not isinstance(node, dict):
        raise Rejected(400, "The body must be a JSON object.")
    name = fields.text(node, "model", needed=True)
    target = names.resolve(name)
    for field in ("background", "conversation", "prompt"):
        if node.get(field):
            raise unsupported(field, f"Unsupported parameter `{field}`.", "unsupported_parameter")
    own = tuple(_input(node.get("input")))
    instructions = fields.text(node, "instructions")
    turns = (Message("system", instructions), *own) if instructions else own
    tools, custom, dropped = _tools(node)
    may, must_call, forced = chosen(tools, *_choice(node.get("tool_choice"), tools))
    told = fields.held(node, "text")
    task = Task(
        tools=may,
        must_call=must_call,
        one_call=node.get("parallel_tool_calls") is False,
        schema=_schema(told.get("format")),
        max_tokens=fields.whole(node, "max_output_tokens"),
        temperature=fields.number(node, "temperature", 0.0, 2.0),
        sampling=_sampling(node, told),
        identity=fields.names(node.get("user"), node.get("safety_identifier")),
    )
    previous = fields.text(node, "previous_response_id")
    return understood(
        task,
        turns,
        target,
        name,
        asking,
        stream=fields.flag(node, "stream"),
        eager=asking.eager(fields.text(node, "stream_mode")),
        forced_tool=forced,
        extra={
            "previous": previous,
            "own": own,
            "instructions": instructions,
            "store": node.get("store") is not False,
            "custom": custom,
            "dropped": dropped,
            "echo": {field: node[field] for field in _ECHOED if field in node},
        },
    )


def continued(asked: Asked, before: tuple[Message, ...], label: str) -> Asked:
    """``asked`` as the next turn of the conversation that ``before`` is; its instructions stand before all of it."""
    instructions = asked.extra["instructions"]
    turns = (*before, *asked.extra["own"])
    whole = (Message("system", instructions), *turns) if instructions else turns
    task = replace(asked.task.with_turns(whole), conversation=conversation_key(whole, asked.model, label))
    return replace(asked, task=task, extra={**asked.extra, "own": turns})


def _sampling(node: Json, told: Json) -> Sampling:
    reasoning = fields.held(node, "reasoning")
    found = Sampling(
        top_p=fields.number(node, "top_p", 0.0, 1.0),
        effort=fields.one_of(reasoning, "effort", EFFORTS),
        verbosity=fields.one_of(told, "verbosity", VERBOSITIES),
    )
    return PLAIN if found == PLAIN else found


def _schema(form: object) -> Json | None:
    kind = form.get("type") if isinstance(form, dict) else None
    if form is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    if kind != "json_schema" or not isinstance(form, dict):
        raise unsupported("text.format", "`text.format` must be of type text, json_object or json_schema.")
    return fields.answer_schema(form.get("schema"), "text.format.schema")


# -- items -------------------------------------------------------------------------------------------------------


def _input(given: object) -> Iterable[Message]:
    if isinstance(given, str):
        return [Message("user", given)]
    if not isinstance(given, list) or not given:
        raise Rejected(400, "`input` must be a text or a list of items.", param="input")
    turns: list[Message] = []
    thoughts: list[Thought] = []
    parts = 0
    for index, item in enumerate(fields.objects(given, "input", fields.MAX_PARTS)):
        where, kind = f"input[{index}]", item.get("type", "message")
        content = item.get("content")
        parts += len(content) if isinstance(content, list) else 0
        if parts > fields.MAX_PARTS:
            raise Rejected(400, f"`input` holds more than {fields.MAX_PARTS} parts.", param="input")
        if kind == "message":
            turn = _message(item, where)
            if turn.role == "assistant":
                turn, thoughts = replace(turn, thoughts=tuple(thoughts)), []
            turns.append(turn)
        elif kind in ("function_call", "custom_tool_call"):
            _add_call(turns, _call(item, where), tuple(thoughts))
            thoughts = []
        elif kind in ("function_call_output", "custom_tool_call_output"):
            turns.append(_output(item, where))
        elif kind == "reasoning":
            thoughts += _thoughts(item)
        elif kind == "item_reference" or not isinstance(kind, str):
            raise unsupported(where, f"`{where}`: no item is kept here under an id; send it whole.")
    return turns


def _add_call(turns: list[Message], call: ToolCall, thoughts: tuple[Thought, ...]) -> None:
    """Calls of one turn are one message, together with the text before them."""
    last = turns[-1] if turns else None
    if last is not None and last.role == "assistant":
        turns[-1] = replace(last, tool_calls=(*last.tool_calls, call), thoughts=(*last.thoughts, *thoughts))
    else:
        turns.append(Message("assistant", "", (), (call,), None, thoughts))


def _message(item: Json, where: str) -> Message:
    said = item.get("role")
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise Rejected(400, f"`{where}.role` must be one of: {', '.join(_ROLES)}.", param=where)
    text, images = _content(item.get("content"), where)
    if images and role != "user":
        raise Rejected(400, f"`{where}`: only a user's message may hold pictures or files.", param=where)
    return Message(role, text, images)


def _content(content: object, where: str) -> tuple[str, tuple[Image, ...]]:
    if isinstance(content, str):
        return content, ()
    texts: list[str] = []
    images: list[Image] = []
    for index, part in enumerate(fields.objects(content, f"{where}.content", fields.MAX_PARTS)):
        place, kind = f"{where}.content[{index}]", part.get("type")
        if kind in ("input_text", "output_text", "text", "refusal", "summary_text"):
            inner = part.get("refusal" if kind == "refusal" else "text")
            if not isinstance(inner, str):
                raise Rejected(400, f"`{place}.text` must be text.", param=place)
            texts.append(inner)
        elif kind == "input_image" and part.get("image_url") is not None:
            images.append(fields.picture(part["image_url"], place))
        elif kind == "input_file" and isinstance(part.get("file_data"), str):
            found = fields.picture(part["file_data"], place)
            images.append(Image(found.media_type, found.data, name=str(part.get("filename") or "")[:200]))
        else:
            raise unsupported(place, f"`{place}` must be input_text, or input_image or input_file with its data.")
    return "\n".join(texts), tuple(images)


def _call(item: Json, where: str) -> ToolCall:
    identifier, name = item.get("call_id"), item.get("name")
    arguments = item.get("arguments", "")
    if item["type"] == "custom_tool_call":
        arguments = dumps({INPUT: item.get(INPUT, "")})
    if not isinstance(identifier, str) or not isinstance(arguments, str) or not fields.is_tool_name(name):
        raise Rejected(400, f"`{where}` must have a call_id, a name, and its arguments as text.", param=where)
    return ToolCall(identifier, name, arguments)


def _output(item: Json, where: str) -> Message:
    identifier, output = item.get("call_id"), item.get("output", "")
    if not isinstance(identifier, str) or not identifier:
        raise Rejected(400, f"`{where}.call_id` is missing.", param=where)
    text, images = _content(output, where) if isinstance(output, list) else (output, ())
    if isinstance(text, dict):
        text = dumps(text)
    if not isinstance(text, str):
        raise Rejected(400, f"`{where}.output` must be text.", param=where)
    return Message("tool", text, images, tool_call_id=identifier)


# -- thoughts ----------------------------------------------------------------------------------------------------

_SEAL = "uw1:"


def sealed(thought: Thought) -> str:
    """A thought as a reasoning item's ``encrypted_content``: what its own api needs to take it back."""
    held = dumps([thought.api, thought.text, thought.signature, thought.sealed])
    return _SEAL + base64.b64encode(held.encode("utf-8", "replace")).decode()


def _thoughts(item: Json) -> list[Thought]:
    held = item.get("encrypted_content")
    if not isinstance(held, str) or not held.startswith(_SEAL):
        return []
    try:
        told = parse(base64.b64decode(held[len(_SEAL) :], validate=True))
    except (Malformed, binascii.Error, ValueError):
        return []
    if not isinstance(told, list) or len(told) != 4 or not all(isinstance(part, str) for part in told):
        return []
    api, text, signature, ciphertext = told
    return [Thought(text, api, signature, ciphertext)]


# -- tools -------------------------------------------------------------------------------------------------------


def _tools(node: Json) -> tuple[dict[str, Tool], frozenset[str], list[str]]:
    """The tools by name; those that take free text; the types of those left out."""
    tools: dict[str, Tool] = {}
    custom: set[str] = set()
    dropped: list[str] = []
    for index, each in enumerate(fields.objects(node.get("tools"), "tools", fields.MAX_TOOLS)):
        match each.get("type"):
            case "function":
                tool = tool_of(each, f"tools[{index}]", each.get("parameters"))
            case "custom":
                tool = tool_of(each, f"tools[{index}]", _CUSTOM)
                form = each.get("format")
                if isinstance(form, dict) and isinstance(form.get("definition"), str):
                    grammar = f"The input is held to this grammar:\n{form['definition']}"
                    tool = replace(tool, description=f"{tool.description}\n\n{grammar}".strip())
                custom.add(tool.name)
            case _:
                dropped.append(f"tools[{index}]")
                continue
        tools[tool.name] = tool
    return tools, frozenset(custom), dropped


def _choice(choice: Any, tools: dict[str, Tool]) -> tuple[list[str], str]:
    everyone = list(tools)
    if choice is None or choice in ("auto", "none"):
        return everyone, choice or "auto"
    if choice == "required":
        if not tools:
            raise Rejected(400, "`tool_choice` is only allowed with `tools`.", param="tool_choice")
        return everyone, choice
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind in ("function", "custom"):
        return known_tools([choice.get("name")], tools), "named"
    if kind == "allowed_tools":
        named = fields.objects(choice.get("tools"), "tool_choice.tools", fields.MAX_TOOLS)
        names = known_tools([each.get("name") for each in named], tools)
        return names, "required" if choice.get("mode") == "required" else "auto"
    raise unsupported("tool_choice", "`tool_choice` must be auto, none, required, or name a function.")
