"""The policies that a simulation compares: the strategies themselves, on the clock of the simulation.

Each is a strategy of :mod:`agent.strategies` over the real ranking and the real quotas. ``headroom`` is what happens
where no route is configured; the others go by the rules or by their own figure, and give quota no weight but that of a
limit. A backends file's own ``route`` and ``strategies`` are policies as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..config.settings import Config, Headroom
from ..core.backend import Backend
from ..core.decision import Work
from ..core.task import Task
from ..health.breaker import Health
from ..quota import QuotaReservation, Quotas, QuotaTracker, Spend
from ..strategies.base import Look, Strategy, World
from ..strategies.ranked import Fits, gains, rank
from ..strategies.tree import Tree

#: Quota counts where it is used up, and nowhere else.
NO_WEIGHT = Headroom(pull=0.0, push=0.0, price=0.0, save=False)

#: By the name that the figures have: the strategy. None is the plain ranking; ``rules`` is that without headroom.
BUILT_IN: Mapping[str, str | None] = {
    "headroom": None,
    "rules": None,
    "cheapest": "cost",
    "usage_based": "usage",
    "weighted_shuffle": "weighted",
    "least_busy": "least_busy",
    "latency_based": "latency",
    "round_robin": "round_robin",
    "most_headroom": "headroom",
    "fallback": "fallback",
    "cascade": "cascade",
    "race": "race",
    "hedge": "hedge",
    "vote": "vote",
    "learned": "learned",
}
#: Those that quota weighs for, as it does where no route is configured.
WEIGHED = ("headroom", "most_headroom", "learned")


class Policy:
    """One strategy, and what is known of those who were asked.

    strategy  None for the plain ranking
    weighed   whether quota has the weight that the config gives it
    """

    def __init__(self, config: Config, suits: dict[str, frozenset[str]], strategy: Strategy | None, *, weighed: bool):
        self.config = config
        self.strategy = strategy
        self.backends: list[Backend] = list(config.backends.values())
        self.weights = config.headroom if weighed else NO_WEIGHT
        self.now = 0.0
        self.suits = suits
        self.quotas: Quotas | None = None
        self.healths = {backend.key: Health(backend, lambda: self.now, lambda event: None) for backend in self.backends}
        self._fits = Fits(config.rules, suits)
        self._world = World(config, self.healths.__getitem__, lambda key: self._quotas()[key], suits)
        self._tasks = 0

    def steps(self, now: float, work: Work) -> list[tuple[str, ...]]:
        """Whom to ask, first choice first; those that are asked at once stand together."""
        self.now = now
        quotas = self._quotas()
        ranking, skipped = rank(
            work,
            self.healths.values(),
            self.config.rules,
            self.suits,
            quotas.__getitem__,
            self.weights,
            now,
            self._fits,
        )
        for key, gain in gains(ranking, skipped):
            quotas[key].wanted(now, work, gain, self.weights.reserve)
        if self.strategy is None:
            return [(entry.backend,) for entry in ranking]
        self._tasks += 1
        task = Task(kind=work.kind, id=f"task-{self._tasks}", asker=str(self._tasks % 97))
        able = {entry.backend: entry for entry in ranking}
        choice = self.strategy.choose(Look(task, work, able, self._world, now))
        return [step.keys for step in choice.steps]

    def _quotas(self) -> Quotas:
        if self.quotas is None:
            self.quotas = Quotas(self.config.backends, self.now)
        return self.quotas

    def tracker(self, key: str) -> QuotaTracker:
        """What is counted of a backend."""
        return self._quotas()[key]

    def begun(self, now: float, key: str, work: Work) -> QuotaReservation:
        """A call has begun."""
        self.healths[key].begin()
        self._world.observed.begun(key)
        return self._quotas()[key].reserve(now, work)

    def turned_away(self, now: float, key: str, until: float) -> None:
        """A provider has no quota left until then."""
        self._quotas()[key].exhausted(now, until - now)

    def ended(self, key: str, work: Work, ticket: QuotaReservation, spend: Spend, seconds: float) -> None:
        """A call is over."""
        self.healths[key].end()
        observed = self._world.observed
        observed.tokens[key] += spend.of("tokens")
        observed.took(key, seconds)
        ticket.settle(spend)
        self._quotas()[key].estimate.learn(work, int(spend.input_tokens), int(spend.output_tokens))


def policies(config: Config, suits: dict[str, frozenset[str]]) -> dict[str, Policy]:
    """Every policy by its name: the built-in ones, the config's own strategies, and its ``route``."""
    made: dict[str, Policy] = {}
    for name, use in BUILT_IN.items():
        spec = None if use is None else _spec(use, config)
        made[name] = _policy(config, suits, spec, weighed=name in WEIGHED)
    for name, own in config.strategies.items():
        made[name] = _policy(config, suits, own, weighed=True)
    if config.route is not None:
        made["route"] = _policy(config, suits, config.route, weighed=True)
    return made


def _policy(config: Config, suits: dict[str, frozenset[str]], spec: Any, *, weighed: bool) -> Policy:
    strategy = None if spec is None else Tree(replace(config, route=spec)).route
    return Policy(config, suits, strategy, weighed=weighed)


def _spec(use: str, config: Config) -> dict[str, Any]:
    """The options of a strategy that cannot do without any."""
    if use == "weighted":
        return {"use": use, "weights": weights(config)}
    return {"use": use, "over": list(config.backends)} if use == "fallback" else {"use": use}


def weights(config: Config) -> dict[str, float]:
    """By the USD of quota; a backend without weighs as much as they do on average."""
    found = {b.key: sum(q.limit for q in b.quota if q.unit == "usd") for b in config.backends.values()}
    given = [weight for weight in found.values() if weight]
    usual = sum(given) / len(given) if given else 1.0
    return {key: weight or usual for key, weight in found.items()}
