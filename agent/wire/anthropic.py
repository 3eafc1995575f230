"""Anthropic's messages. ``backend.url`` is the address up to the version: ``https://api.anthropic.com/v1``.

Field names are those of the types in Anthropic's Python SDK (``anthropic.types``, 2.10). Four things differ from the
others: the system prompt stands outside the turns; the results of tools are parts of a user turn, and all results of
one turn belong into one; ``input_tokens`` leaves out what went through the cache, so it is added up here; and since
version 2026-10-21 the api turns a request with a temperature, top_p or top_k down, so a task's stay at home.

The key goes out as ``x-api-key``, which servers that imitate the api know too; the api takes it as it takes the bearer
token that its newer SDKs send.

A schema goes into ``output_config.format``. The api turns down objects that are not closed and the keywords that bound
numbers and lengths, so both are mended on the way out; the judge holds the answer against the schema as it was given.

Where a refusal ends and a filter begins
    ``stop_reason: refusal`` is declined, with the category and explanation of ``stop_details``, whatever text came
    before. The error "Output blocked by content filtering policy" is the provider's filter: ``content_filter``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.answer import Answer, Declined, Usage
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from ..core.limits import answer_limit
from ..core.task import PLAIN, Image, Message, Task, Thought, Tool, ToolCall
from .assembler import Assembly
from .body import (
    JSON_ALONE,
    Json,
    Malformed,
    any_object,
    base64_of,
    child,
    children,
    count,
    dumps,
    object_of,
    parse,
    rewritten,
    text,
)
from .errors import Complaint, strings

PROBE = "/models"

#: The latest version of the api (https://platform.claude.com/docs/en/api/versioning).
_VERSION = "2026-10-21"

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}

#: Keywords that structured outputs turn down
#: (https://platform.claude.com/docs/en/build-with-claude/structured-outputs, "JSON Schema limitations").
_UNKNOWN_KEYWORDS = {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
}


#: The api wants a limit; this is asked for where nobody knows what the model can make.
_UNKNOWN_LIMIT = 4096

#: What thinks least and most here: OpenAI's words on the left that Anthropic has not.
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}

#: The fewest tokens of a budget for thinking.
_LEAST_THINKING = 1024

_CARRIED = frozenset({"stop", "effort", "thinking"})


def carries(backend: Backend) -> frozenset[str]:
    """What of :class:`Sampling` and of temperature the api has a field for."""
    return _CARRIED


def path(backend: Backend, stream: bool = False) -> str:
    return "/messages"


def credentials(backend: Backend) -> dict[str, str]:
    headers = {"anthropic-version": _VERSION}
    if backend.api_key:
        headers["x-api-key"] = backend.api_key
    return headers


def body(task: Task, backend: Backend, system: str, stream: bool = False) -> Json:
    turns = task.turns
    request: Json = {
        "model": backend.model,
        "max_tokens": answer_limit(task, backend) or _UNKNOWN_LIMIT,
        "messages": _messages(turns),
        "stream": stream,
    }
    output: Json = {}
    if task.schema is not None:
        if any_object(task.schema):
            # Closed, as the api wants its objects, it could only be empty.
            system = f"{system}\n\n{JSON_ALONE}".strip()
        elif _closes(task.schema):
            output["format"] = {"type": "json_schema", "schema": _acceptable(task.schema)}
        else:
            system = f"{system}\n\n{JSON_ALONE} It is valid against this JSON Schema: {dumps(task.schema)}".strip()
    if guide := _guide(system, turns):
        request["system"] = guide
    if task.tools:
        request["tools"] = [_tool(tool) for tool in task.tools]
        if task.must_call or task.one_call:
            one = len(task.tools) == 1
            choice: Json = {"type": ("tool" if one else "any") if task.must_call else "auto"}
            if task.must_call and one:
                choice["name"] = task.tools[0].name
            if task.one_call:
                choice["disable_parallel_tool_use"] = True
            request["tool_choice"] = choice
    if task.sampling is not PLAIN:
        _add_sampling(task, request, output)
    if output:
        request["output_config"] = output
    return request


def _add_sampling(task: Task, request: Json, output: Json) -> None:
    sampling = task.sampling
    # The api turns down a text that is nothing but blanks.
    if stops := [stop for stop in sampling.stop if stop.strip()]:
        request["stop_sequences"] = stops
    if sampling.effort in _EFFORTS:
        output["effort"] = _EFFORTS[sampling.effort]
    thinking = 0 if sampling.effort == "none" else sampling.thinking
    if thinking == 0:
        request["thinking"] = {"type": "disabled"}
    elif task.must_call:
        # A call that must be made and thoughts before it exclude each other.
        pass
    elif thinking == -1:
        request["thinking"] = {"type": "adaptive"}
    elif thinking is not None and request["max_tokens"] > _LEAST_THINKING:
        budget = min(max(_LEAST_THINKING, thinking), request["max_tokens"] - 1)
        request["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _guide(system: str, turns: tuple[Message, ...]) -> str | list[Json]:
    """The system prompt: one text, or blocks where one of them is to be kept in the cache."""
    said = [turn for turn in turns if turn.role == "system" and turn.text]
    if not any(turn.cache for turn in said):
        return "\n\n".join(text for text in (system, *(turn.text for turn in said)) if text)
    blocks: list[Json] = [{"type": "text", "text": system}] if system else []
    return blocks + [_kept({"type": "text", "text": turn.text}, turn.cache) for turn in said]


def _kept(block: Json, cache: str) -> Json:
    """``block``, marked where all up to it is worth keeping in the cache."""
    if not cache:
        return block
    mark = {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}
    return {**block, "cache_control": mark}


def _tool(tool: Tool) -> Json:
    schema = _acceptable(tool.parameters) if tool.strict else tool.parameters
    described: Json = {"name": tool.name, "description": tool.description, "input_schema": schema}
    if tool.strict:
        described["strict"] = True
    return _kept(described, tool.cache)


def _messages(turns: tuple[Message, ...]) -> list[Json]:
    messages: list[Json] = []
    results: list[Json] | None = None  # the parts of the user turn that gathers the results of tools
    for turn in turns:
        if turn.role == "system":
            continue
        if turn.role == "tool":
            if results is None:
                results = []
                messages.append({"role": "user", "content": results})
            result = {"type": "tool_result", "tool_use_id": turn.tool_call_id or "", "content": _content(turn)}
            results.append(_kept(result, turn.cache))
            continue
        if results is not None and turn.role == "user":
            results.extend(_parts(turn))
        elif turn.text or turn.images or turn.tool_calls or turn.role == "user":
            messages.append({"role": turn.role, "content": _content(turn)})
        results = None
    return messages


def _content(turn: Message) -> str | list[Json]:
    marked = turn.cache and turn.role != "tool"
    return _parts(turn) if turn.images or turn.tool_calls or turn.thoughts or marked else turn.text


def _parts(turn: Message) -> list[Json]:
    # Thoughts come before what they led to, or the api turns the whole request down.
    parts = [_thought(thought) for thought in turn.thoughts if thought.api == "anthropic"]
    parts += [_picture(image) for image in turn.images]
    if turn.text:
        parts.append({"type": "text", "text": turn.text})
    for call in turn.tool_calls:
        parts.append({"type": "tool_use", "id": call.id, "name": call.name, "input": object_of(call.arguments)})
    if turn.cache and turn.role != "tool" and parts:
        parts[-1] = _kept(parts[-1], turn.cache)
    return parts


def _thought(thought: Thought) -> Json:
    if thought.sealed:
        return {"type": "redacted_thinking", "data": thought.sealed}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def _picture(image: Image) -> Json:
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    if image.media_type == "application/pdf":
        source = {"type": "base64", "media_type": image.media_type, "data": base64_of(image.data)}
        return {"type": "document", "source": source}
    if image.media_type.startswith("audio/"):
        raise AttemptFailed(FailureCode.BAD_REQUEST, "the anthropic api takes no sound")
    source = {"type": "base64", "media_type": image.media_type, "data": base64_of(image.data)}
    return {"type": "image", "source": source}


def _closes(schema: Any) -> bool:
    """Whether the schema still means something once its objects are closed: none of them names no property at all."""
    if not isinstance(schema, Mapping):
        return not isinstance(schema, bool)
    if (
        schema.get("type") == "object"
        and not schema.get("properties")
        and schema.get("additionalProperties") is not False
    ):
        return False
    below: list[Any] = [schema["items"]] if "items" in schema else []
    for name in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(name), Mapping):
            below += schema[name].values()
    for name in ("anyOf", "allOf", "oneOf"):
        if isinstance(schema.get(name), list | tuple):
            below += schema[name]
    return isinstance(schema.get("additionalProperties", False), bool) and all(map(_closes, below))


def _acceptable(schema: Any) -> Any:
    """The schema with its objects closed and the keywords left out that the api turns down."""
    if not isinstance(schema, Mapping):
        return schema
    mended: Json = {}
    for key, value in schema.items():
        if key in _UNKNOWN_KEYWORDS or (key == "minItems" and value not in (0, 1)):
            continue
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            mended[key] = {name: _acceptable(below) for name, below in value.items()}
        elif key == "items":
            mended[key] = _acceptable(value)
        elif key in ("anyOf", "allOf", "oneOf") and isinstance(value, (list, tuple)):
            mended["anyOf" if key == "oneOf" else key] = [_acceptable(below) for below in value]
        else:
            mended[key] = value
    if schema.get("type") == "object":
        mended["additionalProperties"] = False
    return mended


def answer(node: Json) -> Answer:
    if "content" not in node:
        raise Malformed("the body has no content")
    reason = text(node, "stop_reason")
    if reason == "model_context_window_exceeded":
        raise AttemptFailed(FailureCode.CONTEXT_OVERFLOW, "stop_reason model_context_window_exceeded")
    blocks = children(node, "content")
    declined = None
    if reason == "refusal":
        details = child(node, "stop_details")
        declined = Declined("stop_reason", text(details, "category"), text(details, "explanation"))
    return Answer(
        text="".join(text(block, "text") for block in blocks if block.get("type") == "text"),
        model=text(node, "model"),
        finish_reason=_FINISH.get(reason, "other"),
        usage=_usage(child(node, "usage")),
        tool_calls=tuple(_call(block) for block in blocks if block.get("type") == "tool_use"),
        declined=declined,
        thoughts=tuple(_thoughts(blocks)),
    )


def _thoughts(blocks: list[Json]) -> Iterator[Thought]:
    for block in blocks:
        if block.get("type") == "thinking":
            yield Thought(text(block, "thinking"), "anthropic", text(block, "signature"))
        elif block.get("type") == "redacted_thinking":
            yield Thought("", "anthropic", sealed=text(block, "data"))


def _call(block: Json) -> ToolCall:
    name = text(block, "name")
    if not name:
        raise Malformed("a tool call has no name")
    # Cut at the limit, what there is of the input is no JSON yet.
    cut = text(block, "cut")
    return ToolCall(text(block, "id"), name, cut or rewritten("input", child(block, "input")))


def _usage(usage: Json) -> Usage | None:
    if not usage:
        return None
    read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    return Usage(
        count(usage, "input_tokens") + read + written,
        count(usage, "output_tokens"),
        read,
        count(child(usage, "output_tokens_details"), "thinking_tokens"),
    )


#: What a delta of each type adds to its block.
_GROWS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}


class _Stream:
    """A message in the making: ``message_start``, blocks of content, ``message_delta``, ``message_stop``.

    Counts in a ``message_delta`` are totals, so they replace those of the start.
    """

    marks = (b'"delta"', b'"content_block')

    def __init__(self) -> None:
        self.tokens = 0
        self.finished = self.ended = False
        self._message: Json = {"content": []}
        self._blocks: dict[int, Json] = {}

    def take(self, node: Json) -> str:
        match text(node, "type"):
            case "content_block_delta":
                return self._grow(count(node, "index"), child(node, "delta"))
            case "content_block_start":
                block = dict(child(node, "content_block"))
                self._blocks[count(node, "index")] = {**block, "pieces": [text(block, "text")]}
                return text(block, "text") if block.get("type") == "text" else ""
            case "message_start":
                self._message |= child(node, "message")
            case "message_delta":
                self._message |= child(node, "delta")
                reported = {name: value for name, value in child(node, "usage").items() if value is not None}
                self._message["usage"] = {**child(self._message, "usage"), **reported}
                self.finished = bool(text(self._message, "stop_reason"))
            case "message_stop":
                self.ended = True
        return ""

    def _grow(self, index: int, delta: Json) -> str:
        self.tokens += 1
        kind = text(delta, "type")
        name = _GROWS.get(kind)
        if name is None:  # citations
            return ""
        piece = text(delta, name)
        if name in ("thinking", "signature"):
            if index in self._blocks:
                self._blocks[index].setdefault("thoughts", {}).setdefault(name, []).append(piece)
            return ""
        if index not in self._blocks or (name == "text" and self._blocks[index].get("type") != "text"):
            raise Malformed("a part of the answer has no beginning")
        self._blocks[index]["pieces"].append(piece)
        return piece if name == "text" else ""

    def node(self) -> Json:
        return {**self._message, "content": [self._block(block) for _, block in sorted(self._blocks.items())]}

    def _block(self, block: Json) -> Json:
        said = "".join(block["pieces"])
        if block.get("type") == "text":
            return {"type": "text", "text": said}
        if block.get("type") == "thinking":
            grown = block.get("thoughts", {})
            return {
                "type": "thinking",
                "thinking": text(block, "thinking") + "".join(grown.get("thinking", ())),
                "signature": text(block, "signature") + "".join(grown.get("signature", ())),
            }
        if block.get("type") != "tool_use" or not said:
            return block
        try:
            asked = parse(said.encode())
        except Malformed:
            if self._message.get("stop_reason") != "max_tokens":
                raise Malformed("the input of a tool is not JSON") from None
            return {**block, "input": {}, "cut": said}
        return {**block, "input": asked}

    def usage(self) -> Usage | None:
        return _usage(child(self._message, "usage"))


def assembly() -> Assembly:
    return _Stream()


def complaint(node: object) -> Complaint | None:
    if not isinstance(node, dict) or (node.get("type") != "error" and not node.get("error")):
        return None
    error = node.get("error")
    if not isinstance(error, dict):
        return Complaint(message="".join(strings(error)))
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return Complaint(words=strings(code, error.get("type")), message="".join(strings(error.get("message"))))
