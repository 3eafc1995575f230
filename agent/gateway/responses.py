"""A RouteResult in OpenAI's words: one completion, or the same in chunks.

    completion(result, asked, seconds)               # chat.completion
    for chunk in Chunks(asked, seconds).whole(result):     # chat.completion.chunk: the role first, the usage last
        ...

What OpenAI's types have no field for stands in ``uniwizard`` (the SDKs keep unknown fields) and in ``x-uniwizard-``
headers. A refusal that the brains agreed on stands in ``message.refusal``; its words are in ``content`` as well, so
that a client which looks there alone shows them, unless JSON was asked for, which those words are not.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from ..core.answer import Usage
from ..core.recollection import Recollection
from ..core.result import RouteResult
from ..core.task import ToolCall
from ..wire.body import dumps
from .errors import attempt_of
from .requests import ChatRequest

#: Characters of one chunk's text, give or take a word.
PIECE = 160

_FINISH = {"length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}


def completion_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def completion(result: RouteResult, asked: ChatRequest, seconds: float) -> dict[str, Any]:
    """The whole answer; ``seconds`` since the epoch is when it was made."""
    text, calls = said(result, asked)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": result.text if result.refused else None}
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    return {
        "id": completion_id(),
        "object": "chat.completion",
        "created": int(seconds),
        "model": result.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish(result, asked, calls)}],
        "usage": usage(result.usage),
        "uniwizard": about(result),
    }


def said(result: RouteResult, asked: ChatRequest) -> tuple[str | None, tuple[ToolCall, ...]]:
    """The text and the tool calls that the caller sees."""
    if result.refused:
        return (None if asked.task.schema is not None else result.text), ()
    if asked.forced_tool is not None:
        arguments = result.text if result.content is None else dumps(result.content)
        return None, (ToolCall(f"call_{uuid.uuid4().hex[:24]}", asked.forced_tool, arguments),)
    text = result.text
    if asked.task.schema is not None and result.content is not None:
        # What was judged valid is the JSON itself, without the fence or the talk that a model may put around it.
        text = dumps(result.content)
    text, _ = stopped(text, asked.stop)
    calls = result.tool_calls[:1] if asked.one_call else result.tool_calls
    return (text if text or not calls else None), calls


def stopped(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """``text`` up to the first of ``stops``, which does not belong to it, and whether there was one."""
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def finish(result: RouteResult, asked: ChatRequest, calls: tuple[ToolCall, ...]) -> str:
    """OpenAI's finish_reason; a tool that was forced ends in ``stop``, as it does at OpenAI."""
    if result.refused or asked.forced_tool is not None:
        return "stop"
    if calls:
        return "tool_calls"
    if asked.stop and stopped(result.text, asked.stop)[1]:
        return "stop"
    return _FINISH.get(result.finish_reason, "stop")


def usage(used: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
    }


def about(result: RouteResult) -> dict[str, Any]:
    """What this house knows of an answer beyond OpenAI's fields; usage that was not reported says so."""
    return {
        "backend": result.backend,
        "kind": result.kind,
        "attempts": [attempt_of(attempt) for attempt in result.attempts],
        "cost_usd": result.cost_usd,
        "latency_ms": round(result.latency_ms, 3),
        "practice": result.practice,
        "refused": result.refused,
        "partial": result.partial,
        "usage_estimated": result.usage.estimated,
        "path": list(result.path),
        "memory": None if result.memory is None else remembered(result.memory),
    }


def remembered(memory: Recollection) -> dict[str, Any]:
    """Where an answer comes from that nobody was asked for; times in seconds since the epoch and milliseconds."""
    return {
        "backend": memory.backend,
        "model": memory.model,
        "learned": memory.learned,
        "similarity": round(memory.similarity, 4),
        "saved_usd": memory.saved_usd,
        "saved_ms": round(memory.saved_ms, 3),
        "saved_usage": usage(memory.saved_usage),
    }


def cache(memory: Recollection | None) -> dict[str, str]:
    """The header that says whether the answer was known."""
    return {"x-uniwizard-cache": "miss" if memory is None else "hit"}


def headers(result: RouteResult) -> dict[str, str]:
    """The same for those who look at headers alone."""
    return {
        "x-uniwizard-backend": result.backend,
        "x-uniwizard-model": result.model,
        "x-uniwizard-kind": result.kind,
        "x-uniwizard-attempts": str(len(result.attempts)),
        "x-uniwizard-cost-usd": f"{result.cost_usd:.6f}",
        "x-uniwizard-refused": str(result.refused).lower(),
        "x-uniwizard-practice": str(result.practice).lower(),
        "openai-processing-ms": str(round(result.latency_ms)),
        **cache(result.memory),
    }


def _call(call: ToolCall) -> dict[str, Any]:
    identifier = call.id or f"call_{uuid.uuid4().hex[:24]}"
    return {"id": identifier, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


# -- in chunks ---------------------------------------------------------------------------------------------------


class Chunks:
    """Makes the chunks of one answer; all of them share an id and a time."""

    def __init__(self, asked: ChatRequest, seconds: float):
        self._asked = asked
        #: Under which the answer is known.
        self.id = completion_id()
        self._head = {"id": self.id, "object": "chat.completion.chunk", "created": int(seconds)}

    def whole(self, result: RouteResult) -> Iterator[dict[str, Any]]:
        """An answer that has been judged, from the role to the usage."""
        text, _ = said(result, self._asked)
        yield self._role(result.model)
        for piece in pieces(text or ""):
            yield self.text(piece, result.model)
        yield from self.rest(result, shown=True)

    def first(self, piece: str, model: str) -> Iterator[dict[str, Any]]:
        """The first piece of an answer that is shown as it comes, and before it the role."""
        yield self._role(model)
        yield self.text(piece, model)

    def text(self, piece: str, model: str) -> dict[str, Any]:
        return self._chunk(model, {"content": piece})

    def rest(self, result: RouteResult, *, shown: bool) -> Iterator[dict[str, Any]]:
        """What follows the text: a refusal, tool calls, why it ended with all about it, the usage if asked for."""
        _, calls = said(result, self._asked)
        if not shown:
            yield self._role(result.model)
        if result.refused:
            yield self._chunk(result.model, {"refusal": result.text})
        for index, call in enumerate(calls):
            yield self._chunk(result.model, {"tool_calls": [{"index": index, **_call(call)}]})
        last = self._chunk(result.model, {}, finish(result, self._asked, calls))
        yield last | {"uniwizard": about(result)}
        if self._asked.include_usage:
            yield {**self._head, "model": result.model, "choices": [], "usage": usage(result.usage)}

    def _role(self, model: str) -> dict[str, Any]:
        return self._chunk(model, {"role": "assistant", "content": "", "refusal": None})

    def _chunk(self, model: str, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk: dict[str, Any] = {**self._head, "model": model, "choices": [choice]}
        return chunk | {"usage": None} if self._asked.include_usage else chunk


def pieces(text: str) -> Iterator[str]:
    """``text`` in pieces of about :data:`PIECE` characters that end with a word."""
    start = 0
    while len(text) - start > PIECE:
        end = text.rfind(" ", start, start + PIECE) + 1 or start + PIECE
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]
