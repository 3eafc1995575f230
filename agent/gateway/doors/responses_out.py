"""OpenAI's responses, outwards: a judged answer as one response, or as its events.

A reasoning item says in its summary what the model thought, where its api tells; its ``encrypted_content`` is this
door's own, so that a client which sends it back gives the thoughts to the backend they came from.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from ...core.answer import Usage
from ...core.result import RouteResult
from ...core.task import Message, Thought, ToolCall
from ...wire.body import Json, Malformed, parse
from ..about import about
from ..asked import Asked, with_ids
from ..errors import Rejected
from .door import cut, named, pieces, said
from .responses_in import INPUT, sealed


def error(rejected: Rejected) -> Json:
    return rejected.body()


def answer(result: RouteResult, asked: Asked, seconds: float) -> Json:
    """The whole answer; ``seconds`` since the epoch is when it was made."""
    identifier = response_id()
    text, calls, _ = said(result, asked)
    output = [_reasoning(thought, identifier, nth) for nth, thought in enumerate(_shown(result))]
    if text or result.refused or not calls:
        output.append(_message(_message_id(identifier), text, result))
    output += _calls(calls, asked, identifier)
    return _whole(identifier, result, asked, seconds, output)


def response_id() -> str:
    return f"resp_{secrets.token_hex(24)}"


def turn_of(result: RouteResult, asked: Asked, node: Json) -> Message:
    """The answer as a turn of the conversation, for the next request that goes on from it. ``node`` is its JSON."""
    text, calls, _ = said(result, asked)
    written = (item for item in node["output"] if item["type"] in ("function_call", "custom_tool_call"))
    ids = [item["call_id"] for item in written]
    kept = tuple(
        ToolCall(call_id, call.name, call.arguments, call.signature) for call_id, call in zip(ids, calls, strict=True)
    )
    return Message("assistant", text, (), kept, None, result.thoughts)


def _message_id(identifier: str) -> str:
    return f"msg_{identifier[5:]}"


def _shown(result: RouteResult) -> Iterator[Thought]:
    return (thought for thought in result.thoughts if thought.text or thought.signature or thought.sealed)


def _reasoning(thought: Thought, identifier: str, nth: int) -> Json:
    summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
    return {
        "id": f"rs_{identifier[5:]}{nth}",
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": sealed(thought),
        "status": "completed",
    }


def _part(text: str, result: RouteResult) -> Json:
    if result.refused:
        return {"type": "refusal", "refusal": result.text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(identifier: str, text: str, result: RouteResult) -> Json:
    status = "incomplete" if cut(result) else "completed"
    content = [_part(text, result)]
    return {"id": identifier, "type": "message", "role": "assistant", "status": status, "content": content}


def _calls(calls: tuple[ToolCall, ...], asked: Asked, identifier: str) -> list[Json]:
    known = with_ids(calls, identifier[5:29])
    return [_call(call, asked, f"fc_{identifier[5:]}{nth}") for nth, call in enumerate(known)]


def _call(call: ToolCall, asked: Asked, item_id: str) -> Json:
    head = {"id": item_id, "status": "completed", "call_id": call.id, "name": call.name}
    if call.name in asked.extra["custom"]:
        return {**head, "type": "custom_tool_call", "input": _free_text(call)}
    return {**head, "type": "function_call", "arguments": call.arguments or "{}"}


def _free_text(call: ToolCall) -> str:
    try:
        held = parse(call.arguments.encode("utf-8", "replace"))
    except Malformed:
        return call.arguments
    text = held.get(INPUT) if isinstance(held, dict) else None
    return text if isinstance(text, str) else call.arguments


def usage(used: Usage) -> Json:
    return {
        "input_tokens": used.input_tokens,
        "input_tokens_details": {"cached_tokens": used.cached_tokens},
        "output_tokens": used.output_tokens,
        "output_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        "total_tokens": used.input_tokens + used.output_tokens,
    }


def _head(identifier: str, model: str, asked: Asked, seconds: float) -> Json:
    """A response before anything is in it; it repeats what was asked for, as OpenAI's does."""
    return {
        "id": identifier,
        "object": "response",
        "created_at": int(seconds),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": asked.extra["store"],
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        **{field: value for field, value in asked.extra["echo"].items() if value is not None},
    }


def _whole(identifier: str, result: RouteResult, asked: Asked, seconds: float, output: list[Json]) -> Json:
    ended: Json = {"status": "completed", "completed_at": int(seconds)}
    if cut(result):
        ended = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    head = _head(identifier, result.model, asked, seconds)
    return {**head, **ended, "output": output, "usage": usage(result.usage), "uniwizard": about(result)}


