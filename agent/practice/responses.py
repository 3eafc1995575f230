"""How each api wraps what practice says: its answers, its errors, its list of models.

A :class:`Dialect` reads a request as that provider's server would, and writes JSON as it would. The field names are
those of the providers' SDKs, which are the judges of this module: in tests/agent/test_practice_sdks.py they talk to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

from .tools import Offer, Offered

Json = dict[str, Any]

_CHARS_PER_TOKEN = 4
_WORDS_AT_ONCE = 3


def tokens(text: str) -> int:
    """Tokens of ``text``, estimated from its characters; never none, as with the real ones."""
    return max(1, len(text) // _CHARS_PER_TOKEN)


class Dialect(Protocol):
    """One api as its server speaks it.

    key        the secret in the headers (lower-case names), empty if there is none
    question   the words of the last user turn; raises TypeError, KeyError, ... for a request that is not one
    schema     the JSON Schema asked for, else None
    offer      what the request says of tools
    streams    whether the request asks for a stream
    events     the events that bring ``answer`` or ``decline`` as a stream, the text in ``pieces``
    framed     one event as bytes
    answer     the body of a 200 with ``text``
    call       the body of a 200 that calls a tool
    decline    the body of a 200 in which a structured field declines; None where the api has none
    error      the error body for an HTTP status
    models     the body that lists the one model
    """

    def key(self, headers: Mapping[str, str]) -> str: ...
    def question(self, request: Json) -> str: ...
    def schema(self, request: Json) -> object: ...
    def offer(self, request: Json) -> Offer: ...
    def streams(self, request: Json) -> bool: ...
    def answer(self, model: str, question: str, text: str) -> Json: ...
    def call(self, model: str, question: str, name: str, arguments: Json) -> Json: ...
    def decline(self, model: str, question: str, text: str) -> Json | None: ...
    def events(self, said: Json, request: Json) -> list[Json | str]: ...
    def framed(self, event: Json | str) -> bytes: ...
    def error(self, status: int, message: str, retry_after: int) -> Json: ...
    def models(self) -> Json: ...


def in_pieces(text: str) -> list[str]:
    """``text`` as a model would bring it: a few words at a time."""
    words = re.findall(r"\s*\S+\s*\Z|\s*\S+|\s+", text)
    return ["".join(words[start : start + _WORDS_AT_ONCE]) for start in range(0, len(words), _WORDS_AT_ONCE)]


def _written(event: Json | str) -> bytes:
    return (
        event.encode() if isinstance(event, str) else json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
    )


def _data(event: Json | str) -> bytes:
    """An event without a name."""
    return b"data: " + _written(event) + b"\n\n"


def _last_user(turns: list[Json]) -> Any:
    return next((turn.get("content") for turn in reversed(turns) if turn["role"] == "user"), "")


def _since_user(turns: list[Json]) -> list[Json]:
    """The turns after the last one that a user wrote."""
    last = max((index for index, turn in enumerate(turns) if turn["role"] == "user"), default=-1)
    return turns[last + 1 :]


def _functions(nodes: Any, parameters: str) -> tuple[Offered, ...]:
    """Tools, as objects that name and describe them."""
    return tuple(
        Offered(node["name"], node.get("description") or "", node.get(parameters) or {}) for node in nodes or ()
    )


def _words(content: Any) -> str:
    """The text of a turn's content, be it a string or a list of parts."""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content or () if isinstance(part.get("text"), str))


def _bearer(headers: Mapping[str, str]) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ")


