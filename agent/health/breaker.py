"""How each backend is: its breaker, its success rate, its latency. Hot state, in memory, one object a backend.

    health = Health(backend, clock.seconds, emit)
    health.available()            # "" when it may be asked, else why not
    health.succeeded(0.8)         # seconds the answer took
    health.failed(FailureCode.OVERLOADED, "503", retry_after=None)

The breaker
    closed ── allowed_fails exceeded, or a failure that opens at once ──▶ open
    open ── cooldown over ──▶ half-open ── the probe succeeds ──▶ closed
                                        └─ the probe fails ──▶ open again
    ``allowed_fails: 0`` opens at the first failure. An ``auth`` or ``not_found`` failure stays open until the config
    changes or an admin resets it. Half-open admits one probe at a time. What each failure does to it is a column
    of the table in :mod:`agent.core.failures`.

A backend that has failed while its breaker stayed closed is asked last, and would never show that it is well again. So
one ``cooldown_time`` after its last failure it is on trial: for the next fitting task it counts as if it had never
failed, one attempt at a time, and a good answer gives it its place back.

``snapshot`` and ``restore`` turn the state into a plain dict and back, so a game can keep it where an admin can read
and edit it; the cooldown's end is kept in seconds since the epoch, so that it survives a restart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..core.backend import Backend
from ..core.events import BreakerClosed, BreakerHalfOpened, BreakerOpened, Event
from ..core.failures import HANDLING, FailureCode, Opens

#: Weight of the newest observation in the moving averages: the last ten or so calls count.
SMOOTHING = 0.2
#: Seconds after which a failure, and after which a refusal, weighs half. Without this a backend that is asked last
#: because it failed would never get the chance to show that it works again.
FAILURE_HALF_LIFE = 120.0
KIND_HALF_LIFE = 3600.0
#: Seconds from now that an edited ``cooldown_until`` may reach; until it is reset is -1.
LONGEST_COOLDOWN = 366 * 86_400.0


class State(StrEnum):
    """The breaker's positions."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class KindRecord:
    """How often a backend answered and declined one kind of work, lately: old observations fade."""

    answered: float = 0.0
    declined: float = 0.0
    at: float = 0.0

    def observe(self, now: float, *, declined: bool) -> None:
        fade = _fade(now - self.at, KIND_HALF_LIFE)
        self.answered = self.answered * fade + (not declined)
        self.declined = self.declined * fade + declined
        self.at = now

    def success_rate(self, now: float) -> float:
        """Share answered, starting from a generous guess (as if four had been answered before)."""
        fade = _fade(now - self.at, KIND_HALF_LIFE)
        answered, declined = self.answered * fade + 4, self.declined * fade
        return answered / (answered + declined)


def _fade(age: float, half_life: float) -> float:
    return float(0.5 ** (max(0.0, age) / half_life))


