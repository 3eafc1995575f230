"""The Portal's side of the door: passes ``/v1`` on to the Server, and a client's going away as well.

    web_root.putChild(b"v1", Relay(reactor, "127.0.0.1", 4005))

Evennia's own proxy passes a stream on unbuffered, but keeps the request up when the client has gone, and the answer
would be paid for and thrown away. This one closes its connection to the Server at once. While the Server reloads it
answers 503 with ``Retry-After``, which the official SDKs heed by asking again.

Nothing but :data:`PASSED_ON` goes on to the Server: not the client's address either.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

#: The request's headers that the Server is told.
PASSED_ON = (b"authorization", b"content-type", b"accept", b"origin", b"x-stream-mode", b"cache-control")

#: Tells the Server that a request does not come from this machine, or came through a proxy on it.
FROM_ELSEWHERE = b"x-uniwizard-from-elsewhere"

#: Headers that belong to one connection and not to the answer (RFC 9110, section 7.6.1).
_HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer", b"proxy-connection"}

#: Seconds after which a client may ask again while the Server is away; a reload takes about as long.
RETRY_AFTER = 3

_AWAY = json.dumps(
    {"error": {"message": "The game is reloading.", "type": "server_error", "param": None, "code": "reloading"}}
).encode()


class Relay(Resource):
    """Passes every request below it to ``host``:``port``, path and all."""

    isLeaf = True

    def __init__(self, reactor: Any, host: str, port: int):
        super().__init__()
        self._base = f"http://{host}:{port}".encode()
        pool = HTTPConnectionPool(reactor)
        # A request is paid for, so it is never sent a second time of the pool's own accord.
        pool.retryAutomatically = False
        pool.maxPersistentPerHost = 100
        # Shorter than the Server's own patience, so that no request meets a connection that is just being closed.
        pool.cachedConnectionTimeout = 20
        self._pool = pool
        self._agent = Agent(reactor, connectTimeout=5, pool=pool)

    def close(self) -> Deferred[None]:
        """Close the connections that are kept for the next request."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    def render(self, request: Any) -> int:
        """Take up a request; twisted.web calls this."""
        passed = Headers({name: request.requestHeaders.getRawHeaders(name, []) for name in PASSED_ON})
        if not _from_here(request):
            passed.setRawHeaders(FROM_ELSEWHERE, [b"yes"])
        length = request.content.seek(0, 2)
        request.content.seek(0)
        body = FileBodyProducer(request.content) if length else None
        asked: Deferred[Any] = self._agent.request(request.method, self._base + request.uri, passed, body)
        passing = _Passing(request, asked)
        request.notifyFinish().addErrback(lambda _: passing.client_gone())
        asked.addCallbacks(passing.begin, passing.away)
        return NOT_DONE_YET


def _from_here(request: Any) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it. The Portal imports no brain."""
    if request.requestHeaders.hasHeader(b"x-forwarded-for") or request.requestHeaders.hasHeader(b"forwarded"):
        return False
    try:
        return ipaddress.ip_address(getattr(request.getClientAddress(), "host", "")).is_loopback
    except ValueError:
        return False


class _Passing(Protocol):
    """One answer on its way from the Server to the client."""

    transport: Any

    def __init__(self, request: Any, asked: Deferred[Any]):
        self._request = request
        self._asked = asked
        self._gone = False

    def begin(self, response: Any) -> None:
        """The Server has begun to answer."""
        self._request.setResponseCode(response.code, response.phrase)
        for name, values in response.headers.getAllRawHeaders():
            if name.lower() not in _HOP_BY_HOP:
                self._request.responseHeaders.setRawHeaders(name, values)
        if isinstance(response.length, int):
            self._request.setHeader(b"content-length", str(response.length).encode())
        response.deliverBody(self)

    def away(self, why: Failure) -> None:
        """The Server gave no answer: it is reloading, or the client has gone."""
        if self._gone or why.check(CancelledError):
            return
        self._request.setResponseCode(503)
        self._request.setHeader(b"content-type", b"application/json")
        self._request.setHeader(b"content-length", str(len(_AWAY)).encode())
        self._request.setHeader(b"retry-after", str(RETRY_AFTER).encode())
        self._request.write(_AWAY)
        self._request.finish()

    def client_gone(self) -> None:
        """Close the connection to the Server, which then cancels the attempt."""
        self._gone = True
        self._asked.cancel()
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionMade(self) -> None:
        if not self._gone:
            # A client that reads slowly slows the Server down instead of filling the Portal's memory.
            self._request.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        if not self._gone:
            self._request.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._gone:
            return
        self._request.unregisterProducer()
        if reason.check(ResponseDone):
            self._request.finish()
        else:
            # A cut answer must not look like a whole one.
            self._request.channel.forceAbortClient()
