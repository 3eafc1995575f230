"""What happens to a task on its way, as frozen events, and the one emitter that tells whoever listens.

The router emits; the game's messages, the ledger, the metrics and the health Attributes listen::

    router.events.subscribe(listener)       # listener(event) -> None, called in the reactor thread
    router.events.unsubscribe(listener)

A listener that raises is logged and never stops the thought. Every event carries ``at``, seconds since the epoch as the
router's clock tells them; those of a task carry its opaque ``task_id``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.logger import Logger

from .answer import Usage
from .attempt import Attempt
from .failures import FailureCode
from .recollection import Recollection
from .task import Message

_log = Logger()

#: What an attempt is expected to use, where nobody has said.
NOT_KNOWN = Usage(estimated=True)


@dataclass(frozen=True, slots=True)
class Event:
    """The root of all events."""

    at: float


@dataclass(frozen=True, slots=True)
class TaskEvent(Event):
    """Something that happened to one task."""

    task_id: str


@dataclass(frozen=True, slots=True)
class TaskBegan(TaskEvent):
    """A task is decided and begins; :class:`TaskEnded` follows, whatever comes of it. ``context`` is its label."""

    kind: str
    context: str = ""


#: A task's turns and its answer with every name veiled, made only where somebody wants them.
Veiled = Callable[[], tuple[tuple[Message, ...], str]]


@dataclass(frozen=True, slots=True)
class TaskEnded(TaskEvent):
    """A task is over.

    kind, context  as it began
    outcome        ``answered``, ``refused`` (its result is a refusal), ``remembered``, ``failed`` or ``stopped``
    backend        whose answer it is; empty where there is none
    latency_ms     of the whole road, in milliseconds
    cost_usd       USD of all attempts that it counted
    practice       whether a simulated backend answered
    veiled         brings its texts without names
    """

    kind: str
    context: str
    outcome: str
    backend: str
    latency_ms: float
    cost_usd: float
    practice: bool = False
    veiled: Veiled | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AttemptStarted(TaskEvent):
    """A request is about to leave for ``backend``; ``number`` counts the task's attempts from 1.

    ``expected`` is what it will most likely use, and ``expected_usd`` cost, where nobody ever comes to know its end.
    """

    backend: str
    number: int
    model: str = ""
    practice: bool = False
    expected: Usage = NOT_KNOWN
    expected_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class WordsBegan(TaskEvent):
    """The first words of an answer have come from ``backend``. They are not judged yet."""

    backend: str


@dataclass(frozen=True, slots=True)
class WordsCame(TaskEvent):
    """More words have come: ``chars`` characters so far. Told once a second and attempt at the most."""

    backend: str
    chars: int

    @property
    def words(self) -> int:
        """The former name of ``chars``."""
        return self.chars


@dataclass(frozen=True, slots=True)
class AttemptEnded(TaskEvent):
    """An attempt is over, well or badly; the ledger's row."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class AttemptCancelled(TaskEvent):
    """Whoever asked has let go of an attempt that was under way; its tokens and cost are estimated."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class UsageDoubted(TaskEvent):
    """A provider reported more tokens than are possible; ``attempt`` has both figures."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Retrying(TaskEvent):
    """The same backend will be asked again after ``delay`` seconds."""

    backend: str
    failure: FailureCode
    delay: float


@dataclass(frozen=True, slots=True)
class Refused(TaskEvent):
    """A 200 OK that declines. ``how`` is ``policy``, ``capability`` or ``deflection``."""

    backend: str
    how: str
    evidence: str


@dataclass(frozen=True, slots=True)
class FellBack(TaskEvent):
    """The task turns from one backend to the next because of ``failure``.

    ``chars`` counts the characters that had come before ``backend`` broke off in mid-sentence; else it is 0.
    """

    backend: str
    to: str
    failure: FailureCode
    reason: str
    chars: int = 0

    @property
    def words(self) -> int:
        """The former name of ``chars``."""
        return self.chars


@dataclass(frozen=True, slots=True)
class Answered(TaskEvent):
    """The task is done; ``attempts`` counts all of them, ``cost_usd`` adds them up."""

    backend: str
    attempts: int
    latency_ms: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Remembered(TaskEvent):
    """Nobody is asked: the answer is known. :class:`Answered` follows, with no attempts and no cost."""

    memory: Recollection

    @property
    def backend(self) -> str:
        """Who gave the answer, then."""
        return self.memory.backend


@dataclass(frozen=True, slots=True)
class GaveUp(TaskEvent):
    """Nobody gave a usable answer. ``failure`` is the last one, None when nobody could even be asked."""

    attempts: int
    failure: FailureCode | None
    reason: str


@dataclass(frozen=True, slots=True)
class Feedback(TaskEvent):
    """Somebody said whether the answer was good. ``attempt`` is the one that gave it, with its verdict."""

    attempt: Attempt
    good: bool


@dataclass(frozen=True, slots=True)
class Learned(TaskEvent):
    """An outcome has taught the table something: ``score`` (0 to 1) of ``backend`` for ``kind``, and what it counts.

    ``source`` is where it comes from: ``verdict``, ``refusal``, ``schema``, ``goal``, ``feedback``, ``shadow``,
    ``retry``, ``rephrased``.
    """

    kind: str
    backend: str
    source: str
    score: float
    weight: float


@dataclass(frozen=True, slots=True)
class Compared(TaskEvent):
    """``shadow`` was asked besides ``backend``, for comparison; whether both said the same."""

    backend: str
    shadow: str
    agreed: bool


@dataclass(frozen=True, slots=True)
class LearningTurned(Event):
    """What was learned is set aside, as the rules do better (``reverted``), or decides again; ``reason`` is a line."""

    reverted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Leaked(TaskEvent):
    """An identity term stood in the encoded bytes, so they were not sent. The term itself is not told."""

    backend: str
    where: str


@dataclass(frozen=True, slots=True)
class BreakerOpened(Event):
    """``until`` is seconds since the epoch; None means until the config changes or an admin resets it."""

    backend: str
    reason: str
    until: float | None


@dataclass(frozen=True, slots=True)
class BreakerHalfOpened(Event):
    """The cooldown is over; the next task is the probe."""

    backend: str


@dataclass(frozen=True, slots=True)
class BreakerClosed(Event):
    """The backend is trusted again."""

    backend: str


@dataclass(frozen=True, slots=True)
class Drifted(Event):
    """What ``backend`` does, or what is asked, is not what it was.

    backend  empty for what concerns all of them
    kind     of work; empty for all
    signal   ``refusal``, ``failure``, ``low_confidence``, ``kinds``, ``difficulty`` or ``latency``
    score    how far over the limit that is, 1 being the limit
    reason   one line for people, with the figures
    """

    backend: str
    kind: str
    signal: str
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class PracticeBegan(Event):
    """No real backend can be asked; simulated ones take over. ``reason`` is one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class PracticeEnded(Event):
    """A real backend answers again."""

    backend: str


Listener = Callable[[Event], None]


class Events:
    """Tells every listener of every event, in the order they subscribed."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        if listener not in self._listeners:
            self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def emit(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                _log.failure("a listener failed on {event}", event=type(event).__name__)
