"""Where goals are written down before anything is done for them: a small protocol, and two that keep it.

store = SqliteStore(path)              # for the command line and a server of its own
await store.put(identifier, text)      # fires once it is durable
await store.load()                     # [text, ...], oldest first
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred, succeed


class GoalStore(Protocol):
    """Keeps the text of each goal by its id; the text is JSON that says everything."""

    def put(self, identifier: str, text: str) -> Deferred[None]:
        """Write it over what was there; fires, never with a failure, once that is durable or cannot be."""

    def load(self) -> Deferred[list[str]]:
        """Every text, oldest goal first."""

    def forget(self, identifier: str) -> None:
        """Let go of it."""


class MemoryStore:
    """For a process whose goals may end with it."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def put(self, identifier: str, text: str) -> Deferred[None]:
        self.kept[identifier] = text
        return succeed(None)

    def load(self) -> Deferred[list[str]]:
        return succeed(list(self.kept.values()))

    def forget(self, identifier: str) -> None:
        self.kept.pop(identifier, None)


class SqliteStore:
    """One file; what was put is on the disk when :meth:`put` returns, also after a kill or a power cut."""

    def __init__(self, path: str | Path):
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=10.0, isolation_level=None)
        # Committed is on the disk; readers and a second process wait for each other for a moment at most.
        self._database.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE IF NOT EXISTS goals"
            " (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, text TEXT NOT NULL);"
        )

    def put(self, identifier: str, text: str) -> Deferred[None]:
        self._database.execute(
            "INSERT INTO goals (id, text) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET text = excluded.text",
            (identifier, text),
        )
        return succeed(None)

    def load(self) -> Deferred[list[str]]:
        rows = self._database.execute("SELECT text FROM goals ORDER BY number").fetchall()
        return succeed([text for (text,) in rows])

    def forget(self, identifier: str) -> None:
        self._database.execute("DELETE FROM goals WHERE id = ?", (identifier,))

    def close(self) -> None:
        self._database.close()
