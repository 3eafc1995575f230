"""Timmy's mood, by what has happened on the shelf lately. A listener of a router's events; nothing is written down.

mood = Mood(clock)
router.events.subscribe(mood)
mood.now()                     # "puzzled": a phrase of configs/voice.yaml, mood_puzzled
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from uniwizard.agent.core.events import (
    Answered,
    BreakerOpened,
    Event,
    Feedback,
    GaveUp,
    PracticeBegan,
    PracticeEnded,
    Refused,
)

#: Seconds for which something is on his mind.
LASTS = 900.0
#: Lamps that went out, or thoughts that came to nothing, in that time, which make him weary.
WEARY = 3


class Mood:
    """``now`` gives seconds; the order in which moods are tried is the order of what weighs most."""

    def __init__(self, seconds: Callable[[], float]):
        self._seconds = seconds
        self._outages: deque[float] = deque(maxlen=WEARY)
        self._refused = self._pleased = float("-inf")
        self._practising = False

    def __call__(self, event: Event) -> None:
        now = self._seconds()
        match event:
            case BreakerOpened() | GaveUp():
                self._outages.append(now)
            case Refused():
                self._refused = now
            case Feedback(good=True):
                self._pleased = now
                self._refused = float("-inf")
            case Feedback(good=False):
                self._refused = now
            case PracticeBegan():
                self._practising = True
            case PracticeEnded() | Answered():
                self._practising = self._practising and isinstance(event, Answered)

    def now(self) -> str:
        """``weary``, ``puzzled``, ``pleased``, ``practising`` or ``content``."""
        since = self._seconds() - LASTS
        if len(self._outages) == WEARY and self._outages[0] > since:
            return "weary"
        if self._refused > max(since, self._pleased):
            return "puzzled"
        if self._pleased > since:
            return "pleased"
        return "practising" if self._practising else "content"
