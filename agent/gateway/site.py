"""A server of its own for the gateway: bounded bodies, bounded patience, an orderly end.

    site = GatewaySite(gateway, reactor)
    port = reactor.listenTCP(8000, site, interface="127.0.0.1")
    site.port = port                     # so that it can stop accepting for a while

What a client may not do here: hold a connection open by sending a request a byte at a time (:data:`PATIENCE`), keep one
idle (:data:`IDLE`), or send more than the body limit (the rest is read and dropped, and answered with 413; a body that
says it is many times larger is not even read). Who asks is looked at as soon as the headers are there: a body that
nobody may send is dropped as it comes, and never held. Bodies are held in memory and not on disk, all of them together
up to ``max_held``. Beyond that, and beyond ``max_connections``, a request is answered with 503 and ``Retry-After``;
beyond several times as many connections the next ones wait to be accepted. None is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

from ..core.clock import Clock
from ..wire.body import dump
from .errors import Rejected
from .incoming import BODY_LIMIT, crowded, too_large
from .resource import Gateway

#: Seconds in which a request must have arrived, headers and body.
PATIENCE = 120.0
#: Seconds that a connection may say nothing while no request is under way.
IDLE = 75
#: Connections at once, and bytes of requests held at once, that are served.
CONNECTIONS, HELD = 4000, 256 * 1024 * 1024
#: How many times as many connections are accepted, if only to say that there are too many.
_ACCEPTED = 4
#: Bytes beyond which an announced body is not read to its end.
_HOPELESS = 4 * BODY_LIMIT

_TOO_LARGE = dump(too_large().body())
_HOPELESS_ANSWER = (
    b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_TOO_LARGE), _TOO_LARGE)
)


class _Request(Request):
    """A request that is handed to the gateway as soon as it is whole; forms and cookies are nothing to it."""

    _received = 0
    _held = 0
    _turned_away: Rejected | None = None
    _site: Any
    #: When it was whole, in the clock's seconds.
    began = 0.0

    def parseCookies(self) -> None:
        """None are asked for."""

    def gotLength(self, length: int | None) -> None:
        # Held in memory: twisted.web would write what is larger than 100 kB to a file.
        self.content = BytesIO()
        channel: Any = self.channel
        site = self._site = channel.factory
        self._turned_away = site.screen(self, channel._command, channel._path, channel.extra)
        if length is not None and length > _HOPELESS:
            # In the middle of its headers a request cannot be finished in the ordinary way.
            channel.write(_HOPELESS_ANSWER)
            channel.loseConnection()

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > _HOPELESS:
            self.channel.forceAbortClient()
        elif self._turned_away is None:
            if self._received > BODY_LIMIT:
                self._turn_away(too_large())
            elif not self._site.hold(len(data)):
                self._turn_away(crowded("bodies"))
            else:
                self._held += len(data)
                super().handleContentChunk(data)

    def _turn_away(self, rejected: Rejected) -> None:
        self._turned_away = rejected
        self._let_go()
        self.content = BytesIO()

    def _let_go(self) -> None:
        if self._held:
            self._site.hold(-self._held)
            self._held = 0

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        site = self._site
        self.began = site.clock.seconds()
        # What is held is read at once, and then it is parsed and no longer bytes.
        if self._turned_away is not None:
            site.gateway.turn_away(self, self._turned_away)
            return
        site.gateway.render(self)
        self._let_go()

    def connectionLost(self, reason: Failure) -> None:
        self._let_go()
        super().connectionLost(reason)


class _Channel(HTTPChannel):
    """A connection that does not wait for ever for a request to be whole."""

    requestFactory = _Request
    factory: Any
    _since: float | None = None
    #: Whether there are too many connections for this one to be served.
    extra = False

    def connectionMade(self) -> None:
        self.extra = self.factory.joined(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if not self._handlingRequest:
            now = self.factory.clock.seconds()
            if self._since is None:
                self._since = now
            elif now - self._since > self.factory.patience:
                # Somebody who sends nothing at all is left to the idle time-out.
                self.forceAbortClient()
                return
        super().dataReceived(data)

    def allContentReceived(self) -> None:
        self._since = None
        super().allContentReceived()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.left(self)


class GatewaySite(HTTPFactory):
    """Serves ``gateway`` and nothing else.

    port  what it listens on, once that is known
    told  is called with every request that is answered, and when it was whole
    """

    protocol = _Channel
    noisy = False
    port: Any = None

    def __init__(
        self,
        gateway: Gateway,
        reactor: Clock,
        *,
        patience: float = PATIENCE,
        idle: int = IDLE,
        max_connections: int = CONNECTIONS,
        max_held: int = HELD,
        told: Callable[[Any, float], None] | None = None,
    ):
        super().__init__(timeout=idle, reactor=reactor)  # type: ignore[arg-type]
        self.gateway = gateway
        self.clock = reactor
        self.patience = patience
        self.max_connections = max_connections
        self.max_held = max_held
        self.held = 0
        self._told = told
        self.channels: set[HTTPChannel] = set()
        self._waiting = False
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress) -> Any:
        if self.port is None and len(self.channels) >= _ACCEPTED * self.max_connections:
            return None
        return super().buildProtocol(addr)

    def screen(self, request: _Request, method: bytes, path: bytes, extra: bool) -> Rejected | None:
        """Why a request is turned away before its body has come; None when it may come."""
        return crowded("connections") if extra else self.gateway.screen(request, method, path)

    def hold(self, size: int) -> bool:
        """Count ``size`` more bytes of bodies that are held (less, below 0); whether there is room for them."""
        if size > 0 and self.held + size > self.max_held:
            return False
        self.held += size
        return True

    def joined(self, channel: HTTPChannel) -> bool:
        """A connection is open. Returns whether it is one too many to be served."""
        self.channels.add(channel)
        if self.port is not None and not self._waiting and len(self.channels) >= _ACCEPTED * self.max_connections:
            self._waiting = True
            self.port.stopReading()
        return len(self.channels) > self.max_connections

    def left(self, channel: HTTPChannel | None) -> None:
        """A connection is gone."""
        self.channels.discard(channel)
        if self._waiting and self._empty is None and len(self.channels) < _ACCEPTED * self.max_connections:
            self._waiting = False
            self.port.startReading()
        if self._empty is not None and not self._empty.called and not self.channels:
            self._empty.callback(None)

    def close(self) -> Deferred[None]:
        """Send what is still to be sent, and close every connection; fires when all are closed."""
        self._empty = Deferred()
        for channel in list(self.channels):
            channel.loseConnection()
        self.left(None)
        return self._empty

    def log(self, request: Request) -> None:
        """Tell that a request is answered; nothing is written down of who asked."""
        if self._told is not None:
            self._told(request, getattr(request, "began", 0.0))
