"""Where goals are written down before anything is done for them: a small protocol, and two that keep it.

store = SqliteStore(path)              # for the command line and a server of its own; raises NotKept
await store.put(identifier, text)      # fires once it is durable, or fails with NotKept
await store.load()                     # [text, ...], oldest first; or fails with NotKept
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail, succeed

from ..core.failures import UniwizardError

#: Seconds that one write waits for another process: the reactor waits with it.
PATIENCE = 1.0


class NotKept(UniwizardError):
    """It could not be written down, or read; the message says why."""


class GoalStore(Protocol):
    """Keeps the text of each goal by its id; the text is JSON that says everything."""

    def put(self, identifier: str, text: str) -> Deferred[None]:
        """Write it over what was there; fires once that is durable. Fails with NotKept where it cannot be."""

    def load(self) -> Deferred[list[str]]:
        """Every text, oldest goal first. Fails with NotKept."""

    def forget(self, identifier: str) -> None:
        """Let go of it. Raises NotKept."""


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
    """One file; what was put is on the disk when :meth:`put` returns, also after a kill or a power cut.

    The file and what SQLite lays beside it are their owner's alone (0600): they hold what people want. Raises NotKept.
    """

    def __init__(self, path: str | Path):
        self._path = Path(path)
        try:
            if str(path) != ":memory:":
                _see_private(self._path)
            self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            # Committed is on the disk; readers and a second process wait for each other for a moment at most.
            self._database.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "CREATE TABLE IF NOT EXISTS goals"
                " (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, text TEXT NOT NULL);"
            )
        except (OSError, sqlite3.Error) as error:
            raise NotKept(f"{path}: {error}") from error

    def put(self, identifier: str, text: str) -> Deferred[None]:
        try:
            self._execute(
                "INSERT INTO goals (id, text) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET text = excluded.text",
                (identifier, text),
            )
        except NotKept as why:
            return fail(why)
        return succeed(None)

    def load(self) -> Deferred[list[str]]:
        try:
            return succeed([text for (text,) in self._execute("SELECT text FROM goals ORDER BY number")])
        except NotKept as why:
            return fail(why)

    def forget(self, identifier: str) -> None:
        self._execute("DELETE FROM goals WHERE id = ?", (identifier,))

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._database.close()

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Raises NotKept."""
        try:
            return self._database.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise NotKept(f"{self._path}: {error}") from error


def _see_private(path: Path) -> None:
    """Make the file, and let nobody else read it: SQLite gives what it lays beside it the same mode. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            each.chmod(0o600)
