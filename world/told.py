"""What players were told lately, kept in the ledger until the portal must have passed it on.

The portal is another process: a kill of both within moments of an answer would lose it. So it stays written down for
:data:`PASSED_ON` seconds, or until its player asks the next question, and is told again rather than never.
"""

from __future__ import annotations

from typing import Any

from uniwizard.world import pictures
from uniwizard.world.ledger import recorder
from uniwizard.world.reactor import reactor

#: Seconds in which the portal must have passed an answer on to its player; and the same for an orderly end of the
#: server, which leaves time for what is on its way to the portal, if not for what was told in this moment.
PASSED_ON, FLUSHED = 1.0, 0.2


class Told:
    """The answers of one BackendRouter that were told and are still written down."""

    def __init__(self) -> None:
        #: By task, oldest first: whom, and when, by ``reactor.seconds()``.
        self._passing: dict[str, tuple[int, float]] = {}
        self._timer: Any = None
        self._asleep = False

    def wake(self) -> None:
        """The server has begun."""
        self._asleep = False

    def note(self, thinker: Any, task_id: str) -> None:
        """``thinker`` was told the end of a task just now."""
        self._passing[task_id] = thinker.id, reactor.seconds()
        pictures.drop(task_id)
        if self._timer is None:
            self._timer = reactor.callLater(PASSED_ON, self._forget)

    def seen_by(self, thinker: Any) -> None:
        """Whoever asks the next question has seen the last answer."""
        for task_id in [task for task, (told, _) in self._passing.items() if told == thinker.id]:
            del self._passing[task_id]
            recorder.the().release(task_id)

    def sleep(self) -> None:
        """The server is about to end in good order."""
        self._asleep = True
        self._forget(after=FLUSHED)

    def _forget(self, after: float = PASSED_ON) -> None:
        """Let go of what was told more than so many seconds ago."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer, now = None, reactor.seconds()
        for task_id, (_, told) in list(self._passing.items()):
            if told > now - after:
                break
            del self._passing[task_id]
            recorder.the().release(task_id)
        if self._passing and not self._asleep:
            self._timer = reactor.callLater(PASSED_ON, self._forget)
