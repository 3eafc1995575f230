"""What the tests of streams over real sockets share: one answer in every api's stream, whole or in parts.

self.server.script("a", streamed(whole("openai")))                         # all of it
self.server.script("a", begun(opened(api) + spoken(api), end="reset"))     # no end to it
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from faults import QUESTION, Reply, RouterTest
from recorded_streams import TEXT_BLOCK, block, candidate, chunk, line, message, ndjson, sse, stop, words

from uniwizard.agent import RouteResult
from uniwizard.agent.core.backend import Backend, Timeout
from uniwizard.agent.core.events import FellBack
from uniwizard.agent.practice.server import _BASES as BASES

PIECES = ("The moon pulls on the water, and ", "the earth turns below it. ", "So the sea rises ", "twice a day.")
SAID = "".join(PIECES)
PATIENCE = Timeout(connect=5.0, first_token=5.0, idle=5.0, total=20.0)


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


def chunked(data: bytes, *, last: bool = True) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) + (b"0\r\n\r\n" if last else b"")


def streamed(data: bytes) -> Reply:
    """A whole response of one chunk."""
    return Reply(HEAD + chunked(data))


def begun(data: bytes, end: str) -> Reply:
    """A response that has only begun."""
    return Reply(HEAD + chunked(data, last=False), end=end)


class StreamTest(RouterTest):
    def streaming(self, key: str, api: str = "openai", **settings: Any) -> Backend:
        settings = {"capabilities": frozenset({"stream", "tools"}), "timeout": PATIENCE} | settings
        return replace(self.server.backend(key, **settings), api=api, url=f"{self.server.url}/{key}{BASES[api]}")

    async def fallback_after(self, api: str, reply: Reply, **settings: Any) -> RouteResult:
        """What two backends make of it when the first replies like this and the second answers."""
        self.server.requests.clear()
        self.server.script("a", reply)
        self.server.script("b", streamed(whole(api)))
        self.road = self.router(self.streaming("a", api, **settings), self.streaming("b", api))
        return await self.road.call_with_fallback(QUESTION)

    def turn(self) -> FellBack:
        (turned,) = [event for event in self.events if isinstance(event, FellBack)]
        return turned
