"""The calibrated model: two logistic regressions over the same features, in plain Python.

    chances = model().chances(features)
    chances.declines        # probability that the answer declines, fully or in part
    chances.refuses         # probability that it refuses in full, so that another brain would do better

The first is a detector, the second decides what is done. A brief answer has weights of its own on top. The weights
are readable files, ``configs/judge/weights.json`` and ``ngrams.json``, made by ``tests/judge_training/train.py``, which
says in them how. Each weight of the first and its fellow of the second make one complex number, so that both sums
cost one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import compress
from operator import mul
from typing import Any, NamedTuple

from .data import load
from .features.extract import BRIEF_NAMES, NAMES, Features


def sigmoid(x: float) -> float:
    """The logistic function, for any float."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, x))))


class Chances(NamedTuple):
    """``declines`` is the probability that the answer declines, fully or in part; ``refuses`` that it does in full."""

    declines: float
    refuses: float


class Model:
    """The regressions "declines" and "refuses" over :data:`agent.judge.features.extract.NAMES` and the n-grams."""

    def __init__(self, data: Mapping[str, Any]):
        declines, refuses = data["declines"], data["refuses"]
        self._bias = complex(declines["bias"], refuses["bias"])
        self._brief_bias = complex(declines["brief_bias"], refuses["brief_bias"])
        self._always = _pairs(declines["weights"], refuses["weights"], NAMES)
        self._brief = _pairs(declines["brief"], refuses["brief"], NAMES)
        self._brief_only = _pairs(declines["brief"], refuses["brief"], BRIEF_NAMES)

    def chances(self, features: Features) -> Chances:
        """Both probabilities for one answer."""
        row, brief = features.row, features.brief
        # Most features of an answer are 0.
        x = self._bias + features.ngram_score + sum(map(mul, compress(row, row), compress(self._always, row)))
        if brief:
            more = brief.values()
            x += self._brief_bias + sum(map(mul, compress(row, row), compress(self._brief, row)))
            x += sum(map(mul, compress(more, more), compress(self._brief_only, more)))
        refuses = sigmoid(x.imag)
        # What refuses in full declines, whatever the two regressions make of it.
        return Chances(max(sigmoid(x.real), refuses), refuses)


def _pairs(declines: Mapping[str, float], refuses: Mapping[str, float], names: Sequence[str]) -> list[complex]:
    """The weights in the order of the features; a feature without a weight counts for nothing."""
    return [complex(declines.get(name, 0.0), refuses.get(name, 0.0)) for name in names]


@cache
def model() -> Model:
    """The shipped model. Raises ConfigError where its file does not fit the schema beside it."""
    return Model(load("weights.json", "weights"))
