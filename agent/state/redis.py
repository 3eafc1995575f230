"""The one place that knows txredisapi: a Redis by its address.

    redis = connect("redis://:password@127.0.0.1:6379/0")     # connects by itself, again and again
    redis.execute_command("PUBLISH", "channel", "text")       # a Deferred; fails while there is no connection
    heard = listen("redis://127.0.0.1:6379/0", "channel", print)     # ... until heard.disconnect()

Raises ImportError where txredisapi is not installed: ``pip install 'uniwizard[redis]'``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import Deferred


class RedisConnection(Protocol):
    """What is used of a Redis client; txredisapi's has it."""

    def execute_command(self, *args: Any) -> Deferred[Any]:
        """The reply of one command."""

    def disconnect(self) -> Any:
        """End the connection."""


def connect(address: str) -> RedisConnection:
    """A connection to ``address``, ``redis://[user:password@]host[:port][/db]`` or ``rediss://``; made when needed."""
    import txredisapi

    parts = urlsplit(address)
    connection: RedisConnection = txredisapi.lazyConnection(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        dbid=int(parts.path.strip("/") or 0),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ssl_context_factory=parts.scheme == "rediss",
        charset=None,
        convertNumbers=False,
    )
    return connection


#: Seconds between two tries to reach a server that is gone, from the first to the longest.
FIRST_TRY, LONGEST_TRY = 0.1, 1.0


def connect_soon(address: str) -> RedisConnection:
    """The same for those who cannot do long without: tried every second at least while the server is gone."""
    connection: Any = connect(address)
    connection._factory.initialDelay, connection._factory.maxDelay = FIRST_TRY, LONGEST_TRY
    return connection  # type: ignore[no-any-return]


def listen(address: str, channel: str, heard: Callable[[bytes], None], ready: Callable[[], None]) -> RedisConnection:
    """Have ``heard`` called with every message on ``channel``, over reconnections, too.

    ``ready`` is called whenever listening has begun: what was said before was missed.
    """
    import txredisapi
    from twisted.internet import reactor
    from twisted.internet.endpoints import HostnameEndpoint

    parts = urlsplit(address)

    class Protocol(txredisapi.SubscriberProtocol):  # type: ignore[misc]
        def messageReceived(self, pattern: Any, channel: Any, message: Any) -> None:
            heard(message)

    class Factory(txredisapi.SubscriberFactory):  # type: ignore[misc]
        protocol = Protocol
        initialDelay, maxDelay = FIRST_TRY, LONGEST_TRY

        def addConnection(self, connection: Any) -> None:
            super().addConnection(connection)
            if connection.connected:
                subscribed = connection.subscribe([channel])
                subscribed.addCallbacks(lambda _: ready(), lambda _: None)

    factory = Factory(isLazy=True)
    factory.charset, factory.convertNumbers = None, False
    factory.username = unquote(parts.username) if parts.username else None
    factory.password = unquote(parts.password) if parts.password else None
    endpoint: Any = HostnameEndpoint(reactor, parts.hostname or "127.0.0.1", parts.port or 6379)
    if parts.scheme == "rediss":
        endpoint = txredisapi._TLSEndpoint(endpoint, txredisapi.ssl.ClientContextFactory())
    factory.startConnecting(endpoint)
    handler: RedisConnection = factory.handler
    return handler
