"""Several identical tasks at once are asked once: the first asks, the others wait for it.

turn = await flights.join(key)
if isinstance(turn, Entry): ...           # somebody else has asked, and this is what came
elif turn is Turn.ASK: ...                # ask, then call exactly one of:
    flights.answered(key, entry)          # everyone who waits has it
    flights.failed(key)                   # the next one who waits asks
    flights.unkept(key)                   # an answer that is nobody else's: everyone asks for themselves
else: ...                                 # Turn.ALONE: ask, and tell nobody
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from twisted.internet.defer import Deferred, succeed

from ..core.clock import Clock
from .entry import Entry


class Turn(Enum):
    """What whoever joins has to do."""

    ASK = auto()
    ALONE = auto()


class SingleFlight:
    """Who asks what at the moment, and who waits for it. Everything belongs to the reactor's thread."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._waiting: dict[str, deque[Deferred[Entry | Turn]]] = {}

    def __len__(self) -> int:
        """How many questions are under way."""
        return len(self._waiting)

    def waiting(self, key: str) -> int:
        """How many wait for the answer to ``key``."""
        return len(self._waiting.get(key, ()))

    def join(self, key: str) -> Deferred[Entry | Turn]:
        """Ask, or wait for whoever asks. Cancelling it stops waiting."""
        queue = self._waiting.get(key)
        if queue is None:
            self._waiting[key] = deque()
            return succeed(Turn.ASK)
        waiting: Deferred[Entry | Turn] = Deferred(queue.remove)
        queue.append(waiting)
        return waiting

    def answered(self, key: str, entry: Entry) -> None:
        """The question is answered, for everyone who waits."""
        self._release(key, entry)

    def unkept(self, key: str) -> None:
        """The answer is not to be told to anybody else."""
        self._release(key, Turn.ALONE)

    def failed(self, key: str) -> None:
        """Whoever asked has no answer, or does not want one any more: the next one asks."""
        # Not at once: a thousand who fail in a row would stand on one another's shoulders.
        self._clock.callLater(0, self._next, key)

    def _next(self, key: str) -> None:
        queue = self._waiting.get(key)
        if queue:
            queue.popleft().callback(Turn.ASK)
        else:
            self._waiting.pop(key, None)

    def _release(self, key: str, turn: Entry | Turn) -> None:
        for waiting in self._waiting.pop(key, ()):
            self._clock.callLater(0, _tell, waiting, turn)


def _tell(waiting: Deferred[Entry | Turn], turn: Entry | Turn) -> None:
    if not waiting.called:
        waiting.callback(turn)
