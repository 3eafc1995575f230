"""Where answers are kept beyond the process: the :class:`Store` protocol.

The process's own shelf (:mod:`agent.memory.shelf`) is always there and answers in microseconds; a store behind it keeps
what a restart would forget, or shares it with other processes. :class:`agent.memory.redis_store.RedisStore` is one; the
game's ledger has another, in its database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from twisted.internet.defer import Deferred

from .entry import Entry


class StoreUnavailable(Exception):
    """The store cannot be asked now."""


class Store(Protocol):
    """Keeps entries. Everything is called in the reactor's thread; what goes wrong is the store's own to log.

    shared  other processes use it as well: it is asked before the shelf is believed, so that what one of them has
            forgotten no other tells
    """

    shared: bool

    def load(self, limit: int) -> Deferred[list[Entry]]:
        """At most ``limit`` entries to begin with, the oldest first."""

    def get(self, key: str) -> Deferred[Entry | None]:
        """The entry of ``key``. Fails with StoreUnavailable, which says nothing of whether there is one."""

    def put(self, entry: Entry) -> None:
        """Keep ``entry`` in place of what its key had."""

    def forget(self, keys: Iterable[str]) -> None:
        """Let go of entries."""

    def close(self) -> None:
        """Nothing more is asked of it."""
