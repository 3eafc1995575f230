"""A server of faults on loopback: real sockets, and every way in which a backend can fail, to the byte.

    server = FaultServer(reactor)
    server.script("claude", status(503), answer("The moon."))     # in this order; the last one is repeated
    backend = server.backend("claude")                            # a Backend at the server's address
    ...
    len(server.requests["claude"])                                # what was asked
    await server.stop()

:class:`RouterTest` is a trial TestCase with such a server and a router over it.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol
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


@dataclass(frozen=True)
class Reply:
    """What one request gets: ``data``, and then the connection is kept, closed, reset, or left hanging.

    after  seconds before it is sent
    """

    data: bytes = b""
    end: str = "keep"
    after: float = 0.0
    #: Sent again and again, until the other side has had enough.
    endless: bytes = b""


def response(body: bytes, *headers: str, code: int = 200, kind: str = "application/json") -> bytes:
    """A whole HTTP response."""
    head = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def completion(text: str, **more: Any) -> bytes:
    """The body of an OpenAI chat completion that says ``text``; ``more`` overlays its message."""
    usage = more.pop("usage", {"prompt_tokens": 10, "completion_tokens": 20})
    finish = more.pop("finish_reason", "stop")
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **more}}
    return json.dumps({"object": "chat.completion", "model": "faulty-1", "choices": [choice], "usage": usage}).encode()


def answer(text: str = "The moon pulls on the water, and the earth turns below it.", **more: Any) -> Reply:
    return Reply(response(completion(text, **more)))


def refusal() -> Reply:
    return answer("I'm sorry, but I can't help with that request.")


def status(code: int, *headers: str, error: dict[str, Any] | None = None) -> Reply:
    return Reply(response(json.dumps({"error": error or {"message": "no"}}).encode(), *headers, code=code))


def gzipped(body: bytes) -> Reply:
    return Reply(response(gzip.compress(body), "Content-Encoding: gzip"))


def silent() -> Reply:
    return Reply(end="hang")


@dataclass
class Request:
    """What the server read: the request line, headers with lower-case names, the body."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The last message of an OpenAI request."""
        return str(json.loads(self.body)["messages"][-1]["content"])


class _Connection(Protocol):
    def __init__(self, server: FaultServer) -> None:
        self.server = server
        self.read = b""

    def connectionMade(self) -> None:
        self.server.open.add(self)
        self.server.connections += 1

    def connectionLost(self, reason: Any = None) -> None:
        self.server.open.discard(self)
        self.server.connection_closed()

    def dataReceived(self, data: bytes) -> None:
        self.read += data
        head, blank, rest = self.read.partition(b"\r\n\r\n")
        if not blank:
            return
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self.read = rest[length:]
        self.play(self.server.reply_to(Request(line, headers, rest[:length])))

    def play(self, reply: Reply) -> None:
        if reply.after:
            later = reactor.callLater(reply.after, self.play, replace(reply, after=0.0))
            self.server.timers.append(later)
            return
        assert self.transport is not None
        transport: Any = self.transport
        transport.write(reply.data)
        if reply.endless:
            transport.registerProducer(_Endless(transport, reply.endless), streaming=False)
        elif reply.end == "close":
            transport.loseConnection()
        elif reply.end == "reset":
            # A reset overtakes what was sent just before it.
            self.server.timers.append(reactor.callLater(0.02 if reply.data else 0.0, transport.abortConnection))


class _Endless:
    def __init__(self, transport: Any, data: bytes) -> None:
        self.transport = transport
        self.data = data

    def resumeProducing(self) -> None:
        self.transport.write(self.data)

    def stopProducing(self) -> None: ...


@dataclass
class FaultServer:
    """Backends that fail as they are told, all on one port; a key without a script answers."""

    reactor: Any
    tls: Any = None
    scripts: dict[str, list[Reply]] = field(default_factory=dict)
    requests: dict[str, list[Request]] = field(default_factory=lambda: defaultdict(list))
    open: set[_Connection] = field(default_factory=set)
    timers: list[Any] = field(default_factory=list)
    connections: int = 0
    _waiting: list[Deferred[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        factory = Factory.forProtocol(lambda: _Connection(self))
        factory.noisy = False
        if self.tls is None:
            self.listening = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        else:
            self.listening = self.reactor.listenSSL(0, factory, self.tls, interface="127.0.0.1")

    @property
    def url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.listening.getHost().port}"

    def script(self, key: str, *replies: Reply) -> None:
        self.scripts[key] = list(replies)

    def backend(self, key: str, **settings: Any) -> Backend:
        settings = {"retries": 0, "max_context": 100_000, "capabilities": frozenset({"tools", "json"})} | settings
        return Backend(key, "openai", f"{self.url}/{key}/v1", f"model-of-{key}", **settings)

    def reply_to(self, request: Request) -> Reply:
        key = request.line.split("/")[1]
        self.requests[key].append(request)
        replies = self.scripts.get(key) or [answer()]
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def asked(self, key: str) -> int:
        return len(self.requests[key])

    def connection_closed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    async def until_closed(self) -> None:
        """Wait until no connection is open."""
        while self.open:
            closed: Deferred[None] = Deferred()
            self._waiting.append(closed)
            await closed

    async def stop(self) -> None:
        for timer in self.timers:
            if timer.active():
                timer.cancel()
        await maybeDeferred(self.listening.stopListening)
        for connection in list(self.open):
            connection.transport.abortConnection()  # type: ignore[union-attr]
        await self.until_closed()


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
