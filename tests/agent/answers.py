"""Answers of every api, as small as they may be, and what decoding makes of them::

answer("openai", completion({"content": "Hi."})).text        # "Hi."
failure("gemini", candidate(finish="SPII")).failure           # content_filter
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.failures import AttemptFailed
from uniwizard.agent.wire import decode


def answer(api: str, body: Any, status: int = 200) -> Answer:
    return decode(Backend("k", api, "http://h", "m"), status, {}, json.dumps(body).encode())


def failure(api: str, body: Any, status: int = 200) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as failed:
        answer(api, body, status)
    assert failed.value.status == status
    return failed.value


def completion(message: Any = None, finish: str | None = "stop", **choice: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "Hello."} if message is None else message
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-x-2026",
        "choices": [{"index": 0, "message": said, "finish_reason": finish, **choice}],
    }


def message(*blocks: Any, stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    content = list(blocks) or [{"type": "text", "text": "Hello."}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": content} | {
        "stop_reason": stop,
        "stop_sequence": None,
        **more,
    }


def candidate(*parts: Any, finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": list(parts) or [{"text": "Hello."}]}
    return {"candidates": [{"content": content, "finishReason": finish, "index": 0, **more}], "modelVersion": "g"}


def chat(done: str | None = "stop", **said: Any) -> dict[str, Any]:
    reply = {"role": "assistant", "content": "Hello.", **said}
    return {"model": "l", "created_at": "2026-01-01T00:00:00Z", "message": reply, "done": True, "done_reason": done}


PLAIN = {"openai": completion(), "anthropic": message(), "gemini": candidate(), "ollama": chat()}
