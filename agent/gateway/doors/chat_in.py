"""OpenAI's chat completions, inwards: a request's JSON as what it asks for.

What becomes of the fields
    passed on    messages with text, pictures, sounds and PDF files, tool calls and their results, thoughts of earlier
                 turns; tools with ``strict``; tool_choice; parallel_tool_calls; limits; temperature, seed, top_p,
                 top_k, penalties, reasoning_effort, verbosity, stop: each where the backend's api has it, else by the
                 config's word; response_format, as the task's schema
    done here    model, stream, stream_options, stream_mode (our own), and stops once more
    left out     user, safety_identifier, message names: nobody who answers learns who asked. Where one reads as a
                 person's name it is veiled in the text as well. metadata (its ``context`` labels the task for those
                 who watch, and is not sent either), store, service_tier, prompt_cache_key and
                 other fields that change no answer
    refused      whatever changes what an answer is and cannot be had from every backend: n above 1, logprobs, audio
                 answers, files by id, web search, the old ``functions``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.task import PLAIN, Image, Message, Sampling, Task, Thought, Tool, ToolCall
from ...wire.body import Json, dumps
from .. import fields
from ..asked import Asked, Asking, understood
from ..errors import Rejected
from ..naming import Names

#: The roles there are, with what they are called here.
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}

_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mpeg"}

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
VERBOSITIES = ("low", "medium", "high")

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


def read(node: object, names: Names, asking: Asking) -> Asked:
    """What the request ``node`` asks for. Raises Rejected."""
    if not isinstance(node, dict):
        raise Rejected(400, "The body must be a JSON object.")
    name = fields.text(node, "model", needed=True)
    target = names.resolve(name)
    _refuse(node)
    turns = _messages(node.get("messages"))
    tools, must_call, forced = _tools(node)
    task = Task(
        tools=tools,
        must_call=must_call,
        one_call=node.get("parallel_tool_calls") is False,
        schema=_schema(node.get("response_format")),
        max_tokens=fields.whole(node, "max_completion_tokens") or fields.whole(node, "max_tokens"),
        temperature=fields.number(node, "temperature", 0.0, 2.0),
        sampling=sampling(node),
        identity=_named(node),
    )
    options = node.get("stream_options")
    return understood(
        task,
        turns,
        target,
        name,
        asking,
        stream=fields.flag(node, "stream"),
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        eager=asking.eager(fields.text(node, "stream_mode")),
        forced_tool=forced,
    )


#: Fields that tune an answer; without any of them nothing need be looked at.
_TUNING = {
    *("seed", "top_p", "top_k", "frequency_penalty", "presence_penalty", "reasoning_effort", "verbosity", "stop"),
    "reasoning",
}


def sampling(node: Json) -> Sampling:
    """How the answer is to be made."""
    if _TUNING.isdisjoint(node):
        return PLAIN
    reasoning = node.get("reasoning")  # OpenRouter's way to say it
    told = reasoning if isinstance(reasoning, dict) else {}
    effort = fields.one_of(node, "reasoning_effort", EFFORTS) or fields.one_of(told, "effort", EFFORTS)
    found = Sampling(
        seed=fields.seed(node),
        top_p=fields.number(node, "top_p", 0.0, 1.0),
        top_k=fields.whole(node, "top_k"),
        frequency_penalty=fields.number(node, "frequency_penalty", -2.0, 2.0),
        presence_penalty=fields.number(node, "presence_penalty", -2.0, 2.0),
        effort=effort,
        thinking=fields.whole(told, "max_tokens"),
        verbosity=fields.one_of(node, "verbosity", VERBOSITIES),
        stop=fields.stops(node, "stop"),
    )
    return PLAIN if found == PLAIN else found


def _refuse(node: Json) -> None:
    for field, why in _REFUSED.items():
        if node.get(field):
            raise unsupported(field, f"Unsupported parameter `{field}`: {why}.", "unsupported_parameter")
    if node.get("n") not in (None, 1) or isinstance(node.get("n"), bool):
        raise unsupported("n", "Unsupported value: `n` must be 1; every answer is judged on its own.")
    if node.get("modalities") not in (None, [], ["text"]):
        raise unsupported("modalities", 'Unsupported value: `modalities` must be ["text"].')


def unsupported(param: str, message: str, code: str = "unsupported_value") -> Rejected:
    return Rejected(400, message, code=code, param=param)


def _named(node: Json) -> frozenset[str]:
    """The words with which a request names people."""
    said = [node.get("user"), node.get("safety_identifier")]
    said += [message.get("name") for message in node["messages"] if message.get("role") != "tool"]
    return fields.names(*said) if any(said) else frozenset()


# -- messages ----------------------------------------------------------------------------------------------------


def _messages(nodes: object) -> tuple[Message, ...]:
    if not isinstance(nodes, list) or not nodes:
        raise Rejected(400, "`messages` must be a list of at least one message.", param="messages")
    if len(nodes) > fields.MAX_MESSAGES:
        raise Rejected(400, f"`messages` holds more than {fields.MAX_MESSAGES} messages.", param="messages")
    parts = sum(
        len(node["content"]) for node in nodes if isinstance(node, dict) and isinstance(node.get("content"), list)
    )
    if parts > fields.MAX_PARTS:
        raise Rejected(400, f"`messages` holds more than {fields.MAX_PARTS} parts.", param="messages")
    return tuple(_message(node, f"messages[{index}]") for index, node in enumerate(nodes))


def _message(node: object, where: str) -> Message:
    if not isinstance(node, dict):
        raise Rejected(400, f"`{where}` must be an object.", param=where)
    said = node.get("role")
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise Rejected(400, f"`{where}.role` must be one of: {', '.join(_ROLES)}.", param=f"{where}.role")
    content = node.get("content")
    if role == "user" and isinstance(content, str):
        return Message(role, content)
    content = _Content(content, f"{where}.content")
    if content.images and role not in ("user", "tool"):
        raise Rejected(400, f"`{where}`: only a user's or a tool's message may hold pictures or sounds.", param=where)
    if role == "assistant":
        return _spoken(node, content, where)
    call_id = node.get("tool_call_id")
    if role == "tool" and (not isinstance(call_id, str) or not call_id):
        raise Rejected(400, f"`{where}.tool_call_id` is missing.", param=f"{where}.tool_call_id")
    if role != "tool" and "content" not in node:
        raise Rejected(400, f"`{where}.content` is missing.", param=f"{where}.content")
    return Message(
        role, content.text, tuple(content.images), tool_call_id=call_id if role == "tool" else None, cache=content.cache
    )


def _spoken(node: Json, content: _Content, where: str) -> Message:
    """An assistant's turn; its content may be null, whether or not it calls tools."""
    text = content.text
    if not text and isinstance(node.get("refusal"), str):
        text = node["refusal"]
    thoughts = content.thoughts
    for block in fields.items(node.get("thinking_blocks"), f"{where}.thinking_blocks", fields.MAX_PARTS):
        if (thought := thought_of(block)) is not None:
            thoughts.append(thought)
    for name in ("reasoning_content", "reasoning"):
        if not thoughts and isinstance(node.get(name), str) and node[name]:
            thoughts.append(Thought(node[name], "openai"))
    calls = _calls(node.get("tool_calls"), f"{where}.tool_calls")
    return Message("assistant", text, (), calls, thoughts=tuple(thoughts), cache=content.cache)


