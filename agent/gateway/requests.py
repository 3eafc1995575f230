"""A request's JSON as a Task: what OpenAI's chat completions ask for, in this house's words.

    asked = read(node, keys=("local", "claude"))       # raises Rejected
    asked.task, asked.pin, asked.stream

What becomes of the fields
    passed on    messages with text, pictures and sounds as data, tool calls and their results; tools; max_tokens or
                 max_completion_tokens; temperature; response_format, as the task's schema
    done here    model (``auto``, ``auto:<kind>``, ``auto:<strategy>``, RouteLLM's ``router-<strategy>-<threshold>``, or
                 a backend's key), stream, stream_options, stop, tool_choice,
                 parallel_tool_calls false, stream_mode (our own: ``whole`` or ``eager``)
    left out     user, safety_identifier, message names: nobody who answers learns who asked, and these words are
                 veiled in the text as well; seed, top_p and other fields that tune and promise nothing
    refused      whatever changes what an answer is and cannot be had from every backend: n above 1, logprobs, audio
                 answers, addresses of pictures (nothing is fetched here), files, web search, the old ``functions``

A tool that must be called (``tool_choice`` names it, or is ``required`` with one tool) is asked for as JSON that fits
the tool's parameters. So it is judged like any JSON, falls back like any answer, and works with every backend.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeGuard

from ..core.task import Image, Message, Task, Tool, ToolCall, known_kinds
from ..judge.schema import MAX_DEPTH, depth
from ..wire.body import Json
from .errors import Rejected

#: The roles there are, with what they are called here.
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}

_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_DATA_URL = re.compile(
    r"data:(?P<type>(?:image|audio)/[a-z0-9.+-]{1,40})(?:;[a-z0-9=._-]{1,60})*;base64,", re.IGNORECASE
)
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

#: The most of each that one request may hold.
MAX_MESSAGES, MAX_TOOLS, MAX_STOPS = 5000, 256, 16

#: Field to what is wrong with it, unless it is absent, null, false, or empty.
_REFUSED = {
    "logprobs": "log-probabilities cannot be had from every backend",
    "top_logprobs": "log-probabilities cannot be had from every backend",
    "logit_bias": "logit_bias cannot be passed on to every backend",
    "audio": "answers are text; audio cannot be asked for",
    "web_search_options": "no backend searches the web for this endpoint",
    "functions": "functions are deprecated and not supported; use tools",
    "function_call": "function_call is deprecated and not supported; use tool_choice",
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request, understood.

    model        as the request names it
    pin          the backend that the model names; None routes
    eager        a stream is wanted as it comes; JSON and an answer that ends at ``stop`` are only had whole
    stop         texts at which the answer ends
    forced_tool  the tool that must be called; the task asks for its arguments as JSON
    one_call     at most one tool call is wanted
    memory       one of :data:`agent.router.MEMORY`, as ``Cache-Control`` has it
    strategy     the strategy that the model names; empty for the route
    """

    task: Task
    model: str
    pin: str | None = None
    stream: bool = False
    include_usage: bool = False
    eager: bool = False
    stop: tuple[str, ...] = ()
    forced_tool: str | None = None
    one_call: bool = False
    memory: str = "use"
    strategy: str = ""


def parse_request(
    node: object,
    keys: Collection[str],
    identity: frozenset[str] = frozenset(),
    mode: str = "",
    cache: str = "",
    is_strategy: Callable[[str], bool] = lambda name: False,
    asker: str = "",
) -> ChatRequest:
    """What the request ``node`` asks of the backends ``keys``. Raises Rejected.

    identity  terms of whoever asks; mode  the stream mode that a header names, which the body's overrules
    cache     the Cache-Control header: ``no-cache`` asks anew, ``no-store`` keeps nothing either
    is_strategy  whether a name is a strategy's
    asker        who asks, for strategies; never sent
    """
    if not isinstance(node, dict):
        raise Rejected(400, "The body must be a JSON object.")
    name = _text(node, "model", needed=True)
    pin, kind, strategy = model(name, keys, is_strategy)
    _refuse(node)
    turns = _messages(node.get("messages"))
    tools, forced, one_call = _tools(node)
    schema = forced.parameters if forced is not None else _schema(node.get("response_format"))
    limit = _whole(node, "max_completion_tokens") or _whole(node, "max_tokens")
    task = Task(
        kind=kind,
        tools=() if forced is not None else tools,
        schema=schema,
        max_tokens=limit,
        temperature=_number(node, "temperature", 0.0, 2.0),
        identity=identity | _named(node),
        may_be_cut=limit is not None,
        asker=asker,
    ).with_turns(turns)
    if not any(turn.text.strip() or turn.images or turn.tool_calls for turn in task.turns):
        raise Rejected(400, "The messages are empty.", param="messages")
    options = node.get("stream_options")
    stop = _stop(node.get("stop"))
    eager = _mode(_text(node, "stream_mode") or mode) == "eager"
    return ChatRequest(
        task=task,
        model=name,
        pin=pin,
        stream=_flag(node, "stream"),
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        eager=eager and schema is None and not stop,
        stop=stop,
        forced_tool=forced.name if forced is not None else None,
        one_call=one_call,
        memory=memory_use(cache),
        strategy=strategy,
    )


