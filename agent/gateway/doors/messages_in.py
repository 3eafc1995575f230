"""Anthropic's messages, inwards (https://docs.anthropic.com/en/api/messages): a request's JSON as what it asks for.

The results of tools stand in user messages there and in messages of their own here. Thoughts of earlier turns go on
with their signatures to backends of the same api, and nowhere else; ``cache_control`` likewise. Tools that run at
Anthropic (web search, code execution, the editor) have no schema and no other home: they are left out, and named in
``x-uniwizard-dropped``.
"""

from __future__ import annotations

from typing import Any

from ...core.task import PLAIN, Image, Message, Sampling, Task, Thought, Tool, ToolCall
from ...wire.body import Json, dumps
from .. import fields
from ..asked import Asked, Asking, understood
from ..errors import Rejected
from ..naming import Names
from .chat_in import cache_of, chosen, known_tools, thought_of, tool_of, unsupported

_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def read(node: object, names: Names, asking: Asking) -> Asked:
    """What the request ``node`` asks for. Raises Rejected."""
    if not isinstance(node, dict):
        raise Rejected(400, "The body must be a JSON object.")
    name = fields.text(node, "model", needed=True)
    target = names.resolve(name)
    if node.get("mcp_servers"):
        raise unsupported("mcp_servers", "mcp_servers: no backend calls servers for this endpoint.")
    turns = (*_system(node.get("system")), *_messages(node.get("messages")))
    tools, must_call, one_call, dropped = _tools(node)
    output = fields.held(node, "output_config")
    task = Task(
        tools=tools,
        must_call=must_call,
        one_call=one_call,
        schema=_schema(output.get("format") or node.get("output_format")),
        max_tokens=fields.whole(node, "max_tokens"),
        temperature=fields.number(node, "temperature", 0.0, 2.0),
        sampling=_sampling(node, output),
        identity=_named(node),
    )
    return understood(
        task,
        turns,
        target,
        name,
        asking,
        stream=fields.flag(node, "stream"),
        eager=asking.eager(fields.text(node, "stream_mode")),
        extra={"dropped": dropped},
    )


def _named(node: Json) -> frozenset[str]:
    metadata = node.get("metadata")
    return fields.names(metadata.get("user_id")) if isinstance(metadata, dict) else frozenset()


def _sampling(node: Json, output: Json) -> Sampling:
    told = node.get("thinking")
    thinking = None
    if isinstance(told, dict):
        kind = told.get("type")
        thinking = 0 if kind == "disabled" else fields.whole(told, "budget_tokens") if kind == "enabled" else -1
    found = Sampling(
        top_p=fields.number(node, "top_p", 0.0, 1.0),
        top_k=fields.whole(node, "top_k", 0),
        effort=fields.one_of(output, "effort", _EFFORTS),
        thinking=thinking,
        stop=fields.stops(node, "stop_sequences"),
    )
    return PLAIN if found == PLAIN else found


def _schema(form: object) -> Json | None:
    if form is None:
        return None
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        raise unsupported("output_config.format", "output_config.format: must be of type json_schema.")
    return fields.answer_schema(form.get("schema"), "output_config.format")


# -- messages ----------------------------------------------------------------------------------------------------


def _system(said: object) -> list[Message]:
    if said is None or said == "":
        return []
    if isinstance(said, str):
        return [Message("system", said)]
    turns = []
    for index, block in enumerate(fields.objects(said, "system", fields.MAX_PARTS)):
        if block.get("type") != "text" or not isinstance(block.get("text"), str):
            raise Rejected(400, f"system.{index}: must be a block of text.", param="system")
        turns.append(Message("system", block["text"], cache=cache_of(block)))
    return turns


def _messages(nodes: object) -> list[Message]:
    if not isinstance(nodes, list) or not nodes:
        raise Rejected(400, "messages: must be a list of at least one message.", param="messages")
    turns: list[Message] = []
    parts = 0
    for index, node in enumerate(fields.objects(nodes, "messages", fields.MAX_MESSAGES)):
        where, role, content = f"messages.{index}", node.get("role"), node.get("content")
        if role not in ("user", "assistant", "system"):
            raise Rejected(400, f"{where}.role: must be user or assistant.", param=f"{where}.role")
        if isinstance(content, str):
            turns.append(Message(role, content))
            continue
        blocks = fields.objects(content, f"{where}.content", fields.MAX_PARTS)
        parts += len(blocks)
        if parts > fields.MAX_PARTS:
            raise Rejected(400, f"messages: more than {fields.MAX_PARTS} blocks.", param="messages")
        turns += _spoken(blocks, where) if role == "assistant" else _asked(role, blocks, where)
    return turns


def _asked(role: str, blocks: list[Json], where: str) -> list[Message]:
    """A user's message: the results of tools first, as messages of their own, then the rest of it."""
    results: list[Message] = []
    texts: list[str] = []
    images: list[Image] = []
    cache = ""
    for index, block in enumerate(blocks):
        place = f"{where}.content.{index}"
        if block.get("type") == "tool_result":
            results.append(_result(block, place))
        else:
            _take(block, place, texts, images)
            cache = cache_of(block) or cache
    if texts or images or not results:
        results.append(Message(role, "\n".join(texts), tuple(images), cache=cache))
    return results


