"""Anthropic's messages, outwards: a judged answer as one message, or as its events; and errors as its SDKs expect."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from ...core.answer import Usage
from ...core.result import RouteResult
from ...core.task import Thought, ToolCall
from ...core.tokens import asked_tokens
from ...wire.body import Json, dumps
from ..about import about
from ..asked import Asked
from ..errors import Rejected
from .door import Stops, cut, named, object_of, pieces, said

#: Anthropic's ``type`` of an error by status (https://docs.anthropic.com/en/api/errors).
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error(rejected: Rejected) -> Json:
    kind = _TYPES.get(rejected.status, "api_error" if rejected.status >= 500 else "invalid_request_error")
    told: Json = {"type": kind, "message": rejected.message}
    if rejected.more is not None:
        told["uniwizard"] = rejected.more
    return {"type": "error", "error": told, "request_id": rejected.request_id}


def tokens(asked: Asked) -> Json:
    """The answer of ``count_tokens``: an estimate, since every backend counts otherwise."""
    return {"input_tokens": asked_tokens(asked.task)}


def answer(result: RouteResult, asked: Asked, seconds: float) -> Json:
    """The whole answer."""
    text, calls, stop = said(result, asked)
    identifier = f"msg_{secrets.token_hex(12)}"
    return {
        **_head(identifier, result.model),
        "content": [
            *map(_thought, _shown(result)),
            *([{"type": "text", "text": text}] if text else []),
            *(_call(call, identifier, nth) for nth, call in enumerate(calls)),
        ],
        **_end(result, calls, stop),
        "usage": usage(result.usage),
        "uniwizard": about(result),
    }


def _head(identifier: str, model: str) -> Json:
    return {"id": identifier, "type": "message", "role": "assistant", "model": model}


def _shown(result: RouteResult) -> Iterator[Thought]:
    """Thoughts that a client may show and send back: unsigned ones are only shown."""
    return (thought for thought in result.thoughts if thought.text or thought.sealed or thought.signature)


def _thought(thought: Thought) -> Json:
    if thought.sealed:
        return {"type": "redacted_thinking", "data": thought.sealed}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def _call(call: ToolCall, identifier: str, nth: int) -> Json:
    return {"type": "tool_use", "id": _call_id(call, identifier, nth), "name": call.name, "input": object_of(call)}


def _call_id(call: ToolCall, identifier: str, nth: int) -> str:
    """An id of letters, digits, underscores and hyphens that no other call of the conversation has."""
    fine = len(call.id) >= 8 and all(char.isascii() and (char.isalnum() or char in "_-") for char in call.id)
    return call.id if fine else f"toolu_{identifier[4:]}{nth:02d}"


def _end(result: RouteResult, calls: tuple[ToolCall, ...], stop: str) -> Json:
    if result.refused:
        details = {"type": "refusal", "category": None, "explanation": result.text}
        return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    if stop:
        return {"stop_reason": "stop_sequence", "stop_sequence": stop}
    reason = "max_tokens" if cut(result) else "tool_use" if calls else "end_turn"
    return {"stop_reason": reason, "stop_sequence": None}


def usage(used: Usage) -> Json:
    return {
        "input_tokens": max(0, used.input_tokens - used.cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": used.cached_tokens,
        "output_tokens": used.output_tokens,
    }


class Events:
    """Makes the events of one message."""

    def __init__(self, asked: Asked, seconds: float):
        self._asked = asked
        self.id = f"msg_{secrets.token_hex(12)}"
        self._stops = Stops(asked.stop)
        self._index = 0
        self._open = False
        self._shown = False

    def begin(self, model: str) -> bytes:
        # What a provider counts is only known at the end; a client wants to see something from the beginning.
        used = usage(Usage(asked_tokens(self._asked.task), 1))
        message = {**_head(self.id, model), "content": [], "stop_reason": None, "stop_sequence": None, "usage": used}
        return named({"type": "message_start", "message": message})

    def text(self, piece: str) -> bytes:
        self._shown = True
        return self._said(self._stops.hear(piece))

    def _said(self, piece: str) -> bytes:
        if not piece:
            return b""
        begun = b"" if self._open else self._block({"type": "text", "text": ""})
        self._open = True
        return begun + self._delta({"type": "text_delta", "text": piece})

    def end(self, result: RouteResult) -> bytes:
        """A judged answer whole, or what follows the text that has been shown."""
        text, calls, stop = said(result, self._asked)
        events = [] if self._shown else [self._thinking(thought) for thought in _shown(result)]
        if self._shown:
            events.append(self._said(self._stops.hear("", last=True)))
        else:
            events += map(self._said, pieces(text))
        events.append(self._close())
        if self._shown:
            events += [self._thinking(thought) for thought in _shown(result) if thought.signature or thought.sealed]
        for nth, call in enumerate(calls):
            wish = {**_call(call, self.id, nth), "input": {}}
            arguments = call.arguments if cut(result) else dumps(object_of(call))
            events += (
                self._block(wish),
                self._delta({"type": "input_json_delta", "partial_json": arguments}),
                self._close(opened=True),
            )
        last = {"type": "message_delta", "delta": _end(result, calls, stop), "usage": usage(result.usage)}
        return b"".join(events) + named({**last, "uniwizard": about(result)}) + named({"type": "message_stop"})

    def _thinking(self, thought: Thought) -> bytes:
        if thought.sealed:
            return self._block(_thought(thought)) + self._close(opened=True)
        begun = self._block({"type": "thinking", "thinking": "", "signature": ""})
        said = self._delta({"type": "thinking_delta", "thinking": thought.text})
        signed = self._delta({"type": "signature_delta", "signature": thought.signature})
        return begun + said + signed + self._close(opened=True)

    def error(self, rejected: Rejected) -> bytes:
        return named(error(rejected))

    def wait(self) -> bytes:
        return b": still at it\n\n"

    def _block(self, block: Json) -> bytes:
        return named({"type": "content_block_start", "index": self._index, "content_block": block})

    def _delta(self, delta: Json) -> bytes:
        return named({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _close(self, *, opened: bool = False) -> bytes:
        if not (self._open or opened):
            return b""
        self._open = False
        closed = named({"type": "content_block_stop", "index": self._index})
        self._index += 1
        return closed