def memory_use(cache_control: str) -> str:
    """What a Cache-Control header (RFC 9111, 5.2.1) wants of the memory: ``use``, ``fresh`` or ``off``."""
    directives = {part.partition("=")[0].strip().lower() for part in cache_control.split(",")}
    age = next((part.partition("=")[2].strip() for part in cache_control.split(",") if "max-age" in part.lower()), "")
    if "no-store" in directives:
        return "off"
    return "fresh" if "no-cache" in directives or age.strip('"') == "0" else "use"


def model(
    name: str, keys: Collection[str], is_strategy: Callable[[str], bool] = lambda name: False
) -> tuple[str | None, str | None, str]:
    """The backend, the kind and the strategy that a model's name stands for; none of them for ``auto``.

    Raises Rejected (404).
    """
    if name in keys:
        return name, None, ""
    if name == "auto":
        return None, None, ""
    if name.startswith("auto:") and name[5:] in known_kinds():
        return None, name[5:], ""
    strategy = name.removeprefix("auto:")
    # RouteLLM's names are whole names of models; all others stand behind ``auto:``.
    if (strategy != name) != name.startswith("router-") and is_strategy(strategy):
        return None, None, strategy
    known = ", ".join(("auto", *keys))
    message = (
        f"The model `{name[:80]}` does not exist. There are: {known}; and auto:<kind> for a kind of work, "
        "auto:<strategy> for a strategy."
    )
    raise Rejected(404, message, code="model_not_found", param="model")


def _refuse(node: Json) -> None:
    for field, why in _REFUSED.items():
        if node.get(field):
            raise _unsupported(field, f"Unsupported parameter `{field}`: {why}.", "unsupported_parameter")
    if node.get("n") not in (None, 1) or isinstance(node.get("n"), bool):
        raise _unsupported("n", "Unsupported value: `n` must be 1; every answer is judged on its own.")
    if node.get("modalities") not in (None, [], ["text"]):
        raise _unsupported("modalities", 'Unsupported value: `modalities` must be ["text"].')


def _unsupported(param: str, message: str, code: str = "unsupported_value") -> Rejected:
    return Rejected(400, message, code=code, param=param)


def _named(node: Json) -> frozenset[str]:
    """The words with which a request names people. Numbers alone name nobody that a text could betray."""
    words = [node.get(field) for field in ("user", "safety_identifier")]
    words += [message.get("name") for message in node["messages"] if message.get("role") != "tool"]
    return frozenset(
        word for word in words if isinstance(word, str) and 3 <= len(word) <= 200 and any(map(str.isalpha, word))
    )


# -- messages ----------------------------------------------------------------------------------------------------


def _messages(nodes: object) -> tuple[Message, ...]:
    if not isinstance(nodes, list) or not nodes:
        raise Rejected(400, "`messages` must be a list of at least one message.", param="messages")
    if len(nodes) > MAX_MESSAGES:
        raise Rejected(400, f"`messages` holds more than {MAX_MESSAGES} messages.", param="messages")
    return tuple(_message(node, f"messages[{index}]") for index, node in enumerate(nodes))


