"""The fake LLM server itself, on a reactor that it is given."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol

from .replies import Reply, answer

#: What a request gets; a function is given the request.
Scripted = Reply | Callable[["Request"], Reply]


@dataclass
class Request:
    """What the server read: ``head`` up to the blank line, and the body.

    at        when it was read, as ``time.time()``
    answered  whether its reply was written while its connection was open
    """

    head: bytes
    body: bytes
    at: float = field(default_factory=time.time)
    answered: bool = False

    @cached_property
    def line(self) -> str:
        """The request line."""
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def method(self) -> str:
        return self.line.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    @property
    def key(self) -> str:
        """The first segment of its path, which says which backend was asked."""
        return self.path.split("/")[1]

    @cached_property
    def headers(self) -> dict[str, str]:
        """With lower-case names."""
        lines = (text.partition(":") for text in self.head.decode("latin-1").split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in lines}

    @cached_property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The last message of an OpenAI request."""
        return str(self.json["messages"][-1]["content"])

    @property
    def everything(self) -> str:
        """All that a provider could read in it."""
        return f"{self.head.decode('latin-1')}\n{self.body.decode()}"


class Gate:
    """Holds replies back while it is cleared; the names are those of ``threading.Event``."""

    def __init__(self, opened: Callable[[], None]) -> None:
        self._opened = opened
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def clear(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True
        self._opened()


class Connection(Protocol):
    """Reads one request after the other, and plays what the server replies to each."""

    def __init__(self, server: FakeLLM) -> None:
        self.server = server
        self.read = bytearray()
        #: The request that has had no reply yet.
        self.waiting: Request | None = None

    def connectionMade(self) -> None:
        self.server.open.add(self)
        self.server.connections += 1

    def connectionLost(self, reason: Any = None) -> None:
        self.server.open.discard(self)
        self.server.connection_closed(self)

    def dataReceived(self, data: bytes) -> None:
        self.read += data
        while (end := self.read.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.read[:end])
            length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self.read) < end + 4 + length:
                return
            body = bytes(self.read[end + 4 : end + 4 + length])
            del self.read[: end + 4 + length]
            self.server.received(self, Request(head, body))

    def play(self, request: Request, reply: Reply) -> None:
        """Send ``reply``; once the other side has gone, nothing."""
        if self not in self.server.open:
            return
        if reply.after:
            self.server.later(reply.after, self.play, request, replace(reply, after=0.0))
            return
        assert self.transport is not None
        transport: Any = self.transport
        if reply.data:
            self.waiting = None
            request.answered = True
        transport.write(reply.data)
        if reply.rest:
            self.server.when_rest_may_come(self, request, replace(reply, data=reply.rest, rest=b""))
        elif reply.endless:
            transport.registerProducer(_Endless(transport, reply.endless), streaming=False)
        elif reply.end == "close":
            transport.loseConnection()
        elif reply.end == "reset":
            # A reset overtakes what was sent just before it.
            self.server.later(0.02 if reply.data else 0.0, transport.abortConnection)


class _Endless:
    def __init__(self, transport: Any, data: bytes) -> None:
        self.transport = transport
        self.data = data

    def resumeProducing(self) -> None:
        self.transport.write(self.data)

    def stopProducing(self) -> None: ...


class FakeLLM:
    """Backends that answer and fail as they are told, all on one port of loopback; it listens from the start.

    default   what a backend without a script replies
    probes    what every GET gets, which is then not recorded; None: a GET is a request like any other
    requests  what each backend was asked; ``log`` is the same in one list
    go        cleared, it holds every reply back
    rest      cleared, it holds back what replies have as their rest
    arrived   released once for every request
    left      released once for every client that hangs up before it has had any reply
    """

    def __init__(self, reactor: Any, tls: Any = None, *, default: Scripted | None = None, probes: Reply | None = None):
        self.reactor = reactor
        self.tls = tls
        self.default: Scripted = default or answer()
        self.probes = probes
        self.scripts: dict[str, list[Scripted]] = {}
        self.requests: dict[str, list[Request]] = defaultdict(list)
        self.log: list[Request] = []
        self.open: set[Connection] = set()
        self.connections = 0
        self.go = Gate(lambda: reactor.callFromThread(self._reply_to_held))
        self.arrived = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        self.rest = Gate(lambda: reactor.callFromThread(self._send_rests))
        self._held: list[tuple[Connection, Request]] = []
        self._rests: list[tuple[Connection, Request, Reply]] = []
        self._timers: set[Any] = set()
        self._waiting: list[Deferred[None]] = []
        factory = Factory.forProtocol(lambda: Connection(self))
        factory.noisy = False
        # The backlog: some tests knock a hundred times at once.
        how = {"backlog": 512, "interface": "127.0.0.1"}
        self.listening = (
            reactor.listenTCP(0, factory, **how) if tls is None else reactor.listenSSL(0, factory, tls, **how)
        )

    @property
    def port(self) -> int:
        return int(self.listening.getHost().port)

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    def script(self, key: str, *replies: Scripted) -> None:
        """What ``key`` replies from now on: each once and in this order, the last one for ever."""
        self.scripts[key] = list(replies)

    def asked(self, key: str) -> int:
        """How many requests ``key`` has had."""
        return len(self.requests[key])

    def forget(self) -> None:
        """Forget what was scripted and received, and hold nothing back."""
        self.scripts.clear()
        self.requests.clear()
        self.log.clear()
        self.go.set()
        self.rest.set()
        for counted in (self.arrived, self.left):
            while counted.acquire(blocking=False):
                pass

    # In the reactor's thread

    def received(self, connection: Connection, request: Request) -> None:
        if self.probes is not None and request.method == "GET":
            connection.play(request, self.probes)
            return
        self.requests[request.key].append(request)
        self.log.append(request)
        connection.waiting = request
        self.arrived.release()
        if self.go.is_set():
            connection.play(request, self._reply_to(request))
        else:
            self._held.append((connection, request))

    def _reply_to(self, request: Request) -> Reply:
        replies = self.scripts.get(request.key) or [self.default]
        scripted = replies.pop(0) if len(replies) > 1 else replies[0]
        return scripted if isinstance(scripted, Reply) else scripted(request)

    def _reply_to_held(self) -> None:
        held, self._held = self._held, []
        for connection, request in held:
            if connection in self.open:
                connection.play(request, self._reply_to(request))

    def when_rest_may_come(self, connection: Connection, request: Request, rest: Reply) -> None:
        self._rests.append((connection, request, rest))
        if self.rest.is_set():
            self._send_rests()

    def _send_rests(self) -> None:
        rests, self._rests = self._rests, []
        for connection, request, rest in rests:
            connection.play(request, rest)

    def later(self, seconds: float, act: Callable[..., Any], *arguments: Any) -> None:
        """Call ``act`` in ``seconds``, unless the server has been stopped by then."""

        def due() -> None:
            self._timers.discard(timer)
            act(*arguments)

        timer = self.reactor.callLater(seconds, due)
        self._timers.add(timer)

    def connection_closed(self, connection: Connection) -> None:
        if connection.waiting is not None:
            self.left.release()
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
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        await maybeDeferred(self.listening.stopListening)
        for connection in list(self.open):
            connection.transport.abortConnection()  # type: ignore[union-attr]
        await self.until_closed()
