"""``strong_weak``: the strong one for what needs it, the weak one for the rest: by a threshold, a share, or a quality.

The figure that decides is how much better the strong one is expected to do, from 0 (worse by all) through 0.5 (as well)
to 1: by the game's own outcomes (:mod:`.learning.table`), or by a model that ``learn`` has trained. A threshold for it,
for a wanted share of strong calls, is what ``python -m agent calibrate`` prints; RouteLLM's model names carry one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.task import KINDS
from .base import Look, Strategy, joined
from .choice import NOBODY, Choice
from .learned import likely
from .trained import Model, read_model


class StrongWeak(Strategy):
    """Two branches, and who is asked first.

    threshold     strong from this figure on, 0 to 1
    strong_share  strong for about this share of the tasks, those that gain most by it; by the kinds seen so far
    quality       weak wherever it is expected to do at least this share as well
    """

    name = "strong_weak"

    def __init__(
        self,
        strong: Strategy,
        weak: Strategy,
        threshold: float | None = None,
        strong_share: float | None = None,
        quality: float | None = None,
        model: Model | None = None,
    ):
        self.strong, self.weak = strong, weak
        self.children = (strong, weak)
        self.threshold, self.strong_share, self.quality = threshold, strong_share, quality
        if threshold is None and strong_share is None and quality is None:
            self.quality = 0.95
        self._model = model

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        wanted = {name: options.get(name) for name in ("threshold", "strong_share", "quality")}
        model = read_model(options["model"]) if "model" in options else None
        return cls(branch(options["strong"]), branch(options["weak"]), model=model, **wanted)

    def choose(self, look: Look) -> Choice:
        strong, weak = self.strong.choose(look), self.weak.choose(look)
        if not (strong.steps and weak.steps):
            only = strong if strong.steps else weak
            return only.under("strong_weak: the other cannot be asked") if only.steps else NOBODY
        is_strong, why = self._decided(strong.first, weak.first, look)
        first, second = (strong, weak) if is_strong else (weak, strong)
        choice = joined((first, second))._replace(strict=True)
        return choice.under(f"strong_weak: {'strong' if is_strong else 'weak'}, as {why}")

    def _decided(self, strong: str, weak: str, look: Look) -> tuple[bool, str]:
        of_strong, of_weak = self._expected(strong, look), self._expected(weak, look)
        figure = figure_of(of_strong, of_weak)
        if self.threshold is not None:
            return figure >= self.threshold, f"{figure:.3f} is measured against {self.threshold:.3f}"
        if self.strong_share is not None:
            share = self._share(strong, weak, look)
            return look.draw("strong") <= share, f"{share:.0%} of such tasks are to be strong"
        assert self.quality is not None
        enough = of_weak >= self.quality * of_strong
        return not enough, f"{of_weak:.0%} is expected of {weak}, {of_strong:.0%} of {strong}"

    def _expected(self, key: str, look: Look) -> float:
        if self._model is not None and (said := self._model.expected(look).get(key)) is not None:
            return said
        table, world = look.world.table, look.world
        return sum(share * table.mean(kind, key, world.prior(kind, key)) for kind, share in likely(look))

    def _share(self, strong: str, weak: str, look: Look) -> float:
        """The share of the task's kind that is strong, so that of all kinds together ``strong_share`` are."""
        table, world = look.world.table, look.world
        seen = dict.fromkeys(KINDS, 0.0)
        for (kind, _), cell in table.cells.items():
            seen[kind] = seen.get(kind, 0.0) + cell.seen
        if not any(seen.values()):
            seen = dict.fromkeys(KINDS, 1.0)
        gains = {
            kind: table.mean(kind, strong, world.prior(kind, strong)) - table.mean(kind, weak, world.prior(kind, weak))
            for kind in seen
        }
        assert self.strong_share is not None
        wanted = self.strong_share * sum(seen.values())
        mine = gains.get(look.work.kind, 0.0)
        before = sum(count for kind, count in seen.items() if gains[kind] > mine)
        equal = sum(count for kind, count in seen.items() if gains[kind] == mine)
        return min(1.0, max(0.0, (wanted - before) / equal)) if equal else float(wanted > before)


def figure_of(strong: float, weak: float) -> float:
    """How much better the strong one is expected to do: 0.5 is as well, 1 is all against nothing."""
    return 0.5 + 0.5 * (strong - weak)


STRATEGY = StrongWeak
