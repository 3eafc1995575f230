"""What of a quota nobody will miss: how much of each window background work may take now. Pure.

    spare = Spare()
    spare.room(tracker, now, work, expiring=True)       # whether ``work`` may go there
    spare.left(tracker, tracked, now, expiring=True)    # in the window's unit

Theory of operation
    What is left of a window belongs to whoever will ask before its reset: the forecast of :mod:`agent.quota.demand`,
    with :data:`MARGIN` on top, is theirs. No forecast sees a surge before it begins, so work that can wait
    (``expiring``) leaves alone what a surge could want as well: the whole window while more than :data:`RELEASE` of its
    time is left, and then a share that falls to nothing at the reset. So it takes nothing early in a window, and over
    its last hours as much as can be burnt. Other work, which somebody wants soon, takes what the forecast leaves.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from ..core.decision import Work
from ..quota import QuotaTracker, TrackedWindow
from ..quota.demand import Demand

#: What the forecast is raised by, and the share of the limit that is never taken, but for the last moments.
MARGIN, FLOOR = 0.1, 0.003
#: The last share of a window's time, over which what was held for a surge is given out: of a month, 22 hours, so that a
#: rush of the whole last day has begun by then, and is seen by the forecast.
RELEASE = 0.03
#: A forecast is made anew after this share of the window's length.
RENEWAL = 1.0 / 2000


class Spare:
    """The figures of one process; forecasts are kept for a moment, since making one takes a while."""

    def __init__(self) -> None:
        self._forecasts: WeakKeyDictionary[Demand, tuple[float, float, float]] = WeakKeyDictionary()

    def room(self, tracker: QuotaTracker, now: float, work: Work, *, expiring: bool = False) -> bool:
        """Whether ``work`` can go there without taking what somebody will want."""
        if not tracker.windows:
            return True
        expected = tracker.estimate.expected(work)
        return all(
            expected.of(tracked.window.quota.unit) <= self.left(tracked, now, expiring=expiring)
            for tracked in tracker.windows
        )

    def left(self, tracked: TrackedWindow, now: float, *, expiring: bool = False) -> float:
        """How much of the window is spare, in its unit; below 0 where it is all spoken for."""
        window = tracked.window
        window.advance(now)
        limit, left = window.quota.limit, window.left
        if expiring and not window.quota.rolling and window.time_left(now) >= RELEASE:
            # All of it is kept; what will be wanted of it need not be known.
            return left - limit
        held = (1.0 + MARGIN) * self.expected(tracked, now)
        if expiring and not window.quota.rolling:
            held += limit * self.kept(window.time_left(now))
        else:
            held += FLOOR * limit
        return left - held

    @staticmethod
    def kept(time_left: float) -> float:
        """The share of a window's limit that is kept for a surge when so much of its time is left, 0 to 1."""
        if time_left >= RELEASE:
            return 1.0
        return max(FLOOR if time_left > RELEASE / 50 else 0.0, time_left / RELEASE)

    def expected(self, tracked: TrackedWindow, now: float) -> float:
        """How much tasks that somebody waits for will want until the window's reset, in its unit."""
        demand = tracked.demand
        made, until_then, forecast = self._forecasts.get(demand, (float("-inf"), 0.0, 0.0))
        until, left = tracked.window.horizon(now)
        fresh = made <= now < made + demand.length * RENEWAL and (tracked.window.quota.rolling or until == until_then)
        if not fresh:
            made, forecast = now, demand.forecast(now, until, left)
            self._forecasts[demand] = made, until, forecast
        # What has come since the forecast was made is less still to come.
        span = max(1e-9, until - made)
        return forecast * max(0.0, (until - now) / span)
