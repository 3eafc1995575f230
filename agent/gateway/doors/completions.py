"""OpenAI's older completions (https://platform.openai.com/docs/api-reference/completions): one prompt, one text."""

from __future__ import annotations

import secrets
from typing import Any

from ...core.result import RouteResult
from ...core.task import Message, Task
from ...wire.body import Json
from .. import fields
from ..about import about
from ..asked import Asked, Asking, understood
from ..errors import Rejected
from ..naming import Names
from .chat_in import sampling, unsupported
from .chat_out import finish_of, usage
from .door import Stops, data, pieces, said

_REFUSED = ("suffix", "logprobs", "logit_bias")


def read(node: object, names: Names, asking: Asking) -> Asked:
    """What the request ``node`` asks for. Raises Rejected."""
    if not isinstance(node, dict):
        raise Rejected(400, "The body must be a JSON object.")
    name = fields.text(node, "model", needed=True)
    target = names.resolve(name)
    for field in _REFUSED:
        if node.get(field):
            raise unsupported(field, f"Unsupported parameter `{field}`.", "unsupported_parameter")
    for field in ("n", "best_of"):
        if node.get(field) not in (None, 1) or isinstance(node.get(field), bool):
            raise unsupported(field, f"Unsupported value: `{field}` must be 1; every answer is judged on its own.")
    prompt: Any = node.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise unsupported("prompt", "`prompt` must be one text; tokens and several prompts are not supported.")
    options = node.get("stream_options")
    task = Task(
        max_tokens=fields.whole(node, "max_tokens"),
        temperature=fields.number(node, "temperature", 0.0, 2.0),
        sampling=sampling(node),
        identity=fields.names(node.get("user")),
    )
    return understood(
        task,
        (Message("user", prompt),),
        target,
        name,
        asking,
        stream=fields.flag(node, "stream"),
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        eager=asking.eager(fields.text(node, "stream_mode")),
        extra={"echo": prompt if node.get("echo") is True else ""},
    )


def answer(result: RouteResult, asked: Asked, seconds: float) -> Json:
    """The whole answer; ``seconds`` since the epoch is when it was made."""
    text, _, stop = said(result, asked)
    return {
        **_head(seconds),
        "model": result.model,
        "choices": [_choice(asked.extra["echo"] + text, finish_of(result, asked, (), stop))],
        "usage": usage(result.usage),
        "uniwizard": about(result),
    }


def _head(seconds: float) -> Json:
    return {"id": f"cmpl-{secrets.token_hex(16)}", "object": "text_completion", "created": int(seconds)}


def _choice(text: str, finish: str | None = None) -> Json:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}


def error(rejected: Rejected) -> Json:
    return rejected.body()


class Chunks:
    """Makes the chunks of one answer."""

    def __init__(self, asked: Asked, seconds: float):
        self._asked = asked
        self._head = _head(seconds)
        self._model = asked.model
        self._stops = Stops(asked.stop)
        self._shown = False

    def begin(self, model: str) -> bytes:
        self._model = model
        echo = self._asked.extra["echo"]
        return self._chunk(_choice(echo)) if echo else b""

    def text(self, piece: str) -> bytes:
        self._shown = True
        shown = self._stops.hear(piece)
        return self._chunk(_choice(shown)) if shown else b""

    def end(self, result: RouteResult) -> bytes:
        self._model = result.model
        text, _, stop = said(result, self._asked)
        rest = [self._stops.hear("", last=True)] if self._shown else pieces(text)
        events = [self._chunk(_choice(piece)) for piece in rest if piece]
        events.append(self._chunk(_choice("", finish_of(result, self._asked, (), stop)), uniwizard=about(result)))
        if self._asked.include_usage:
            events.append(data({**self._head, "model": self._model, "choices": [], "usage": usage(result.usage)}))
        return b"".join(events) + b"data: [DONE]\n\n"

    def error(self, rejected: Rejected) -> bytes:
        return data(rejected.body())

    def wait(self) -> bytes:
        return b": still at it\n\n"

    def _chunk(self, choice: Json, **more: Any) -> bytes:
        return data({**self._head, "model": self._model, "choices": [choice], **more})


stream = Chunks
