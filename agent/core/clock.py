"""Time, as everything here takes it: a reactor in earnest, Twisted's ``Clock`` in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


class DelayedCall(Protocol):
    """What ``callLater`` returns."""

    def active(self) -> bool: ...

    def cancel(self) -> None: ...


class Clock(Protocol):
    """The part of IReactorTime that the brain uses. ``seconds`` counts from the epoch when it is a reactor's."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> DelayedCall: ...


def sleep(clock: Clock, seconds: float) -> Deferred[None]:
    """A Deferred that fires after ``seconds``; cancelling it cancels the wait."""
    waiting: Deferred[None] = Deferred(lambda _: call.cancel())
    call = clock.callLater(seconds, waiting.callback, None)
    return waiting


async def within(waited_for: Deferred[T], seconds: float, clock: Clock) -> T:
    """What ``waited_for`` brings, or twisted's ``TimeoutError`` after ``seconds`` (infinity waits for ever)."""
    if seconds != float("inf"):
        waited_for.addTimeout(max(0.0, seconds), clock)  # type: ignore[arg-type]
    return await waited_for
