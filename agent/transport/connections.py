"""The connections under :mod:`agent.transport.http`: where they lead, how long they are kept, and that they end.

pool = Pool(reactor, persistent=True)
to = Destination("https://api.example.com/v1/chat/completions")
connection = await pool.getConnection(to.key, to.endpoint(reactor, policy, connect_timeout=10.0))
response = await connection.request(Outgoing(b"GET", b"GET / HTTP/1.1..."))     # Twisted's, body still to come
"""

from __future__ import annotations

from typing import Any

import httpx
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import BrowserLikePolicyForHTTPS, HTTPConnectionPool

from ..core.clock import Clock

#: Idle connections kept per backend. As many as the widest ``max_parallel`` anyone sets in earnest.
POOL_PER_HOST = 256
#: Seconds an idle connection is kept: below the 60 s at which common load balancers drop theirs.
POOL_IDLE = 45
#: Bytes of a response (head and body as they travel, and again the body once decoded) that are read at the most,
#: before it counts as malformed.
MAX_RESPONSE = 8 * 1024 * 1024
#: The same for a stream, whose events are mostly wrapping.
MAX_STREAM = 64 * 1024 * 1024


class Outgoing:
    """A request whose bytes are ready, so that it leaves in one piece; what Twisted's connection asks of a request."""

    __slots__ = ("_bytes", "method")
    persistent = True

    def __init__(self, method: bytes, whole: bytes):
        self.method = method
        self._bytes = whole

    def writeTo(self, transport: Any) -> Deferred[None]:
        transport.write(self._bytes)
        return succeed(None)

    def stopWriting(self) -> None:
        """Asked for when the connection is lost in the middle of writing; by then this has written all."""


class _Connection(HTTP11ClientProtocol):
    """One connection, which ends when a server sends more than anyone can want: a head without end as well.

    What Twisted offers for ending it asks politely, and over TLS a server may ignore that; this aborts.
    """

    transport: Any
    received = 0
    allowed = MAX_RESPONSE
    aborted = False

    def request(self, request: Any) -> Deferred[Any]:
        self.received, self.allowed = 0, MAX_RESPONSE
        answer: Deferred[Any] = super().request(request)
        return answer.addCallback(self._with_its_connection)

    def _with_its_connection(self, response: Any) -> Any:
        # The head has come; whoever reads the body counts for itself.
        self.allowed = MAX_STREAM
        response.drop = self.drop
        return response

    def drop(self) -> None:
        """Close the connection now."""
        self.aborted = True
        self.transport.abortConnection()

    def abort(self) -> Deferred[None]:
        ended: Deferred[None] = super().abort()
        self.drop()
        return ended

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > self.allowed:
            self.drop()
        else:
            super().dataReceived(data)


class _Connections(Factory):
    noisy = False

    def __init__(self, quiescent: Any, _: object) -> None:
        self._quiescent = quiescent

    def buildProtocol(self, addr: object) -> Any:
        return _Connection(self._at_rest)

    def _at_rest(self, connection: _Connection) -> None:
        if not connection.aborted:
            self._quiescent(connection)


class Pool(HTTPConnectionPool):
    """Twisted's pool, of such connections."""

    _factory = _Connections  # type: ignore[assignment]
    maxPersistentPerHost = POOL_PER_HOST
    cachedConnectionTimeout = POOL_IDLE
    # A POST is never sent twice behind the router's back; retrying is the failure table's business.
    retryAutomatically = False


class Destination:
    """Where a URL leads: what tells its connections from others', and its requests' first line and Host."""

    __slots__ = ("_endpoints", "host", "key", "path")

    def __init__(self, url: str):
        parsed = httpx.URL(url)
        host, port = parsed.raw_host, parsed.port or (443 if parsed.raw_scheme == b"https" else 80)
        self.key = (parsed.raw_scheme, host, port)
        self.host = parsed.netloc
        self.path = parsed.raw_path
        self._endpoints: dict[float, IStreamClientEndpoint] = {}

    def endpoint(self, reactor: Clock, policy: BrowserLikePolicyForHTTPS, connect_timeout: float) -> Any:
        """What connects to it. An endpoint fixes its time-out (seconds) when it is made; they are few, and kept."""
        if connect_timeout not in self._endpoints:
            scheme, host, port = self.key
            endpoint: Any = HostnameEndpoint(reactor, host.decode("ascii"), port, timeout=connect_timeout)
            if scheme == b"https":
                endpoint = wrapClientTLS(policy.creatorForNetloc(host, port), endpoint)
            self._endpoints[connect_timeout] = endpoint
        return self._endpoints[connect_timeout]
