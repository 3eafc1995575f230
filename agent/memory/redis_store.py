"""Answers in Redis, for several processes: a :class:`agent.memory.store.Store`.

    store = RedisStore(connection, settings)       # anything with execute_command(*args) -> Deferred, as txredisapi has
    store = connect("redis://127.0.0.1:6379/0", settings)

Keys
    uniwizard:memory:<key>       the entry as JSON, with Redis's own expiry
    uniwizard:memory:used        sorted set of all keys by when they were used last, to let the least recently used go
    uniwizard:memory:used:<kind> the same for one kind

Every command of a change goes out in one turn of the reactor and Redis runs them in order; what a crash leaves between
them is an entry that expires, or a key in a set that leads nowhere and is let go of first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..config.settings import MemorySettings
from ..state.redis import RedisConnection
from ..state.redis import connect as to_redis
from .entry import Entry
from .store import StoreUnavailable

_log = Logger()

PREFIX = "uniwizard:memory:"
_USED = f"{PREFIX}used"
#: Commands that wait for a reply; with more, Redis counts as away, and nothing is sent to it.
MOST_UNDER_WAY = 1000
#: Stands for the reply of a Redis that could not be asked.
_UNREACHABLE = object()


class RedisStore:
    """Entries in Redis.

    now  seconds since the epoch
    """

    shared = True

    def __init__(self, redis: RedisConnection, settings: MemorySettings, now: Callable[[], float]):
        self._redis = redis
        self._settings = settings
        self._now = now
        self._trouble = False
        self._under_way = 0

    def load(self, limit: int) -> Deferred[list[Entry]]:
        """Nothing: every question is asked for when it comes."""
        return succeed([])

    def get(self, key: str) -> Deferred[Entry | None]:
        def understood(reply: Any) -> Entry | None:
            if reply is _UNREACHABLE:
                raise StoreUnavailable
            entry = Entry.from_json(reply) if isinstance(reply, str | bytes) else None
            if entry is not None:
                self._used(entry)
            return entry

        return self._do("GET", PREFIX + key).addCallback(understood)

    def put(self, entry: Entry) -> None:
        left = round((entry.until - self._now()) * 1000.0)
        if left <= 0:
            return
        self._do("SET", PREFIX + entry.key, entry.as_json(), "PX", left)
        self._used(entry)
        self._bound(f"{_USED}:{entry.kind}", self._settings.rule(entry.kind).max_entries)
        self._bound(_USED, self._settings.max_entries)

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._do("DEL", PREFIX + key)
            self._do("ZREM", _USED, key)

    def close(self) -> None:
        self._redis.disconnect()

    def _used(self, entry: Entry) -> None:
        at = f"{self._now():.6f}"
        self._do("ZADD", _USED, at, entry.key)
        self._do("ZADD", f"{_USED}:{entry.kind}", at, entry.key)

    def _bound(self, used: str, most: int) -> None:
        """Let go of the least recently used of one set, above ``most``."""

        def counted(count: Any) -> Deferred[Any] | None:
            over = 0 if count is _UNREACHABLE else int(count or 0) - most
            return self._do("ZPOPMIN", used, over) if over > 0 else None

        def popped(pairs: Any) -> None:
            # Keys and scores by turns.
            keys = pairs[::2] if isinstance(pairs, list) else []
            self.forget([key.decode() if isinstance(key, bytes) else str(key) for key in keys])

        self._do("ZCARD", used).addCallback(counted).addCallback(popped)

    def _do(self, *command: Any) -> Deferred[Any]:
        """The reply to one command, or :data:`_UNREACHABLE`, which is logged once until it is over."""
        if self._under_way >= MOST_UNDER_WAY:
            return succeed(self._failed("it does not answer"))
        self._under_way += 1
        reply = maybeDeferred(self._redis.execute_command, *command)
        return reply.addBoth(self._replied)

    def _replied(self, reply: Any) -> Any:
        self._under_way -= 1
        if isinstance(reply, Failure):
            return self._failed(reply.getErrorMessage())
        self._trouble = False
        return reply

    def _failed(self, why: str) -> object:
        if not self._trouble:
            self._trouble = True
            _log.error("the memory's Redis cannot be used: {why}", why=why)
        return _UNREACHABLE


def connect(address: str, settings: MemorySettings, now: Callable[[], float]) -> RedisStore:
    """A store at ``address``, such as ``redis://:password@127.0.0.1:6379/0``; it connects by itself, again and again.

    Raises ImportError where txredisapi is not installed: ``pip install 'uniwizard[redis]'``.
    """
    return RedisStore(to_redis(address), settings, now)