class Events:
    """Makes the events of one response; ``whole`` is its JSON once it has ended."""

    def __init__(self, asked: Asked, seconds: float):
        self._asked = asked
        self._seconds = seconds
        self.id = response_id()
        self._model = asked.model
        self._number = -1
        self._index = 0
        self._output: list[Json] = []
        self._texts: list[str] | None = None
        self.whole: Json = {}

    def begin(self, model: str) -> bytes:
        self._model = model
        head = _head(self.id, model, self._asked, self._seconds)
        return self._event("response.created", response=head) + self._event("response.in_progress", response=head)

    def text(self, piece: str) -> bytes:
        begun = b""
        if self._texts is None:
            self._texts = []
            item = {
                "id": self._message_id,
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            begun = self._event("response.output_item.added", output_index=self._index, item=item)
            begun += self._event("response.content_part.added", **self._place, part=part)
        self._texts.append(piece)
        return begun + self._event("response.output_text.delta", **self._place, delta=piece, logprobs=[])

    @property
    def _message_id(self) -> str:
        return _message_id(self.id)

    @property
    def _place(self) -> Json:
        return {"item_id": self._message_id, "output_index": self._index, "content_index": 0}

    def end(self, result: RouteResult) -> bytes:
        """A judged answer whole, or what follows the text that has been shown."""
        text, calls, _ = said(result, self._asked)
        events: list[bytes] = []
        thoughts = [_reasoning(thought, self.id, nth) for nth, thought in enumerate(_shown(result))]
        if self._texts is None:
            events += map(self._item, thoughts)
            thoughts = []
            if result.refused:
                events.append(self._refusal(result))
            else:
                events += (self.text(piece) for piece in pieces(text))
                if not text and not calls:
                    events.append(self.text(""))
        if self._texts is not None:
            events.append(self._close(result))
        events += map(self._item, thoughts)
        events += (self._called(item) for item in _calls(calls, self._asked, self.id))
        self.whole = _whole(self.id, result, self._asked, self._seconds, self._output)
        name = "response.incomplete" if cut(result) else "response.completed"
        return b"".join(events) + self._event(name, response=self.whole)

    def _close(self, result: RouteResult) -> bytes:
        """The end of the text that has been shown."""
        text = "".join(self._texts or ())
        part = _part(text, result)
        ended = self._event("response.output_text.done", **self._place, text=text, logprobs=[])
        ended += self._event("response.content_part.done", **self._place, part=part)
        return ended + self._done(_message(self._message_id, text, result))

    def _refusal(self, result: RouteResult) -> bytes:
        item = {"id": self._message_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        begun = self._event("response.output_item.added", output_index=self._index, item=item)
        begun += self._event("response.content_part.added", **self._place, part={"type": "refusal", "refusal": ""})
        begun += self._event("response.refusal.delta", **self._place, delta=result.text)
        begun += self._event("response.refusal.done", **self._place, refusal=result.text)
        begun += self._event("response.content_part.done", **self._place, part=_part("", result))
        return begun + self._done(_message(self._message_id, "", result))

    def _called(self, item: Json) -> bytes:
        place = {"item_id": item["id"], "output_index": self._index}
        if item["type"] == "function_call":
            name, field = "response.function_call_arguments", "arguments"
        else:
            name, field = "response.custom_tool_call_input", "input"
        begun = {**item, field: "", "status": "in_progress"}
        events = self._event("response.output_item.added", output_index=self._index, item=begun)
        events += self._event(f"{name}.delta", **place, delta=item[field])
        more = {"name": item["name"]} if field == "arguments" else {}
        events += self._event(f"{name}.done", **place, **more, **{field: item[field]})
        return events + self._done(item)

    def _item(self, item: Json) -> bytes:
        return self._event("response.output_item.added", output_index=self._index, item=item) + self._done(item)

    def _done(self, item: Json) -> bytes:
        ended = self._event("response.output_item.done", output_index=self._index, item=item)
        self._output.append(item)
        self._index += 1
        return ended

    def error(self, rejected: Rejected) -> bytes:
        head = _head(self.id, self._model, self._asked, self._seconds)
        told = {"code": rejected.code or "server_error", "message": rejected.message}
        failed = {**head, "status": "failed", "error": told, "output": self._output}
        return self._event("response.failed", response=failed)

    def wait(self) -> bytes:
        return b": still at it\n\n"

    def _event(self, name: str, /, **more: Any) -> bytes:
        self._number += 1
        return named({"type": name, "sequence_number": self._number, **more})
