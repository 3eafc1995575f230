"""Asks a second backend what has been answered already, for comparison; nobody waits for it or sees it.

    shadows.ask(plan, result)        # whom plan.choosing.choice.shadow names
    shadows.stop()

It is a task of its own, of nobody: it has another id, so no listener takes it for the one that a player asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.clock import Clock
from ..core.events import Compared, Event
from ..core.result import AllBackendsFailed, RouteResult
from ..judge.agreement import alike
from .learner import Learner
from .plan import Plan

_log = Logger()

#: Comparisons under way at once; those beyond are left out.
AT_ONCE = 4


class Shadows:
    """The comparisons under way. ``run`` is the runner's."""

    def __init__(
        self,
        run: Callable[[Plan], Coroutine[Any, Any, RouteResult]],
        learner: Learner,
        emit: Callable[[Event], None],
        clock: Clock,
    ):
        self._run = run
        self._learner = learner
        self._emit = emit
        self._clock = clock
        self._under_way: set[Deferred[None]] = set()

    def ask(self, plan: Plan, result: RouteResult) -> None:
        """Begin one, unless there are enough, or what was answered is no answer to compare with."""
        assert plan.choosing is not None
        (key,) = plan.choosing.choice.shadow
        if len(self._under_way) >= AT_ONCE or result.refused or result.backend == key:
            return
        asked = Deferred.fromCoroutine(self._compare(plan, result, key))
        self._under_way.add(asked)
        asked.addErrback(_unless_stopped)
        asked.addBoth(lambda _: self._under_way.discard(asked))

    async def _compare(self, plan: Plan, result: RouteResult, key: str) -> None:
        task = replace(plan.task, id=secrets.token_hex(16), deadline=None)
        shadow = replace(plan, task=task, pin=key, alone=True, choosing=None)
        try:
            other = await self._run(shadow)
        except AllBackendsFailed:
            return
        agreed = not other.refused and _same(result, other)
        self._emit(Compared(self._clock.seconds(), plan.task.id, result.backend, key, agreed))
        self._learner.compared(plan.task.id, other.kind, key, agreed=agreed, practice=other.practice)

    def stop(self) -> None:
        """Let go of all of them."""
        for asked in list(self._under_way):
            asked.cancel()


def _same(a: RouteResult, b: RouteResult) -> bool:
    if a.content is not None or b.content is not None:
        return a.content == b.content
    return alike(a.text, b.text)


def _unless_stopped(why: Failure) -> None:
    if not isinstance(why.value, CancelledError):
        _log.failure("a comparison broke", failure=why)