def _message(node: object, where: str) -> Message:
    if not isinstance(node, dict):
        raise Rejected(400, f"`{where}` must be an object.", param=where)
    said = node.get("role")
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise Rejected(400, f"`{where}.role` must be one of: {', '.join(_ROLES)}.", param=f"{where}.role")
    text, images = _content(node.get("content"), f"{where}.content")
    if images and role != "user":
        raise Rejected(400, f"`{where}`: only a user's message may hold pictures or sounds.", param=where)
    calls = _calls(node.get("tool_calls"), f"{where}.tool_calls") if role == "assistant" else ()
    if node.get("content") is None and not calls and not node.get("refusal"):
        raise Rejected(400, f"`{where}.content` is missing.", param=f"{where}.content")
    if role == "assistant" and not text and isinstance(node.get("refusal"), str):
        text = node["refusal"]
    call_id = node.get("tool_call_id")
    if role == "tool" and (not isinstance(call_id, str) or not call_id):
        raise Rejected(400, f"`{where}.tool_call_id` is missing.", param=f"{where}.tool_call_id")
    return Message(role, text, images, calls, call_id if role == "tool" else None)


def _content(content: object, where: str) -> tuple[str, tuple[Image, ...]]:
    """The text of a message, its parts joined by line breaks, and its pictures and sounds."""
    if content is None or isinstance(content, str):
        return content or "", ()
    if not isinstance(content, list):
        raise Rejected(400, f"`{where}` must be text or a list of parts.", param=where)
    texts: list[str] = []
    images: list[Image] = []
    for index, part in enumerate(content):
        place = f"{where}[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "refusal") and isinstance(part.get(kind), str):
            texts.append(part[kind])
        elif kind == "image_url":
            images.append(_picture(part.get(kind), place))
        elif kind == "input_audio":
            images.append(_sound(part.get(kind), place))
        elif kind in ("text", "refusal"):
            raise Rejected(400, f"`{place}.{kind}` must be text.", param=place)
        else:
            raise Rejected(
                400, f"`{place}` must be of type text, image_url or input_audio.", code="unsupported_value", param=place
            )
    return "\n".join(texts), tuple(images)


def _picture(node: object, where: str) -> Image:
    url = node.get("url") if isinstance(node, dict) else node
    if not isinstance(url, str):
        raise Rejected(400, f"`{where}.image_url.url` is missing.", param=where)
    match = _DATA_URL.match(url[:200])
    if match is None:
        message = f"`{where}`: this endpoint fetches nothing; send the picture itself, as a data:image/...;base64, URL."
        raise Rejected(400, message, code="invalid_image_url", param=where)
    return Image(match["type"].lower(), _decoded(url[match.end() :], where))


def _sound(node: object, where: str) -> Image:
    form = node.get("format") if isinstance(node, dict) else None
    if not isinstance(node, dict) or not isinstance(form, str) or form not in _SOUNDS:
        raise Rejected(400, f"`{where}.input_audio.format` must be wav or mp3.", param=where)
    return Image(_SOUNDS[form], _decoded(node.get("data"), where))


def _decoded(data: object, where: str) -> bytes:
    try:
        if not isinstance(data, str) or not data:
            raise ValueError
        return base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        raise Rejected(400, f"`{where}` does not hold valid base64.", param=where) from None


def _calls(nodes: object, where: str) -> tuple[ToolCall, ...]:
    if nodes is None:
        return ()
    if not isinstance(nodes, list):
        raise Rejected(400, f"`{where}` must be a list.", param=where)
    calls = []
    for index, node in enumerate(nodes):
        function = node.get("function") if isinstance(node, dict) else None
        function = function if isinstance(function, dict) else {}
        identifier = node.get("id") if isinstance(node, dict) else None
        name, arguments = function.get("name"), function.get("arguments", "")
        if not isinstance(identifier, str) or not isinstance(arguments, str) or not _is_name(name):
            message = f"`{where}[{index}]` must have an id, and a function with a name and arguments as text."
            raise Rejected(400, message, param=f"{where}[{index}]")
        calls.append(ToolCall(identifier, name, arguments))
    return tuple(calls)


def _is_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and _TOOL_NAME.fullmatch(name) is not None


# -- tools and schemas -------------------------------------------------------------------------------------------


def _tools(node: Json) -> tuple[tuple[Tool, ...], Tool | None, bool]:
    """The tools that may be called, the one that must be, and whether no more than one call is wanted."""
    nodes = node.get("tools") or []
    if not isinstance(nodes, list) or len(nodes) > MAX_TOOLS:
        raise Rejected(400, f"`tools` must be a list of at most {MAX_TOOLS} tools.", param="tools")
    tools = {tool.name: tool for tool in (_tool(each, f"tools[{index}]") for index, each in enumerate(nodes))}
    one_call = node.get("parallel_tool_calls") is False
    allowed, choice = _choice(node.get("tool_choice"), tools)
    if choice == "none":
        return (), None, one_call
    if choice == "required" and len(allowed) != 1:
        message = 'Unsupported value: `tool_choice` "required" works with exactly one tool; name the one to be called.'
        raise _unsupported("tool_choice", message)
    may = tuple(tools[name] for name in allowed)
    return may, may[0] if choice == "required" else None, one_call


