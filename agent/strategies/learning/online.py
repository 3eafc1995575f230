"""How fast the table learns while it works: tasks one after another, of which only the asked one's outcome is seen.

    report = online(data, rules="good", seed=1)
    report["gap"]["5000"], report["regret"]

It is the game's own :class:`~.table.Table`, with its prior, its decay and its exploration; a few tasks in a hundred are
asked of everybody, as ``shadow`` does. ``rules`` says what the operator knew beforehand: ``good`` (the best of each
kind), ``stale`` (the best of another kind), ``half`` (the best of every second kind), ``none``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dataset import Dataset
from .table import Table

#: What the rules expect of whom they prefer, and of the others.
PREFERRED, OTHERS = 0.7, 0.6
#: After so many tasks the gap is told, over those up to there.
MARKS = (500, 2000, 5000)
RULES = ("good", "stale", "half", "none")


def online(
    data: Dataset,
    *,
    rules: str = "good",
    seed: int = 1,
    warm: int = 0,
    compared: float = 0.05,
    tasks: int = MARKS[-1],
    turned: bool = False,
    known: Dataset | None = None,
) -> dict[str, Any]:
    """Let the table choose for ``tasks`` tasks, drawn from ``data`` in a random order.

    warm      tasks before the first, whose outcomes are all known
    compared  the share of tasks that are asked of everybody
    turned    the best backend loses half of its right answers in mid-stream
    known     the rows that the operator's rules were made of; ``data`` itself where there are none
    """
    random = np.random.default_rng(seed)
    scores = np.where(np.isnan(data.scores), np.nan_to_num(np.nanmean(data.scores, 0)), data.scores)
    kinds = [kind or "any" for kind in data.kinds]
    order = [int(row) for _ in range(1 + (warm + tasks) // len(data)) for row in random.permutation(len(data))]
    best = int(scores.mean(0).argmax())
    prior = priors(known or data, rules)
    for kind in set(kinds):
        for key in data.models:
            prior.setdefault((kind, key), OTHERS)
    table = Table()
    for row in order[:warm]:
        for model in range(len(data.models)):
            _learn(table, kinds[row], data.models[model], float(scores[row, model]), prior)
    got, single, oracle = (np.zeros(tasks) for _ in range(3))
    for number, row in enumerate(order[warm : warm + tasks]):
        outcome = scores[row].copy()
        if turned and number >= tasks // 2 and random.random() < 0.5:
            outcome[best] = 0.0
        kind = kinds[row]
        bounds = [table.bounds(kind, key, prior[kind, key]) for key in data.models]
        chosen = max(range(len(bounds)), key=lambda model: bounds[model][0])
        share = max(0.01, 0.05 * (1.0 - table.total / 2000))
        if random.random() < share:
            may_be = [m for m, (_, high) in enumerate(bounds) if high >= bounds[chosen][0]]
            chosen = may_be[int(random.integers(len(may_be)))]
        got[number], single[number], oracle[number] = outcome[chosen], outcome[best], outcome.max()
        everybody = random.random() < compared
        for model in range(len(data.models)) if everybody else (chosen,):
            _learn(table, kind, data.models[model], float(outcome[model]), prior)
    gaps = {str(mark): round(_gap(got[:mark], single[:mark], oracle[:mark]), 4) for mark in MARKS if mark <= tasks}
    half = slice(tasks // 2, None)
    return {
        "rules": rules,
        "tasks": tasks,
        "gap": gaps,
        "quality": round(float(got.mean()), 4),
        "second_half": round(float(got[half].mean()), 4),
        "regret": round(float((oracle - got).sum()), 1),
    }


def priors(data: Dataset, rules: str) -> dict[tuple[str, str], float]:
    """What an operator's rules expect of every backend for every kind."""
    scores = np.where(np.isnan(data.scores), np.nan_to_num(np.nanmean(data.scores, 0)), data.scores)
    kinds = [kind or "any" for kind in data.kinds]
    names = sorted(set(kinds))
    favourites = {kind: int(scores[[k == kind for k in kinds]].mean(0).argmax()) for kind in names}
    if rules == "stale":
        favourites = {kind: favourites[names[(place + 1) % len(names)]] for place, kind in enumerate(names)}
    known = set(names[::2]) if rules == "half" else set() if rules == "none" else set(names)
    return {
        (kind, key): PREFERRED if kind in known and favourites[kind] == model else OTHERS
        for kind in names
        for model, key in enumerate(data.models)
    }


def _learn(table: Table, kind: str, key: str, score: float, prior: dict[tuple[str, str], float]) -> None:
    table.observe(kind, key, score, prior=prior[kind, key])


def _gap(got: Any, single: Any, oracle: Any) -> float:
    span = float(oracle.sum() - single.sum())
    return float(got.sum() - single.sum()) / span if span > 0 else 0.0
