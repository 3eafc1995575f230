"""The models that can be trained: each a function that fits figures to outcomes, and one that predicts from them.

    ESTIMATORS["ridge"].train(given, scores) -> figures
    ESTIMATORS["ridge"].predict(figures, given) -> expected scores, tasks x models

``given`` is what is known of tasks (:class:`Given`). ``learned`` and ``table`` go by the kind, the others by the words:
on kinds that were never seen those were measured to do worse than always asking the best, so each is drawn towards the
models' means as far as a text is unlike anything seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Figures = Mapping[str, Any]

#: Observations that a model's overall mean is worth in each kind.
PRIOR = 20.0
#: How much the surface counts within a kind, and how much both are held back.
WITHIN, HELD_BACK = 3.0, 15.0
#: Percentiles of a kind's own texts between which its surface is believed. A line fitted to texts of one length says
#: nothing of texts ten times as long: unbounded, a kind that was never seen lost 21 points (mmlu, taken for grids).
RANGE = (5, 95)
#: Shares of a text's figures that are outside: up to the first the rest is believed, from the second on nothing.
USUAL, STRANGE = 0.15, 0.4
#: Neighbours, clusters, and the rank of the factorization.
NEIGHBOURS, CLUSTERS, RANK = 60, 24, 4


@dataclass(slots=True)
class Given:
    """What is known of tasks, a row each.

    shares   of every kind
    known    how much the text is like what was seen, 0 to 1
    surface  standardized figures of the surface
    place    where the words put it: a vector of length one
    """

    shares: Any
    known: Any
    surface: Any
    place: Any

    def only(self, rows: Any) -> Given:
        return Given(self.shares[rows], self.known[rows], self.surface[rows], self.place[rows])


@dataclass(frozen=True, slots=True)
class Estimator:
    """How a model is trained, and how it predicts. ``places``: whether it needs the words' vector."""

    train: Callable[[Given, Any], Figures]
    predict: Callable[[Figures, Given], Any]
    places: bool = True


def _mean(scores: Any) -> Any:
    return np.nan_to_num(np.nanmean(scores, 0), nan=0.5)


def _filled(scores: Any) -> Any:
    """Scores with the model's mean where an outcome is unknown."""
    return np.where(np.isnan(scores), _mean(scores), scores)


def _drawn(expected: Any, mean: Any, known: Any) -> Any:
    """``expected`` as far as a task is known; the mean for the rest."""
    return mean + known[:, None] * (expected - mean)


def _ridge(features: Any, targets: Any, held_back: float) -> Any:
    square = features.T @ features + held_back * np.eye(features.shape[1])
    return np.linalg.solve(square, features.T @ targets)


def _sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -30, 30)))


# -- by kind -----------------------------------------------------------------------------------------------------


def _train_table(given: Given, scores: Any) -> Figures:
    mean = _mean(scores)
    there = ~np.isnan(scores)
    seen = given.shares.T @ there
    good = given.shares.T @ np.nan_to_num(scores)
    return {"mean": mean, "table": (good + PRIOR * mean) / (seen + PRIOR)}


def _predict_table(figures: Figures, given: Given) -> Any:
    return _drawn(given.shares @ figures["table"], figures["mean"], given.known)


def _ranges(given: Given) -> tuple[Any, Any]:
    """Between what the surface of each kind's own texts lies: kinds x figures, the lowest and the highest."""
    mine = given.shares.argmax(1)
    parts = [given.surface[mine == kind] for kind in range(given.shares.shape[1])]
    none = np.zeros((2, given.surface.shape[1]))
    found = np.array([np.percentile(part, RANGE, axis=0) if len(part) else none for part in parts])
    return found[:, 0], found[:, 1]


def _within(given: Given, low: Any, high: Any) -> Any:
    """The kinds' shares, and the surface within each: held to the range of the kind's own texts, and the less of it the
    more of its figures are outside."""
    size = given.surface.shape[1]
    surface = given.surface[:, None, :]
    held = np.clip(surface, low, high)
    outside = (held != surface).mean(2, keepdims=True)
    believed = np.clip((STRANGE - outside) / (STRANGE - USUAL), 0.0, 1.0)
    inner = given.shares[:, :, None] * held * believed * np.sqrt(WITHIN / size)
    return np.hstack([given.shares, inner.reshape(len(given.shares), -1)])


def _train_learned(given: Given, scores: Any) -> Figures:
    mean = _mean(scores)
    low, high = _ranges(given)
    return {"mean": mean, "weights": _ridge(_within(given, low, high), _filled(scores) - mean, HELD_BACK)} | {
        "low": low,
        "high": high,
    }


def _predict_learned(figures: Figures, given: Given) -> Any:
    mean = figures["mean"]
    low, high = figures.get("low", -np.inf), figures.get("high", np.inf)  # a file of 0.1 has none
    return _drawn(mean + _within(given, low, high) @ figures["weights"], mean, given.known)


def _train_elo(given: Given, scores: Any) -> Figures:
    """Bradley-Terry ratings by kind, by gradient steps on all pairs of models that differ."""
    filled, models = _filled(scores), scores.shape[1]
    ratings = np.zeros((given.shares.shape[1], models))
    wins = np.einsum("tk,ta,tb->kab", given.shares, filled, 1.0 - filled)
    games = wins + wins.transpose(0, 2, 1) + 1e-9
    prior = wins.sum(0)
    wins = wins + PRIOR * prior / (prior + prior.T + 1e-9)
    games = games + PRIOR
    for _ in range(200):
        expected = _sigmoid(ratings[:, :, None] - ratings[:, None, :])
        ratings += 4.0 * (wins - games * expected).sum(2) / games.sum(2)
    return {"mean": _mean(scores), "ratings": ratings}


