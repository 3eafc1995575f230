"""What the tests of streams over real sockets share: a router whose backends stream, and what becomes of a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fake_llm import Reply
from fake_llm.streams import BASES, streamed, whole
from faults import QUESTION, RouterTest

from uniwizard.agent import RouteResult
from uniwizard.agent.core.backend import Backend, Timeout
from uniwizard.agent.core.events import FellBack

PATIENCE = Timeout(connect=5.0, first_token=5.0, idle=5.0, total=20.0)


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
