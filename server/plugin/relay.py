"""The Portal's side of the doors: passes requests on to the Server, and a client's going away as well.

    mount(web_root, Relay(reactor, "127.0.0.1", 4005))
    site.requestFactory = Streamed           # or bodies are held here until they are whole

A body goes on to the Server as it comes, as fast as that takes it: the Server looks at the key as soon as it has the
headers, and holds or drops. Here nothing is held but what one read of a socket brings. A client that waits for
``100 Continue`` gets it when the Server would take its body, and the Server's answer at once where it would not.

Evennia's own proxy keeps the request up when the client has gone, and the answer would be paid for and thrown away.
This one closes its connection to the Server at once. While the Server reloads, and beyond ``most`` requests at once, it
answers 503 with ``Retry-After``, which the official SDKs heed by asking again.

Nothing but :data:`PASSED_ON` goes on to the Server: not the client's address either.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from uniwizard.server.plugin.doorway import KEY_HEADERS

#: The request's headers that the Server is told.
PASSED_ON = (
    *KEY_HEADERS,
    *(b"content-type", b"content-encoding", b"accept", b"origin", b"x-stream-mode", b"cache-control"),
    # Whose format a list of models has; what a browser asks before a page's request.
    *(b"anthropic-version", b"access-control-request-method", b"access-control-request-headers"),
)
#: With this header the Server only says (204) whether it would take the request's body.
SCREEN = b"x-uniwizard-screen"

#: Tells the Server that a request does not come from this machine, or came through a proxy on it.
FROM_ELSEWHERE = b"x-uniwizard-from-elsewhere"

#: Headers that belong to one connection and not to the answer (RFC 9110, section 7.6.1).
_HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer", b"proxy-connection"}

#: Seconds after which a client may ask again while the Server is away; a reload takes about as long.
RETRY_AFTER = 3
#: Requests at once; what a game says in UNIWIZARD_WEB_CONNECTIONS comes first.
MOST = 2000
#: Seconds in which a body must have come.
PATIENCE = 120.0


def _error(message: str, code: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "server_error", "param": None, "code": code}}).encode()


_AWAY = (_error("The game is reloading.", "reloading"), RETRY_AFTER)
_CROWDED = (_error("Too much is under way: requests. Ask again soon.", "overloaded"), 1)


class Relay(Resource):
    """Passes every request below it to ``host``:``port``, path and all; ``most`` of them at once."""

    isLeaf = True

    def __init__(self, reactor: Any, host: str, port: int, most: int = MOST):
        super().__init__()
        self.base = f"http://{host}:{port}".encode()
        self.clock = reactor
        self.most = most
        self.under_way = 0
        pool = HTTPConnectionPool(reactor)
        # A request is paid for, so it is never sent a second time of the pool's own accord.
        pool.retryAutomatically = False
        pool.maxPersistentPerHost = 100
        # Shorter than the Server's own patience, so that no request meets a connection that is just being closed.
        pool.cachedConnectionTimeout = 20
        self._pool = pool
        self.agent = Agent(reactor, connectTimeout=5, pool=pool)

    def close(self) -> Deferred[None]:
        """Close the connections that are kept for the next request."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    def render(self, request: Any) -> int:
        """Take up a request that is whole; twisted.web calls this where its site knows nothing of :class:`Streamed`."""
        passing = Passing(self, request, request.method, request.uri, request.content.seek(0, 2))
        request.content.seek(0)
        passing.take(request.content.read())
        passing.whole()
        return NOT_DONE_YET


