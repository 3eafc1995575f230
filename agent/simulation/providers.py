"""The other side of a simulation: providers that count for themselves, turn away what is over, and take their time.

What they count is independent of :mod:`agent.quota`, so that it can be checked against them: a call belongs to the
window it began in, and a window that holds more than its limit is a violation. A provider turns a call away when what
was reported to it up to now has reached the limit; calls still under way it does not know, as in earnest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from ..core.backend import Backend, Quota
from ..core.windows import bounds, in_days, length
from ..quota import Spend

#: Seconds until the first token, and tokens a second from then on; halved and doubled by what a backend is known for.
FIRST_TOKEN = 0.6
TOKENS_PER_SECOND = 60.0


def latency(backend: Backend, output_tokens: int) -> float:
    """Seconds that an answer takes."""
    factor = 0.5 if "speed" in backend.strengths else 2.0 if "latency" in backend.weaknesses else 1.0
    return factor * (FIRST_TOKEN + output_tokens / TOKENS_PER_SECOND)


def spend_of(backend: Backend, input_tokens: float, output_tokens: float) -> Spend:
    """What a call really uses."""
    usd = (input_tokens * backend.price.input + output_tokens * backend.price.output) / 1000.0
    return Spend(1.0, input_tokens, output_tokens, usd)


class Account:
    """One quota as its provider counts it."""

    def __init__(self, quota: Quota):
        self.quota = quota
        self.total = 0.0
        #: What was used in each window, by its start; a rolling quota has one entry a call instead.
        self.windows: dict[float, float] = {}
        self.violations = 0
        self._over: set[float] = set()
        self._bounds = (0.0, 0.0)
        self._calls: list[tuple[float, float]] = []
        self._size = length(quota.per)

    def start_of(self, at: float) -> float:
        """The start of the window that ``at`` falls into."""
        if not self._bounds[0] <= at < self._bounds[1]:
            self._bounds = bounds(self.quota, at)
        return self._bounds[0]

    def full_until(self, now: float) -> float:
        """When a call can come in again; ``now`` when one can."""
        if self.quota.rolling:
            return now if self._used_before(now) < self.quota.limit else now + self._size / 100
        start = self.start_of(now)
        return now if self.windows.get(start, 0.0) < self.quota.limit else self._bounds[1]

    def charge(self, began: float, amount: float) -> None:
        """Count a call that is over."""
        self.total += amount
        if self.quota.rolling:
            calls = self._calls
            calls.insert(bisect_right(calls, began, key=lambda call: call[0]), (began, amount))
            self._audit(began)
            return
        start = self.start_of(began)
        self.windows[start] = self.windows.get(start, 0.0) + amount
        if self._too_much(self.windows[start]) and start not in self._over:
            self._over.add(start)
            self.violations += 1

    def used_at(self, now: float) -> float:
        """What is used of the window of ``now``."""
        return self._used_before(now) if self.quota.rolling else self.windows.get(self.start_of(now), 0.0)

    def limit_over(self, start: float, end: float) -> float:
        """What could have been used from the first to the last call: the limits of all windows in between."""
        if self.quota.rolling:
            return self.quota.limit * max(1.0, (end - start) / self._size)
        return self.quota.limit * sum(1 for _ in windows_between(self.quota, start, end))

    def _too_much(self, used: float) -> bool:
        return used > self.quota.limit * (1 + 1e-9) + 1e-12

    def _used_before(self, now: float) -> float:
        first = bisect_right(self._calls, now - self._size, key=lambda call: call[0])
        if first > 4096:
            # Only what can still matter, with room for calls that end late.
            del self._calls[: first - 2048]
            first = 2048
        return sum(amount for _, amount in self._calls[first:])

    def _audit(self, began: float) -> None:
        # Whoever is over at the moment of a call is counted once for each length of the window.
        if self._too_much(self._used_before(began)):
            mark = began // self._size
            if mark not in self._over:
                self._over.add(mark)
                self.violations += 1


def windows_between(quota: Quota, start: float, end: float) -> Iterator[tuple[float, float]]:
    """The fixed windows that some moment from ``start`` to ``end`` falls into."""
    first, reset = bounds(quota, start)
    while first <= end:
        yield first, reset
        # Windows of hours need no calendar.
        first, reset = bounds(quota, reset) if in_days(quota.per) else (reset, reset + (reset - first))


class Provider:
    """One backend as its provider sees it."""

    def __init__(self, backend: Backend):
        self.backend = backend
        self.accounts = [Account(quota) for quota in backend.quota]
        self.cost_usd = 0.0
        self.calls = 0

    def closed_until(self, now: float) -> float:
        """``now`` when a call is taken; else when it would be."""
        return max((account.full_until(now) for account in self.accounts), default=now)

    def charge(self, began: float, spend: Spend) -> None:
        """A call that began then is over."""
        self.calls += 1
        self.cost_usd += spend.usd
        for account in self.accounts:
            account.charge(began, spend.of(account.quota.unit))

    @property
    def violations(self) -> int:
        return sum(account.violations for account in self.accounts)
