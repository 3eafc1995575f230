"""Tests of the brain over real sockets: a fake LLM server on the test's reactor, and routers over it.

class Falling(RouterTest):
    async def test_it_goes_on(self) -> None:
        self.server.script("claude", status(503))
        router = self.router(self.server.backend("claude"), self.server.backend("gpt"))
        ...
        self.server.asked("claude")                               # how often it was asked
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fake_llm import FakeLLM
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from uniwizard.agent import AllBackendsFailed, Router, RouteResult, Task
from uniwizard.agent.classify.classifier import Classifier
from uniwizard.agent.config.settings import Config, Rule
from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.events import Event
from uniwizard.agent.transport.http import TwistedTransport

QUESTION = Task("How do the tides work?", kind="knowledge")

#: Reading the kinds takes a while, and no test changes them.
CLASSIFIER = Classifier.load()


class FaultServer(FakeLLM):
    """The fake LLM server as backends of ours."""

    def backend(self, key: str, **settings: Any) -> Backend:
        settings = {"retries": 0, "max_context": 100_000, "capabilities": frozenset({"tools", "json"})} | settings
        return Backend(key, "openai", f"{self.url}/{key}/v1", f"model-of-{key}", **settings)


async def tick() -> None:
    """Let the reactor go round once."""
    turn: Deferred[None] = Deferred()
    reactor.callLater(0, turn.callback, None)  # type: ignore[attr-defined]
    await turn


class ServerTest(TestCase):
    """A test with a :class:`FaultServer`, and a transport towards it."""

    timeout = 30

    def setUp(self) -> None:
        self.server = FaultServer(reactor)
        self.transport = TwistedTransport(reactor)  # type: ignore[arg-type]
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.stop()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.transport.aclose()))


class RouterTest(ServerTest):
    """The same with routers, which remember their events."""

    def router(self, *backends: Backend, rules: Iterable[Rule] = (), **settings: Any) -> Router:
        """A router over ``backends``, which prefers them in that order unless ``rules`` say otherwise."""
        order = Rule(frozenset("*"), tuple(backend.key for backend in backends))
        config = Config(
            {backend.key: backend for backend in backends},
            tuple(rules) or (order,),
            **{"practice": "never"} | settings,
        )
        router = Router(config, reactor, classifier=CLASSIFIER, random=lambda: 0.01)  # type: ignore[arg-type]
        self.events: list[Event] = []
        router.events.subscribe(self.events.append)
        self.addCleanup(lambda: Deferred.fromCoroutine(router.stop()))
        return router

    def heard(self) -> list[str]:
        """The names of the events so far."""
        return [type(event).__name__ for event in self.events]


async def gives_up(router: Router, task: Task = QUESTION, pin: str | None = None) -> AllBackendsFailed:
    """The error that ends the road; it fails where there is an answer."""
    try:
        got = await router.call_with_fallback(task, pin)
    except AllBackendsFailed as failed:
        return failed
    raise AssertionError(f"answered {got!r}")


def thinking(router: Router, task: Task = QUESTION) -> Deferred[RouteResult]:
    """The road of ``task``, begun."""
    return Deferred.fromCoroutine(router.call_with_fallback(task))
