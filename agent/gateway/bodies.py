"""Bodies of requests while they come: who asks is looked at before any of it is held, and what is held is bounded.

    class MyRequest(HeldBody, Request):
        def keeper(self) -> Keeper | None:      # None leaves the body to twisted.web
            return self.channel.factory.bodies

    bodies = Bodies(gateway, max_held=256 * 1024**2)

A body that nobody may send is dropped as it comes; whoever waits for ``100 Continue`` is answered at once instead. What
may come is held in memory and not on disk, all of it together up to ``max_held``; beyond it a request is answered with
503 and ``Retry-After``. A body of more than the limit is read on, dropped, and answered with 413; one that says it is
many times larger is not even read.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Protocol

from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, Request

from ..wire.body import dump
from .doors import DOORS
from .errors import Rejected
from .incoming import BODY_LIMIT, Place, crowded, too_large
from .resource import Gateway

#: Bytes beyond which an announced body is not read to its end.
HOPELESS = 4 * BODY_LIMIT


class Keeper(Protocol):
    """Whoever decides over bodies."""

    def screen(self, request: Any, method: bytes, path: bytes) -> Rejected | None:
        """Why a request is turned away before its body has come; None when it may come."""

    def hold(self, size: int) -> bool:
        """Count ``size`` more bytes that are held (less, below 0); whether there is room for them."""

    def take(self, request: Any) -> None:
        """Take up a request that is whole."""

    def turn_away(self, request: Any, rejected: Rejected) -> None:
        """Answer a request whose body was dropped."""


class Bodies:
    """The keeper of ``gateway``: holds up to ``max_held`` bytes of all bodies together; None takes the config's."""

    def __init__(self, gateway: Gateway, max_held: int | None = None):
        self.gateway = gateway
        self.max_held = max_held
        self.held = 0

    def screen(self, request: Any, method: bytes, path: bytes) -> Rejected | None:
        return self.gateway.screen(request, method, path)

    def hold(self, size: int) -> bool:
        if size > 0:
            most = self.gateway.settings().max_held_mb * 1024 * 1024 if self.max_held is None else self.max_held
            if self.held + size > most:
                return False
        self.held += size
        return True

    def take(self, request: Any) -> None:
        self.gateway.render(request)

    def turn_away(self, request: Any, rejected: Rejected) -> None:
        self.gateway.turn_away(request, rejected)


class HeldBody(Request):
    """A request that is handed to its keeper as soon as it is whole; forms and cookies are nothing to it."""

    _kept: Keeper | None = None
    _received = 0
    _held = 0
    _turned_away: Rejected | None = None
    _answered = False

    def keeper(self) -> Keeper | None:
        """Whose request this is; None for one that is not looked at here. Asked once its first line is known."""
        raise NotImplementedError

    def gotLength(self, length: int | None) -> None:
        kept = self._kept = self.keeper()
        if kept is None:
            super().gotLength(length)
            return
        # Held in memory: twisted.web would write what is larger than 100 kB to a file.
        self.content = BytesIO()
        channel: Any = self.channel
        self._turned_away = kept.screen(self, channel._command, channel._path)
        if length is not None and length > HOPELESS:
            self._turned_away = too_large()
            self._answer_now(channel)
        elif self._turned_away is not None and self.requestHeaders.hasHeader(b"expect"):
            # With its headers gone the channel does not ask for the body either.
            self.requestHeaders.removeHeader(b"expect")
            self._answer_now(channel)

    def handleContentChunk(self, data: bytes) -> None:
        if self._kept is None:
            super().handleContentChunk(data)
            return
        self._received += len(data)
        if self._received > HOPELESS:
            self.channel.forceAbortClient()
        elif self._turned_away is None:
            if self._received > BODY_LIMIT:
                self._turn_away(too_large())
            elif not self._kept.hold(len(data)):
                self._turn_away(crowded("bodies"))
            else:
                self._held += len(data)
                super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._kept is None:
            super().requestReceived(command, path, version)
            return
        if self._answered:
            return
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        # What is held is read at once, and then it is parsed and no longer bytes.
        if self._turned_away is not None:
            self._kept.turn_away(self, self._turned_away)
            return
        self._kept.take(self)
        self._let_go()

    def connectionLost(self, reason: Failure) -> None:
        self._let_go()
        super().connectionLost(reason)

    def _turn_away(self, rejected: Rejected) -> None:
        self._turned_away = rejected
        self._let_go()
        self.content = BytesIO()

    def _answer_now(self, channel: Any) -> None:
        """Send the error and close: amid its headers a request cannot be finished in the ordinary way."""
        self._answered = True
        if self._turned_away is not None:
            channel.write(written(self._turned_away, channel._path))
        channel.loseConnection()

    def _let_go(self) -> None:
        if self._held and self._kept is not None:
            self._kept.hold(-self._held)
            self._held = 0


def written(rejected: Rejected, path: bytes) -> bytes:
    """An HTTP/1.1 answer as bytes, in the format of the door at ``path``; the connection ends with it."""
    body = dump(DOORS[Place.of(path.partition(b"?")[0]).door].error(rejected))
    lines = [b"HTTP/1.1 %d %s" % (rejected.status, RESPONSES.get(rejected.status, b"Error"))]
    lines += [f"{name}: {value}".encode("ascii", "replace") for name, value in rejected.headers.items()]
    lines += [b"content-type: application/json", b"content-length: %d" % len(body), b"connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