def _result(block: Json, place: str) -> Message:
    call, content = block.get("tool_use_id"), block.get("content")
    if not isinstance(call, str) or not call:
        raise Rejected(400, f"{place}.tool_use_id: is missing.", param=place)
    texts: list[str] = []
    images: list[Image] = []
    if isinstance(content, str):
        texts.append(content)
    else:
        for inner in fields.objects(content, f"{place}.content", fields.MAX_PARTS):
            _take(inner, place, texts, images)
    text = "\n".join(texts)
    if block.get("is_error") is True and not text:
        text = "The tool failed."
    return Message("tool", text, tuple(images), tool_call_id=call, cache=cache_of(block))


def _take(block: Json, place: str, texts: list[str], images: list[Image]) -> None:
    """One block of text, or a picture or file."""
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        texts.append(block["text"])
    elif kind in ("image", "document"):
        source = block.get("source")
        if not isinstance(source, dict):
            raise Rejected(400, f"{place}.source: is missing.", param=place)
        _take_source(source, place, texts, images, block.get("title"))
    elif kind == "search_result":
        for inner in fields.objects(block.get("content"), place, fields.MAX_PARTS):
            _take(inner, place, texts, images)
    elif kind == "tool_reference":
        texts.append(str(block.get("tool_name", ""))[:200])
    else:
        raise unsupported(place, f"{place}: must be of type text, image, document or tool_result.")


def _take_source(source: Json, place: str, texts: list[str], images: list[Image], title: object) -> None:
    match source.get("type"):
        case "base64":
            media_type = source.get("media_type")
            name = title if isinstance(title, str) else ""
            images.append(fields.media(str(media_type).lower(), source.get("data"), place, name))
        case "url":
            images.append(fields.picture(source.get("url"), place))
        case "text" if isinstance(source.get("data"), str):
            texts.append(source["data"])
        case "content" if isinstance(source.get("content"), str):
            texts.append(source["content"])
        case "content":
            for inner in fields.objects(source.get("content"), place, fields.MAX_PARTS):
                _take(inner, place, texts, images)
        case _:
            raise unsupported(place, f"{place}.source: comes with its data; nothing is kept here under an id.")


def _spoken(blocks: list[Json], where: str) -> list[Message]:
    """An assistant's message. What ran at Anthropic itself is history that no other backend could read."""
    texts: list[str] = []
    calls: list[ToolCall] = []
    thoughts: list[Thought] = []
    cache = ""
    for index, block in enumerate(blocks):
        place, kind = f"{where}.content.{index}", block.get("type")
        cache = cache_of(block) or cache
        if kind == "tool_use":
            calls.append(_call(block, place))
        elif kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif (thought := thought_of(block)) is not None:
            thoughts.append(thought)
        elif not isinstance(kind, str) or kind in ("text", "thinking", "redacted_thinking", "image"):
            raise Rejected(400, f"{place}: is no block of an assistant's message.", param=place)
    return [Message("assistant", "\n".join(texts), (), tuple(calls), None, tuple(thoughts), cache)]


def _call(block: Json, place: str) -> ToolCall:
    identifier, name, asked = block.get("id"), block.get("name"), block.get("input", {})
    if not isinstance(identifier, str) or not fields.is_tool_name(name) or not isinstance(asked, dict):
        raise Rejected(400, f"{place}: must have an id, a name, and an object as its input.", param=place)
    return ToolCall(identifier, name, dumps(asked))


# -- tools -------------------------------------------------------------------------------------------------------


def _tools(node: Json) -> tuple[tuple[Tool, ...], bool, bool, list[str]]:
    """The tools that may be called; whether one must be; whether only one may; the types of those left out."""
    tools: dict[str, Tool] = {}
    dropped: list[str] = []
    for index, each in enumerate(fields.objects(node.get("tools"), "tools", fields.MAX_TOOLS)):
        kind = each.get("type")
        if kind not in (None, "custom") and not isinstance(each.get("input_schema"), dict):
            dropped.append(f"tools[{index}]")
            continue
        tool = tool_of(each, f"tools.{index}", each.get("input_schema"), cache_of(each))
        tools[tool.name] = tool
    choice: Any = node.get("tool_choice")
    if choice is None:
        return tuple(tools.values()), False, False, dropped
    kind = choice.get("type") if isinstance(choice, dict) else None
    allowed, how = list(tools), {"auto": "auto", "any": "required", "none": "none", "tool": "named"}.get(str(kind))
    if how is None:
        raise unsupported("tool_choice", "tool_choice: must be of type auto, any, tool or none.")
    if how == "named":
        allowed = known_tools([choice.get("name")], tools)
    elif how == "required" and not tools:
        raise Rejected(400, "tool_choice: is only allowed with tools.", param="tool_choice")
    may, must, _ = chosen(tools, allowed, how)
    return may, must, choice.get("disable_parallel_tool_use") is True, dropped
