"""``weighted``: at random, in proportion to the weights given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .base import Look, Strategy, joined
from .choice import NOBODY, Choice


class Weighted(Strategy):
    """Each task draws for itself; whoever cannot be asked leaves its share to the others."""

    name = "weighted"

    def __init__(self, weights: Mapping[str, tuple[Strategy, float]]):
        self.weights = dict(weights)
        self.children = tuple(child for child, _ in weights.values())

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        return cls({name: (branch(name), float(weight)) for name, weight in options["weights"].items()})

    def choose(self, look: Look) -> Choice:
        drawn: list[tuple[float, str, Choice]] = []
        whole = 0.0
        for name, (child, weight) in self.weights.items():
            choice = child.choose(look)
            if choice.steps:
                whole += weight
                # The smallest of exponential waits falls on each in proportion to its weight.
                drawn.append((-math.log(look.draw(name)) / weight, name, choice))
        if not drawn:
            return NOBODY
        drawn.sort(key=lambda entry: entry[0])
        name = drawn[0][1]
        share = self.weights[name][1] / whole
        return (
            joined([choice for _, _, choice in drawn])
            ._replace(propensity=share)
            .under(f"weighted: {name}, drawn with {share:.0%}")
        )


STRATEGY = Weighted
