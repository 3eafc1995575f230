"""What the fake LLM server replies: bytes, and what becomes of the connection after them."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

TIDES = "The moon pulls on the water, and the earth turns below it."
REFUSAL = "I'm sorry, but I can't help with that request."


@dataclass(frozen=True)
class Reply:
    """What one request gets: ``data``, and then the connection is kept, closed, reset, or left hanging.

    end      "keep", "close", "reset" or "hang"
    after    seconds before it is sent
    rest     sent after ``data``, as soon as the server's ``rest`` is open
    endless  sent again and again, until the other side has had enough
    """

    data: bytes = b""
    end: str = "keep"
    after: float = 0.0
    rest: bytes = b""
    endless: bytes = b""


def response(body: bytes, *headers: str, code: int = 200, kind: str = "application/json") -> bytes:
    """A whole HTTP response."""
    head = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def completion(text: str | None, **more: Any) -> bytes:
    """The body of an OpenAI chat completion that says ``text``.

    ``model``, ``usage`` and ``finish_reason`` are the completion's; what else ``more`` holds overlays its message.
    """
    model = more.pop("model", "told")
    usage = more.pop("usage", {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30})
    finish = more.pop("finish_reason", "stop")
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **more}}
    return json.dumps({"object": "chat.completion", "model": model, "choices": [choice], "usage": usage}).encode()


def answer(text: str | None = TIDES, **more: Any) -> Reply:
    """A chat completion; see :func:`completion`."""
    return Reply(response(completion(text, **more)))


def refusal() -> Reply:
    """A refusal in a 200 OK."""
    return answer(REFUSAL)


def status(code: int, *headers: str, error: dict[str, Any] | None = None) -> Reply:
    """An error in OpenAI's format."""
    return Reply(response(json.dumps({"error": error or {"message": "no"}}).encode(), *headers, code=code))


def models(*names: str) -> Reply:
    """A list of models, which is what health checks ask for."""
    listed = [{"id": name, "object": "model"} for name in names]
    return Reply(response(json.dumps({"object": "list", "data": listed}).encode()))


def gzipped(body: bytes) -> Reply:
    return Reply(response(gzip.compress(body), "Content-Encoding: gzip"))


def silent() -> Reply:
    return Reply(end="hang")
