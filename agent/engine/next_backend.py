"""Whom to turn to when a backend gave no usable answer, and whether a refusal is believed."""

from __future__ import annotations

from collections.abc import Callable

from ..backend_registry import Registry
from ..core.decision import Ranked, Skipped, Work
from ..core.failures import HANDLING, FailureCode
from .run import AttemptOutcome, Run

#: Everyone who can do the work now, best first, and everyone who cannot.
Ranking = Callable[[Work], tuple[tuple[Ranked, ...], tuple[Skipped, ...]]]


class NextBackend:
    """The :class:`~.ports.Chooser` over a registry: by the failure table, the config, and a ranking made anew."""

    def __init__(self, registry: Registry, rank: Ranking):
        self._registry = registry
        self._rank = rank

    def fallbacks(self, key: str) -> tuple[str, ...]:
        """The backends that the config names as fallbacks of ``key``."""
        return self._registry[key].backend.fallbacks

    def obstacle(self, key: str) -> str:
        """Why ``key`` may not be asked now; empty when it may."""
        return self._registry[key].available() if key in self._registry else "no longer configured"

    def following(self, run: Run, failure: FailureCode) -> str:
        """The key of the backend to turn to after ``failure``; empty when that is nobody."""
        if run.plan.alone or not self._falls_back(failure):
            return ""
        ranking, _ = self._rank(run.plan.work)
        able = [entry.backend for entry in ranking if entry.backend not in run.tried]
        if run.fallbacks:
            able = [key for key in run.fallbacks if key in able]
        able = [key for key in able if self._registry[key].backend.max_context > run.overflowed]
        if failure is FailureCode.LOW_CONFIDENCE:
            # Providers price by strength, so a dearer model is the stronger one; where there is none, the next best.
            doubted = self._registry.config.backends.get(run.attempts[-1].backend)
            price = doubted.price.output if doubted is not None else 0.0
            able.sort(key=lambda key: self._registry.real(key).price.output <= price)
        if run.shown:
            able = [key for key in able if "prefill" in self._registry[key].backend.capabilities]
        return able[0] if able else ""

    def _falls_back(self, failure: FailureCode) -> bool:
        if failure is FailureCode.CONTENT_FILTER:
            return self._registry.config.content_filter == "reroute"
        return HANDLING[failure].fall_back

    def settles(self, run: Run, outcome: AttemptOutcome) -> bool:
        """Whether the task ends with this answer: because it is accepted, or because enough brains have declined.

        Text that has been shown cannot be taken back, so what came after it is told with it.
        """
        if outcome.failure is None or run.shown:
            return True
        if outcome.failure is not FailureCode.REFUSED or outcome.attempt is None:
            return False
        source = outcome.verdict.source if outcome.verdict is not None else "prose"
        attempt = outcome.attempt
        reroute, enough = self._registry.config.refusals.rule(attempt.kind, attempt.backend, source)
        declined = {a.backend for a in run.attempts if a.failure is FailureCode.REFUSED}
        return not reroute or len(declined) >= enough
