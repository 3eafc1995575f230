"""Strategies that go by a model which ``python -m agent learn`` has trained: knn, ridge, logistic, mf, elo, and so on.

    {use: trained, model: models/poets.json, quality: 0.95}

A model is a file of figures; it is read with numpy, which is imported when a model is used and not before. Where the
model does not know a backend, the game's own table is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from .base import Look, Sequenced, Strategy


class Model(Protocol):
    """What a model says of one task."""

    def expected(self, look: Look) -> dict[str, float]:
        """By backend, how good an answer is to be expected, 0 to 1; those alone that the model knows."""


class Trained(Sequenced):
    """The best by the model; with ``quality`` the cheapest that is at least this share as good as the best."""

    name = "trained"

    def __init__(self, over: Sequence[Strategy] | None = None, model: str = "", quality: float | None = None):
        super().__init__(over)
        self._model = read_model(model)
        self.quality = quality

    def ordered(self, keys: list[str], look: Look) -> list[str]:
        expected = self._scores(keys, look)
        order = sorted(keys, key=lambda key: -expected[key])
        if self.quality is not None:
            enough = [key for key in order if expected[key] >= self.quality * expected[order[0]]]
            first = min(enough, key=lambda key: look.able[key].cost_usd)
            order.sort(key=lambda key: key != first)
        return order

    def why(self, key: str, look: Look) -> str:
        return f"{key} is expected to do well ({self._scores([key], look)[key]:.0%}) by the model"

    def _scores(self, keys: list[str], look: Look) -> dict[str, float]:
        said, world = self._model.expected(look), look.world
        kind = look.work.kind
        return {key: said[key] if key in said else world.table.mean(kind, key, world.prior(kind, key)) for key in keys}


@lru_cache(maxsize=32)
def read_model(path: str) -> Model:
    """The model in a file. Raises OSError, ValueError, and ImportError where numpy is missing."""
    from .learning.files import load_model

    return load_model(path)


STRATEGY = Trained