def thought_of(block: object) -> Thought | None:
    """A thought as Anthropic writes it; None for anything else."""
    if not isinstance(block, dict):
        return None
    if block.get("type") == "redacted_thinking" and isinstance(block.get("data"), str):
        return Thought("", "anthropic", sealed=block["data"])
    said, signature = block.get("thinking"), block.get("signature")
    if block.get("type") == "thinking" and isinstance(said, str):
        # Unsigned, it came from another model, and Anthropic would turn it down.
        return Thought(said, "anthropic", signature) if isinstance(signature, str) and signature else Thought(said)
    return None


def cache_of(part: Mapping[str, Any]) -> str:
    """What Anthropic's ``cache_control`` says, which OpenRouter and LiteLLM take here as well."""
    control = part.get("cache_control")
    if not isinstance(control, dict) or control.get("type") != "ephemeral":
        return ""
    return "1h" if control.get("ttl") == "1h" else "5m"


class _Content:
    """A message's content: its text, its parts joined by line breaks, its pictures, sounds, files and thoughts."""

    def __init__(self, content: object, where: str):
        self.images: list[Image] = []
        self.thoughts: list[Thought] = []
        self.cache = ""
        if content is None or isinstance(content, str):
            self.text = content or ""
            return
        if not isinstance(content, list):
            raise Rejected(400, f"`{where}` must be text or a list of parts.", param=where)
        texts: list[str] = []
        for index, part in enumerate(content):
            place = f"{where}[{index}]"
            if not isinstance(part, dict):
                raise Rejected(400, f"`{place}` must be an object.", param=place)
            self.cache = cache_of(part) or self.cache
            self._take(part, place, texts)
        self.text = "\n".join(texts)

    def _take(self, part: Json, place: str, texts: list[str]) -> None:
        kind = part.get("type")
        inner = part.get(kind) if isinstance(kind, str) else None
        if kind in ("text", "refusal"):
            if not isinstance(inner, str):
                raise Rejected(400, f"`{place}.{kind}` must be text.", param=place)
            texts.append(inner)
        elif kind == "image_url":
            self.images.append(fields.picture(inner.get("url") if isinstance(inner, dict) else inner, place))
        elif kind == "input_audio":
            form = inner.get("format") if isinstance(inner, dict) else None
            if not isinstance(inner, dict) or form not in _SOUNDS:
                raise Rejected(400, f"`{place}.input_audio.format` must be wav or mp3.", param=place)
            self.images.append(fields.media(_SOUNDS[form], inner.get("data"), place))
        elif kind == "file":
            self.images.append(_file(inner, place))
        elif (thought := thought_of(part)) is not None:
            self.thoughts.append(thought)
        else:
            message = f"`{place}` must be of type text, image_url, input_audio or file."
            raise Rejected(400, message, code="unsupported_value", param=place)