class Streamed(Request):
    """A request whose body is not held here, where a :class:`Relay` stands at the first part of its path."""

    passing: Passing | None = None

    def gotLength(self, length: int | None) -> None:
        channel: Any = self.channel
        first = channel._path[1:].partition(b"?")[0].partition(b"/")[0]
        relay = getattr(channel.site.resource, "children", {}).get(first)
        if not isinstance(relay, Relay):
            super().gotLength(length)
            return
        self.content = BytesIO()
        self.passing = Passing(relay, self, channel._command, channel._path, length)

    def handleContentChunk(self, data: bytes) -> None:
        if self.passing is None:
            super().handleContentChunk(data)
        else:
            self.passing.take(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self.passing is None:
            super().requestReceived(command, path, version)
            return
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self.passing.whole()


def _from_here(request: Any) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it. The Portal imports no brain."""
    if request.requestHeaders.hasHeader(b"x-forwarded-for") or request.requestHeaders.hasHeader(b"forwarded"):
        return False
    try:
        return ipaddress.ip_address(getattr(request.getClientAddress(), "host", "")).is_loopback
    except ValueError:
        return False


class Passing:
    """One request on its way to the Server, and the answer on its way back.

    length  bytes of its body; None where it comes in chunks
    """

    def __init__(self, relay: Relay, request: Any, method: bytes, uri: bytes, length: int | None):
        self._relay, self._request = relay, request
        self._method, self._to = method, relay.base + uri
        self._headers = {name: request.requestHeaders.getRawHeaders(name, []) for name in PASSED_ON}
        if not _from_here(request):
            self._headers[FROM_ELSEWHERE] = [b"yes"]
        self._asked: Deferred[Any] | None = None
        self._answer: _Answer | None = None
        self._then: Callable[[], None] | None = None
        self._whole = self._gone = False
        self._body = _Body(request.channel.transport, length) if length != 0 else None
        self._patience = relay.clock.callLater(PATIENCE, request.channel.forceAbortClient)
        relay.under_way += 1
        request.notifyFinish().addBoth(self._over)
        waits = request.requestHeaders.hasHeader(b"expect")
        # The channel would say of its own accord that the body may come.
        request.requestHeaders.removeHeader(b"expect")
        self._waits = waits and self._body is not None
        if relay.under_way > relay.most:
            self._refuse(*_CROWDED)
        elif self._waits:
            self._send({**self._headers, SCREEN: [b"yes"]}, None, self._screened)
        else:
            self._send(self._headers, self._body, self._begin)

    def take(self, data: bytes) -> None:
        """A piece of the body has come."""
        if self._body is not None and data:
            self._body.take(data)

    def whole(self) -> None:
        """All of the body has come."""
        self._whole = True
        self._patience.cancel()
        if self._body is not None:
            self._body.end()
        if self._then is not None:
            self._then()

    def _send(self, headers: Mapping[bytes, list[bytes]], body: _Body | None, answered: Callable[[Any], None]) -> None:
        self._asked = self._relay.agent.request(self._method, self._to, Headers(headers), body)
        self._asked.addCallbacks(answered, self._away)

    def _screened(self, response: Any) -> None:
        """The Server has said whether it would take the body."""
        if response.code != 204:
            self._begin(response)
            return
        response.deliverBody(Protocol())
        self._waits = False
        if not self._whole:
            self._request.channel.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._send(self._headers, self._body, self._begin)

    def _begin(self, response: Any) -> None:
        """The Server has begun to answer."""
        headers = {
            name: values for name, values in response.headers.getAllRawHeaders() if name.lower() not in _HOP_BY_HOP
        }
        if not self._whole:
            # It wants no more of the body: whatever it says is short.
            self._drop()
            response.deliverBody(_Said(lambda body: self._answer_amid(response.code, response.phrase, headers, body)))
            return
        self._request.setResponseCode(response.code, response.phrase)
        for name, values in headers.items():
            self._request.responseHeaders.setRawHeaders(name, values)
        if isinstance(response.length, int) and self._method != b"HEAD":
            self._request.setHeader(b"content-length", str(response.length).encode())
        self._answer = _Answer(self._request)
        response.deliverBody(self._answer)

    def _away(self, why: Failure) -> None:
        """The Server gave no answer: it is reloading, or the client has gone."""
        if not self._gone and not why.check(CancelledError):
            self._refuse(*_AWAY)

    def _refuse(self, body: bytes, again: int) -> None:
        """Answer 503, once the body has come; at once where the client waits with it."""
        self._drop()
        headers = {b"content-type": [b"application/json"], b"retry-after": [b"%d" % again]}
        if self._waits and not self._whole:
            self._answer_amid(503, b"Service Unavailable", headers, body)
            return

        def answer() -> None:
            self._request.setResponseCode(503)
            for name, values in headers.items():
                self._request.responseHeaders.setRawHeaders(name, values)
            self._request.setHeader(b"content-length", b"%d" % len(body))
            self._request.write(body)
            self._request.finish()

        if self._whole:
            answer()
        else:
            self._then = answer

    def _answer_amid(self, code: int, phrase: bytes, headers: Mapping[bytes, list[bytes]], body: bytes) -> None:
        """Answer before the body has come, and close: a request cannot be finished in the ordinary way by then."""
        if self._gone:
            return
        lines = [b"HTTP/1.1 %d %s" % (code, phrase)]
        lines += [b"%s: %s" % (name, value) for name, values in headers.items() for value in values]
        lines += [b"content-length: %d" % len(body), b"connection: close"]
        channel = self._request.channel
        channel.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        channel.loseConnection()

    def _drop(self) -> None:
        if self._body is not None:
            self._body.stopProducing()

    def _over(self, result: Any) -> None:
        """The answer is finished, or the client has gone: then the Server is told, which cancels the attempt."""
        self._relay.under_way -= 1
        if self._patience.active():
            self._patience.cancel()
        if isinstance(result, Failure):
            self._gone = True
            if self._asked is not None:
                self._asked.cancel()
            if self._answer is not None:
                self._answer.client_gone()


@implementer(IBodyProducer)
class _Body:
    """A body as it comes, for the Agent; ``transport`` is slowed down to what the Server takes."""

    def __init__(self, transport: Any, length: int | None):
        self.length: Any = UNKNOWN_LENGTH if length is None else length
        self._transport = transport
        self._consumer: Any = None
        self._early: list[bytes] = []
        self._ended = self._dropped = False
        self._done: Deferred[None] = Deferred()

    def take(self, data: bytes) -> None:
        if self._dropped:
            return
        if self._consumer is not None:
            self._consumer.write(data)
        else:
            # The connection to the Server is not there yet.
            self._early.append(data)
            self._transport.pauseProducing()

    def end(self) -> None:
        # From here on it is the channel that slows the client down; it must hear when that goes.
        self.resumeProducing()
        self._ended = True
        if self._consumer is not None and not self._done.called:
            self._done.callback(None)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        self._consumer = consumer
        for data in self._early:
            consumer.write(data)
        self._early.clear()
        if self._ended:
            return succeed(None)
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        if not self._ended:
            self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        if not self._ended:
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        self._dropped = True
        self._early.clear()
        self.resumeProducing()


class _Answer(Protocol):
    """An answer's body on its way from the Server to the client."""

    transport: Any

    def __init__(self, request: Any):
        self._request = request
        self._gone = False

    def client_gone(self) -> None:
        self._gone = True
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


class _Said(Protocol):
    """A short answer, told to ``done`` when it is over."""

    def __init__(self, done: Callable[[bytes], None]):
        self._done = done
        self._said = b""

    def dataReceived(self, data: bytes) -> None:
        self._said += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._done(self._said)
