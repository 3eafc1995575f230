"""What is done with the backends beside asking them: looked at, switched, probed, staged, kept and taken up again.

The game's admin, its commands and the gateway have these from the Router, which adds the asking.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..backend_registry import Registry
from ..core.backend import Backend
from ..core.clock import Clock
from ..core.decision import Skipped
from ..core.failures import FailureCode
from ..health import Health
from ..judge.calibrated import CalibratedJudge
from ..quota import QuotaStatus, QuotaTracker
from ..strategies.learning.table import Row
from .admission import Admission
from .decider import Decider
from .health_checker import HealthChecker


class Operations:
    """How the backends are, for whoever looks after them. All methods belong to the reactor thread."""

    def __init__(
        self,
        registry: Registry,
        checker: HealthChecker,
        admission: Admission,
        decider: Decider,
        judge: CalibratedJudge,
        clock: Clock,
    ):
        self.registry = registry
        self.checker = checker
        self.clock = clock
        self._admission = admission
        self._decider = decider
        self._judge = judge

    @property
    def practising(self) -> bool:
        """Whether simulated backends stand in for real ones."""
        return self.registry.practising

    def strategies(self) -> list[str]:
        """The names that ``strategy`` may have: the config's own first."""
        return self._decider.tree.names()

    def has_strategy(self, name: str) -> bool:
        """Whether ``strategy`` may be this name."""
        try:
            self._decider.tree.named(name)
        except KeyError:
            return False
        return True

    def learned(self) -> list[Row]:
        """What ``learned`` knows, a row for each kind and backend; of simulated ones while they stand in."""
        self._decider.learner.practise(self.registry.practising)
        return self._decider.world.table.rows()

    @property
    def learning_reverted(self) -> str:
        """Why the rules decide instead of what was learned; empty where it decides, or would."""
        return self._decider.world.guard.reverted

    def forget_learned(self, kind: str = "", backend: str = "") -> None:
        """Forget what was learned: all of it, or of a kind, or of a backend."""
        self._decider.learner.reset(kind, backend)

    def experiments(self) -> dict[str, dict[str, Any]]:
        """What came of the arms of every ``split`` so far, by ``name/arm``; see :class:`.strategies.observed.Arm`."""
        return {name: arm.as_dict() for name, arm in sorted(self._decider.world.observed.arms.items())}

    def backend_keys(self) -> list[str]:
        """Every backend's key, in the config's order."""
        return [health.backend.key for health in self.registry]

    def states(self) -> Iterator[Health]:
        """How every backend is, in the config's order."""
        return iter(self.registry)

    def state(self, key: str) -> Health:
        """How the backend ``key`` is. Raises KeyError, naming those there are."""
        return self.registry[key]

    def configured(self, key: str) -> Backend:
        """The backend as the config has it, also while a simulated one stands in. Raises KeyError."""
        return self.registry.real(key)

    def free_places(self, key: str) -> int:
        """How many more attempts may be under way at ``key`` now. Raises KeyError."""
        return self._admission.slot(self.registry[key].backend).tokens

    def quota_status(self, key: str) -> list[QuotaStatus]:
        """How far each quota window of ``key`` is used. Raises KeyError."""
        return self.registry.quotas[key].status(self.clock.seconds())

    def quota_frees_in(self, skipped: Iterable[Skipped]) -> float | None:
        """Seconds until one of ``skipped`` that nothing but its quota kept from being asked has room again.

        None where none of them is such: something else than quota is the obstacle.
        """
        now = self.clock.seconds()
        held = [entry.backend for entry in skipped if entry.worth > 0.0 and entry.backend in self.registry]
        return min((max(1.0, self.registry.quota(key).frees_at(now) - now) for key in held), default=None)

    def set_disabled(self, key: str, disabled: bool) -> None:
        """Ask ``key`` no more, because an admin says so, or ask it again. Raises KeyError."""
        self.registry[key].disabled = disabled

    def reset(self, key: str) -> None:
        """Trust the backend again: close its breaker, end the pause its provider has asked for. Raises KeyError."""
        self.registry.reset(key)

    async def probe(self, key: str) -> str:
        """Check one real backend now: empty when it is well, else what is wrong. Raises KeyError."""
        return await self.checker.probe(key)

    async def probe_all(self) -> dict[str, str]:
        """Check every real backend at once. By key: empty when well, else what is wrong."""
        return await self.checker.probe_all()

    def stage(self, key: str, scenario: str) -> None:
        """Have a simulated backend play ``scenario`` in the place of ``key``; ``real`` ends it.

        Raises KeyError for an unknown backend and ValueError, naming the scenarios, for an unknown scenario.
        """
        self.checker.stage(key, scenario)

    def scenario(self, key: str) -> str:
        """What a simulated backend plays in the place of ``key``; ``real`` where none stands in."""
        return self.checker.scenario(key)

    def wait(self) -> float | None:
        """Seconds until a backend that cannot be asked now can be again; None where that is unknown, or now."""
        now = self.clock.seconds()
        waits = []
        for health in self.registry:
            key = health.backend.key
            until = max(health.until(), self.registry.quota(key).until(now))
            if until <= now:
                return None
            waits.append(until - now)
        soonest = min(waits, default=math.inf)
        return None if math.isinf(soonest) else soonest

    # -- what must not be forgotten ------------------------------------------------------------------------------

    def kept(self) -> Iterator[tuple[str, str]]:
        """The key and the category (``health``, ``quota``, ``learned``) of everything that has a :meth:`snapshot`."""
        for health in self.registry:
            yield health.backend.key, "health"
            # Without windows, too: what its answers cost is known from one run to the next.
            yield health.backend.key, "quota"
        if self._decider.learns:
            yield "outcomes", "learned"

    def snapshot(self, key: str, category: str) -> dict[str, Any]:
        """The state of ``key`` as plain data, for :meth:`restore`. Raises KeyError."""
        if category == "learned":
            return self._decider.learner.snapshot()
        return (self.registry[key] if category == "health" else self.registry.quotas[key]).snapshot()

    def restore(self, key: str, category: str, kept: Mapping[str, Any]) -> list[str]:
        """Take up a snapshot, also one that a person edited. Returns what could not be used, one line each."""
        if category == "health":
            return self.registry[key].restore(kept)
        if category == "learned":
            return self._decider.learner.restore(kept)
        return self.registry.quotas[key].restore(kept, self.clock.seconds())

    def faults_in(self, key: str, category: str, kept: Mapping[str, Any]) -> list[str]:
        """What of ``kept`` :meth:`restore` could not use, one line each. Takes up nothing. Raises KeyError."""
        backend, now = self.registry[key].backend, self.clock.seconds()
        if category == "health":
            return Health(backend, self.clock.seconds, lambda event: None).restore(kept)
        return QuotaTracker(backend, now).restore(kept, now)

    def replay_attempt(
        self, key: str, kind: str, failure: FailureCode | None, reason: str, latency_ms: float, cost_usd: float
    ) -> None:
        """Let the health of ``key`` know of an attempt of the past that its snapshot does not. Raises KeyError."""
        health = self.registry[key]
        health.attempts += 1
        health.cost_usd += cost_usd
        if failure is None:
            health.succeeded(latency_ms / 1000.0)
        else:
            health.failed(failure, reason)
        if failure in (None, FailureCode.REFUSED):
            health.judged(kind, declined=failure is not None)
        if self._decider.learns:
            self._decider.learner.replay(kind, key, failure)

    def replay_usage(self, at: float, key: str, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        """Count what an attempt of the past used against the quotas of ``key``; in order of time."""
        self.registry.quotas.observe(at, key, input_tokens, output_tokens, cost_usd)

    def calibrations(self) -> dict[str, list[tuple[float, bool]]]:
        """What is known of each backend's own confidence, as plain data, for :meth:`restore_calibrations`."""
        return self._judge.snapshot()

    def restore_calibrations(self, kept: Mapping[str, Iterable[tuple[float, bool]]]) -> None:
        """Take up what :meth:`calibrations` gave."""
        self._judge.restore(kept)
