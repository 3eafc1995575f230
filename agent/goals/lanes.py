"""Which backends have room for background work now: places, breakers, and quota that nobody will miss.

lanes = Lanes(router, desk_cancels)
lanes.free(work, strategy, avoid, expiring=False)     # Lane("claude"), or why there is none, and for how long
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from ..core.decision import Work
from ..core.events import AttemptCancelled, AttemptEnded, AttemptStarted, Event
from ..core.task import Task
from ..engine.admission import kept_free
from ..router import Router
from .spare import Spare

#: Seconds after which a rush of tasks is forgotten for which places are kept free.
RUSH = 120.0


class Lane(NamedTuple):
    """Whom to ask; or, where ``key`` is empty, why nobody: ``busy`` ends by itself, ``nobody`` may not."""

    key: str = ""
    why: str = ""
    busy: bool = True


class Lanes:
    """The lanes of one router. ``cancel(task_id)`` lets go of a background task's attempt, and is told why."""

    def __init__(self, router: Router, cancel: Callable[[str], bool]):
        self._router = router
        self._cancel = cancel
        self._spare = Spare()
        #: Background tasks under way, each with the backend that has it; empty until it is asked.
        self._ours: dict[str, str] = {}
        #: Attempts under way of tasks that somebody waits for, and the most at once lately, by backend.
        self._theirs: Counter[str] = Counter()
        self._rush: dict[str, tuple[int, float]] = {}
        #: Steps that were interrupted because somebody came.
        self.given_way = 0
        router.when_crowded(self.crowded)
        router.events.subscribe(self)

    def close(self) -> None:
        self._router.events.unsubscribe(self)

    def begin(self, task_id: str, key: str) -> None:
        """A background task is about to be asked of ``key``."""
        self._ours[task_id] = key

    def end(self, task_id: str) -> None:
        self._ours.pop(task_id, None)

    def __call__(self, event: Event) -> None:
        match event:
            case AttemptStarted(task_id=task, backend=key):
                if task in self._ours:
                    self._ours[task] = key
                    return
                self._theirs[key] += 1
                now, most = event.at, self._rush.get(key, (0, 0.0))
                if self._theirs[key] >= most[0] or now - most[1] > RUSH:
                    self._rush[key] = self._theirs[key], now
            case AttemptEnded(task_id=task, attempt=attempt) | AttemptCancelled(task_id=task, attempt=attempt):
                if task not in self._ours:
                    self._theirs[attempt.backend] = max(0, self._theirs[attempt.backend] - 1)

    def crowded(self, key: str) -> None:
        """Somebody waits for a place at ``key``: let go of the youngest background attempt there."""
        for task in reversed([task for task, at in self._ours.items() if at == key]):
            if self._cancel(task):
                self.given_way += 1
                return

    def free(
        self,
        work: Work,
        strategy: str = "",
        avoid: Collection[str] = (),
        last: Collection[str] = (),
        *,
        expiring: bool = False,
    ) -> Lane:
        """The best backend that has room for ``work`` now.

        Those of ``avoid`` only where there is nobody else, and those of ``last`` only where there is none of those.
        """
        if strategy:
            ranking = self._router.explain(Task("(a step)", kind=work.kind), strategy).ranking
        else:
            ranking, _ = self._router.rank(work)
        if not ranking:
            return Lane("", self._nobody(work), busy=self._router.wait() is not None)
        able = [entry.backend for entry in ranking]
        others = [key for key in able if key not in avoid and key not in last]
        others = others or [key for key in able if key not in last] or able
        for key in others:
            if self._has_place(key) and self._has_quota(key, work, expiring):
                return Lane(key)
        kept = [key for key in others if self._has_place(key)]
        why = f"the quota of {', '.join(kept)} is kept for others" if kept else f"{', '.join(others)}: no free place"
        return Lane("", why)

    def _nobody(self, work: Work) -> str:
        _, skipped = self._router.rank(work)
        return "nobody can be asked: " + "; ".join(f"{entry.backend}: {entry.reason}" for entry in skipped[:6])

    def _has_place(self, key: str) -> bool:
        backend = self._router.state(key).backend
        reserved = kept_free(backend)
        most, at = self._rush.get(key, (0, 0.0))
        if reserved and self._router.clock.seconds() - at <= RUSH:
            # As many as came at once lately may come again; of what is under way now no second place is kept.
            reserved = max(reserved, min(most - self._theirs[key], backend.max_parallel - 1))
        return self._router.free_places(key) > reserved

    def _has_quota(self, key: str, work: Work, expiring: bool) -> bool:
        tracker = self._router.registry.quota(key)
        return self._spare.room(tracker, self._router.clock.seconds(), work, expiring=expiring)