class Health:
    """One backend's state. Everything public may be read; changes go through the methods."""

    def __init__(self, backend: Backend, now: Callable[[], float], emit: Callable[[Event], None]):
        self.backend = backend
        self._now = now
        self._emit = emit
        self.state = State.CLOSED
        #: Failures in a row.
        self.fails = 0
        #: Moving average, 0 to 1.
        self.success_rate = 1.0
        #: Moving average of the accepted answers, in milliseconds; 0 when there was none yet.
        self.latency_ms = 0.0
        #: When an open breaker half-opens, seconds since the epoch; infinity for "not by itself".
        self.cooldown_until = 0.0
        #: Until when the provider asked to be left alone, seconds since the epoch.
        self.rests_until = 0.0
        self.reason = ""
        self.disabled = False
        self.failed_at = 0.0
        self.attempts = 0
        self.cost_usd = 0.0
        self.by_kind: dict[str, KindRecord] = {}
        #: None until a probe or a call has told; then whether the endpoint answers at all.
        self.reachable: bool | None = None
        self.in_flight = 0
        self._probing = False
        #: Whether the attempt under way is to show that failures of a while ago are over.
        self._trying = False
        #: Whether this state was earned by a simulated backend; it says nothing of the real one, and the other way.
        self._of_practice = False

    # -- what may be asked ---------------------------------------------------------------------------------------

    def available(self) -> str:
        """Why this backend may not be asked now; empty when it may."""
        if self.backend.unconfigured:
            return f"asleep: {self.backend.unconfigured}"
        if self.disabled:
            return "disabled by an admin"
        if self.state is State.CLOSED and not self.rests_until:
            return ""
        self._tick()
        if self.state is State.OPEN:
            if math.isinf(self.cooldown_until):
                return f"breaker open until it is reset: {self.reason}"
            left = max(1, math.ceil(self.cooldown_until - self._now()))
            return f"breaker open for {left} s more: {self.reason}"
        if self.state is State.HALF_OPEN and self._probing:
            return "breaker half-open: its probe is under way"
        if self._now() < self.rests_until:
            return f"its provider asks to be left alone for {math.ceil(self.rests_until - self._now())} s more"
        return ""

    def until(self) -> float:
        """When it may be asked again, in the clock's seconds; 0 when it may be now, infinity for "not by itself"."""
        if self.backend.unconfigured or self.disabled:
            return math.inf
        self._tick()
        return max(self.cooldown_until if self.state is State.OPEN else 0.0, self.rests_until)

    def _tick(self) -> None:
        if self.state is State.OPEN and self._now() >= self.cooldown_until:
            self.state = State.HALF_OPEN
            self._probing = False
            self._emit(BreakerHalfOpened(self._now(), self.backend.key))

    # -- what happened -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """An attempt starts. In a half-open breaker it is the probe, and the only one."""
        self.in_flight += 1
        self.attempts += 1
        if self.state is State.HALF_OPEN:
            self._probing = True
        elif self._due_for_trial():
            self._trying = True

    def end(self) -> None:
        """An attempt is over, whatever came of it."""
        self.in_flight = max(0, self.in_flight - 1)
        if self.in_flight == 0:
            self._probing = self._trying = False

    def succeeded(self, seconds: float) -> None:
        """A usable answer came after ``seconds``."""
        self._was_reached(True)
        self.fails = 0
        rate = self._recovered()
        self.success_rate = 1.0 if self._trying else rate + SMOOTHING * (1.0 - rate)
        took = seconds * 1000.0
        self.latency_ms = took if not self.latency_ms else self.latency_ms + SMOOTHING * (took - self.latency_ms)
        if self.state is not State.CLOSED:
            self.close()

    def failed(self, failure: FailureCode, reason: str, retry_after: float | None = None) -> None:
        """An attempt failed. ``retry_after`` (seconds) lengthens the cooldown, never shortens it."""
        policy = HANDLING[failure]
        self._was_reached(failure not in (FailureCode.NETWORK, FailureCode.TIMEOUT))
        if policy.counts:
            self.fails += 1
            self.success_rate = self._recovered() * (1.0 - SMOOTHING)
            self.failed_at = self._now()
        elif self.state is State.HALF_OPEN and policy.opens is Opens.NEVER:
            # It answered, if not to our liking: what opened the breaker is over.
            self.close()
        match policy.opens:
            case Opens.UNTIL_RESET:
                self._open(f"{failure}: {reason}", math.inf)
            case Opens.AT_ONCE:
                self._open(f"{failure}: {reason}", self._cooldown(retry_after))
            case Opens.AFTER_ALLOWED_FAILS:
                if self.state is State.HALF_OPEN or self.fails > self.backend.allowed_fails:
                    self._open(f"{failure}: {reason}", self._cooldown(retry_after))
            case Opens.NEVER:
                pass

    def rest(self, seconds: float) -> None:
        """Leave the backend alone for ``seconds``: its provider said so, and to ask before would be turned down."""
        self.rests_until = max(self.rests_until, self._now() + seconds)

    def _was_reached(self, reached: bool) -> None:
        # That a simulated backend answers says nothing of the real one's network.
        if not self.backend.practice:
            self.reachable = reached

    def judged(self, kind: str, *, declined: bool) -> None:
        """An answer of this kind was accepted or declined; refusals count here and nowhere else."""
        self.by_kind.setdefault(kind, KindRecord(at=self._now())).observe(self._now(), declined=declined)

    def willingness(self, kind: str) -> float:
        """Share of this kind of work that the backend did not decline, 0 to 1; refusals of long ago count less."""
        record = self.by_kind.get(kind)
        return record.success_rate(self._now()) if record else 1.0

    def reliability(self) -> float:
        """The success rate, 0 to 1, with failures of long ago counting less; 1 for a backend that is on trial."""
        return 1.0 if self.success_rate >= 1.0 or self._due_for_trial() else self._recovered()

    def _due_for_trial(self) -> bool:
        """Whether the next fitting task is to show that the backend is well again."""
        if self.success_rate >= 1.0 or self._trying or self.state is not State.CLOSED:
            return False
        return self._now() >= self.failed_at + self.backend.cooldown_time

    def _recovered(self) -> float:
        if self.success_rate >= 1.0:
            return 1.0
        return 1.0 - (1.0 - self.success_rate) * _fade(self._now() - self.failed_at, FAILURE_HALF_LIFE)

    def play(self, backend: Backend) -> None:
        """Use ``backend``, real or simulated. A breaker opened by the one does not hold for the other."""
        self.backend = backend
        if backend.practice != self._of_practice:
            self._of_practice = backend.practice
            self.state, self.fails, self.reason, self.cooldown_until = State.CLOSED, 0, "", 0.0
            self.success_rate, self._probing, self._trying = 1.0, False, False
            self.rests_until = 0.0

    def _cooldown(self, retry_after: float | None) -> float:
        return self._now() + max(self.backend.cooldown_time, retry_after or 0.0)

    def _open(self, reason: str, until: float) -> None:
        fresh = self.state is not State.OPEN
        self.state = State.OPEN
        self._probing = False
        self.reason = reason[:200]
        self.cooldown_until = until if fresh else max(until, self.cooldown_until)
        if fresh:
            shown = None if math.isinf(self.cooldown_until) else self.cooldown_until
            self._emit(BreakerOpened(self._now(), self.backend.key, self.reason, shown))

    def opened_elsewhere(self, reason: str, until: float) -> None:
        """Another process has found the backend broken; ``until`` as :attr:`cooldown_until`."""
        if not self.backend.practice:
            self._open(reason, until)

    def close(self) -> None:
        """Trust the backend again: after a good probe, or because an admin says so."""
        was = self.state
        self.state = State.CLOSED
        self._probing = False
        self.fails = 0
        self.cooldown_until = self.rests_until = 0.0
        self.reason = ""
        if was is not State.CLOSED:
            self._emit(BreakerClosed(self._now(), self.backend.key))

    # -- what is kept --------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data. ``cooldown_until`` is seconds since the epoch, -1 for "until it is reset"."""
        return {
            "state": str(self.state),
            "practice": self._of_practice,
            "fails": self.fails,
            "success_rate": round(self._recovered(), 4),
            "latency_ms": round(self.latency_ms, 1),
            "cooldown_until": -1.0 if math.isinf(self.cooldown_until) else round(self.cooldown_until, 3),
            "reason": self.reason,
            "disabled": self.disabled,
            "attempts": self.attempts,
            "cost_usd": round(self.cost_usd, 8),
            "by_kind": {
                kind: [round(record.answered, 2), round(record.declined, 2), round(record.at, 1)]
                for kind, record in sorted(self.by_kind.items())
            },
        }

    def restore(self, kept: Mapping[str, Any]) -> list[str]:
        """Take up a snapshot, also one that a person edited. Returns what could not be used, one line each."""
        faults: list[str] = []
        known = self.snapshot()

        def number(name: str, low: float, high: float = math.inf) -> float | None:
            value = kept.get(name)
            if value is None:
                return None
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                faults.append(f"{name}: is not a number from {low:.12g} to {high:.12g}")
                return None
            return float(value)

        def flag(name: str, now: bool) -> bool:
            value = kept.get(name, now)
            if not isinstance(value, bool):
                faults.append(f"{name}: is not True or False")
                return now
            return value

        faults += [f"{name}: is unknown; allowed: {', '.join(sorted(known))}" for name in kept if name not in known]
        state = kept.get("state", self.state)
        if state in list(State):
            self.state = State(state)
        else:
            faults.append(f"state: is unknown; allowed: {', '.join(State)}")
        if (fails := number("fails", 0, 1e9)) is not None:
            self.fails = int(fails)
        if (rate := number("success_rate", 0, 1)) is not None:
            self.success_rate, self.failed_at = rate, self._now()
        if (latency := number("latency_ms", 0, 1e9)) is not None:
            self.latency_ms = latency
        if (until := number("cooldown_until", -1, self._now() + LONGEST_COOLDOWN)) is not None:
            self.cooldown_until = math.inf if until < 0 else until
        if (attempts := number("attempts", 0, 1e15)) is not None:
            self.attempts = int(attempts)
        if (cost := number("cost_usd", 0, 1e12)) is not None:
            self.cost_usd = cost
        if isinstance(reason := kept.get("reason", self.reason) or "", str):
            self.reason = reason[:200]
        else:
            faults.append("reason: is not text")
        self.disabled = flag("disabled", self.disabled)
        self._of_practice = flag("practice", self._of_practice)
        faults += self._restore_kinds(kept.get("by_kind"))
        if self.state is State.OPEN and self.cooldown_until == 0.0:
            # Opened by hand, with no end given: a full cooldown.
            self.cooldown_until = self._cooldown(None)
            self.reason = self.reason or "opened by an admin"
        if self.state is not State.HALF_OPEN:
            self._probing = False
        return faults

    def _restore_kinds(self, kept: Any) -> Iterator[str]:
        """Take up what was declined of each kind; what cannot be used, one line each."""
        if kept is not None and not isinstance(kept, Mapping):
            yield "by_kind: is not a dict"
            return
        for kind, counts in (kept or {}).items():
            try:
                answered, declined, at = map(float, counts)
            except (TypeError, ValueError, OverflowError):
                yield f"by_kind: {kind}: is not [answered, declined, time]"
                continue
            if all(0.0 <= number <= 1e11 for number in (answered, declined, at)):
                self.by_kind[str(kind)] = KindRecord(answered, declined, at)
            else:
                yield f"by_kind: {kind}: is out of range"
