"""One window of one quota: what is used of it, what is left, when it resets.

    window = window_of(Quota(50, "requests", "5h"), now)
    ticket = window.take(now, 1.0)        # counts at once, so that nothing under way is forgotten
    window.amend(ticket, -1.0)            # ... and is put right when the call is over
    window.left, window.resets_at(now)

A call counts where it began: what is put right after the reset changes nothing in the new window. A rolling window
keeps its uses in :data:`SLICES` slices and forgets a slice when the whole of it is old enough, so it is never too
generous. A clock that is set back within the length of the window waits in the window it was in; one that is set back
further takes up the window of that time with all that is counted.
"""

from __future__ import annotations

import math
from typing import Any

from ..core.backend import Quota
from ..core.windows import bounds, length, told

#: Into how many slices a rolling window is cut.
SLICES = 500


class FixedWindow:
    """Counts from one reset to the next. ``own`` is counted here; ``others`` by processes that share the window."""

    def __init__(self, quota: Quota, now: float):
        self.quota = quota
        self.own = self.others = 0.0
        self.start, self.reset = bounds(quota, now)
        #: Until then the provider takes nothing, whatever we have counted.
        self.closed_until = 0.0

    def advance(self, now: float) -> None:
        """Let time pass; a window that is over begins anew."""
        if now >= self.reset:
            self.start, self.reset = bounds(self.quota, now)
            self.own = self.others = 0.0
        elif now < self.start - (self.reset - self.start):
            self.start, self.reset = bounds(self.quota, now)
            self.closed_until = 0.0

    @property
    def used(self) -> float:
        """What is used by anybody."""
        return self.own + self.others

    @property
    def left(self) -> float:
        return self.quota.limit - self.used

    def take(self, now: float, amount: float) -> float:
        """Count ``amount``; the ticket is for :meth:`amend`."""
        self.own += amount
        return self.start

    def amend(self, ticket: float, difference: float) -> None:
        """Put right what was taken; nothing when that window is over."""
        if ticket == self.start:
            self.own = max(0.0, self.own + difference)

    def resets_at(self, now: float, amount: float = 0.0) -> float:
        """When there will be room again for ``amount``, seconds since the epoch."""
        return max(self.reset, self.closed_until)

    def time_left(self, now: float) -> float:
        """The share of its time that is left, 0 to 1."""
        return min(1.0, max(0.0, (self.reset - now) / (self.reset - self.start)))

    def horizon(self, now: float) -> tuple[float, float]:
        """Until when what is left must last, and how much that is."""
        return self.reset, self.left

    def snapshot(self) -> dict[str, Any]:
        return {"start": self.start, "used": round(self.used, 9), "closed_until": self.closed_until}

    def restore(self, kept: dict[str, Any], now: float) -> None:
        start, used = kept.get("start"), _count(kept.get("used"))
        # Of a window that is over nothing counts; somebody who edits by hand need not name the start.
        if used is not None and start in (None, self.start):
            self.own = used
        self.closed_until = min(_count(kept.get("closed_until")) or 0.0, self.reset)


class RollingWindow:
    """Counts what was used in the last ``per``, at any moment."""

    def __init__(self, quota: Quota, now: float):
        self.quota = quota
        self.size = length(quota.per)
        self.slice = self.size / SLICES
        self.own = self.others = 0.0
        self.slices: dict[int, float] = {}
        self.closed_until = 0.0
        self._latest = int(now // self.slice)

    def advance(self, now: float) -> None:
        """Let time pass; what is old enough is forgotten."""
        current = int(now // self.slice)
        if current < self._latest - SLICES:
            # Set back further than the window is long: what was counted is as old as can be.
            self.slices = {current: self.own} if self.own else {}
            self.closed_until = 0.0
            self._latest = current
            return
        self._latest = max(self._latest, current)
        while self.slices and (oldest := next(iter(self.slices))) < current - SLICES:
            del self.slices[oldest]
            self.own = math.fsum(self.slices.values())

    @property
    def used(self) -> float:
        """What is used by anybody."""
        return self.own + self.others

    @property
    def left(self) -> float:
        return self.quota.limit - self.used

    def take(self, now: float, amount: float) -> float:
        """Count ``amount``; the ticket is for :meth:`amend`."""
        # Never before the latest, so that the slices stay in order when a clock is set back.
        self.slices[self._latest] = self.slices.get(self._latest, 0.0) + amount
        self.own += amount
        return float(self._latest)

    def amend(self, ticket: float, difference: float) -> None:
        """Put right what was taken; nothing when it is forgotten already."""
        at = int(ticket)
        if at in self.slices:
            before = self.slices[at]
            self.slices[at] = max(0.0, before + difference)
            self.own += self.slices[at] - before

    def resets_at(self, now: float, amount: float = 0.0) -> float:
        """When there will be room again for ``amount``, seconds since the epoch."""
        missing, moment = amount - self.left, now
        for at, used in self.slices.items():
            if missing <= 0:
                break
            missing -= used
            moment = (at + SLICES + 1) * self.slice
        return max(moment, self.closed_until)

    def time_left(self, now: float) -> float:
        """Always half: it has no reset to use anything up before."""
        return 0.5

    def horizon(self, now: float) -> tuple[float, float]:
        """Half of its length ahead, and what is left with what is forgotten until then."""
        until = now + self.size / 2
        last = int(until // self.slice) - SLICES
        return until, self.left + sum(used for at, used in self.slices.items() if at < last)

    def snapshot(self) -> dict[str, Any]:
        return {
            "slices": {str(at): round(used, 9) for at, used in self.slices.items() if used},
            "closed_until": self.closed_until,
        }

    def restore(self, kept: dict[str, Any], now: float) -> None:
        slices = kept.get("slices")
        if isinstance(slices, dict):
            found = {}
            for at, used in slices.items():
                amount = _count(used)
                if amount is not None and str(at).isdecimal() and int(at) <= self._latest + 1:
                    found[int(at)] = amount
            self.slices = dict(sorted(found.items()))
            self.own = math.fsum(self.slices.values())
        self.closed_until = min(_count(kept.get("closed_until")) or 0.0, now + self.size)


Window = FixedWindow | RollingWindow


def window_of(quota: Quota, now: float) -> Window:
    """The window that counts for ``quota``, empty."""
    return RollingWindow(quota, now) if quota.rolling else FixedWindow(quota, now)


def obstacle(window: Window, now: float, amount: float) -> str:
    """Why ``amount`` more does not go into the window; empty when it does."""
    if now < window.closed_until:
        return f"quota: the provider says that {window.quota} are used up; resets {_until(window, now, 0.0)}"
    # A billionth of grace, for sums of many floats that should be whole.
    if amount <= window.left + window.quota.limit * 1e-9:
        return ""
    if amount > window.quota.limit:
        return f"quota: too large for {window.quota}: could take {amount:,.4g}"
    if window.left > window.quota.limit * 1e-6:
        return (
            f"quota: {window.left:,.4g} left of {window.quota}, it could take {amount:,.4g};"
            f" resets {_until(window, now, amount)}"
        )
    return f"quota: {window.quota} used up; resets {_until(window, now, amount)}"


def _until(window: Window, now: float, amount: float) -> str:
    return told(window.resets_at(now, amount), window.quota.zone)


def _count(value: Any) -> float | None:
    """``value`` if it can be an amount that was counted."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    return float(value)
