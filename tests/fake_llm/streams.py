"""Streams of every api, whole or in parts, for the fake LLM server: events, and what goes around them.

server.script("a", streamed(whole("openai")))                         # all of it
server.script("a", begun(opened(api) + spoken(api), end="reset"))     # no end to it
"""

from __future__ import annotations

import json
from typing import Any

from .replies import Reply

#: What follows a backend's address in the paths of each api.
BASES = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}


def sse(*events: object, end: str = "\n", names: bool = False) -> bytes:
    """Server-sent events; what is text already goes out as it is."""
    lines = []
    for event in events:
        if names and isinstance(event, dict):
            lines.append(f"event: {event['type']}{end}")
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        lines.append(f"data: {data}{end}{end}")
    return "".join(lines).encode()


def ndjson(*objects: object, end: str = "\n") -> bytes:
    return "".join(json.dumps(each, ensure_ascii=False) + end for each in objects).encode()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A ``chat.completion.chunk``."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    head = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    return {**head, "choices": choices, **more}


def message(**more: Any) -> dict[str, Any]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
    usage = {"input_tokens": 9, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0, "output_tokens": 1}
    return {"type": "message_start", "message": {**head, "stop_reason": None, "stop_sequence": None, "usage": usage}}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def words(*pieces: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": piece} for piece in pieces]


def stop(reason: str, **more: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 15}}, {"type": "message_stop"}]


TEXT_BLOCK = {"type": "text", "text": ""}


def candidate(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A ``GenerateContentResponse``."""
    usage = more.pop("usage", None)
    told = {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}]}
    return {**told, "modelVersion": "gemini-x", "responseId": "r", **({"usageMetadata": usage} if usage else {})}


def line(content: str = "", done: bool = False, **more: Any) -> dict[str, Any]:
    head = {"model": "llama-x", "created_at": "2026-11-20T10:00:00Z"}
    return {
        **head,
        "message": {"role": "assistant", "content": content, **more.pop("message", {})},
        "done": done,
        **more,
    }


PIECES = ("The moon pulls on the water, and ", "the earth turns below it. ", "So the sea rises ", "twice a day.")
SAID = "".join(PIECES)


def opened(api: str) -> bytes:
    """What comes before the first words."""
    return sse(message(), names=True) + sse(block(0, TEXT_BLOCK)[0], names=True) if api == "anthropic" else b""


def spoken(api: str, *pieces: str) -> bytes:
    """Words, and nothing around them."""
    match api:
        case "openai":
            return sse(*(chunk({"content": piece}) for piece in pieces))
        case "anthropic":
            return sse(*block(0, TEXT_BLOCK, *words(*pieces))[1:-1], names=True)
        case "gemini":
            return sse(*(candidate({"text": piece}) for piece in pieces))
        case _:
            return ndjson(*(line(piece) for piece in pieces))


def closed(api: str) -> bytes:
    """What comes after the last words."""
    match api:
        case "openai":
            return sse(chunk({}, "stop"), "[DONE]")
        case "anthropic":
            return sse(*stop("end_turn"), names=True)
        case "gemini":
            return sse(candidate({"text": ""}, finishReason="STOP"))
        case _:
            return ndjson(line(done=True, done_reason="stop"))


def whole(api: str, *pieces: str) -> bytes:
    return opened(api) + spoken(api, *(pieces or PIECES)) + closed(api)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


LAST_CHUNK = b"0\r\n\r\n"


def chunked(data: bytes, *, last: bool = True) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) + (LAST_CHUNK if last else b"")


def streamed(data: bytes) -> Reply:
    """A whole response of one chunk."""
    return Reply(HEAD + chunked(data))


def begun(data: bytes, end: str) -> Reply:
    """A response that has only begun."""
    return Reply(HEAD + chunked(data, last=False), end=end)


def in_two(first: bytes, rest: bytes) -> Reply:
    """A whole response whose second half comes when the server's ``rest`` is open."""
    return Reply(HEAD + chunked(first, last=False), rest=chunked(rest))