def _file(inner: object, place: str) -> Image:
    held = inner if isinstance(inner, dict) else {}
    if not isinstance(held.get("file_data"), str):
        raise unsupported(place, f"`{place}`: a file comes with its data; nothing is kept here under an id.")
    name = held.get("filename")
    name = name if isinstance(name, str) else ""
    if not held["file_data"].startswith("data:"):
        return fields.media("application/pdf", held["file_data"], place, name)
    found = fields.picture(held["file_data"], place)
    return Image(found.media_type, found.data, name=name)


def _calls(nodes: object, where: str) -> tuple[ToolCall, ...]:
    calls = []
    for index, node in enumerate(fields.items(nodes, where, fields.MAX_PARTS)):
        function = node.get("function") if isinstance(node, dict) else None
        function = function if isinstance(function, dict) else {}
        identifier = node.get("id") if isinstance(node, dict) else None
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(arguments, dict):
            arguments = dumps(arguments)
        arguments = "" if arguments is None else arguments
        if not isinstance(identifier, str) or not isinstance(arguments, str) or not fields.is_tool_name(name):
            message = f"`{where}[{index}]` must have an id, and a function with a name and arguments as text."
            raise Rejected(400, message, param=f"{where}[{index}]")
        calls.append(ToolCall(identifier, name, arguments, _signature(node)))
    return tuple(calls)


def _signature(node: Json) -> str:
    """Gemini's signature of a call, where its own OpenAI-compatible endpoint puts it."""
    extra = node.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""


# -- tools and schemas -------------------------------------------------------------------------------------------


