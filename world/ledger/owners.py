"""Which process wrote a row, and which of them are still there.

    owner = Owner(Path(settings.GAME_DIR) / ".uniwizard")
    owner.live()                  # before its first row; the others take it for alive from now on
    owner.beat()                  # every BEAT seconds
    owner.reap()                  # rows of the dead are marked as interrupted, what they spilled is ours now
    owner.leave(); owner.retire()     # an orderly end

On one machine a process is alive as long as it holds the lock on its file in ``owners/``: the system lets go of that
when the process ends, however it ends. Of a process on another machine, which on PostgreSQL may write into the same
tables, its heartbeat tells: it is dead :data:`SILENT` seconds after the last one, by the database's clock. A process
that was taken for dead and was not (it was stopped for a minute) writes its ends over what was marked.

``live``, ``beat``, ``reap`` and ``leave`` block, and belong into the writing thread or before the start.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from django.db import connections
from django.db.models.functions import Now

from uniwizard.world.ledger import history
from uniwizard.world.ledger.database import alias
from uniwizard.world.ledger.models import Attempt, Outcome, Process
from uniwizard.world.ledger.spill import Spill

try:
    import fcntl
except ImportError:  # On Windows, where a game is one process on SQLite: every other one is a former one.
    fcntl = None  # type: ignore[assignment]

#: Seconds between two heartbeats, and without any after which a process of another machine counts as dead.
BEAT, SILENT = 10.0, 45.0
#: The spill file of versions that knew one process.
FORMER_SPILL = "ledger-spill.jsonl"


class Owner:
    """This process, as the others know it."""

    def __init__(self, directory: Path):
        self.id = secrets.token_hex(8)
        self._directory = directory
        self.spill = Spill(self._spill_of(self.id))
        self._lock: int | None = None
        #: Processes of this machine that were found dead, until their rows are marked.
        self._dead: set[str] = set()

    def live(self) -> None:
        """Be known as alive, to this machine and through the database. Raises OSError, DatabaseError."""
        if self._lock is None:
            self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _locked(self._lock_of(self.id), os.O_CREAT)
        self.beat()

    def beat(self) -> None:
        """Tell other machines that we are there; on SQLite there are none. Raises DatabaseError."""
        if several():
            who = {"host": socket.gethostname()[:100], "pid": os.getpid(), "beat": Now()}
            Process.objects.update_or_create(id=self.id, defaults=who)

    def leave(self) -> None:
        """Mark what is still under way as interrupted: nobody else need find that out. Raises DatabaseError."""
        history.mark_interrupted([self.id])
        if several():
            Process.objects.filter(id=self.id).delete()

    def retire(self) -> None:
        """An orderly end: nobody need wait for our death."""
        if self._lock is not None:
            if not self.spill:
                self._lock_of(self.id).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    # -- the dead ------------------------------------------------------------------------------------------------

    def adopt(self) -> bool:
        """Take over what dead processes of this machine have spilled; whether there was anything. Raises OSError."""
        adopted = self._take(Spill(self._directory / FORMER_SPILL))
        for path in self._others():
            lock = _locked(path)
            if lock is None:
                continue
            self._dead.add(path.name)
            try:
                adopted |= self._take(Spill(self._spill_of(path.name)))
                path.unlink(missing_ok=True)
            finally:
                os.close(lock)
        return adopted

    def _take(self, spill: Spill) -> bool:
        waiting = spill.read()
        if waiting:
            # Durable in ours before it is gone from theirs; what a crash leaves in both counts once.
            self.spill.append(waiting)
        spill.clear()
        return bool(waiting)

    def reap(self) -> int:
        """Mark what dead processes had under way as interrupted; how many attempts. Raises DatabaseError."""
        under_way = Attempt.objects.filter(outcome=Outcome.UNDER_WAY).order_by()
        # In this order: whoever has written a row by now was known as alive before.
        owners = set(under_way.values_list("owner", flat=True).distinct())
        dead = owners - {None} - self._alive()
        if several():
            Process.objects.filter(beat__lt=Now() - timedelta(seconds=SILENT)).delete()
            Process.objects.filter(id__in=self._dead).delete()
        marked = history.mark_interrupted([owner for owner in dead if owner is not None]) if dead else 0
        self._dead.clear()
        # Those of before owners were known.
        return marked + (history.mark_interrupted([None]) if None in owners else 0)

    def _alive(self) -> set[str]:
        """Every process that is not known to be dead."""
        held: set[str] = {self.id}
        free = set(self._dead)
        for path in self._others():
            lock = _locked(path)
            if lock is None:
                held.add(path.name)
            else:
                os.close(lock)
                free.add(path.name)
        if not several():
            return held
        heard = Process.objects.filter(beat__gte=Now() - timedelta(seconds=SILENT))
        return held | (set(heard.values_list("id", flat=True)) - free)

    # -- files ---------------------------------------------------------------------------------------------------

    @property
    def _locks(self) -> Path:
        return self._directory / "owners"

    def _lock_of(self, owner: str) -> Path:
        return self._locks / owner

    def _spill_of(self, owner: str) -> Path:
        return self._directory / f"ledger-spill-{owner}.jsonl"

    def _others(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from (path for path in sorted(self._locks.iterdir()) if path.name != self.id)


def several() -> bool:
    """Whether processes of other machines can write into the same tables."""
    return bool(connections[alias()].vendor == "postgresql")


def _locked(path: Path, flags: int = 0) -> int | None:
    """The file at ``path``, locked for as long as it is open; None where another process holds it, or it is gone."""
    try:
        handle = os.open(path, os.O_RDWR | flags, 0o600)
    except FileNotFoundError:
        return None
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
    return handle
