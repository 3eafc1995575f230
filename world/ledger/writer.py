"""The one worker thread that writes the ledger, in batches, off the game's own thread.

    writer.put("end", row)               # costs the game's thread a few microseconds
    await writer.written()               # fires once all that was put is durable, or patience has run out
    await writer.read(function, *args)   # runs in a thread of its own, so that no answer waits for a report
    await writer.work(function, *args)   # runs in the writing thread, between two batches
    await writer.close()

Durable means committed, or, while the database cannot be written, on the disk in the spill file, from where it goes
into the database as soon as that works again, at the latest at the next start. Where neither works (a full disk),
operations stay in memory, and whoever waits is let go after :data:`PATIENCE`. Trouble is told to ``notice``.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from uniwizard.world.ledger.database import alias
from uniwizard.world.ledger.owners import BEAT, Owner
from uniwizard.world.ledger.spill import Operation, Spill
from uniwizard.world.ledger.storage import Storage

T = TypeVar("T")
_log = Logger()

#: Seconds for which operations gather before they are written, if nobody waits for them; a commit that is under way
#: gathers, too.
WINDOW = 0.02
#: Seconds after which an answer is shown although its rows are not durable.
PATIENCE = 15.0
#: Seconds between two tries to reach a database that could not be written.
RETRY = 2.0
#: Operations kept in memory when there is nowhere else for them; the oldest go first. About 1 kB each.
MOST_IN_MEMORY = 100_000
#: Seconds that the end of the server waits for the last batch.
LAST_CALL = 5.0


class _Thread(ThreadPool):
    """A pool of one. A query that hangs must not keep the server from ending: what it had is in the spill file."""

    threadFactory: Any = staticmethod(partial(threading.Thread, daemon=True))


class Writer:
    """Everything public belongs to the reactor's thread."""

    def __init__(self, reactor: Any, storage: Storage, spill: Spill, notice: Callable[[str], None]):
        self._reactor = reactor
        self.storage = storage
        self._spill = spill
        self._notice = notice
        self._writing = _Thread(1, 1, "ledger-write")
        self._reading = _Thread(1, 1, "ledger-read")
        self._gathered: deque[Operation] = deque(maxlen=MOST_IN_MEMORY)
        self._waiting: list[Deferred[None]] = []
        self._patience: deque[tuple[float, Deferred[None]]] = deque()
        self._look: Any = None
        self._under_way: list[Operation] = []
        self._next: Any = None
        self._owner: Owner | None = None
        self._tending: Any = None
        self._busy = False
        self._closed = False
        #: Why the database cannot be written; empty when it can.
        self.trouble = ""
        self._retry_at = 0.0

    def start(self) -> None:
        """Begin to write; the reactor's shutdown waits for :meth:`close`."""
        self._writing.start()
        self._reading.start()
        self._reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(self.close()))

    def look_after(self, owner: Owner) -> None:
        """From now on tell the other processes that this one is there, and take over what dead ones have left."""
        self._owner = owner
        self._tend()

    def _tend(self) -> None:
        if not self._closed:
            self._tending = self._reactor.callLater(BEAT, self._tend)
            tended = self.work(self._care)
            tended.addErrback(lambda why: _log.warn("other processes cannot be looked after: {why}", why=why.value))

    def _care(self) -> None:
        """In the writing thread."""
        assert self._owner is not None
        adopted = self._owner.adopt()
        try:
            self._owner.beat()
            if adopted:
                self.catch_up()
            self._owner.reap()
        except (OperationalError, InterfaceError):
            # Whoever writes next finds the same, and tells it.
            connections[alias()].close()

    def put(self, *operation: Any) -> None:
        """Have something written with the next batch. Its rows may still be changed in this turn of the reactor."""
        self._gathered.append(operation)
        self._schedule(WINDOW)

    def written(self, patience: float = PATIENCE) -> Deferred[None]:
        """Fires, never with a failure, once all that was put so far is durable or so many seconds are over."""
        if not self._gathered and not self._busy:
            done: Deferred[None] = Deferred()
            done.callback(None)
            return done
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        # Who waits shall not wait for others to come; while a batch is under way they gather all the same.
        self._schedule(0.0)
        if patience < PATIENCE:
            return waiting.addTimeout(patience, self._reactor, onTimeoutCancel=lambda *_: None)
        # One look for all who wait long: a timer for each would cost more than writing its row.
        self._patience.append((self._reactor.seconds() + PATIENCE, waiting))
        if self._look is None:
            self._look = self._reactor.callLater(PATIENCE, self._lose_patience)
        return waiting

    def _lose_patience(self) -> None:
        """Let go of those who have waited long enough."""
        now = self._reactor.seconds()
        while self._patience and (self._patience[0][1].called or self._patience[0][0] <= now):
            _let_go(self._patience.popleft()[1])
        self._look = None
        if self._patience and not self._closed:
            self._look = self._reactor.callLater(max(0.0, self._patience[0][0] - now), self._lose_patience)

    def read(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Run a query where it delays nobody."""
        return deferToThreadPool(self._reactor, self._reading, function, *arguments)

    def work(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Run something that writes, between two batches; it should take well under a second."""
        return deferToThreadPool(self._reactor, self._writing, function, *arguments)

    def spilled(self) -> float:
        """How many operations wait in the spill file."""
        return float(self._spill.rows())

    async def close(self) -> None:
        """Write what is left, into the spill file if need be, and end the threads."""
        if self._closed:
            return
        self._flush()
        try:
            await self.written().addTimeout(LAST_CALL, self._reactor)
        except Exception:
            _log.warn("the ledger's last batch goes to the spill file")
        if self._owner is not None and not self.trouble:
            left = self.work(self._owner.leave)
            with suppress(Exception):
                await left.addTimeout(LAST_CALL, self._reactor)
        self._closed = True
        for call in (self._next, self._look, self._tending):
            if call is not None and call.active():
                call.cancel()
        if rest := [*self._under_way, *self._gathered]:
            try:
                # What the thread may yet commit is written twice and counts once.
                self._spill.append(rest)
            except OSError as error:
                _log.error("{count} operations of the ledger are lost: {error}", count=len(rest), error=error)
        if not self._busy:
            self._writing.stop()
        if self._owner is not None:
            self._owner.retire()

    # -- one batch after the other -------------------------------------------------------------------------------

    def _schedule(self, delay: float) -> None:
        if self._busy or self._closed:
            return
        if self._next is None:
            self._next = self._reactor.callLater(delay, self._flush)
        elif self._next.getTime() > self._reactor.seconds() + delay:
            self._next.reset(delay)

    def _flush(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        if self._busy or self._closed or not (self._gathered or self.trouble):
            return
        self._busy = True
        self._under_way = list(self._gathered)
        self._gathered.clear()
        waiting, self._waiting = self._waiting, []
        stored = deferToThreadPool(self._reactor, self._writing, self._store, self._under_way)
        stored.addErrback(_broken)
        stored.addCallback(self._stored, waiting)

    def _stored(self, result: tuple[str, bool], waiting: list[Deferred[None]]) -> None:
        trouble, durable = result
        operations, self._under_way, self._busy = self._under_way, [], False
        if durable:
            if not self._gathered:
                # Whoever came to wait while the batch was under way.
                waiting, self._waiting = waiting + self._waiting, []
        else:
            kept = [*operations, *self._gathered][-MOST_IN_MEMORY:]
            self._gathered.clear()
            self._gathered.extend(kept)
            waiting, self._waiting = [], waiting + self._waiting
        before, self.trouble = self.trouble, trouble
        if bool(trouble) != bool(before):
            self._tell(trouble)
        for waiter in waiting:
            _let_go(waiter)
        if self.trouble and not (durable and self._gathered):
            self._schedule(RETRY)
        elif self._gathered:
            self._schedule(0.0 if self._waiting else WINDOW)

    def _tell(self, trouble: str) -> None:
        if trouble:
            _log.error("the ledger cannot be written: {why}", why=trouble)
            told = (
                f"|rThe ledger cannot be written:|n {trouble}. Answers are shown all the same, after a short wait; "
                "their rows are kept and will be written as soon as that is possible."
            )
        else:
            _log.info("the ledger can be written again")
            told = "|gThe ledger can be written again|n, and everything that waited is in it."
        self._notice(told)

    # -- in the writing thread -----------------------------------------------------------------------------------

    def _store(self, operations: Sequence[Operation]) -> tuple[str, bool]:
        """Why the database could not be written, if so; and whether the operations are durable."""
        trouble = "it did not work a moment ago"
        if not self._spill or time.monotonic() >= self._retry_at:
            trouble = self.catch_up(operations)
            if not trouble:
                return "", True
            self._retry_at = time.monotonic() + RETRY
        try:
            self._spill.append(operations)
        except OSError as error:
            return f"{trouble}; nor can the spill file ({error.strerror})", False
        return trouble, True

    def catch_up(self, operations: Sequence[Operation] = ()) -> str:
        """Write what waits in the spill file, then ``operations``. Why it could not be done, if so."""
        waiting = self._spill.read()
        try:
            self._apply([*waiting, *operations])
        except (OperationalError, InterfaceError) as error:
            # A connection that broke is of no use any more.
            connections[alias()].close()
            return str(error).strip().split("\n")[0]
        if waiting or self._spill:
            self._spill.clear()
        return ""

    def _apply(self, operations: list[Operation]) -> None:
        try:
            self.storage.apply(operations)
        except (OperationalError, InterfaceError):
            raise
        except (DatabaseError, ValueError, TypeError, KeyError):
            # One bad row must not keep the others out.
            for operation in operations:
                try:
                    self.storage.apply([operation])
                except (OperationalError, InterfaceError):
                    raise
                except Exception:
                    _log.failure("an operation of the ledger cannot be written: {what}", what=operation[0])


def _let_go(waiter: Deferred[None]) -> None:
    if not waiter.called:
        waiter.callback(None)


def _broken(why: Failure) -> tuple[str, bool]:
    _log.failure("the ledger's writer broke", failure=why)
    return f"its writer broke ({type(why.value).__name__})", False
