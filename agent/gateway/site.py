"""A server of its own for the gateway: bounded bodies, bounded patience, an orderly end.

    site = GatewaySite(gateway, reactor)
    port = reactor.listenTCP(8000, site, interface="127.0.0.1")
    site.port = port                     # so that it can stop accepting for a while

What a client may not do here: hold a connection open by sending a request a byte at a time (:data:`PATIENCE`), keep one
idle (:data:`IDLE`), or send more than is taken (:mod:`~.bodies`). Beyond ``max_connections`` a request is answered with
503 and ``Retry-After``; beyond several times as many connections the next ones wait to be accepted. None is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

from ..core.clock import Clock
from .bodies import Bodies, HeldBody, Keeper
from .errors import Rejected
from .incoming import crowded
from .resource import Gateway

#: Seconds in which a request must have arrived, headers and body.
PATIENCE = 120.0
#: Seconds that a connection may say nothing while no request is under way.
IDLE = 75
#: Connections at once that are served.
CONNECTIONS = 4000
#: How many times as many connections are accepted, if only to say that there are too many.
_ACCEPTED = 4


class _Request(HeldBody):
    """A request of this site; forms and cookies are nothing to it."""

    #: When it was whole, in the clock's seconds.
    began = 0.0

    def parseCookies(self) -> None:
        """None are asked for."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        channel: Any = self.channel
        self.began = channel.factory.clock.seconds()
        super().requestReceived(command, path, version)

    def keeper(self) -> Keeper:
        channel: Any = self.channel
        return _Crowded(channel.factory.bodies) if channel.extra else channel.factory.bodies


class _Crowded:
    """Keeps the door for connections beyond the bound: nobody's body may come."""

    def __init__(self, bodies: Bodies):
        self.hold, self.take, self.turn_away = bodies.hold, bodies.take, bodies.turn_away

    def screen(self, request: Any, method: bytes, path: bytes) -> Rejected:
        return crowded("connections")


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
        max_held: int | None = None,
        told: Callable[[Any, float], None] | None = None,
    ):
        super().__init__(timeout=idle, reactor=reactor)  # type: ignore[arg-type]
        self.gateway = gateway
        self.clock = reactor
        self.patience = patience
        self.max_connections = max_connections
        self.bodies = Bodies(gateway, max_held)
        self._told = told
        self.channels: set[HTTPChannel] = set()
        self._waiting = False
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress) -> Any:
        if self.port is None and len(self.channels) >= _ACCEPTED * self.max_connections:
            return None
        return super().buildProtocol(addr)

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
