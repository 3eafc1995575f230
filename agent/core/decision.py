"""Whom to ask: what counts of a task when a backend is chosen for it, and the decision with its reasons. Pure data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .recollection import Recollection
from .task import Task


@dataclass(frozen=True, slots=True)
class Work:
    """What ranking and quotas need to know of a task.

    ``tokens`` is its estimated input; ``prefer`` are backends that it prefers to those of the rules. ``cached`` holds,
    by backend, how many of the tokens its provider most likely has in its cache.
    """

    kind: str
    tokens: int
    max_tokens: int | None = None
    needs: frozenset[str] = frozenset()
    prefer: tuple[str, ...] = ()
    cached: tuple[tuple[str, int], ...] = ()

    def cached_at(self, key: str) -> int:
        """The tokens of the input that are most likely in the cache of the backend ``key``."""
        return next((tokens for backend, tokens in self.cached if backend == key), 0) if self.cached else 0


def work_of(task: Task, kind: str) -> Work:
    """What counts of ``task`` when a backend is chosen for it."""
    return Work(kind, task.estimated_tokens, task.max_tokens, task.needs, task.prefer)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One backend that could be asked. ``cost_usd`` is an estimate made before any answer exists.

    ``worth`` is the score without headroom.
    """

    backend: str
    score: float
    reasons: tuple[str, ...]
    cost_usd: float
    worth: float = 0.0


@dataclass(frozen=True, slots=True)
class Skipped:
    """One backend that cannot be asked, and why. ``worth`` is above 0 where nothing but quota stands in the way."""

    backend: str
    reason: str
    worth: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Who would be asked and why. ``backend`` is empty when nobody can be.

    memory  the answer that is known already, so that nobody would be asked; None where there is none
    path    the way through the tree of strategies, from its root, each step with its reason; empty for the plain
            ranking. ``ranking`` is then in the order of the tree, and holds those alone whom it allows
    """

    backend: str
    kind: str
    confidence: float
    ranking: tuple[Ranked, ...]
    skipped: tuple[Skipped, ...]
    kind_reasons: tuple[str, ...] = ()
    practice: bool = False
    memory: Recollection | None = None
    path: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        plain = asdict(self)
        for entry in (*plain["ranking"], *plain["skipped"]):
            # For the quotas' own use; the score and the reasons say it all.
            del entry["worth"]
        return plain
