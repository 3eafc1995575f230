"""Google's generateContent (https://ai.google.dev/api/generate-content), both ways.

The model and whether a stream is wanted stand in the address; the resource puts them into the request under ``model``
and ``stream``. Calls and results of tools belong together by their ids, and where a client gives none, by their names
and their order.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from typing import Any

from ...core.answer import Usage
from ...core.result import RouteResult
from ...core.task import PLAIN, Image, Message, Sampling, Task, Thought, Tool, ToolCall
from ...core.tokens import asked_tokens
from ...wire.body import Json, dumps
from .. import fields
from ..about import about
from ..asked import Asked, Asking, understood
from ..errors import Rejected
from ..naming import Names
from .chat_in import chosen, known_tools, tool_of, unsupported
from .door import Stops, cut, data, object_of, pieces, said

_EFFORTS = ("minimal", "low", "medium", "high")

#: google.rpc's words by status.
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def read(node: object, names: Names, asking: Asking) -> Asked:
    """What the request ``node`` asks for. Raises Rejected."""
    if not isinstance(node, dict):
        raise Rejected(400, "The body must be a JSON object.")
    name = fields.text(node, "model", needed=True)
    target = names.resolve(name)
    if node.get("cachedContent"):
        raise unsupported("cachedContent", "cachedContent: nothing is kept here under a name.")
    config = fields.held(node, "generationConfig")
    if config.get("candidateCount") not in (None, 1):
        raise unsupported("candidateCount", "generationConfig.candidateCount must be 1.")
    instruction = node.get("systemInstruction") or node.get("system_instruction")
    turns = (*_system(instruction), *_contents(node.get("contents")))
    tools, dropped = _tools(node)
    may, must_call, forced = chosen(tools, *_choice(node, tools))
    task = Task(
        tools=may,
        must_call=must_call,
        schema=_schema(config),
        max_tokens=fields.whole(config, "maxOutputTokens"),
        temperature=fields.number(config, "temperature", 0.0, 2.0),
        sampling=_sampling(config),
    )
    stream = fields.flag(node, "stream")
    extra = {"dropped": dropped, "thoughts": fields.held(config, "thinkingConfig").get("includeThoughts") is True}
    return understood(
        task, turns, target, name, asking, stream=stream, eager=asking.eager(), forced_tool=forced, extra=extra
    )


def _sampling(config: Json) -> Sampling:
    thinking = fields.held(config, "thinkingConfig")
    level = thinking.get("thinkingLevel")
    found = Sampling(
        seed=fields.seed(config),
        top_p=fields.number(config, "topP", 0.0, 1.0),
        top_k=fields.whole(config, "topK", 0),
        frequency_penalty=fields.number(config, "frequencyPenalty", -2.0, 2.0),
        presence_penalty=fields.number(config, "presencePenalty", -2.0, 2.0),
        effort=level.lower() if isinstance(level, str) and level.lower() in _EFFORTS else None,
        thinking=fields.whole(thinking, "thinkingBudget", -1),
        stop=fields.stops(config, "stopSequences"),
    )
    return PLAIN if found == PLAIN else found


def _schema(config: Json) -> Json | None:
    if config.get("responseMimeType") not in ("application/json", "text/x.enum"):
        return None
    schema = config.get("responseJsonSchema")
    if schema is None and config.get("responseSchema") is not None:
        schema = plain_schema(config["responseSchema"])
    return {"type": "object"} if schema is None else fields.answer_schema(schema, "responseSchema")


def plain_schema(schema: Any) -> Any:
    """Gemini's own kind of schema (OpenAPI's, its types in capitals) as a JSON Schema."""
    if not isinstance(schema, dict):
        return schema
    plain: Json = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str):
            plain[key] = value.lower()
        elif key in ("properties", "$defs", "defs") and isinstance(value, dict):
            plain[key] = {name: plain_schema(below) for name, below in value.items()}
        elif key in ("anyOf", "prefixItems") and isinstance(value, list):
            plain[key] = [plain_schema(below) for below in value]
        elif key in ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"):
            plain[key] = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 10 else value
        elif key not in ("nullable", "propertyOrdering", "format", "example"):
            plain[key] = plain_schema(value) if key in ("items", "additionalProperties") else value
    if schema.get("nullable") is True and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    return plain


# -- contents ----------------------------------------------------------------------------------------------------


def _system(instruction: object) -> list[Message]:
    if isinstance(instruction, str) and instruction:
        return [Message("system", instruction)]
    if not isinstance(instruction, dict):
        return []
    parts = fields.objects(instruction.get("parts"), "systemInstruction.parts", fields.MAX_PARTS)
    said = "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    return [Message("system", said)] if said else []


class _Calls:
    """The calls of a conversation, so that results find theirs."""

    def __init__(self) -> None:
        self._open: dict[str, list[str]] = defaultdict(list)
        self._made = 0

    def made(self, name: str, identifier: object) -> str:
        self._made += 1
        known = identifier if isinstance(identifier, str) and identifier else f"call_{self._made:04d}"
        self._open[name].append(known)
        return known

    def answered(self, name: str, identifier: object) -> str:
        waiting = self._open[name]
        if isinstance(identifier, str) and identifier:
            if identifier in waiting:
                waiting.remove(identifier)
            return identifier
        return waiting.pop(0) if waiting else f"call_{name}"


def _contents(given: object) -> list[Message]:
    if isinstance(given, str):
        return [Message("user", given)]
    if isinstance(given, dict):
        given = [given]
    if not isinstance(given, list) or not given:
        raise Rejected(400, "`contents` must be a list of at least one content.", param="contents")
    turns: list[Message] = []
    calls = _Calls()
    count = 0
    for index, content in enumerate(fields.objects(given, "contents", fields.MAX_MESSAGES)):
        where = f"contents[{index}]"
        parts = fields.objects(content.get("parts"), f"{where}.parts", fields.MAX_PARTS)
        count += len(parts)
        if count > fields.MAX_PARTS:
            raise Rejected(400, f"`contents` holds more than {fields.MAX_PARTS} parts.", param="contents")
        turns += _turns("assistant" if content.get("role") == "model" else "user", parts, calls, where)
    return turns


def _turns(role: str, parts: list[Json], calls: _Calls, where: str) -> list[Message]:
    texts: list[str] = []
    images: list[Image] = []
    made: list[ToolCall] = []
    thoughts: list[Thought] = []
    turns: list[Message] = []
    for index, part in enumerate(parts):
        place = f"{where}.parts[{index}]"
        if isinstance(part.get("text"), str):
            if part.get("thought") is True:
                thoughts.append(Thought(part["text"], "gemini"))
            else:
                texts.append(part["text"])
        elif isinstance(wish := part.get("functionCall"), dict):
            made.append(_call(wish, part.get("thoughtSignature"), calls, place))
        elif isinstance(result := part.get("functionResponse"), dict):
            turns.append(_result(result, calls, place))
        elif isinstance(held := part.get("inlineData") or part.get("inline_data"), dict):
            kind = held.get("mimeType") or held.get("mime_type")
            images.append(fields.media(str(kind).lower(), held.get("data"), place))
        elif isinstance(file := part.get("fileData"), dict):
            images.append(fields.picture(file.get("fileUri"), place))
        elif "executableCode" not in part and "codeExecutionResult" not in part and "thoughtSignature" not in part:
            raise unsupported(place, f"`{place}` must hold text, inlineData, a functionCall or a functionResponse.")
    if texts or images or made or not turns:
        pictures = tuple(images) if role == "user" else ()
        turns.append(Message(role, "".join(texts), pictures, tuple(made), None, tuple(thoughts)))
    return turns


def _call(wish: Json, signature: object, calls: _Calls, place: str) -> ToolCall:
    name, asked = wish.get("name"), wish.get("args")
    if not fields.is_tool_name(name) or not isinstance(asked, dict | None):
        raise Rejected(400, f"`{place}.functionCall` must have a name, and an object as its args.", param=place)
    signed = signature if isinstance(signature, str) else ""
    return ToolCall(calls.made(name, wish.get("id")), name, dumps(asked or {}), signed)


def _result(result: Json, calls: _Calls, place: str) -> Message:
    name, said = result.get("name"), result.get("response")
    if not fields.is_tool_name(name):
        raise Rejected(400, f"`{place}.functionResponse` must have a name.", param=place)
    # The SDKs put a plain result under one of these names.
    if isinstance(said, dict) and len(said) == 1 and isinstance(text := said.get("output", said.get("result")), str):
        said = text
    text = said if isinstance(said, str) else dumps(said)
    return Message("tool", text, tool_call_id=calls.answered(name, result.get("id")))


# -- tools -------------------------------------------------------------------------------------------------------


def _tools(node: Json) -> tuple[dict[str, Tool], list[str]]:
    tools: dict[str, Tool] = {}
    dropped: list[str] = []
    given = node.get("tools")
    given = [given] if isinstance(given, dict) else given
    for index, each in enumerate(fields.objects(given, "tools", fields.MAX_TOOLS)):
        declared = each.get("functionDeclarations") or each.get("function_declarations")
        if declared is None:
            dropped.append(f"tools[{index}]")
            continue
        for nth, function in enumerate(fields.objects(declared, f"tools[{index}]", fields.MAX_TOOLS)):
            schema = function.get("parametersJsonSchema")
            if schema is None and function.get("parameters") is not None:
                schema = plain_schema(function["parameters"])
            tool = tool_of(function, f"tools[{index}].functionDeclarations[{nth}]", schema)
            tools[tool.name] = tool
    return tools, dropped


def _choice(node: Json, tools: dict[str, Tool]) -> tuple[list[str], str]:
    told = fields.held(fields.held(node, "toolConfig"), "functionCallingConfig")
    mode = str(told.get("mode") or "AUTO").upper()
    if mode == "NONE":
        return list(tools), "none"
    if mode not in ("ANY", "VALIDATED") or not tools:
        return list(tools), "auto"
    allowed = told.get("allowedFunctionNames")
    names = (
        known_tools(fields.items(allowed, "allowedFunctionNames", fields.MAX_TOOLS), tools) if allowed else list(tools)
    )
    return names, "required" if mode == "ANY" else "auto"


# -- outwards ----------------------------------------------------------------------------------------------------


def error(rejected: Rejected) -> Json:
    status = _STATUSES.get(rejected.status, "INTERNAL")
    told: Json = {"code": rejected.status, "message": rejected.message, "status": status}
    if rejected.more is not None:
        told["uniwizard"] = rejected.more
    return {"error": told}


def tokens(asked: Asked) -> Json:
    """The answer of ``countTokens``: an estimate, since every backend counts otherwise."""
    return {"totalTokens": asked_tokens(asked.task)}


def answer(result: RouteResult, asked: Asked, seconds: float) -> Json:
    """The whole answer."""
    text, calls, _ = said(result, asked)
    parts = [*_thoughts(result, asked), *([{"text": text}] if text or not calls else []), *map(_wish, calls)]
    return _response(result.model, f"{secrets.token_hex(12)}", parts, result)


def _thoughts(result: RouteResult, asked: Asked) -> list[Json]:
    if not asked.extra["thoughts"]:
        return []
    return [{"text": thought.text, "thought": True} for thought in result.thoughts if thought.text]


def _wish(call: ToolCall) -> Json:
    part: Json = {"functionCall": {"id": call.id, "name": call.name, "args": object_of(call)}}
    return {**part, "thoughtSignature": call.signature} if call.signature else part


def _finish(result: RouteResult) -> Json:
    if result.refused:
        return {"finishReason": "SAFETY", "finishMessage": "The models that were asked declined."}
    return {"finishReason": "MAX_TOKENS" if cut(result) else "STOP"}


def usage(used: Usage) -> Json:
    return {
        "promptTokenCount": used.input_tokens,
        "candidatesTokenCount": max(0, used.output_tokens - used.reasoning_tokens),
        "totalTokenCount": used.input_tokens + used.output_tokens,
        **({"cachedContentTokenCount": used.cached_tokens} if used.cached_tokens else {}),
        **({"thoughtsTokenCount": used.reasoning_tokens} if used.reasoning_tokens else {}),
    }


def _response(model: str, identifier: str, parts: list[Json], result: RouteResult | None = None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    whole: Json = {"candidates": [candidate], "modelVersion": model, "responseId": identifier}
    if result is not None:
        candidate |= _finish(result)
        whole |= {"usageMetadata": usage(result.usage), "uniwizard": about(result)}
    return whole


class Events:
    """Makes the events of one response: each is a response with the parts that are new."""

    def __init__(self, asked: Asked, seconds: float):
        self._asked = asked
        self._id = secrets.token_hex(12)
        self._model = asked.model
        self._stops = Stops(asked.stop)
        self._shown = False

    def begin(self, model: str) -> bytes:
        self._model = model
        return b""

    def text(self, piece: str) -> bytes:
        self._shown = True
        shown = self._stops.hear(piece)
        return data(_response(self._model, self._id, [{"text": shown}])) if shown else b""

    def end(self, result: RouteResult) -> bytes:
        """A judged answer whole, or what follows the text that has been shown."""
        text, calls, _ = said(result, self._asked)
        events: list[bytes] = []
        if not self._shown:
            events += (data(_response(result.model, self._id, [part])) for part in _thoughts(result, self._asked))
        for piece in [self._stops.hear("", last=True)] if self._shown else pieces(text):
            if piece:
                events.append(data(_response(result.model, self._id, [{"text": piece}])))
        last = [_wish(call) for call in calls] or [{"text": ""}]
        return b"".join(events) + data(_response(result.model, self._id, last, result))

    def error(self, rejected: Rejected) -> bytes:
        return data(error(rejected))

    def wait(self) -> bytes:
        return b": still at it\n\n"


stream = Events
