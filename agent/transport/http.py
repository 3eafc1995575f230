"""HTTP in the reactor, without an asyncio loop: one transport, and one method for whole requests.

    transport = TwistedTransport(reactor)
    incoming = await transport.send("POST", url, headers, body, connect_timeout=10.0)
    incoming.status, incoming.headers["content-type"]
    while data := await incoming.more(): ...

httpx gives the vocabulary (URLs, and what can go wrong); Twisted's client does the work: a persistent pool, TLS
verified against the platform's trust store (``SSL_CERT_FILE`` names another), connections that really close when a call
is cancelled. httpx's own pool scans every connection for every request and collapses at 50 at once. An
``httpx.AsyncClient`` takes the transport, too; :mod:`agent.transport.client` does without, because what a client adds
is what a backend must not see (cookies, redirects, proxies, a User-Agent), and because its objects are a fifth of a
call's CPU.

Cancelling the Deferred that drives a request aborts the connection at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Any

import httpx
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionAborted, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure as TwistedFailure
from twisted.web.client import BrowserLikePolicyForHTTPS, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss

from ..core.clock import Clock
from .connections import Destination, Outgoing, Pool

#: Headers that are the transport's own business, whatever a caller says.
_OWN = frozenset({"host", "content-length", "connection", "transfer-encoding"})


class Incoming(Protocol):
    """A response whose body is arriving, held back while nobody reads so that memory stays bounded.

    status   as the server says
    headers  by their names in lower case; of several with one name, joined by ", "
    """

    HIGH_WATER = 256 * 1024

    def __init__(self, response: Any) -> None:
        self.status: int = response.code
        self.headers: dict[str, str] = {
            name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        self._response = response
        self._chunks: list[bytes] = []
        self._held = 0
        self._waiting: Deferred[None] | None = None
        self._ended: TwistedFailure | None = None
        self._paused = False
        response.deliverBody(self)

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Every header line of its own."""
        return [(name, value) for name, values in self._response.headers.getAllRawHeaders() for value in values]

    def dataReceived(self, data: bytes) -> None:
        self._chunks.append(data)
        self._held += len(data)
        if self._held > self.HIGH_WATER and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pauseProducing()
        self._wake()

    def connectionLost(self, reason: TwistedFailure) -> None:  # type: ignore[override]
        self._ended = reason
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def more(self) -> bytes:
        """What has come since, as soon as there is any; nothing at the end. Raises httpx.TransportError."""
        while not self._chunks:
            if self._ended is not None:
                # A body whose length nobody told ends where the connection does; its JSON shows whether it is whole.
                if not isinstance(self._ended.value, ResponseDone | PotentialDataLoss):
                    raise _meaning(self._ended.value, "in the middle of the body") from self._ended.value
                return b""
            self._waiting = Deferred()
            await self._waiting
        data, self._chunks, self._held = b"".join(self._chunks), [], 0
        if self._paused and self._ended is None and self.transport is not None:
            self._paused = False
            self.transport.resumeProducing()
        return data

    def drop(self) -> None:
        """Close the connection unless the body is whole; half of one must not go back into the pool."""
        if self._ended is None:
            self._response.drop()


class _Stream(httpx.AsyncByteStream):
    """The same as httpx wants it."""

    def __init__(self, incoming: Incoming):
        self._incoming = incoming

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._incoming.more():
            yield data

    async def aclose(self) -> None:
        self._incoming.drop()


class TwistedTransport(httpx.AsyncBaseTransport):
    """Requests over one pool of Twisted's connections."""

    def __init__(self, reactor: Clock, connect_timeout: float = 10.0):
        self._reactor = reactor
        self._pool = Pool(reactor, persistent=True)
        self._policy = BrowserLikePolicyForHTTPS()
        self._connect_timeout = connect_timeout
        # Caches of its own, since both hold what should end with it: connections' endpoints, and keys.
        self._destination = lru_cache(maxsize=256)(Destination)
        self._head = lru_cache(maxsize=256)(_head)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", connect_timeout: float | None = None
    ) -> Incoming:
        """Send one request; Host and Content-Length are added to its ``headers``.

        connect_timeout  seconds; None for the transport's own

        Raises httpx.TransportError, httpx.InvalidURL, or Twisted's CancelledError when the caller is cancelled.
        """
        to = self._destination(url)
        head = self._head(method, to, tuple(headers.items()))
        length = b"content-length: %d\r\n" % len(body) if body or method != "GET" else b""
        endpoint = to.endpoint(self._reactor, self._policy, connect_timeout or self._connect_timeout)
        asked: Deferred[Any] = self._pool.getConnection(to.key, endpoint)
        asked.addCallback(_ask, Outgoing(method.encode("ascii"), b"".join((head, length, b"\r\n", body))))
        cancelled: list[bool] = []

        def give_up(_: object) -> None:
            # What Twisted says of a cancelled request depends on how far it had come.
            cancelled.append(True)
            asked.cancel()

        answered: Deferred[Any] = Deferred(give_up)
        asked.chainDeferred(answered)
        try:
            return Incoming(await answered)
        except Exception as error:
            raise CancelledError if cancelled else _meaning(error, "before an answer came") from error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same in httpx's own words."""
        connect = request.extensions.get("timeout", {}).get("connect")
        incoming = await self.send(request.method, str(request.url), request.headers, await request.aread(), connect)
        return httpx.Response(incoming.status, headers=incoming.raw_headers, stream=_Stream(incoming), request=request)

    async def aclose(self) -> None:
        """Close every idle connection."""
        await self._pool.closeCachedConnections()


def _ask(connection: Any, outgoing: Outgoing) -> Deferred[Any]:
    answer: Deferred[Any] = connection.request(outgoing)
    return answer


def _head(method: str, to: Destination, headers: tuple[tuple[str, str], ...]) -> bytes:
    """The lines above ``content-length``, which differs from request to request as little else does."""
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), to.path), b"host: " + to.host]
    for name, value in headers:
        if name.lower() not in _OWN:
            # A line break in a value would begin a header of its own.
            lines.append(" ".join(f"{name}: {value}".splitlines()).encode())
    return b"\r\n".join([*lines, b""])


def _meaning(error: BaseException | None, when: str) -> Exception:
    """What Twisted met, in httpx's terms; ``when`` completes "the connection closed ..."."""
    reasons = [reason.value for reason in getattr(error, "reasons", ())] or [error]
    if any(isinstance(reason, ConnectionAborted) for reason in reasons):
        # Only a connection that brings too much is ever aborted from this side while someone waits.
        return httpx.DecodingError("the response is larger than any answer")
    match reasons[-1]:
        case ConnectTimeout():
            return httpx.ConnectTimeout("no connection in time")
        case DNSLookupError():
            return httpx.ConnectError("the host name cannot be resolved")
        case ConnectError() as reason:
            return httpx.ConnectError(_words(reason, when))
        case reason:
            return (httpx.RemoteProtocolError if isinstance(error, ResponseFailed) else httpx.NetworkError)(
                _words(reason, when)
            )


def _words(error: BaseException | None, when: str) -> str:
    """What went wrong below HTTP, in words short enough for a player and free of addresses."""
    text = type(error).__name__
    return {
        "ConnectionRefusedError": "the connection was refused",
        "NoRouteError": "there is no route to the host",
        "ConnectionDone": f"the connection closed {when}",
        "ConnectionLost": f"the connection broke {when}",
        "ParseError": "what answered does not speak HTTP",
        "BadResponseVersion": "what answered does not speak HTTP",
        "Error": "the TLS handshake failed",
        "VerificationError": "the certificate is not the host's",
    }.get(text, f"the connection failed ({text})")
