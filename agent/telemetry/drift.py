"""Notices when backends, or what is asked of them, are not what they were: a listener that emits :class:`Drifted`.

    router.events.subscribe(Drift(router.events.emit))

Rates
    Of refusals, failures and answers of low confidence, for each backend and kind: a CUSUM of the log-likelihood ratio
    (Page 1954) between the rate so far and one that is worse by 8 points, or twice as high. The rate so far is learned
    with a long memory, from at least 2%, and stands still while something is suspected. Over 1.8 million calls at a
    steady 2% there were 0.2 to 0.4 false alarms in 180,000 (1.1 at a steady 30%); a change from 2% to 10% was found
    after 103 calls at the median, and within 250 in 95 of 100 runs (``tests/benchmarks/telemetry_cost.py --drift``).
    After an alarm the new rate is what is usual.

Mixes
    Of kinds, of difficulty (by the length of what is asked) and of latency: the population stability index of a day
    against the days before, which fade by half each day. Above 0.25 is a significant shift by the usual rule of credit
    scoring (Siddiqi 2006). Days with fewer than 200 attempts say nothing.

Simulated backends are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..core.attempt import Attempt
from ..core.events import AttemptEnded, Drifted, Event
from ..core.failures import FailureCode

#: Attempts that the rate before anything is known counts as, and attempts after which older ones have faded.
PRIOR, MEMORY = 300, 2000
#: The lowest rate that a change is measured against, and the points by which it must rise at least.
FLOOR, RISE = 0.02, 0.08
#: The sum at which an alarm is raised, and above which the rate so far is not learned.
ALARM, SUSPICION = 10.0, 4.0
#: Rates that are watched at most: backends times kinds times signals.
MOST = 3000

#: A population stability index above which a mix has shifted, attempts that a day must have, and a day in seconds.
SHIFT, ENOUGH, DAY = 0.25, 200, 86_400.0
#: Added to every share, so that what was never seen does not weigh infinitely.
_TINY = 1e-4

_SAID = {"refusal": "refuses", "failure": "fails", "low_confidence": "is unsure of"}
_MIXES = {
    "kinds": "the kinds of work",
    "difficulty": "the difficulty of what is asked, by its length,",
    "latency": "the latency",
}


class Cusum:
    """One rate. :meth:`observe` returns whether it has risen."""

    __slots__ = ("learning", "rate", "seen", "sum")

    def __init__(self) -> None:
        self.rate = FLOOR
        self.seen = PRIOR
        self.sum = 0.0
        #: Observations that are still wanted before a new rate counts as usual.
        self.learning = 0

    def observe(self, hit: bool) -> bool:
        if self.learning:
            self.learning -= 1
            self.seen += 1
            self.rate += (hit - self.rate) / self.seen
            return False
        usual = self.rate if self.rate > FLOOR else FLOOR
        if not hit and self.sum <= 0.0:
            # The common case: it cannot fall below zero, and only the rate learns.
            self.sum = 0.0
        else:
            worse = min(0.95, usual + max(RISE, usual))
            told = math.log(worse / usual) if hit else math.log((1.0 - worse) / (1.0 - usual))
            self.sum = max(0.0, self.sum + told)
        if self.sum > ALARM:
            return True
        if self.sum <= SUSPICION:
            if self.seen < MEMORY:
                self.seen += 1
            self.rate += (hit - self.rate) / self.seen
        return False

    def accept(self) -> None:
        """What it rose to is usual from now on: the rate of the next :data:`PRIOR` calls, which raise no alarm."""
        self.learning, self.seen, self.sum = PRIOR, 0, 0.0


def shift(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """The population stability index of two mixes, counts by category; 0 for the same mix."""
    all_before, all_now = sum(before.values()), sum(now.values())
    index = 0.0
    for category in {*before, *now}:
        old = before.get(category, 0.0) / all_before + _TINY
        new = now.get(category, 0.0) / all_now + _TINY
        index += (new - old) * math.log(new / old)
    return index


class Mix:
    """What a day is made of, and the days before it."""

    __slots__ = ("before", "today")

    def __init__(self) -> None:
        self.before: dict[str, float] = {}
        self.today: dict[str, float] = {}

    def observe(self, category: str) -> None:
        self.today[category] = self.today.get(category, 0.0) + 1.0

    def end(self) -> float:
        """The day is over: how far it differs from those before, 0 where one of them is too thin to tell."""
        today, self.today = self.today, {}
        enough = min(sum(self.before.values()), sum(today.values())) >= ENOUGH
        found = shift(self.before, today) if enough else 0.0
        for category in {*self.before, *today}:
            self.before[category] = self.before.get(category, 0.0) / 2.0 + today.get(category, 0.0)
        return found


class Drift:
    """Watches the attempts of one router. ``emit`` is told of what has drifted."""

    def __init__(self, emit: Callable[[Event], None]):
        self._emit = emit
        self._rates: dict[tuple[str, str, str], Cusum] = {}
        self._mixes = {signal: Mix() for signal in _MIXES}
        self._day: int | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, AttemptEnded) and not event.attempt.practice:
            self._note_mixes(event.at, event.attempt)
            self._note_rates(event.at, event.attempt)

    def _note_rates(self, at: float, attempt: Attempt) -> None:
        failure = attempt.failure
        refused = failure is FailureCode.REFUSED
        unsure = failure is FailureCode.LOW_CONFIDENCE
        for signal, hit in (
            ("refusal", refused),
            ("low_confidence", unsure),
            ("failure", failure is not None and not refused and not unsure),
        ):
            key = (attempt.backend, attempt.kind, signal)
            rate = self._rates.get(key)
            if rate is None:
                if len(self._rates) >= MOST:
                    continue
                rate = self._rates[key] = Cusum()
            if rate.observe(hit):
                usual = max(FLOOR, rate.rate)
                rate.accept()
                reason = (
                    f"{attempt.backend} {_SAID[signal]} {attempt.kind.replace('_', ' ')} far more often than "
                    f"the usual {usual:.0%}"
                )
                self._emit(Drifted(at, attempt.backend, attempt.kind, signal, 1.0, reason))

    def _note_mixes(self, at: float, attempt: Attempt) -> None:
        day = int(at // DAY)
        if self._day is not None and day > self._day:
            for signal, mix in self._mixes.items():
                if (found := mix.end()) > SHIFT:
                    reason = f"{_MIXES[signal]} of the last day is not that of the days before (PSI {found:.2f})"
                    self._emit(Drifted(at, "", "", signal, found / SHIFT, reason))
        if self._day is None or day > self._day:
            self._day = day
        self._mixes["kinds"].observe(attempt.kind)
        self._mixes["difficulty"].observe(_size(attempt.usage.input_tokens))
        if attempt.failure is None:
            self._mixes["latency"].observe(_size(int(attempt.latency_ms)))


def _size(number: int) -> str:
    """The power of two that a number lies below."""
    return str(max(0, number).bit_length())
