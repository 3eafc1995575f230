"""The calibrated model: weighted sums, in plain Python.

    model().declines(figures)       # probability that the answer declines, fully or in part
    model().partly(figures)         # of answers that decline: probability that there is useful text beside it

A brief answer has weights of its own on top. The weights are readable files, ``configs/judge/weights.json`` and
``ngrams.json``, made by ``tests/judge_training/train.py``, which says in them how.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from operator import mul
from typing import Any

from .data import load
from .features import brief
from .features.extract import NAMES, Features


def sigmoid(x: float) -> float:
    """The logistic function, for any float."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, x))))


class Model:
    """Two logistic regressions over :data:`agent.judge.features.extract.NAMES`, the first with the frames beside it."""

    def __init__(self, data: Mapping[str, Any]):
        self._declines = _weights(data["declines"])
        self._declines_bias = float(data["declines"]["bias"])
        self._brief = _weights(data["brief"])
        self._beside = _weights(data["brief"], brief.NAMES)
        self._brief_bias = float(data["brief"]["bias"])
        self._partly = _weights(data["partly"])
        self._partly_bias = float(data["partly"]["bias"])

    def declines(self, figures: Features) -> float:
        """The probability that the answer declines, fully or in part."""
        row, beside = figures.row, figures.brief
        x = self._declines_bias + figures.frames + sum(map(mul, row, self._declines))
        if beside:
            x += self._brief_bias + sum(map(mul, row, self._brief)) + sum(map(mul, beside.values(), self._beside))
        return sigmoid(x)

    def partly(self, figures: Features) -> float:
        """The probability that an answer which declines is useful beside it."""
        return sigmoid(self._partly_bias + sum(map(mul, figures.row, self._partly)))


def _weights(regression: Mapping[str, Any], names: Sequence[str] = NAMES) -> list[float]:
    """The weights in the order of the figures; a figure without a weight counts for nothing."""
    return [float(regression["weights"].get(name, 0.0)) for name in names]


@cache
def model() -> Model:
    """The shipped model. Raises ValueError where its file does not fit the schema beside it."""
    return Model(load("weights.json", "weights"))
