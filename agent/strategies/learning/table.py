"""How good each backend is at each kind of work, learned from outcomes: Beta cells with the rules as their prior.

table = Table()
table.observe("chat", "local", 0.0, source="feedback", prior=0.8)     # somebody said that it was bad
table.mean("chat", "local", prior=0.8)                                # 0.76: what to expect of the next one
table.rows()                                                          # for people

Theory of operation
    A cell holds a weighted count of good and of all outcomes, the older ones fading by :data:`DECAY` with each new one
    of the cell. Its mean is that of a Beta distribution whose prior weighs as much as :data:`PRIOR` observations: what
    the rules expect, moved by how far the backend as a whole does better or worse than they do. So a table that knows
    nothing says what the rules say, and a kind that was never seen is judged by the backend's others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: Outcomes that the rules' expectation is worth, in a cell. Over five orders of 5,000 tasks of nine models,
#: with 20 rules that are out of date cost more, and good ones bring no more.
PRIOR = 10.0
#: Outcomes of a backend after which half of how far it is above or below what the rules expect is believed.
SHIFT = 5.0
#: What an outcome still counts after the next one of its cell.
DECAY = 0.995
#: Observations from which on a cell is trusted: told as known, and good enough to send work to a cheaper backend.
TRUSTED = 20.0
#: Standard deviations of a one-sided bound that holds with 95%.
SIGMAS = 1.64

#: What an outcome counts, by where it comes from. A verdict says only that an answer is one, so it counts little where
#: it is good; a person's word, and a check that was passed or failed, count in full.
WEIGHTS: Mapping[str, float] = {
    "feedback": 1.0,
    "goal": 1.0,
    "schema": 1.0,
    "verdict": 0.25,
    "refusal": 0.5,
    "shadow": 0.5,
    "vote": 0.5,
    "rephrased": 0.3,
    "retry": 0.3,
    "import": 1.0,
}


@dataclass(slots=True)
class Cell:
    """Weighted counts: ``good`` of ``seen``. ``total`` is how many outcomes there ever were."""

    good: float = 0.0
    seen: float = 0.0
    total: int = 0

    def add(self, score: float, weight: float) -> None:
        self.good = self.good * DECAY + score * weight
        self.seen = self.seen * DECAY + weight
        self.total += 1


@dataclass(slots=True)
class Row:
    """One cell for people: ``mean`` of what to expect, ``low`` and ``high`` bound it with 90%."""

    kind: str
    backend: str
    mean: float
    low: float
    high: float
    seen: float
    trusted: bool


class Table:
    """The cells, by kind and backend."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], Cell] = {}
        #: By backend: how far its outcomes were above what the rules expected, and how many those were.
        self._above: dict[str, Cell] = {}
        #: How many outcomes there ever were.
        self.total = 0
        self._priors: dict[tuple[str, str], float] = {}
        #: By backend and kind, for the prior that was asked with: mean and upper bound, until the backend is observed.
        self._known: dict[str, dict[str, tuple[float, float, float]]] = {}

    def observe(self, kind: str, backend: str, score: float, *, weight: float = 1.0, prior: float = 0.5) -> None:
        """An outcome of ``kind`` at ``backend``: ``score`` 0 to 1. ``prior`` is what the rules expected of it."""
        if not (0.0 <= score <= 1.0 and weight > 0.0):
            raise ValueError(f"a score is from 0 to 1 and a weight above 0, not {score!r} and {weight!r}")
        self.cells.setdefault((kind, backend), Cell()).add(score, weight)
        self._above.setdefault(backend, Cell()).add(score - prior, weight)
        self._priors[kind, backend] = prior
        self.total += 1
        self._known.pop(backend, None)

    def mean(self, kind: str, backend: str, prior: float) -> float:
        """What to expect of ``backend`` for ``kind``, 0 to 1; ``prior`` is what the rules expect."""
        return self.bounds(kind, backend, prior)[0]

    def bounds(self, kind: str, backend: str, prior: float) -> tuple[float, float]:
        """The mean, and the most that it could well be: :data:`SIGMAS` standard deviations above."""
        known = self._known.get(backend)
        if known is None:
            known = self._known[backend] = {}
        found = known.get(kind)
        if found is None or found[0] != prior:
            good, bad = self._beta(kind, backend, prior)
            mean = good / (good + bad)
            high = min(1.0, mean + SIGMAS * math.sqrt(mean * (1.0 - mean) / (good + bad + 1.0)))
            found = known[kind] = prior, mean, high
        return found[1], found[2]

    def _beta(self, kind: str, backend: str, prior: float) -> tuple[float, float]:
        above = self._above.get(backend)
        if above is not None:
            prior = min(0.98, max(0.02, prior + above.good / (above.seen + SHIFT)))
        cell = self.cells.get((kind, backend))
        if cell is None:
            return PRIOR * prior, PRIOR * (1.0 - prior)
        return PRIOR * prior + cell.good, PRIOR * (1.0 - prior) + cell.seen - cell.good

    def seen(self, kind: str, backend: str) -> float:
        """How many outcomes the cell still counts."""
        cell = self.cells.get((kind, backend))
        return cell.seen if cell is not None else 0.0

    def trusted(self, kind: str, backend: str) -> bool:
        """Whether the cell knows enough to be believed against the rules where it is cheaper."""
        return self.seen(kind, backend) >= TRUSTED

    def rows(self) -> list[Row]:
        """Every cell that has seen anything, by kind, the best backend first."""
        rows = []
        for (kind, backend), cell in self.cells.items():
            prior = self._priors.get((kind, backend), 0.5)
            mean, high = self.bounds(kind, backend, prior)
            low = max(0.0, 2.0 * mean - high)
            rows.append(Row(kind, backend, mean, low, high, cell.seen, cell.seen >= TRUSTED))
        return sorted(rows, key=lambda row: (row.kind, -row.mean))

    # -- what is kept --------------------------------------------------------------------------------------------

    def reset(self, kind: str = "", backend: str = "") -> None:
        """Forget everything, or all of one kind, or of one backend, or the one cell."""
        self._known.clear()
        for cell in list(self.cells):
            if (not kind or cell[0] == kind) and (not backend or cell[1] == backend):
                del self.cells[cell]
        if not kind:
            for key in list(self._above):
                if not backend or key == backend:
                    del self._above[key]
        if not kind and not backend:
            self.total = 0

    def snapshot(self) -> dict[str, Any]:
        """Plain data, for :meth:`restore` and for a file."""
        return {
            "version": 1,
            "total": self.total,
            "cells": [
                [kind, key, round(cell.good, 4), round(cell.seen, 4), cell.total, self._priors.get((kind, key), 0.5)]
                for (kind, key), cell in sorted(self.cells.items())
            ],
            "above": [[key, round(c.good, 4), round(c.seen, 4), c.total] for key, c in sorted(self._above.items())],
        }

    def restore(self, kept: Mapping[str, Any]) -> list[str]:
        """Take up a snapshot, also one that a person edited. Returns what could not be used, one line each."""
        faults: list[str] = []
        cells: dict[tuple[str, str], Cell] = {}
        above: dict[str, Cell] = {}
        priors: dict[tuple[str, str], float] = {}
        for number, row in enumerate(_listed(kept.get("cells"))):
            try:
                kind, key, good, seen, total, prior = row
                good, seen, prior = float(good), float(seen), float(prior)
                if not (0.0 <= good <= seen < 1e9 and 0.0 <= prior <= 1.0 and 0 <= int(total) < 10**12):
                    raise ValueError
            except (TypeError, ValueError, OverflowError):
                faults.append(f"cells[{number}]: is not [kind, backend, good, seen, total, prior]")
                continue
            cells[str(kind), str(key)] = Cell(good, seen, int(total))
            priors[str(kind), str(key)] = prior
        for number, row in enumerate(_listed(kept.get("above"))):
            try:
                key, good, seen, total = row
                if not (abs(float(good)) <= float(seen) < 1e9 and 0 <= int(total) < 10**12):
                    raise ValueError
            except (TypeError, ValueError, OverflowError):
                faults.append(f"above[{number}]: is not [backend, excess, seen, total]")
                continue
            above[str(key)] = Cell(float(good), float(seen), int(total))
        self.cells, self._above, self._priors = cells, above, priors
        self._known.clear()
        total = kept.get("total", 0)
        self.total = total if isinstance(total, int) and total >= 0 else sum(cell.total for cell in cells.values())
        return faults


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()
