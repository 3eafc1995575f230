"""Remembered answers in the ledger's database: what a restart of the game would forget otherwise.

    brain.remember_in(DatabaseStore(recorder.the().writer))

They are written like the ledger's rows, off the game's thread, and read once, when the router wakes: one server process
has all of them in memory. What stands in the table tells nothing of who asked: answers without names, and of questions
a digest alone, but for kinds whose similar questions are matched.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from uniwizard.agent import MemoryEntry
from uniwizard.world.ledger.models import KnownAnswer
from uniwizard.world.ledger.storage import moment
from uniwizard.world.ledger.writer import Writer


class DatabaseStore:
    """The table :class:`~world.ledger.models.KnownAnswer`, for one router's memory."""

    shared = False

    def __init__(self, writer: Writer):
        self._writer = writer

    def load(self, limit: int) -> Deferred[list[MemoryEntry]]:
        return self._writer.read(read, limit, time.time())

    def get(self, key: str) -> Deferred[MemoryEntry | None]:
        """Nothing that the process would not have: it has read all of them."""
        return succeed(None)

    def put(self, entry: MemoryEntry) -> None:
        self._writer.put("know", row_of(entry))

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._writer.put("unknow", key)

    def close(self) -> None:
        """The writer is the ledger's."""


def row_of(entry: MemoryEntry) -> dict[str, Any]:
    """The entry as an operation of the ledger carries it; times are seconds since the epoch."""
    return {
        "key": entry.key,
        "kind": entry.kind,
        "backend": entry.backend,
        "model": entry.model[:128],
        "learned": entry.made,
        "until": entry.until,
        "practice": entry.practice,
        # PostgreSQL takes no NUL; JSON writes one as an escape.
        "entry": entry.as_json(),
    }


def read(limit: int, now: float) -> list[MemoryEntry]:
    """The latest ``limit`` answers whose time is not over, the oldest first."""
    rows = KnownAnswer.objects.filter(until__gt=moment(now)).order_by("-learned").values_list("entry", flat=True)
    found = [MemoryEntry.from_json(entry) for entry in rows[:limit]]
    return [entry for entry in reversed(found) if entry is not None]
