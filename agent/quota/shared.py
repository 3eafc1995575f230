"""A quota's window that several processes keep together.

    share = Share(cluster, "claude usd per month", window, now)
    await share.ready(now, 0.02)       # before it is asked whether so much may be used; see agent.state.pool
    share.lacks(now, 0.02)             # whether this process may not use so much now, though the window has room
    share.touched()                    # the window has counted something, or has given it back

The window counts what this process has used; ``window.others`` is what the others hold, by what Redis said last. So
whoever decides sees all that is used, and only the attempt itself asks for a part of the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..state.cluster import Cluster
from ..state.pool import Pool
from .window import FixedWindow, Window

#: Units that can only be used in whole numbers.
_WHOLE = ("requests", "tokens", "input_tokens", "output_tokens")


class Share:
    """This process's part of one window."""

    def __init__(self, cluster: Cluster, name: str, window: Window, now: float, reserved: Callable[[], float] = float):
        self._cluster = cluster
        self._name = name
        self.window = window
        #: What is set aside besides what the window counts.
        self._reserved = reserved
        # What is counted by now was anybody's; from now on the window counts our own.
        window.others, window.own = window.used, 0.0
        if not isinstance(window, FixedWindow):
            window.slices.clear()
            window.others = 0.0
        self._start = window.start if isinstance(window, FixedWindow) else 0.0
        self._pool = self._made(window.others)

    def _made(self, base: float) -> Pool:
        window, fixed = self.window, isinstance(self.window, FixedWindow)
        pool = self._cluster.pool(
            f"{self._name}:{int(self._start)}" if fixed else self._name,
            window.quota.limit,
            lambda: window.own + self._reserved(),
            base=base,
            until=window.reset if isinstance(window, FixedWindow) else 0.0,
            rolling=0.0 if isinstance(window, FixedWindow) else window.size,
            whole=window.quota.unit in _WHOLE,
        )
        pool.heard = self._heard
        return pool

    def _heard(self, others: float) -> None:
        self.window.others = others

    def _heed(self, now: float) -> Pool:
        """The pool of the window that is open now."""
        window = self.window
        window.advance(now)
        if isinstance(window, FixedWindow) and window.start != self._start:
            self._cluster.drop(self._pool)
            self._start, window.others = window.start, 0.0
            self._pool = self._made(0.0)
        self._pool.limit = window.quota.limit
        return self._pool

    async def ready(self, now: float, amount: float) -> None:
        """Try to hold so much."""
        await self._heed(now).ready(amount)

    def lacks(self, now: float, amount: float) -> bool:
        """Whether this process may not use so much now."""
        return self._heed(now).left() < amount - self.window.quota.limit * 1e-9

    def usable(self, now: float) -> float:
        """What this process may use without Redis where that is gone; infinity where it is not."""
        pool = self._heed(now)
        return max(0.0, pool.left()) if pool.alone() else math.inf

    def touched(self, now: float) -> None:
        """Something was used, or came back."""
        self._heed(now).touched()

    def close(self) -> None:
        """The window is no more."""
        self._cluster.drop(self._pool)
