"""One limit of one holder: what is used in the window that is open now, and what is set aside for what is under way.

    counter = LimitCounter(Quota(5.0, "usd", "month", zone="Europe/Vienna"), now)
    counter.left(now)             # of the limit, without what is set aside
    counter.reserve(0.02); counter.unreserve(0.02)
    counter.use(now, 0.011)

Quotas of backends, budgets of players and the rates of tokens all count with the windows of :mod:`.window`; this adds
the holder's reservations, which outlive a window: what is under way at its end is paid for in the next.
"""

from __future__ import annotations

from ..core.backend import Quota
from .window import FixedWindow, window_of


class LimitCounter:
    """What one holder has used of ``quota``; amounts are in the quota's unit, times in seconds since the epoch."""

    __slots__ = ("_window", "reserved")

    def __init__(self, quota: Quota, now: float, used: float = 0.0):
        self._window = window_of(quota, now)
        self.reserved = 0.0
        if used:
            self._window.take(now, used)

    @property
    def quota(self) -> Quota:
        return self._window.quota

    def used(self, now: float) -> float:
        """What is used of the window that is open at ``now``."""
        self._window.advance(now)
        return self._window.used

    def left(self, now: float) -> float:
        """What of the limit is neither used nor set aside; may be below 0."""
        return self._window.quota.limit - self.used(now) - self.reserved

    def use(self, now: float, amount: float) -> None:
        """Count ``amount``."""
        self._window.advance(now)
        self._window.take(now, amount)

    def reserve(self, amount: float) -> None:
        """Set ``amount`` aside. Whether there is so much left is for the caller to ask."""
        self.reserved += amount

    def unreserve(self, amount: float) -> None:
        """What was set aside is over, or used."""
        self.reserved = max(0.0, self.reserved - amount)

    def reset(self, now: float) -> None:
        """Forget what is used, and begin the window anew; what is set aside stays."""
        self._window = window_of(self._window.quota, now)

    def began(self, now: float) -> float:
        """When the open window began; ``now`` less its length for a rolling one."""
        self._window.advance(now)
        return self._window.start if isinstance(self._window, FixedWindow) else now - self._window.size

    def resets_at(self, now: float, amount: float = 0.0) -> float:
        """When there will be room again for ``amount``."""
        self._window.advance(now)
        return self._window.resets_at(now, amount)
