"""A trained model: what it takes to go from a text to what each backend is expected to make of it.

model = TrainedModel.train(dataset, "learned")
model.expected_of("What is 17 * 23?")                  # an array, in the order of model.models
model.expected_of("What is 17 * 23?", kind="math")     # where the kind is known

``ensemble`` is all estimators together, with weights that were found on rows that none of them had seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .dataset import Dataset, Unusable
from .estimators import ESTIMATORS, Figures, Given
from .features import SPACE, surface, words_of
from .kinds import KindModel

if TYPE_CHECKING:
    from ..base import Look

#: Everything that ``--use`` takes.
USES = (*ESTIMATORS, "ensemble")
#: The size of the vector that the words of a text are put into.
PLACES = 48
#: Parts of the data that the weights of an ensemble are found on in turn.
FOLDS = 4
#: One of them that the kinds go by where the rows have none.
ANY = "any"


class TrainedModel:
    """One model, or an ensemble of them.

    use      one of :data:`USES`
    models   the names of the backends, in the order of what it gives
    costs    USD to expect of each, by kind
    figures  by estimator; weights are how much each counts
    """

    def __init__(
        self,
        use: str,
        models: Sequence[str],
        kinds: KindModel | None,
        names: Sequence[str],
        scale: Any,
        directions: Any,
        figures: dict[str, Figures],
        weights: dict[str, float],
        costs: Any,
    ):
        self.use = use
        self.models = list(models)
        self.kinds = kinds
        self.names = list(names)
        self.scale = scale
        self.directions = directions
        self.figures = figures
        self.weights = weights
        self.costs = costs

    @classmethod
    def train(cls, data: Dataset, use: str = "learned", prepared: Prepared | None = None) -> TrainedModel:
        """Fit one to outcomes. Raises Unusable for too few rows, ImportError where scikit-learn is missing."""
        if len(data) < 20 or len(data.models) < 2:
            raise Unusable("at least 20 rows with outcomes of at least two models are needed")
        ready = prepared or Prepared.of(data)
        if use == "ensemble" or ESTIMATORS[use].places:
            ready.put_into_place(data.tasks)
        uses = list(ESTIMATORS) if use == "ensemble" else [use]
        weights = _weights(ready.given, data.scores, uses) if use == "ensemble" else {use: 1.0}
        uses = [name for name in uses if weights[name] > 0]
        figures = {name: ESTIMATORS[name].train(ready.given, data.scores) for name in uses}
        needs = any(ESTIMATORS[name].places for name in uses)
        filled = np.where(np.isnan(data.costs), np.nan_to_num(np.nanmean(data.costs, 0)), data.costs)
        counts = ready.given.shares.sum(0)[:, None]
        costs = (ready.given.shares.T @ filled + 5.0 * filled.mean(0)) / (counts + 5.0)
        directions = ready.directions if needs else None
        return cls(use, data.models, ready.kinds, ready.names, ready.scale, directions, figures, weights, costs)

    def given(self, tasks: Sequence[str], kinds: Sequence[str] | None = None) -> Given:
        """What is known of tasks; their kinds, where those are given and were seen, else what their words say."""
        count = len(self.names)
        shares, known = np.zeros((len(tasks), count)), np.zeros(len(tasks))
        place: Any = np.zeros((len(tasks), PLACES), np.float32)
        for row, task in enumerate(tasks):
            kind = kinds[row] if kinds is not None else ""
            if kind in self.names:
                shares[row, self.names.index(kind)] = known[row] = 1.0
            elif self.kinds is not None:
                shares[row], known[row] = self.kinds.shares(task)
                known[row] = 0.0 if kind else known[row]
            else:
                shares[row], known[row] = 1.0 / count, 1.0
            if self.directions is not None:
                place[row] = place_of(task, self.directions)
        figures = np.array([surface(task) for task in tasks])
        return Given(shares, known, np.clip((figures - self.scale[0]) / self.scale[1], -3, 3), place)

    def predict(self, given: Given) -> Any:
        """Expected scores, tasks x models."""
        parts = [self.weights[name] * ESTIMATORS[name].predict(said, given) for name, said in self.figures.items()]
        return sum(parts)

    def expected_of(self, task: str, kind: str = "") -> Any:
        """What to expect of each backend for one task, 0 to 1."""
        return np.clip(self.predict(self.given([task], [kind] if kind in self.names else None))[0], 0.0, 1.0)

    def expected(self, look: Look) -> dict[str, float]:
        """The same by backend, for a strategy."""
        prompt = look.task.prompt or next((turn.text for turn in reversed(look.task.turns) if turn.text), "")
        said = self.expected_of(prompt, look.work.kind)
        return {key: float(score) for key, score in zip(self.models, said, strict=True)}


class Prepared:
    """What every estimator needs of the same rows, worked out once."""

    def __init__(self, kinds: KindModel | None, names: list[str], scale: Any, directions: Any, given: Given):
        self.kinds, self.names, self.scale, self.directions, self.given = kinds, names, scale, directions, given

    @classmethod
    def of(cls, data: Dataset) -> Prepared:
        """Of a data set to train on."""
        names = sorted({kind for kind in data.kinds if kind})
        kinds = KindModel.train(data.tasks, [kind or ANY for kind in data.kinds]) if len(names) > 1 else None
        names = kinds.names if kinds is not None else [names[0] if names else ANY]
        figures = np.array([surface(task) for task in data.tasks])
        scale = np.stack([figures.mean(0), figures.std(0) + 1e-9])
        shares = np.zeros((len(data), len(names)))
        shares[np.arange(len(data)), [names.index(kind) if kind in names else 0 for kind in data.kinds]] = 1.0
        flat = np.clip((figures - scale[0]) / scale[1], -3, 3)
        place: Any = np.zeros((len(data), PLACES), np.float32)
        return cls(kinds, names, scale, None, Given(shares, np.ones(len(data)), flat, place))

    def put_into_place(self, tasks: Sequence[str]) -> None:
        """Work out the vectors of the words, which takes longer than all the rest and is not always needed."""
        if self.directions is None:
            self.directions, self.given.place = _directions(tasks)


def place_of(task: str, directions: Any) -> Any:
    """Where the words of a text put it: a vector of length one."""
    words = words_of(task)
    if not words:
        return np.zeros(directions.shape[1], np.float32)
    places = np.fromiter(words.keys(), np.int64, len(words))
    found = np.fromiter(words.values(), np.float32, len(words)) @ directions[places].astype(np.float32)
    return found / max(1e-9, float(np.linalg.norm(found)))


def _directions(tasks: Sequence[str]) -> tuple[Any, Any]:
    """The directions in which texts differ most (latent semantic analysis), by a randomized decomposition."""
    from scipy.sparse import csr_array, diags_array

    said = [words_of(task) for task in tasks]
    pointers = np.cumsum([0, *(len(words) for words in said)])
    places = np.fromiter((place for words in said for place in words), np.int64, pointers[-1])
    counts = np.fromiter((count for words in said for count in words.values()), np.float32, pointers[-1])
    seen = np.bincount(places, minlength=SPACE)
    idf = (np.log((1 + len(tasks)) / (1 + seen)) + 1.0).astype(np.float32)
    plain = csr_array((counts, places, pointers), shape=(len(tasks), SPACE))
    words = csr_array(plain @ diags_array(idf))
    norms = np.sqrt(words.multiply(words).sum(1))
    words = csr_array(diags_array((1.0 / np.maximum(norms, 1e-9)).astype(np.float32)) @ words)
    random = np.random.default_rng(0)
    basis = random.standard_normal((SPACE, PLACES + 8)).astype(np.float32)
    for _ in range(3):
        basis, _ = np.linalg.qr(np.asarray(words @ basis))
        basis, _ = np.linalg.qr(np.asarray(words.T @ basis))
    _, _, turned = np.linalg.svd(np.asarray(words @ basis), full_matrices=False)
    directions = (idf[:, None] * (basis @ turned.T[:, :PLACES])).astype(np.float16)
    directions[seen == 0] = 0
    place = np.asarray(plain @ directions.astype(np.float32))
    return directions, place / np.maximum(np.linalg.norm(place, axis=1, keepdims=True), 1e-9)


def _weights(given: Given, scores: Any, uses: Sequence[str]) -> dict[str, float]:
    """How much each estimator should count: least squares on rows it has not seen, none below nothing, one in all."""
    rows = len(scores)
    fold = np.random.default_rng(0).integers(0, FOLDS, rows)
    said = np.zeros((len(uses), rows, scores.shape[1]))
    for number in range(FOLDS):
        seen, unseen = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        for place, name in enumerate(uses):
            figures = ESTIMATORS[name].train(given.only(seen), scores[seen])
            said[place][unseen] = ESTIMATORS[name].predict(figures, given.only(unseen))
    there = ~np.isnan(scores)
    # What all models have in common on a task decides nothing.
    target = scores - np.nanmean(scores, 1, keepdims=True)
    centred = said - said.mean(2, keepdims=True)
    features, wanted = centred[:, there], target[there]
    weights = np.full(len(uses), 1.0 / len(uses))
    square, side = features @ features.T, features @ wanted
    step = 1.0 / np.linalg.norm(square, 2)
    for _ in range(3000):
        weights = _onto_simplex(weights - step * (square @ weights - side))
    return {name: float(weight) if weight > 0.01 else 0.0 for name, weight in zip(uses, weights, strict=True)}


def _onto_simplex(weights: Any) -> Any:
    """The nearest weights that are not negative and add up to one."""
    ordered = np.sort(weights)[::-1]
    above = np.cumsum(ordered) - 1.0
    last = np.flatnonzero(ordered - above / np.arange(1, len(weights) + 1) > 0)[-1]
    return np.maximum(weights - above[last] / (last + 1), 0.0)
