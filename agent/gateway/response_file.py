"""Responses in a file of SQLite's, so that a restart of ``serve`` forgets none: a :class:`~.store.Shelf`.

    shelf = ResponseFile(path, reactor)
    await shelf.close()                 # once all that was put is written

The file is its owner's alone (0600), and holds what clients asked to have kept, word for word, until its time is over.
One thread works at it, in order: what was put a moment ago is found.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from .store import SURPLUS, Record

T = TypeVar("T")
_log = Logger()

_TABLE = """
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, made REAL NOT NULL, until REAL NOT NULL, size INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS responses_owner ON responses (owner, made, size, id);
CREATE INDEX IF NOT EXISTS responses_until ON responses (until);
"""


class ResponseFile:
    """The file at ``path``; made when something is first kept or looked for."""

    def __init__(self, path: Path, reactor: Any):
        self.path = path
        self._reactor = reactor
        self._threads = ThreadPool(0, 1, "responses")
        self._threads.start()
        self._database: sqlite3.Connection | None = None
        self._complained = False
        self._closed = False

    def put(self, record: Record) -> None:
        self._do(lambda database: _put(database, record))

    def get(self, identifier: str) -> Deferred[Record | None]:
        return self._do(lambda database: _get(database, identifier))

    def forget(self, identifier: str) -> None:
        self._do(lambda database: database.execute("DELETE FROM responses WHERE id = ?", (identifier,)))

    def close(self) -> Deferred[None]:
        """Fires when all is written; nothing is kept or found after it."""
        if self._closed:
            return succeed(None)
        self._closed = True
        closed: Deferred[None] = deferToThreadPool(self._reactor, self._threads, self._close)
        return closed.addBoth(lambda _: self._threads.stop())

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> Deferred[T | None]:
        if self._closed:
            return succeed(None)
        done: Deferred[T | None] = deferToThreadPool(self._reactor, self._threads, self._worked, work)
        return done.addErrback(self._failed)

    def _failed(self, why: Failure) -> None:
        if not self._complained:
            self._complained = True
            _log.error("{path}: responses cannot be kept ({why})", path=self.path, why=why.getErrorMessage())

    # -- in the thread -------------------------------------------------------------------------------------------

    def _worked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._database is None:
            self._database = _opened(self.path)
        with self._database as database:
            return work(database)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _opened(path: Path) -> sqlite3.Connection:
    """Raises OSError and sqlite3.Error."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    # A kill of the process loses nothing; a power cut may lose the last moments.
    database.execute("PRAGMA synchronous=NORMAL")
    # What is let go of is overwritten.
    database.execute("PRAGMA secure_delete=ON")
    database.executescript(_TABLE)
    return database


def _put(database: sqlite3.Connection, record: Record) -> None:
    row = (record.id, record.owner, record.made, record.until, record.size, record.text)
    database.execute("INSERT OR REPLACE INTO responses (id, owner, made, until, size, text) VALUES (?,?,?,?,?,?)", row)
    database.execute("DELETE FROM responses WHERE until <= ?", (record.made,))
    database.execute(SURPLUS.format(table="responses"))


def _get(database: sqlite3.Connection, identifier: str) -> Record | None:
    found = database.execute("SELECT id, owner, made, until, text FROM responses WHERE id = ?", (identifier,))
    row = found.fetchone()
    return Record(*row) if row is not None else None