def _predict_elo(figures: Figures, given: Given) -> Any:
    ratings = given.shares @ figures["ratings"]
    against = _sigmoid(ratings - ratings.mean(1, keepdims=True))
    mean = figures["mean"]
    return _drawn(against + mean.mean() - 0.5, mean, given.known)


# -- by words ----------------------------------------------------------------------------------------------------


def _train_ridge(given: Given, scores: Any) -> Figures:
    mean = _mean(scores)
    features = np.hstack([given.place, given.surface / np.sqrt(given.surface.shape[1])])
    return {"mean": mean, "weights": _ridge(features, _filled(scores) - mean, HELD_BACK)}


def _predict_ridge(figures: Figures, given: Given) -> Any:
    features = np.hstack([given.place, given.surface / np.sqrt(given.surface.shape[1])])
    return _drawn(figures["mean"] + features @ figures["weights"], figures["mean"], given.known)


def _train_logistic(given: Given, scores: Any) -> Figures:
    """A logistic regression a model, by Newton steps."""
    filled = _filled(scores)
    features = np.hstack([given.place, np.ones((len(given.place), 1))])
    weights = np.zeros((features.shape[1], scores.shape[1]))
    for _ in range(8):
        for model in range(scores.shape[1]):
            expected = _sigmoid(features @ weights[:, model])
            slope = features.T @ (filled[:, model] - expected) - weights[:, model]
            curve = (features * (expected * (1 - expected))[:, None]).T @ features + np.eye(features.shape[1])
            weights[:, model] += np.linalg.solve(curve, slope)
    return {"mean": _mean(scores), "weights": weights}


def _predict_logistic(figures: Figures, given: Given) -> Any:
    features = np.hstack([given.place, np.ones((len(given.place), 1))])
    return _drawn(_sigmoid(features @ figures["weights"]), figures["mean"], given.known)


def _train_mf(given: Given, scores: Any) -> Figures:
    """A factorization of the outcomes, whose task factors the words predict: a ridge of low rank."""
    mean = _mean(scores)
    filled = _filled(scores) - mean
    _, _, factors = np.linalg.svd(filled - filled.mean(1, keepdims=True), full_matrices=False)
    factors = factors[: min(RANK, len(factors))]
    return {"mean": mean, "weights": _ridge(given.place, filled @ factors.T, HELD_BACK), "factors": factors}


def _predict_mf(figures: Figures, given: Given) -> Any:
    return _drawn(figures["mean"] + given.place @ figures["weights"] @ figures["factors"], figures["mean"], given.known)


def _train_knn(given: Given, scores: Any) -> Figures:
    return {
        "mean": _mean(scores),
        "places": given.place.astype(np.float16),
        "scores": _filled(scores).astype(np.float16),
    }


def _predict_knn(figures: Figures, given: Given) -> Any:
    places, scores = figures["places"].astype(np.float32), figures["scores"].astype(np.float32)
    count = min(NEIGHBOURS, len(places))
    found = []
    for start in range(0, len(given.place), 512):
        like = given.place[start : start + 512] @ places.T
        nearest = np.argpartition(-like, count - 1, axis=1)[:, :count]
        found.append((scores[nearest].sum(1) + PRIOR * figures["mean"]) / (count + PRIOR))
    return _drawn(np.vstack(found), figures["mean"], given.known)


def _train_clusters(given: Given, scores: Any) -> Figures:
    """Groups of texts by k-means, and a table of them."""
    places, random = given.place, np.random.default_rng(0)
    middles = places[random.choice(len(places), min(CLUSTERS, len(places)), replace=False)].astype(np.float64)
    for _ in range(15):
        member = np.eye(len(middles))[(places @ middles.T).argmax(1)]
        middles = member.T @ places + 1e-6 * middles
        middles /= np.maximum(np.linalg.norm(middles, axis=1, keepdims=True), 1e-9)
    member = np.eye(len(middles))[(places @ middles.T).argmax(1)]
    mean = _mean(scores)
    table = (member.T @ _filled(scores) + PRIOR * mean) / (member.sum(0)[:, None] + PRIOR)
    return {"mean": mean, "middles": middles, "table": table}


def _predict_clusters(figures: Figures, given: Given) -> Any:
    nearest = (given.place @ figures["middles"].T).argmax(1)
    return _drawn(figures["table"][nearest], figures["mean"], given.known)


ESTIMATORS: Mapping[str, Estimator] = {
    "learned": Estimator(_train_learned, _predict_learned, places=False),
    "table": Estimator(_train_table, _predict_table, places=False),
    "elo": Estimator(_train_elo, _predict_elo, places=False),
    "knn": Estimator(_train_knn, _predict_knn),
    "ridge": Estimator(_train_ridge, _predict_ridge),
    "logistic": Estimator(_train_logistic, _predict_logistic),
    "mf": Estimator(_train_mf, _predict_mf),
    "clusters": Estimator(_train_clusters, _predict_clusters),
}
