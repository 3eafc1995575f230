"""Tells that a task begins and, whatever comes of it, that it is over: once each, around everything it takes.

result = await told(plan, runner.run(plan), events.emit, clock)
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ..core.clock import Clock
from ..core.events import TaskBegan, TaskEnded
from ..core.result import AllBackendsFailed, RouteResult
from ..core.task import Message
from .plan import Plan
from .ports import Emit


async def told(plan: Plan, doing: Coroutine[Any, Any, RouteResult], emit: Emit, clock: Clock) -> RouteResult:
    """What ``doing`` brings, or raises, between a :class:`TaskBegan` and a :class:`TaskEnded`."""
    task, began = plan.task, clock.seconds()
    kind = plan.decision.kind
    # A label is passed on to listeners outside of the game; one that names somebody is no label.
    context = "" if task.context and plan.blindfold.scan(task.context) else task.context
    emit(TaskBegan(began, task.id, kind, context))
    result: RouteResult | None = None
    outcome, cost = "stopped", 0.0
    try:
        result = await doing
        cost = result.cost_usd
        outcome = "remembered" if result.memory is not None else "refused" if result.refused else "answered"
        return result
    except AllBackendsFailed as failed:
        outcome, cost = "failed", failed.cost_usd
        raise
    finally:
        now = clock.seconds()
        text = result.text if result is not None else ""
        emit(
            TaskEnded(
                now,
                task.id,
                kind,
                context,
                outcome,
                result.backend if result is not None else "",
                (now - began) * 1000.0,
                cost,
                result.practice if result is not None else False,
                lambda: _veiled(plan, text),
            )
        )


def _veiled(plan: Plan, text: str) -> tuple[tuple[Message, ...], str]:
    """The task's turns and its answer, with one placeholder for one name in all of them."""
    turns = (*plan.task.turns, Message("assistant", text))
    *asked, answer = plan.blindfold.redact(plan.task.with_turns(turns)).task.turns
    return tuple(asked), answer.text
