"""Tells the kinds of a data set apart by a text's words: trained with scikit-learn, used with numpy alone.

kinds = KindModel.train(tasks, kinds)
shares, known = kinds.shares("What is 17 * 23?")     # by kind; and how much the text is like what was seen, 0 to 1

A text that is unlike anything seen says nothing of its kind, however surely a classifier would put it somewhere: so
how like it is to the middle of its likeliest kind is compared with how like that kind's own texts were.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .features import SPACE, surface, words_of

#: Shares of a kind's own texts that are less like it: below the first a text counts as unknown, above the second as
#: known, in between in proportion.
STRANGE, USUAL = 0.03, 0.15
#: Steps of the training.
STEPS = 40
#: What the surface counts beside the words.
SURFACE = 0.3


class KindModel:
    """One linear classifier over hashed words and the surface."""

    def __init__(self, names: Sequence[str], idf: Any, weights: Any, bias: Any, centres: Any, ranks: Any, scale: Any):
        self.names = list(names)
        self.idf = idf
        self.weights = weights
        self.bias = bias
        self.centres = centres
        self.ranks = ranks
        self.scale = scale

    @classmethod
    def train(cls, tasks: Sequence[str], kinds: Sequence[str], strength: float = 30.0) -> KindModel:
        """Fit one to texts and their kinds, at least two of them. Raises ImportError without scikit-learn."""
        from scipy.sparse import csr_array, diags_array, hstack
        from sklearn.linear_model import LogisticRegression

        names = sorted(set(kinds))
        said = [words_of(task) for task in tasks]
        pointers = np.cumsum([0, *(len(words) for words in said)])
        places = np.fromiter((place for words in said for place in words), np.int64, pointers[-1])
        counts = np.fromiter((count for words in said for count in words.values()), np.float64, pointers[-1])
        seen = np.bincount(places, minlength=SPACE)
        idf = (np.log((1 + len(tasks)) / (1 + seen)) + 1.0).astype(np.float32)
        words = csr_array((counts * idf[places], places, pointers), shape=(len(tasks), SPACE))
        norms = np.sqrt(words.multiply(words).sum(1))
        words = csr_array(diags_array(1.0 / np.maximum(norms, 1e-9)) @ words)
        figures = np.array([surface(task) for task in tasks])
        scale = np.stack([figures.mean(0), figures.std(0) + 1e-9])
        flat = SURFACE * np.clip((figures - scale[0]) / scale[1], -3, 3)
        labels = np.array([names.index(kind) for kind in kinds])
        both = csr_array(hstack([words, csr_array(flat)]))
        with warnings.catch_warnings():
            # Some steps short of the optimum is near enough, and better on what was not seen.
            warnings.simplefilter("ignore")
            fitted = LogisticRegression(C=strength, max_iter=STEPS).fit(both, labels)
        weights, bias = fitted.coef_.T, fitted.intercept_
        if len(names) == 2:
            weights, bias = np.hstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        member = np.eye(len(names))[labels]
        centres = np.asarray(words.T @ member)
        centres = centres / np.maximum(np.linalg.norm(centres, axis=0), 1e-9)
        like = np.asarray(words @ centres)
        percent = np.linspace(0, 100, 101)
        ranks = np.stack([np.percentile(like[labels == k, k], percent) for k in range(len(names))])
        return cls(
            names, idf, weights.astype(np.float32), bias.astype(np.float32), centres.astype(np.float32),
            ranks.astype(np.float32), scale.astype(np.float32),
        )  # fmt: skip

    def shares(self, text: str) -> tuple[Any, float]:
        """The share of each kind, in the order of :attr:`names`; and how known such a text is, 0 to 1."""
        words = words_of(text)
        if not words:
            return np.full(len(self.names), 1.0 / len(self.names)), 0.0
        places = np.fromiter(words.keys(), np.int64, len(words))
        values = np.fromiter(words.values(), np.float32, len(words)) * self.idf[places]
        values /= max(1e-9, float(np.sqrt(values @ values)))
        flat = SURFACE * np.clip((np.array(surface(text), np.float32) - self.scale[0]) / self.scale[1], -3, 3)
        points = values @ self.weights[places] + flat @ self.weights[SPACE:] + self.bias
        shares = np.exp(points - points.max())
        shares /= shares.sum()
        like = values @ self.centres[places]
        best = int(shares.argmax())
        rank = float(np.searchsorted(self.ranks[best], like[best])) / 100.0
        return shares, min(1.0, max(0.0, (rank - STRANGE) / (USUAL - STRANGE)))