class OpenAI:
    _TYPES = {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        404: ("invalid_request_error", "unknown_url"),
        413: ("invalid_request_error", "request_too_large"),
        429: ("requests", "rate_limit_exceeded"),
        503: ("server_error", None),
    }

    def key(self, headers: Mapping[str, str]) -> str:
        return _bearer(headers)

    def question(self, request: Json) -> str:
        return _words(_last_user(request["messages"]))

    def schema(self, request: Json) -> object:
        wanted = request.get("response_format") or {}
        if wanted.get("type") == "json_object":
            return {"type": "object"}
        return wanted["json_schema"].get("schema", {}) if wanted.get("type") == "json_schema" else None

    def offer(self, request: Json) -> Offer:
        tools = _functions((tool["function"] for tool in request.get("tools") or ()), "parameters")
        choice = request.get("tool_choice")
        named = choice["function"]["name"] if isinstance(choice, dict) else ""
        results = (turn for turn in _since_user(request["messages"]) if turn["role"] == "tool")
        return Offer(
            tuple(tool for tool in tools if not named or tool.name == named),
            bool(named) or choice in ("required", "any"),
            tuple(_words(turn.get("content")) for turn in results),
        )

    def streams(self, request: Json) -> bool:
        return bool(request.get("stream"))

    def call(self, model: str, question: str, name: str, arguments: Json) -> Json:
        function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
        call = {"id": f"call_practice{len(question)}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
        return self._completion(model, question, function["arguments"], message, "tool_calls")

    def answer(self, model: str, question: str, text: str) -> Json:
        return self._completion(model, question, text, {"role": "assistant", "content": text, "refusal": None})

    def decline(self, model: str, question: str, text: str) -> Json:
        return self._completion(model, question, text, {"role": "assistant", "content": None, "refusal": text})

    def events(self, said: Json, request: Json) -> list[Json | str]:
        head = {name: said[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        message, events = said["choices"][0]["message"], list[Json]()

        def add(delta: Json, finish: str | None = None) -> None:
            events.append(
                {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
            )

        add({"role": "assistant", "content": "", "refusal": None})
        for name in ("content", "refusal"):
            for piece in in_pieces(message[name] or ""):
                add({name: piece})
        for index, call in enumerate(message.get("tool_calls") or ()):
            begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
            add({"tool_calls": [begun]})
            for piece in in_pieces(call["function"]["arguments"]):
                add({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        add({}, said["choices"][0]["finish_reason"])
        if (request.get("stream_options") or {}).get("include_usage"):
            events.append({**head, "choices": [], "usage": said["usage"]})
        return [*events, "[DONE]"]

    framed = staticmethod(_data)

    def _completion(self, model: str, question: str, text: str, message: Json, finish: str = "stop") -> Json:
        asked, answered = tokens(question), tokens(text)
        return {
            "id": "chatcmpl-practice",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
            "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
        }

    def error(self, status: int, message: str, retry_after: int) -> Json:
        kind, code = self._TYPES.get(status, ("invalid_request_error", None))
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def models(self) -> Json:
        model = {"id": "practice/openai", "object": "model", "created": 0, "owned_by": "practice"}
        return {"object": "list", "data": [model]}


class Anthropic:
    _TYPES = {
        400: "invalid_request_error",
        401: "authentication_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        503: "overloaded_error",
    }

    def key(self, headers: Mapping[str, str]) -> str:
        return headers.get("x-api-key", "") or _bearer(headers)

    def question(self, request: Json) -> str:
        if not isinstance(request["max_tokens"], int):
            raise TypeError("max_tokens must be a whole number")
        return _words(_last_user(request["messages"]))

    def schema(self, request: Json) -> object:
        wanted = (request.get("output_config") or {}).get("format")
        return wanted["schema"] if wanted else None

    def offer(self, request: Json) -> Offer:
        tools = _functions((tool for tool in request.get("tools") or () if "input_schema" in tool), "input_schema")
        choice = request.get("tool_choice") or {}
        named = choice.get("name") if choice.get("type") == "tool" else ""
        last = request["messages"][-1]["content"]
        blocks = last if isinstance(last, list) else ()
        results = tuple(_words(block.get("content")) for block in blocks if block.get("type") == "tool_result")
        may = tuple(tool for tool in tools if not named or tool.name == named)
        return Offer(may, choice.get("type") in ("any", "tool"), results)

    def streams(self, request: Json) -> bool:
        return bool(request.get("stream"))

    def call(self, model: str, question: str, name: str, arguments: Json) -> Json:
        block = {"type": "tool_use", "id": f"toolu_practice{len(question)}", "name": name, "input": arguments}
        return self._message(model, question, "") | {"content": [block], "stop_reason": "tool_use"}

    def answer(self, model: str, question: str, text: str) -> Json:
        return self._message(model, question, text) | {"stop_reason": "end_turn"}

    def decline(self, model: str, question: str, text: str) -> Json:
        details = {"type": "refusal", "category": "general_harms", "explanation": text}
        return self._message(model, question, "") | {"stop_reason": "refusal", "stop_details": details}

    def events(self, said: Json, request: Json) -> list[Json | str]:
        usage = said["usage"]
        begun = {**said, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        begun.pop("stop_details", None)
        events: list[Json] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
        for index, block in enumerate(said["content"]):
            called = block["type"] == "tool_use"
            empty = {**block, "input": {}} if called else {"type": "text", "text": ""}
            events.append({"type": "content_block_start", "index": index, "content_block": empty})
            whole = json.dumps(block["input"], ensure_ascii=False) if called else block["text"]
            for piece in in_pieces(whole):
                kind, field = ("input_json_delta", "partial_json") if called else ("text_delta", "text")
                delta = {"type": kind, field: piece}
                events.append({"type": "content_block_delta", "index": index, "delta": delta})
            events.append({"type": "content_block_stop", "index": index})
        ended = {name: said[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in said}
        events.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"]}})
        return [*events, {"type": "message_stop"}]

    def framed(self, event: Json | str) -> bytes:
        name = event["type"] if isinstance(event, dict) else "ping"
        return b"event: " + name.encode() + b"\n" + _data(event)

    def _message(self, model: str, question: str, text: str) -> Json:
        return {
            "id": "msg_practice",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_sequence": None,
            "usage": {
                "input_tokens": tokens(question),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": tokens(text),
            },
        }

    def error(self, status: int, message: str, retry_after: int) -> Json:
        kind = self._TYPES.get(status, "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_practice"}

    def models(self) -> Json:
        model = {
            "type": "model",
            "id": "practice/anthropic",
            "display_name": "Practice",
            "created_at": "2000-01-01T00:00:00Z",
        }
        return {"data": [model], "has_more": False, "first_id": model["id"], "last_id": model["id"]}


class Gemini:
    _STATUSES = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        404: "NOT_FOUND",
        413: "INVALID_ARGUMENT",
        429: "RESOURCE_EXHAUSTED",
        503: "UNAVAILABLE",
    }

    def key(self, headers: Mapping[str, str]) -> str:
        return headers.get("x-goog-api-key", "")

    def question(self, request: Json) -> str:
        turns = [{"role": turn.get("role", "user"), "content": turn["parts"]} for turn in request["contents"]]
        return _words(_last_user(turns))

    def schema(self, request: Json) -> object:
        config = request.get("generationConfig") or {}
        if config.get("responseMimeType") != "application/json":
            return None
        return config.get("responseJsonSchema", {"type": "object"})

    def offer(self, request: Json) -> Offer:
        declared = [each for tool in request.get("tools") or () for each in tool.get("functionDeclarations") or ()]
        tools = _functions(declared, "parametersJsonSchema")
        config = (request.get("toolConfig") or {}).get("functionCallingConfig") or {}
        allowed = config.get("allowedFunctionNames") or [tool.name for tool in tools]
        last = request["contents"][-1]["parts"]
        results = [part["functionResponse"].get("response") for part in last if "functionResponse" in part]
        said = (each.get("output", each) if isinstance(each, dict) else each for each in results)
        return Offer(
            tuple(tool for tool in tools if tool.name in allowed),
            config.get("mode") == "ANY",
            tuple(each if isinstance(each, str) else json.dumps(each) for each in said),
        )

    def call(self, model: str, question: str, name: str, arguments: Json) -> Json:
        made = self._response(model, question, "", {"finishReason": "STOP"})
        part = {"functionCall": {"name": name, "args": arguments}, "thoughtSignature": "cHJhY3RpY2U="}
        made["candidates"][0]["content"]["parts"] = [part]
        return made

    def streams(self, request: Json) -> bool:
        # The address says it.
        return False

    def events(self, said: Json, request: Json) -> list[Json | str]:
        candidate = said["candidates"][0]
        if "functionCall" in candidate["content"]["parts"][0]:
            return [said]
        head = {name: said[name] for name in ("modelVersion", "responseId")}
        pieces = in_pieces(candidate["content"]["parts"][0]["text"]) or [""]
        events: list[Json | str] = [
            {**head, "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": piece}]}}]}
            for piece in pieces[:-1]
        ]
        last = {**candidate, "content": {"role": "model", "parts": [{"text": pieces[-1]}]}}
        return [*events, {**said, "candidates": [last]}]

    framed = staticmethod(_data)

    def answer(self, model: str, question: str, text: str) -> Json:
        return self._response(model, question, text, {"finishReason": "STOP"})

    def decline(self, model: str, question: str, text: str) -> Json:
        ratings = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]
        return self._response(model, question, "[practice] Well,", {"finishReason": "SAFETY", "safetyRatings": ratings})

    def _response(self, model: str, question: str, text: str, finish: Json) -> Json:
        asked, answered = tokens(question), tokens(text)
        return {
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": text}]}, **finish}],
            "usageMetadata": {
                "promptTokenCount": asked,
                "candidatesTokenCount": answered,
                "totalTokenCount": asked + answered,
            },
            "modelVersion": model,
            "responseId": "practice",
        }

    def error(self, status: int, message: str, retry_after: int) -> Json:
        error: Json = {"code": status, "message": message, "status": self._STATUSES.get(status, "INVALID_ARGUMENT")}
        if status == 429:
            delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after}s"}
            error["details"] = [delay]
        return {"error": error}

    def models(self) -> Json:
        model = {
            "name": "models/practice",
            "displayName": "Practice",
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        }
        return {"models": [model]}


