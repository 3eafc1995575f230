"""What strategies remember of the calls so far, beside a backend's health: who was asked last, and what came of it.

observed = Observed()
observed.begun("claude")                  # an attempt has started
observed.ended(attempt)                   # ... and is over
observed.arms["poets/b"].accepted         # of an experiment

In memory; nothing of it needs to outlive the process.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from ..core.attempt import Attempt

#: Weight of the newest observation in a moving average.
SMOOTHING = 0.2
#: Conversations whose last backend is remembered.
REMEMBERED = 10_000


@dataclass(slots=True)
class Arm:
    """What came of the tasks of one arm of an experiment."""

    tasks: int = 0
    accepted: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data: shares and averages, for a page or a table."""
        tasks = max(1, self.tasks)
        return {
            "tasks": self.tasks,
            "accepted": round(self.accepted / tasks, 4),
            "cost_usd": round(self.cost_usd / tasks, 6),
            "seconds": round(self.seconds / tasks, 3),
        }


class Observed:
    """The calls so far, by backend.

    turns        the number of the last attempt there, of all attempts; those who were never asked have none
    first_token  moving average of the seconds until the first words
    tokens       of both directions
    requests     attempts that have begun
    in_flight    attempts under way
    """

    def __init__(self) -> None:
        self.turns: dict[str, int] = {}
        self.first_token: dict[str, float] = {}
        self.latency: dict[str, float] = {}
        self.tokens: defaultdict[str, float] = defaultdict(float)
        self.requests: defaultdict[str, int] = defaultdict(int)
        self.arms: defaultdict[str, Arm] = defaultdict(Arm)
        self._stuck: dict[str, tuple[str, float]] = {}
        self._count = 0

    def begun(self, key: str) -> None:
        """An attempt at ``key`` has begun."""
        self._count += 1
        self.turns[key] = self._count
        self.requests[key] += 1

    def ended(self, attempt: Attempt) -> None:
        """An attempt is over."""
        key = attempt.backend
        self.tokens[key] += attempt.usage.input_tokens + attempt.usage.output_tokens
        if attempt.failure is None:
            self.took(key, attempt.latency_ms / 1000.0)
        if attempt.first_token_ms is not None:
            _average(self.first_token, key, attempt.first_token_ms / 1000.0)

    def took(self, key: str, seconds: float) -> None:
        """An answer of ``key`` took so long."""
        _average(self.latency, key, seconds)

    def stick(self, token: str, key: str, now: float) -> None:
        """``key`` has answered the conversation or asker that ``token`` stands for."""
        self._stuck.pop(token, None)
        self._stuck[token] = key, now
        if len(self._stuck) > REMEMBERED:
            del self._stuck[next(iter(self._stuck))]

    def stuck(self, token: str, now: float, seconds: float) -> str:
        """Who answered ``token`` last, if that was within ``seconds``; else empty."""
        key, at = self._stuck.get(token, ("", 0.0))
        return key if now - at <= seconds else ""

    def compare(self, arm: str, *, accepted: bool, cost_usd: float, seconds: float) -> None:
        """A task of an experiment's ``arm`` is over."""
        found = self.arms[arm]
        found.tasks += 1
        found.accepted += accepted
        found.cost_usd += cost_usd
        found.seconds += seconds


def _average(averages: dict[str, float], key: str, value: float) -> None:
    before = averages.get(key)
    averages[key] = value if before is None else before + SMOOTHING * (value - before)
