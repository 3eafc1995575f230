"""Work in turns: what many ask for at the same moment is done one piece a turn of the reactor, others in between.

    pace = Pace(reactor)
    pace(work)          # called in a turn of its own, after whatever was asked for before it

A hundred commands that arrive in one packet would otherwise be one turn of the reactor, in which nobody else is heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

_log = Logger()


class Pace:
    """A queue that does one piece of work in each turn of ``reactor``."""

    def __init__(self, reactor: Any):
        self._reactor = reactor
        self._waiting: deque[Callable[[], None]] = deque()
        self._next: Any = None

    def __call__(self, work: Callable[[], None]) -> None:
        self._waiting.append(work)
        if self._next is None:
            self._next = self._reactor.callLater(0, self._turn)

    def __len__(self) -> int:
        return len(self._waiting)

    def _turn(self) -> None:
        # A call that is scheduled within a turn is made in the next one, after the sockets have been read.
        work = self._waiting.popleft()
        self._next = self._reactor.callLater(0, self._turn) if self._waiting else None
        try:
            work()
        except Exception:
            _log.failure("a piece of paced work broke")