class Ollama:
    def key(self, headers: Mapping[str, str]) -> str:
        return _bearer(headers)

    def question(self, request: Json) -> str:
        return _words(_last_user(request["messages"]))

    def schema(self, request: Json) -> object:
        wanted = request.get("format")
        return {"type": "object"} if wanted == "json" else wanted or None

    def offer(self, request: Json) -> Offer:
        tools = _functions((tool["function"] for tool in request.get("tools") or ()), "parameters")
        results = (turn for turn in _since_user(request["messages"]) if turn["role"] == "tool")
        return Offer(tools, False, tuple(_words(turn.get("content")) for turn in results))

    def call(self, model: str, question: str, name: str, arguments: Json) -> Json:
        made = self.answer(model, question, "")
        call = {"function": {"name": name, "arguments": arguments}}
        return made | {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}

    def streams(self, request: Json) -> bool:
        return request.get("stream", True) is not False

    def answer(self, model: str, question: str, text: str) -> Json:
        return {
            "model": model,
            "created_at": "2000-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": text},
            "done": True,
            "done_reason": "stop",
            "total_duration": 1_000_000,
            "prompt_eval_count": tokens(question),
            "eval_count": tokens(text),
        }

    def decline(self, model: str, question: str, text: str) -> None:
        return None

    def events(self, said: Json, request: Json) -> list[Json | str]:
        head = {name: said[name] for name in ("model", "created_at")}
        if said["message"].get("tool_calls"):
            called = {**head, "message": said["message"], "done": False}
            return [called, {**said, "message": {"role": "assistant", "content": ""}}]
        events: list[Json | str] = [
            {**head, "message": {"role": "assistant", "content": piece}, "done": False}
            for piece in in_pieces(said["message"]["content"])
        ]
        return [*events, {**said, "message": {"role": "assistant", "content": ""}}]

    def framed(self, event: Json | str) -> bytes:
        return _written(event) + b"\n"

    def error(self, status: int, message: str, retry_after: int) -> Json:
        return {"error": message}

    def models(self) -> Json:
        model = {
            "name": "practice/ollama",
            "model": "practice/ollama",
            "modified_at": "2000-01-01T00:00:00Z",
            "size": 0,
            "digest": "practice",
        }
        return {"models": [model]}


DIALECTS: dict[str, Dialect] = {"openai": OpenAI(), "anthropic": Anthropic(), "gemini": Gemini(), "ollama": Ollama()}
