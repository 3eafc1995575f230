"""Anthropic's messages. ``backend.url`` is the address up to the version: ``https://api.anthropic.com/v1``.

Field names are those of the types in Anthropic's Python SDK (``anthropic.types``, 2.10). Four things differ from the
others: the system prompt stands outside the turns; the results of tools are parts of a user turn, and all results of
one turn belong into one; ``input_tokens`` leaves out what went through the cache, so it is added up here; and since
version 2026-10-21 the api turns a request with a temperature down, so a task's temperature stays at home.

The key goes out as ``x-api-key``, which servers that imitate the api know too; the api takes it as it takes the bearer
token that its newer SDKs send.

A schema goes into ``output_config.format``. The api turns down objects that are not closed and the keywords that bound
numbers and lengths, so both are mended on the way out; the judge holds the answer against the schema as it was given.

Where a refusal ends and a filter begins
    ``stop_reason: refusal`` is declined, with the category and explanation of ``stop_details``, whatever text came
    before. The error "Output blocked by content filtering policy" is the provider's filter: ``content_filter``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.answer import Answer, Declined, Usage
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from ..core.task import Image, Message, Task, ToolCall
from .assembler import Assembly
from .body import Json, Malformed, base64_of, child, children, count, object_of, parse, rewritten, text
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
        "max_tokens": backend.max_tokens if task.max_tokens is None else task.max_tokens,
        "messages": _messages(turns),
        "stream": stream,
    }
    guide = "\n\n".join(said for said in (system, *(m.text for m in turns if m.role == "system")) if said)
    if guide:
        request["system"] = guide
    if task.tools:
        request["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in task.tools
        ]
    if task.schema is not None:
        request["output_config"] = {"format": {"type": "json_schema", "schema": _acceptable(task.schema)}}
    return request


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
            results.append({"type": "tool_result", "tool_use_id": turn.tool_call_id or "", "content": _content(turn)})
            continue
        if results is not None and turn.role == "user":
            results.extend(_parts(turn))
        else:
            messages.append({"role": turn.role, "content": _content(turn)})
        results = None
    return messages


def _content(turn: Message) -> str | list[Json]:
    return _parts(turn) if turn.images or turn.tool_calls else turn.text


def _parts(turn: Message) -> list[Json]:
    parts = [_picture(image) for image in turn.images]
    if turn.text:
        parts.append({"type": "text", "text": turn.text})
    for call in turn.tool_calls:
        parts.append({"type": "tool_use", "id": call.id, "name": call.name, "input": object_of(call.arguments)})
    return parts


def _picture(image: Image) -> Json:
    if image.media_type.startswith("audio/"):
        raise AttemptFailed(FailureCode.BAD_REQUEST, "the anthropic api takes no sound")
    source = {"type": "base64", "media_type": image.media_type, "data": base64_of(image.data)}
    return {"type": "image", "source": source}


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
    )


def _call(block: Json) -> ToolCall:
    name = text(block, "name")
    if not name:
        raise Malformed("a tool call has no name")
    return ToolCall(text(block, "id"), name, rewritten("input", child(block, "input")))


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
        name = {"text_delta": "text", "input_json_delta": "partial_json"}.get(kind)
        if name is None:  # thoughts, signatures, citations
            return ""
        piece = text(delta, name)
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
        if block.get("type") != "tool_use" or not said:
            return block
        try:
            asked = parse(said.encode())
        except Malformed:
            if self._message.get("stop_reason") != "max_tokens":
                raise Malformed("the input of a tool is not JSON") from None
            asked = object_of(said)
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
