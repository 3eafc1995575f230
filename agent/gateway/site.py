"""A server of its own for the gateway: bounded bodies, bounded patience, an orderly end.

    site = GatewaySite(gateway, reactor)
    port = reactor.listenTCP(8000, site, interface="127.0.0.1")

What a client may not do here: hold a connection open by sending a request a byte at a time (:data:`PATIENCE`), keep one
idle (:data:`IDLE`), send more than the body limit (the rest is read and dropped, and answered with 413; a body that
says it is many times larger is not even read), or open more connections than :data:`CONNECTIONS`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

from ..core.clock import Clock
from ..wire.body import dump
from .resource import BODY_LIMIT, Gateway, too_large
from .write import put_rejection

#: Seconds in which a request must have arrived, headers and body.
PATIENCE = 120.0
#: Seconds that a connection may say nothing while no request is under way.
IDLE = 75
#: Connections at once; the next ones are closed.
CONNECTIONS = 2000
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

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length is not None and length > _HOPELESS:
            # In the middle of its headers a request cannot be finished in the ordinary way.
            self.channel.write(_HOPELESS_ANSWER)
            self.channel.loseConnection()

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received <= BODY_LIMIT:
            super().handleContentChunk(data)
        elif self._received > _HOPELESS:
            self.channel.forceAbortClient()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        if self._received > BODY_LIMIT:
            put_rejection(self, too_large(), {})
            return
        site: Any = self.channel.factory
        site.gateway.render(self)


class _Channel(HTTPChannel):
    """A connection that does not wait for ever for a request to be whole."""

    requestFactory = _Request
    factory: Any
    _since: float | None = None

    def connectionMade(self) -> None:
        self.factory.channels.add(self)
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
    """Serves ``gateway`` and nothing else."""

    protocol = _Channel
    noisy = False

    def __init__(self, gateway: Gateway, reactor: Clock, *, patience: float = PATIENCE, idle: int = IDLE):
        super().__init__(timeout=idle, reactor=reactor)  # type: ignore[arg-type]
        self.gateway = gateway
        self.clock = reactor
        self.patience = patience
        self.channels: set[HTTPChannel] = set()
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress) -> Any:
        return None if len(self.channels) >= CONNECTIONS else super().buildProtocol(addr)

    def close(self) -> Deferred[None]:
        """Send what is still to be sent, and close every connection; fires when all are closed."""
        self._empty = Deferred()
        for channel in list(self.channels):
            channel.loseConnection()
        self.left(None)
        return self._empty

    def left(self, channel: HTTPChannel | None) -> None:
        """A connection is gone."""
        self.channels.discard(channel)
        if self._empty is not None and not self._empty.called and not self.channels:
            self._empty.callback(None)

    def log(self, request: Request) -> None:
        """Nothing is written down of who asked."""