def _tools(node: Json) -> tuple[tuple[Tool, ...], bool, str | None]:
    """The tools that may be called, whether one must be, and the one that is named."""
    nodes = fields.items(node.get("tools"), "tools", fields.MAX_TOOLS)
    tools = {tool.name: tool for tool in (_tool(each, f"tools[{index}]") for index, each in enumerate(nodes))}
    return chosen(tools, *_choice(node.get("tool_choice"), tools))


def chosen(tools: dict[str, Tool], allowed: list[str], choice: str) -> tuple[tuple[Tool, ...], bool, str | None]:
    """Those of ``tools`` that may be called, whether one must be, and the one where it is named."""
    if choice == "none":
        return (), False, None
    may = tuple(tools[name] for name in allowed)
    return may, choice in ("required", "named"), may[0].name if choice == "named" else None


def _choice(choice: object, tools: dict[str, Tool]) -> tuple[list[str], str]:
    """The names of the tools that are allowed, and ``auto``, ``none``, ``required`` or ``named``."""
    everyone = list(tools)
    if choice is None:
        return everyone, "auto"
    if isinstance(choice, str) and choice in ("auto", "none", "required", "any"):
        if choice in ("required", "any"):
            if not tools:
                raise Rejected(400, "`tool_choice` is only allowed with `tools`.", param="tool_choice")
            choice = "required"
        return everyone, choice
    kind = choice.get("type") if isinstance(choice, dict) else None
    inner = choice.get(kind) if isinstance(choice, dict) and isinstance(kind, str) else None
    names: list[Any]
    if kind == "function" and isinstance(inner, dict):
        names, how = [inner.get("name")], "named"
    elif kind == "allowed_tools" and isinstance(inner, dict) and isinstance(inner.get("tools"), list):
        functions = [each.get("function") if isinstance(each, dict) else None for each in inner["tools"]]
        names = [each.get("name") if isinstance(each, dict) else None for each in functions]
        how = "required" if inner.get("mode") == "required" else "auto"
    else:
        raise unsupported("tool_choice", "`tool_choice` must be auto, none, required, or name a function.")
    return known_tools(names, tools), how


def known_tools(names: list[Any], tools: dict[str, Tool]) -> list[str]:
    known = [name for name in names if isinstance(name, str) and name in tools]
    if len(known) != len(names) or not known:
        raise Rejected(400, "`tool_choice` names a function that is not in `tools`.", param="tool_choice")
    return list(dict.fromkeys(known))


def _tool(node: object, where: str) -> Tool:
    if not isinstance(node, dict) or node.get("type", "function") != "function":
        raise unsupported(where, f"`{where}.type` must be function.")
    function = node.get("function")
    if not isinstance(function, dict):
        raise Rejected(400, f"`{where}.function` is missing.", param=where)
    return tool_of(function, f"{where}.function", function.get("parameters"), cache_of(node) or cache_of(function))


def tool_of(node: Json, where: str, parameters: object, cache: str = "") -> Tool:
    """A tool, from the object that names and describes it."""
    name, description, strict = node.get("name"), node.get("description"), node.get("strict")
    if not fields.is_tool_name(name):
        message = f"`{where}.name` must be 1 to 128 letters, digits, underscores or hyphens."
        raise Rejected(400, message, param=f"{where}.name")
    return Tool(
        name,
        description if isinstance(description, str) else "",
        fields.parameters(parameters, f"{where}.parameters"),
        strict if isinstance(strict, bool) else None,
        cache,
    )


def _schema(form: object) -> Json | None:
    if form is None:
        return None
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        schema = form.get("schema") if isinstance(form, dict) else None  # llama.cpp's and Together's way
        return {"type": "object"} if schema is None else fields.answer_schema(schema, "response_format")
    held = form.get("json_schema") if isinstance(form, dict) and kind == "json_schema" else None
    schema = held.get("schema") if isinstance(held, dict) else None
    if not isinstance(schema, dict):
        message = "`response_format` must be of type text, json_object, or json_schema with a schema."
        raise Rejected(400, message, param="response_format")
    return fields.answer_schema(schema, "response_format")
