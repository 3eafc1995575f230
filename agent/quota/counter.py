"""One limit of one holder: what is used in the window that is open now, and what is set aside for what is under way.

    counter = LimitCounter(Quota(5.0, "usd", "month", zone="Europe/Vienna"), now)
    counter.left(now)             # of the limit, without what is set aside
    counter.reserve(0.02); counter.unreserve(0.02)
    counter.use(now, 0.011)

Quotas of backends, budgets of players and the rates of tokens all count with the windows of :mod:`.window`; this adds
the holder's reservations, which outlive a window: what is under way at its end is paid for in the next.
"""

from __future__ import annotations

import math

from ..core.backend import Quota
from ..state.cluster import Cluster
from .shared import Share
from .window import FixedWindow, window_of


class LimitCounter:
    """What one holder has used of ``quota``; amounts are in the quota's unit, times in seconds since the epoch."""

    __slots__ = ("_share", "_window", "reserved")

    def __init__(self, quota: Quota, now: float, used: float = 0.0):
        self._window = window_of(quota, now)
        self.reserved = 0.0
        self._share: Share | None = None
        if used:
            self._window.take(now, used)

    def share(self, cluster: Cluster, name: str, now: float) -> LimitCounter:
        """Keep the limit together with the other processes, by this name."""
        if self._share is None and math.isfinite(self.quota.limit):
            self._share = Share(cluster, name, self._window, now, lambda: self.reserved)
        return self

    @property
    def shared(self) -> bool:
        """Whether other processes keep the limit, too."""
        return self._share is not None

    async def ready(self, now: float, amount: float) -> None:
        """Try to hold so much that others then cannot use; at most some milliseconds."""
        if self._share is not None:
            await self._share.ready(now, amount)

    def lacks(self, now: float, amount: float) -> bool:
        """Whether this process may not use so much now, although the limit has room for it."""
        return self._share is not None and self._share.lacks(now, amount)

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

    def usable(self, now: float) -> float:
        """What this process may still use: what is left, or its share of that where the others cannot be asked."""
        left = self.left(now)
        return left if self._share is None else min(left, self._share.usable(now))

    def use(self, now: float, amount: float) -> None:
        """Count ``amount``."""
        self._window.advance(now)
        self._window.take(now, amount)
        if self._share is not None:
            self._share.touched(now)

    def reserve(self, amount: float) -> None:
        """Set ``amount`` aside. Whether there is so much left is for the caller to ask."""
        self.reserved += amount

    def unreserve(self, amount: float) -> None:
        """What was set aside is over, or used."""
        self.reserved = max(0.0, self.reserved - amount)

    def recount(self, now: float, used: float) -> None:
        """What anybody has used in the open window is ``used``; what is shared is known better already."""
        if self._share is None:
            self.reset(now)
            self.use(now, used)

    def reset(self, now: float) -> None:
        """Forget what is used, and begin the window anew; what is set aside stays."""
        if self._share is not None:
            # The others know better than what is counted anew here.
            return
        self._window = window_of(self._window.quota, now)

    def began(self, now: float) -> float:
        """When the open window began; ``now`` less its length for a rolling one."""
        self._window.advance(now)
        return self._window.start if isinstance(self._window, FixedWindow) else now - self._window.size

    def resets_at(self, now: float, amount: float = 0.0) -> float:
        """When there will be room again for ``amount``."""
        self._window.advance(now)
        return self._window.resets_at(now, amount)
