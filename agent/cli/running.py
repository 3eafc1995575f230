"""A router in a reactor, for as long as one command takes::

return with_router(load(arguments.config, os.environ), ask)     # async def ask(router) -> exit status
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from ..config.settings import Config
from ..core.events import (
    AttemptStarted,
    BreakerOpened,
    Event,
    FellBack,
    PracticeBegan,
    Refused,
    TaskEnded,
    WordsCame,
)
from ..router import Router, warm_up
from .output import dumps, printable
from .progress import Waiting


def with_router(config: Config, work: Callable[[Router], Awaitable[int]], *, start: bool = True) -> int:
    """Run ``work`` in a reactor; its value is the exit status, and what it raises is raised.

    ``start=False`` leaves the router's health checks alone.
    """
    status = 0
    broken: list[Exception] = []

    async def whole(reactor: Any) -> None:
        nonlocal status
        warm_up()
        router = Router(config, reactor)
        router.events.subscribe(Watched(Waiting()))
        try:
            if start:
                await router.start()
            status = await work(router)
        except Exception as error:
            broken.append(error)
        finally:
            await router.stop()

    try:
        react(lambda reactor: Deferred.fromCoroutine(whole(reactor)))
    except SystemExit as done:
        if broken:
            raise broken[0] from None
        return status if done.code in (0, None) else 1
    return status


def narrate_as_json(event: Event) -> None:
    """The same as :func:`narrate` for programs that read logs: what happened, and to whom."""
    match event:
        case PracticeBegan(reason=reason):
            row = {"event": "practice", "reason": reason}
        case Refused(backend=key, how=how):
            row = {"event": "refused", "backend": key, "how": how}
        case FellBack(backend=key, to=to, failure=failure):
            row = {"event": "fell_back", "backend": key, "to": to, "failure": str(failure)}
        case BreakerOpened(backend=key, reason=reason):
            row = {"event": "breaker_opened", "backend": key, "reason": reason}
        case _:
            return
    when = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(dumps({"time": when, **row}), file=sys.stderr)


def narrate(event: Event) -> None:
    """Tell a person at a terminal what they should know while it happens."""
    match event:
        case PracticeBegan(reason=reason):
            print(f"Practice: {reason}; every answer is simulated.", file=sys.stderr)
        case Refused(backend=key, evidence=evidence):
            print(f"{key} refuses: {printable(evidence)[:80]}", file=sys.stderr)
        case FellBack(backend=key, to=to, failure=failure):
            print(f"{key}: {failure}; turns to {to}", file=sys.stderr)


class Watched:
    """The same with a line in between, on a terminal, that says who is asked and how much has come."""

    def __init__(self, waiting: Waiting):
        self._waiting = waiting

    def __call__(self, event: Event) -> None:
        match event:
            case AttemptStarted(backend=key):
                self._waiting.say(f"{key} is asked ...", now=True)
            case WordsCame(backend=key, chars=chars):
                self._waiting.say(f"{key} answers: {chars:,} characters so far ...", now=True)
            case TaskEnded():
                self._waiting.clear()
            case PracticeBegan() | Refused() | FellBack():
                self._waiting.clear()
                narrate(event)
