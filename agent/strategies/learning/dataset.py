"""Outcomes of several models on the same tasks, from a file: what models are trained and measured with.

    {"id": "q1", "task": "What is 17 * 23?", "kind": "math", "outcomes": {"gpt": {"score": 1, "cost_usd": 0.002}, ...}}

One such object a line, ``.jsonl`` or ``.jsonl.gz``; ``kind`` is optional. A model that is missing in a row is unknown
there (not a number), and no error.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.failures import UniwizardError
from ...core.jsonlines import objects


class Unusable(UniwizardError):
    """There is nothing in a file to learn from; the message says why."""


@dataclass(slots=True)
class Dataset:
    """Rows as columns. ``scores`` and ``costs`` are tasks x models; ``kinds`` is empty where a row has none."""

    tasks: list[str]
    kinds: list[str]
    models: list[str]
    scores: Any
    costs: Any

    def __len__(self) -> int:
        return len(self.tasks)

    def only(self, rows: Sequence[int]) -> Dataset:
        """These rows alone."""
        rows = list(rows)
        return Dataset(
            [self.tasks[r] for r in rows],
            [self.kinds[r] for r in rows],
            self.models,
            self.scores[rows],
            self.costs[rows],
        )

    def of(self, models: Sequence[str]) -> Dataset:
        """The same tasks, with the outcomes of these models in this order."""
        places = [self.models.index(model) for model in models]
        return Dataset(self.tasks, self.kinds, list(models), self.scores[:, places], self.costs[:, places])


def read_dataset(path: str | Path) -> tuple[Dataset, list[str]]:
    """The rows of a file, and what is wrong with the others: ``line 3: outcomes: is missing``.

    Raises Unusable where no row is left, OSError where the file cannot be read.
    """
    faults: list[str] = []
    rows: list[tuple[str, str, dict[str, tuple[float, float]]]] = []
    for number, found, fault in objects(_lines(Path(path))):
        try:
            if fault:
                raise ValueError(fault)
            rows.append(_row(found))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if not rows:
        raise Unusable(f"{path}: holds no usable row" + (f" ({faults[0]})" if faults else ""))
    models = sorted({model for _, _, outcomes in rows for model in outcomes})
    places = {model: place for place, model in enumerate(models)}
    scores = np.full((len(rows), len(models)), np.nan)
    costs = np.full((len(rows), len(models)), np.nan)
    for row, (_, _, outcomes) in enumerate(rows):
        for model, (score, cost) in outcomes.items():
            scores[row, places[model]], costs[row, places[model]] = score, cost
    return Dataset([task for task, _, _ in rows], [kind for _, kind, _ in rows], models, scores, costs), faults


def _lines(path: Path) -> Iterator[str]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as packed:
            yield from packed
        return
    with path.open(encoding="utf-8") as file:
        yield from file


def _row(found: dict[str, Any]) -> tuple[str, str, dict[str, tuple[float, float]]]:
    task, kind, outcomes = found.get("task"), found.get("kind") or "", found.get("outcomes")
    if not isinstance(task, str):
        raise ValueError("task: is not text")
    if not isinstance(kind, str):
        raise ValueError("kind: is not text")
    if not isinstance(outcomes, dict) or not outcomes:
        raise ValueError("outcomes: is no object of models")
    return task, kind, {str(model): _outcome(model, said) for model, said in outcomes.items()}


def _outcome(model: str, said: Any) -> tuple[float, float]:
    said = said if isinstance(said, dict) else {}
    score, cost = _number(said.get("score")), _number(said.get("cost_usd", 0.0))
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"outcomes.{model[:40]}.score: is not a number from 0 to 1")
    if not 0.0 <= cost < 1e6:
        raise ValueError(f"outcomes.{model[:40]}.cost_usd: is not a number from 0")
    return score, cost


def _number(value: Any) -> float:
    """The number, or -1 for what is none."""
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if plain else -1.0
