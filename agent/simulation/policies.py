"""The policies that a simulation compares: ours, the rules' own, and those that other routers offer.

Each answers ``order(now, work)``: whom to ask, first choice first, of those that could do the work at all. The others
know a provider's quota only by being turned away; then they leave it alone until its reset.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ..config.settings import Config, Headroom
from ..core.backend import Backend
from ..core.decision import Work
from ..core.pricing import expected_cost_usd
from ..health.breaker import Health
from ..quota import QuotaReservation, Quotas, Spend
from ..strategies.ranked import gains, rank, unfit

#: Weight of the newest answer in the latency that ``latency_based`` goes by.
SMOOTHING = 0.1


class Policy(ABC):
    """Whom to ask for a task, and what is known of those who were asked. A subclass says in which order."""

    name: ClassVar[str]

    def __init__(self, config: Config, suits: dict[str, frozenset[str]], seed: int = 1):
        self.config = config
        self.backends: list[Backend] = list(config.backends.values())
        self.closed: dict[str, float] = {}
        self.in_flight: dict[str, int] = dict.fromkeys(config.backends, 0)
        self.tokens: dict[str, float] = dict.fromkeys(config.backends, 0.0)
        self.latency: dict[str, float] = dict.fromkeys(config.backends, 0.0)
        self.random = random.Random(seed)

    @abstractmethod
    def order(self, now: float, work: Work) -> Sequence[str]:
        """The keys of those that can do the work, first choice first."""

    def begun(self, now: float, key: str, work: Work) -> QuotaReservation | None:
        self.in_flight[key] += 1
        return None

    def turned_away(self, now: float, key: str, until: float) -> None:
        self.closed[key] = until

    def ended(self, key: str, work: Work, ticket: QuotaReservation | None, spend: Spend, seconds: float) -> None:
        self.in_flight[key] -= 1
        self.tokens[key] += spend.of("tokens")
        before = self.latency[key]
        self.latency[key] = before + SMOOTHING * (seconds - before) if before else seconds


class ByFigure(Policy):
    """Those that go by one figure; a subclass says which."""

    def order(self, now: float, work: Work) -> Sequence[str]:
        able = [b for b in self.backends if self.closed.get(b.key, 0.0) <= now and not unfit(b, work)]
        able.sort(key=lambda backend: self.figure(backend, work))
        return [backend.key for backend in able]

    @abstractmethod
    def figure(self, backend: Backend, work: Work) -> float:
        """The smaller, the sooner it is asked."""


class Cheapest(ByFigure):
    name = "cheapest"

    def figure(self, backend: Backend, work: Work) -> float:
        return expected_cost_usd(backend, work.tokens, work.max_tokens)


class UsageBased(ByFigure):
    """Fewest tokens so far."""

    name = "usage_based"

    def figure(self, backend: Backend, work: Work) -> float:
        return self.tokens[backend.key]


class WeightedShuffle(ByFigure):
    """At random, weighted by the USD of quota; a backend without weighs as much as they do on average."""

    name = "weighted_shuffle"

    def __init__(self, config: Config, suits: dict[str, frozenset[str]], seed: int = 1):
        super().__init__(config, suits, seed)
        weights = {b.key: sum(q.limit for q in b.quota if q.unit == "usd") for b in self.backends}
        given = [weight for weight in weights.values() if weight]
        usual = sum(given) / len(given) if given else 1.0
        self.weights = {key: weight or usual for key, weight in weights.items()}

    def figure(self, backend: Backend, work: Work) -> float:
        # The smallest of exponential waits falls on each in proportion to its weight.
        return self.random.expovariate(self.weights[backend.key])


class LeastBusy(ByFigure):
    """Fewest calls under way; at random among equals."""

    name = "least_busy"

    def figure(self, backend: Backend, work: Work) -> float:
        return self.in_flight[backend.key] + 0.5 * self.random.random()


class LatencyBased(ByFigure):
    name = "latency_based"

    def figure(self, backend: Backend, work: Work) -> float:
        return self.latency[backend.key]


class Ranked(Policy):
    """The real ranking and the real quotas, on the clock of the simulation."""

    name = "headroom"
    weights: Headroom | None = None

    def __init__(self, config: Config, suits: dict[str, frozenset[str]], seed: int = 1):
        super().__init__(config, suits, seed)
        self.now = 0.0
        self.suits = suits
        self.quotas: Quotas | None = None
        self.healths = [Health(backend, lambda: self.now, lambda event: None) for backend in self.backends]

    def order(self, now: float, work: Work) -> Sequence[str]:
        self.now = now
        if self.quotas is None:
            self.quotas = Quotas(self.config.backends, now)
        weights = self.weights or self.config.headroom
        ranking, skipped = rank(
            work, self.healths, self.config.rules, self.suits, self.quotas.__getitem__, weights, now
        )
        for key, gain in gains(ranking, skipped):
            self.quotas[key].wanted(now, work, gain, weights.reserve)
        return [entry.backend for entry in ranking]

    def begun(self, now: float, key: str, work: Work) -> QuotaReservation | None:
        assert self.quotas is not None
        return self.quotas[key].reserve(now, work)

    def turned_away(self, now: float, key: str, until: float) -> None:
        assert self.quotas is not None
        self.quotas[key].exhausted(now, until - now)

    def ended(self, key: str, work: Work, ticket: QuotaReservation | None, spend: Spend, seconds: float) -> None:
        assert self.quotas is not None and ticket is not None
        ticket.settle(spend)
        self.quotas[key].estimate.learn(work, int(spend.input_tokens), int(spend.output_tokens))


class Rules(Ranked):
    """The ranking without headroom: the rules' own choice until a quota is used up."""

    name = "rules"
    weights = Headroom(pull=0.0, push=0.0, price=0.0, save=False)


POLICIES: tuple[type[Policy], ...] = (
    Ranked,
    Rules,
    Cheapest,
    UsageBased,
    WeightedShuffle,
    LeastBusy,
    LatencyBased,
)
