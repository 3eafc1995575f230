"""Whom to turn to when a backend gave no usable answer, and whether a refusal is believed."""

from __future__ import annotations

from ..backend_registry import Registry
from ..core.decision import Ranked
from ..core.failures import HANDLING, FailureCode
from ..strategies.choice import Step
from .decider import Decider, Ranking
from .plan import Plan
from .run import AttemptOutcome, Run


class NextBackend:
    """The :class:`~.ports.Chooser` over a registry.

    The failure table and the config say whether the task goes on at all; to whom, the strategy that decided for it says
    anew, of those who can be asked now and have not been. Without a strategy it is a ranking made anew.
    """

    def __init__(self, registry: Registry, rank: Ranking, decider: Decider):
        self._registry = registry
        self._rank = rank
        self._decider = decider

    def fallbacks(self, key: str) -> tuple[str, ...]:
        """The backends that the config names as fallbacks of ``key``."""
        return self._registry[key].backend.fallbacks

    def obstacle(self, key: str) -> str:
        """Why ``key`` may not be asked now; empty when it may."""
        return self._registry[key].available() if key in self._registry else "no longer configured"

    def first(self, plan: Plan) -> Step | None:
        """Whom to ask first: the pinned one, or whom the decision found."""
        if plan.choosing is not None and plan.pin is None:
            steps = plan.choosing.choice.steps
            return steps[0] if steps else None
        return Step((plan.first,)) if plan.first else None

    def following(self, run: Run, failure: FailureCode) -> Step | None:
        """Whom to turn to after ``failure``; None when that is nobody."""
        plan = run.plan
        if plan.alone or not self._falls_back(failure):
            return None
        ranking, _ = self._rank(plan.work)
        able = [entry for entry in ranking if self._may_follow(run, entry.backend)]
        if plan.choosing is not None:
            return self._of_strategy(run, failure, able)
        keys = [entry.backend for entry in able]
        if run.fallbacks:
            keys = [key for key in run.fallbacks if key in keys]
        if failure is FailureCode.LOW_CONFIDENCE:
            keys = self._dearer_first(run, keys)
        return Step((keys[0],)) if keys else None

    def _may_follow(self, run: Run, key: str) -> bool:
        if key in run.tried or key in run.plan.task.avoid:
            return False
        backend = self._registry[key].backend
        return backend.max_context > run.overflowed and (not run.shown or "prefill" in backend.capabilities)

    def _of_strategy(self, run: Run, failure: FailureCode, able: list[Ranked]) -> Step | None:
        plan = run.plan
        assert plan.choosing is not None
        choice = self._decider.again(plan.choosing, plan.redacted.task, plan.work, able)
        steps = choice.steps
        if not steps:
            return None
        if named := [key for key in run.fallbacks if key in choice.keys]:
            return Step((named[0],))
        if failure is FailureCode.LOW_CONFIDENCE and not choice.strict:
            places = {key: place for place, key in enumerate(self._dearer_first(run, list(choice.keys)))}
            steps = tuple(sorted(steps, key=lambda step: places[step.keys[0]]))
        # What has been shown is continued by one; several would continue it in several ways.
        return Step(steps[0].keys[:1]) if run.shown else steps[0]

    def _dearer_first(self, run: Run, keys: list[str]) -> list[str]:
        """Providers price by strength, so a dearer model is the stronger one; where there is none, the next best."""
        doubted = self._registry.config.backends.get(run.attempts[-1].backend) if run.attempts else None
        price = doubted.price.output if doubted is not None else 0.0
        return sorted(keys, key=lambda key: self._registry.real(key).price.output <= price)

    def ended(self, run: Run, outcome: AttemptOutcome | None) -> None:
        """The task is over: let the strategies know."""
        self._decider.ended(run, outcome)

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
