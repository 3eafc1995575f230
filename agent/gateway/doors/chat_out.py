"""OpenAI's chat completions, outwards: a judged answer as one completion, or in chunks.

What OpenAI's types have no field for stands in ``uniwizard`` (the SDKs keep unknown fields). A refusal that the brains
agreed on stands in ``message.refusal``; its words are in ``content`` as well, so that a client which looks there alone
shows them, unless JSON was asked for, which those words are not. Thoughts stand in ``reasoning_content``, as at
DeepSeek and all who follow it.
"""

from __future__ import annotations

import secrets
from typing import Any

from ...core.answer import Usage
from ...core.result import RouteResult
from ...core.task import ToolCall
from ...wire.body import Json
from ..about import about
from ..asked import Asked, with_ids
from ..errors import Rejected
from .door import Stops, cut, data, pieces, said, thought

_DONE = b"data: [DONE]\n\n"


def completion_id() -> str:
    return f"chatcmpl-{secrets.token_hex(16)}"


def answer(result: RouteResult, asked: Asked, seconds: float) -> Json:
    """The whole answer; ``seconds`` since the epoch is when it was made."""
    identifier = completion_id()
    text, calls, stop = said(result, asked)
    message: Json = {"role": "assistant", "content": text, "refusal": result.text if result.refused else None}
    if not text and (calls or result.refused):
        message["content"] = None
    if calls:
        message["tool_calls"] = [_call(call) for call in with_ids(calls, identifier[9:33])]
    if thoughts := thought(result):
        message["reasoning_content"] = thoughts
    if signed := [_signed(thought) for thought in result.thoughts if thought.signature or thought.sealed]:
        message["thinking_blocks"] = signed
    finish = finish_of(result, asked, calls, stop)
    return {
        "id": identifier,
        "object": "chat.completion",
        "created": int(seconds),
        "model": result.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage(result.usage),
        "uniwizard": about(result),
    }


def _signed(thought: Any) -> Json:
    """A thought as Anthropic wants it back, where LiteLLM puts it."""
    if thought.sealed:
        return {"type": "redacted_thinking", "data": thought.sealed}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def finish_of(result: RouteResult, asked: Asked, calls: tuple[ToolCall, ...], stop: str) -> str:
    """OpenAI's finish_reason; a tool that was forced by its name ends in ``stop``, as it does at OpenAI."""
    if result.refused or stop:
        return "stop"
    if cut(result):
        return "length"
    if calls:
        return "stop" if asked.forced_tool is not None else "tool_calls"
    return "content_filter" if result.finish_reason == "content_filter" else "stop"


def usage(used: Usage) -> Json:
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
    }


def _call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    written: Json = {"id": call.id, "type": "function", "function": function}
    if call.signature:
        written["extra_content"] = {"google": {"thought_signature": call.signature}}
    return written


def error(rejected: Rejected) -> Json:
    return rejected.body()


class Chunks:
    """Makes the chunks of one answer; all of them share an id and a time."""

    def __init__(self, asked: Asked, seconds: float):
        self._asked = asked
        self.id = completion_id()
        self._head = {"id": self.id, "object": "chat.completion.chunk", "created": int(seconds)}
        self._model = asked.model
        self._stops = Stops(asked.stop)
        self._shown = False

    def begin(self, model: str) -> bytes:
        self._model = model
        return data(self._chunk({"role": "assistant", "content": "", "refusal": None}))

    def text(self, piece: str) -> bytes:
        self._shown = True
        shown = self._stops.hear(piece)
        return data(self._chunk({"content": shown})) if shown else b""

    def end(self, result: RouteResult) -> bytes:
        """A judged answer whole, or what follows the text that has been shown."""
        self._model = result.model
        text, calls, stop = said(result, self._asked)
        events: list[Json] = []
        if thoughts := thought(result):
            events.append(self._chunk({"reasoning_content": thoughts}))
        if not self._shown:
            events += (self._chunk({"content": piece}) for piece in pieces(text))
        elif rest := self._stops.hear("", last=True):
            events.append(self._chunk({"content": rest}))
        if result.refused:
            events.append(self._chunk({"refusal": result.text}))
        for index, call in enumerate(with_ids(calls, self.id[9:33])):
            events.append(self._chunk({"tool_calls": [{"index": index, **_call(call)}]}))
        last = self._chunk({}, finish_of(result, self._asked, calls, stop))
        events.append(last | {"uniwizard": about(result)})
        if self._asked.include_usage:
            events.append({**self._head, "model": self._model, "choices": [], "usage": usage(result.usage)})
        return b"".join(map(data, events)) + _DONE

    def error(self, rejected: Rejected) -> bytes:
        # No [DONE] follows: what came before is not whole.
        return data(rejected.body())

    def wait(self) -> bytes:
        return b": still at it\n\n"

    def _chunk(self, delta: Json, finish_reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk: Json = {**self._head, "model": self._model, "choices": [choice]}
        return chunk | {"usage": None} if self._asked.include_usage else chunk