def _choice(choice: object, tools: dict[str, Tool]) -> tuple[list[str], str]:
    """The names of the tools that are allowed, and ``auto``, ``none`` or ``required``."""
    everyone = list(tools)
    if choice is None:
        return everyone, "auto"
    if isinstance(choice, str) and choice in ("auto", "none", "required"):
        if choice == "required" and not tools:
            raise Rejected(400, "`tool_choice` is only allowed with `tools`.", param="tool_choice")
        return everyone, choice
    kind = choice.get("type") if isinstance(choice, dict) else None
    inner = choice.get(kind) if isinstance(choice, dict) and isinstance(kind, str) else None
    if kind == "function" and isinstance(inner, dict):
        names, how = [inner.get("name")], "required"
    elif kind == "allowed_tools" and isinstance(inner, dict) and isinstance(inner.get("tools"), list):
        functions = [each.get("function") if isinstance(each, dict) else None for each in inner["tools"]]
        names = [each.get("name") if isinstance(each, dict) else None for each in functions]
        how = "required" if inner.get("mode") == "required" else "auto"
    else:
        raise _unsupported("tool_choice", "`tool_choice` must be auto, none, required, or name a function.")
    known = [name for name in names if isinstance(name, str) and name in tools]
    if len(known) != len(names) or not known:
        raise Rejected(400, "`tool_choice` names a function that is not in `tools`.", param="tool_choice")
    return list(dict.fromkeys(known)), how


def _tool(node: object, where: str) -> Tool:
    if not isinstance(node, dict) or node.get("type", "function") != "function":
        raise _unsupported(where, f"`{where}.type` must be function.")
    function = node.get("function")
    if not isinstance(function, dict) or not _is_name(function.get("name")):
        message = f"`{where}.function.name` must be 1 to 64 letters, digits, underscores or hyphens."
        raise Rejected(400, message, param=f"{where}.function.name")
    description, parameters = function.get("description"), function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise Rejected(400, f"`{where}.function.parameters` must be a JSON Schema.", param=where)
    _see_depth(parameters, where)
    return Tool(
        function["name"],
        description if isinstance(description, str) else "",
        parameters or {"type": "object", "properties": {}},
    )


def _schema(form: object) -> Json | None:
    if form is None:
        return None
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    named = form.get("json_schema") if isinstance(form, dict) and kind == "json_schema" else None
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        message = "`response_format` must be of type text, json_object, or json_schema with a schema."
        raise Rejected(400, message, param="response_format")
    _see_depth(schema, "response_format")
    return schema


def _see_depth(schema: object, where: str) -> None:
    if depth(schema) > MAX_DEPTH:
        raise Rejected(400, f"The schema in `{where}` is nested deeper than {MAX_DEPTH}.", param=where)


# -- single fields -----------------------------------------------------------------------------------------------


def _text(node: Json, field: str, *, needed: bool = False) -> str:
    value = node.get(field)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value):
        raise Rejected(400, f"`{field}` must be {'given, as ' if needed else ''}text.", param=field)
    return value


def _flag(node: Json, field: str) -> bool:
    value = node.get(field)
    if value is not None and not isinstance(value, bool):
        raise Rejected(400, f"`{field}` must be true or false.", param=field)
    return bool(value)


def _whole(node: Json, field: str) -> int | None:
    value = node.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**9:
        raise Rejected(400, f"`{field}` must be a whole number of at least 1.", param=field)
    return value


def _number(node: Json, field: str, least: float, most: float) -> float | None:
    value = node.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Rejected(400, f"`{field}` must be a number from {least:g} to {most:g}.", param=field)
    return float(value)


def _stop(value: object) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or not all(isinstance(s, str) and s for s in stops):
        raise Rejected(400, f"`stop` must be a text or a list of at most {MAX_STOPS} texts.", param="stop")
    return tuple(stops)


def _mode(mode: str) -> str:
    if mode in ("", "whole", "eager"):
        return mode or "whole"
    raise Rejected(400, "`stream_mode` must be whole or eager.", param="stream_mode")
