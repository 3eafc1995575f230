"""How well a way of choosing does on tasks that it was not trained on: quality, cost, and all that lies between.

    report = evaluate(train, test, ["learned", "table"])
    report["best_single"], report["strategies"]["learned"]["gap_closed"]

The figures
    best_single   the model that was best on the training rows, asked for everything
    oracle        the best model of each task; random, any
    gap_closed    the share of the way from best_single to oracle
    curve         [[cost, quality], ...] from the cheapest to the best, by a growing price on cost
    cost_at_99    the least cost at which 99% of best_single's quality is reached, as a share of its cost
    aiq           the area under the curve's hull between the cheapest and the dearest model, by that span
                  (RouterBench: https://arxiv.org/abs/2403.12031)
    apgr          of two models: the share of the way from the weak to the strong one, over all shares of strong calls
                  (RouteLLM: https://arxiv.org/abs/2406.18665)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .dataset import Dataset
from .models import Prepared, TrainedModel

#: Points of a curve, and of the shares that apgr is taken over.
POINTS = 60
#: Tasks that the time of a decision is taken of.
TIMED = 200


def evaluate(train: Dataset, test: Dataset, uses: Sequence[str], *, hide_kinds: bool = False) -> dict[str, Any]:
    """Train each of ``uses`` and choose for every task of ``test``. ``hide_kinds``: its kinds are to be found out."""
    test = test.of(train.models)
    ready = Prepared.of(train)
    models = {use: TrainedModel.train(train, use, ready) for use in uses}
    return measure(models, train, test, hide_kinds=hide_kinds)


def measure(
    models: dict[str, TrainedModel], train: Dataset, test: Dataset, *, hide_kinds: bool = False
) -> dict[str, Any]:
    """The figures of trained models, in the order of ``train.models``."""
    scores, costs = _complete(test.scores), _complete(test.costs)
    best = int(np.nan_to_num(np.nanmean(train.scores, 0)).argmax())
    single, oracle = float(scores[:, best].mean()), float(scores.max(1).mean())
    kinds = None if hide_kinds else test.kinds
    said: dict[str, Any] = {}
    for use, model in models.items():
        given = model.given(test.tasks, kinds)
        expected = model.predict(given)
        prices = given.known[:, None] * (given.shares @ model.costs) + (1 - given.known[:, None]) * model.costs.mean(0)
        said[use] = figures(expected, prices, scores, costs, best) | {"us_per_decision": _timed(model, test, kinds)}
    return {
        "rows": len(test),
        "models": train.models,
        "kinds_hidden": hide_kinds,
        "best_model": train.models[best],
        "best_single": round(single, 4),
        "best_single_cost_usd": float(costs[:, best].mean()),
        "oracle": round(oracle, 4),
        "random": round(float(scores.mean()), 4),
        "strategies": said,
    }


def figures(expected: Any, prices: Any, scores: Any, costs: Any, best: int) -> dict[str, Any]:
    """The figures of one way of choosing: by what it expects of each model, and what it expects to pay."""
    rows = np.arange(len(scores))
    chosen = expected.argmax(1)
    quality = float(scores[rows, chosen].mean())
    single, oracle = float(scores[:, best].mean()), float(scores.max(1).mean())
    curve = _curve(expected, prices, scores, costs)
    found: dict[str, Any] = {
        "quality": round(quality, 4),
        "cost_usd": float(costs[rows, chosen].mean()),
        "gap_closed": round((quality - single) / (oracle - single), 4) if oracle > single else 0.0,
        "cost_at_99": _cost_at(curve, 0.99 * single, float(costs[:, best].mean())),
        "aiq": _aiq(curve, costs),
        "apgr": apgr(expected, scores) if scores.shape[1] == 2 else None,
        "curve": [[float(f"{cost:.6g}"), round(each, 4)] for cost, each in curve],
    }
    return found


def apgr(expected: Any, scores: Any) -> float | None:
    """Of two models: the mean share of the way from the weak to the strong one, over all shares of strong calls."""
    means = scores.mean(0)
    strong, weak = int(means.argmax()), int(means.argmin())
    if means[strong] <= means[weak]:
        return None
    order = np.argsort(expected[:, weak] - expected[:, strong], kind="stable")
    gains = np.concatenate([[0.0], np.cumsum((scores[:, strong] - scores[:, weak])[order])]) / len(scores)
    whole = means[strong] - means[weak]
    return round(float(np.mean(gains / whole)), 4)


def _complete(values: Any) -> Any:
    """With a model's mean where an outcome is unknown."""
    return np.where(np.isnan(values), np.nan_to_num(np.nanmean(values, 0)), values)


