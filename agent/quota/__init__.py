"""Quotas: how much of each backend may be used in which time, and how much that leaves to burn.

    quotas = Quotas(config.backends, now)
    quotas["claude"].obstacle(now, Work("chat", 1200))         # "" or why not
    ticket = quotas["claude"].reserve(now, Work("chat", 1200))
    ticket.settle(Spend(1, 1180, 240, 0.0048))

Pure: time is passed in as seconds since the epoch. Windows begin when :mod:`agent.core.windows` says;
:mod:`~agent.quota.window` counts, :mod:`~agent.quota.headers` reads what providers report, :mod:`~agent.quota.estimate`
guesses what a call will use, :mod:`~agent.quota.demand` what will be wanted, and :mod:`~agent.quota.tracker` puts them
together for one backend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.backend import Backend
from ..core.decision import Work
from .counter import LimitCounter
from .estimate import Spend
from .tracker import Pressure, QuotaReservation, QuotaStatus, QuotaTracker, TrackedWindow

__all__ = [
    "LimitCounter",
    "Pressure",
    "QuotaReservation",
    "QuotaStatus",
    "QuotaTracker",
    "Quotas",
    "Spend",
    "TrackedWindow",
    "Work",
]


class Quotas:
    """Every backend's :class:`QuotaTracker`, by key."""

    def __init__(self, backends: Mapping[str, Backend], now: float):
        self._meters: dict[str, QuotaTracker] = {}
        self.reload(backends, now)

    def __getitem__(self, key: str) -> QuotaTracker:
        return self._meters[key]

    def get(self, key: str) -> QuotaTracker | None:
        """The meter of ``key``, or None where there is no such backend."""
        return self._meters.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._meters

    def __iter__(self) -> Iterator[QuotaTracker]:
        return iter(self._meters.values())

    def reload(self, backends: Mapping[str, Backend], now: float) -> None:
        """Use another config; what is used of windows that stay is kept, also where their limit changes."""
        meters: dict[str, QuotaTracker] = {}
        for key, backend in backends.items():
            meter = self._meters.get(key)
            if meter is None:
                meter = QuotaTracker(backend, now)
            else:
                meter.reload(backend, now)
            meters[key] = meter
        self._meters = meters
        #: Whether any backend has a quota at all.
        self.metered = any(meter.windows for meter in meters.values())

    def heard(self, now: float, key: str, headers: Mapping[str, str]) -> None:
        """Correct the count of ``key`` by a response's headers."""
        if key in self._meters:
            self._meters[key].heard(now, headers)

    def observe(
        self, at: float, key: str, input_tokens: int, output_tokens: int, cost_usd: float, requests: float = 1.0
    ) -> None:
        """Count an attempt of the past, such as a row of the ledger; they must come in order of time."""
        if key in self._meters:
            self._meters[key].observe(at, Spend(requests, input_tokens, output_tokens, cost_usd))
