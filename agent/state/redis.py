"""The one place that knows txredisapi: a Redis by its address.

    redis = connect("redis://:password@127.0.0.1:6379/0")     # connects by itself, again and again
    redis.execute_command("PUBLISH", "channel", "text")       # a Deferred; fails while there is no connection

Raises ImportError where txredisapi is not installed: ``pip install 'uniwizard[redis]'``.
"""

from __future__ import annotations

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