def _curve(expected: Any, prices: Any, scores: Any, costs: Any) -> list[tuple[float, float]]:
    """Cost and quality for a growing price on cost, cheapest first."""
    rows = np.arange(len(scores))
    span = float(prices.max() - prices.min()) or 1.0
    found: dict[float, float] = {}
    for price in (0.0, *np.geomspace(1e-4, 1e4, POINTS)):
        chosen = (expected - price * prices / span).argmax(1)
        cost, quality = float(costs[rows, chosen].mean()), float(scores[rows, chosen].mean())
        found[cost] = max(quality, found.get(cost, 0.0))
    return sorted(found.items())


def _cost_at(curve: list[tuple[float, float]], quality: float, of: float) -> float | None:
    """The least cost with that quality, as a share of ``of``; two neighbours may be mixed. None where none has it."""
    best: float | None = None
    for place, (cost, reached) in enumerate(curve):
        if reached < quality:
            continue
        if place and curve[place - 1][1] < quality:
            before, below = curve[place - 1]
            cost = before + (cost - before) * (quality - below) / (reached - below)
        best = cost if best is None else min(best, cost)
    return round(best / of, 4) if best is not None and of > 0 else None


def _aiq(curve: list[tuple[float, float]], costs: Any) -> float:
    """The area under the curve, quality never falling with cost, between the cheapest and the dearest model."""
    low, high = float(costs.mean(0).min()), float(costs.mean(0).max())
    points = np.linspace(low, high, 200)
    known = np.array([cost for cost, _ in curve])
    best = np.maximum.accumulate([quality for _, quality in curve])
    return round(float(np.interp(points, known, best).mean()), 4)


def _timed(model: TrainedModel, test: Dataset, kinds: Sequence[str] | None) -> float:
    """Microseconds of the median decision, from raw text."""
    took = []
    for row in range(min(TIMED, len(test))):
        began = time.perf_counter()
        model.expected_of(test.tasks[row], kinds[row] if kinds is not None else "").argmax()
        took.append(time.perf_counter() - began)
    return round(1e6 * sorted(took)[len(took) // 2], 1)


# -- does it pay? ------------------------------------------------------------------------------------------------


def lower_bound(data: Dataset, use: str, *, folds: int = 4, sigmas: float = 1.64) -> tuple[float, float]:
    """By how much a model is better than always asking the best one, on rows it has not seen, and its lower bound.

    The comparison is paired, task by task. Below zero, a change that was learned here should not be made.
    """
    fold = np.random.default_rng(0).integers(0, folds, len(data))
    differences: list[Any] = []
    for number in range(folds):
        train, test = (data.only(np.flatnonzero(of).tolist()) for of in (fold != number, fold == number))
        best = int(np.nan_to_num(np.nanmean(train.scores, 0)).argmax())
        model = TrainedModel.train(train, use)
        chosen = model.predict(model.given(test.tasks, test.kinds)).argmax(1)
        scores = _complete(test.scores)
        differences.append(scores[np.arange(len(test)), chosen] - scores[:, best])
    every = np.concatenate(differences)
    mean = float(every.mean())
    return mean, mean - sigmas * float(every.std()) / len(every) ** 0.5


def thresholds(model: TrainedModel, data: Dataset, strong: str, weak: str, share: float) -> dict[str, float]:
    """The threshold for ``strong_weak`` at which ``share`` of these tasks go to the strong one, and what that makes."""
    expected = model.predict(model.given(data.tasks, data.kinds))
    of_strong, of_weak = expected[:, model.models.index(strong)], expected[:, model.models.index(weak)]
    figure = 0.5 + 0.5 * (of_strong - of_weak)
    order = np.sort(figure)[::-1]
    count = round(share * len(order))
    threshold = 1.0 if count == 0 else float(order[min(count, len(order)) - 1])
    to_strong = figure >= threshold
    scores = _complete(data.scores)
    at_strong, at_weak = (scores[:, data.models.index(name)] for name in (strong, weak))
    return {
        "threshold": round(threshold, 6),
        "strong_share": round(float(to_strong.mean()), 4),
        "quality": round(float(np.where(to_strong, at_strong, at_weak).mean()), 4),
        "quality_strong": round(float(at_strong.mean()), 4),
        "quality_weak": round(float(at_weak.mean()), 4),
    }
