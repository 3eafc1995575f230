"""``learned``: whoever has turned out best for the kind of work, by outcomes; the rules as long as little is known.

The score is what to expect of a backend (:mod:`.learning.table`), over the kinds that the task may be, times what
willingness, reliability and headroom make of it in the ranking, less a price on cost and on latency. A small share of
the tasks goes to another backend that could well be the best; how likely that was is told with the choice. When the
rules do better after all (:mod:`.learning.guard`), they decide again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .base import Look, Sequenced, Strategy, joined
from .choice import NOBODY, Choice, Step
from .learning.table import Table
from .trained import Trained

#: The share of tasks that explore: at first, and at last, once there have been :data:`SETTLED` outcomes.
EXPLORE, AT_LEAST, SETTLED = 0.05, 0.01, 2000
#: Kinds less likely than this are not looked at: as a share of the likeliest, and in the classifier's points.
UNLIKELY = 0.05
_UNLIKELY_BY = math.log(UNLIKELY)


class Learned(Sequenced):
    """The best by outcomes.

    quality  take the cheapest that is at least this share as good as the best, of those that are trusted; None takes
             the best
    cost     what the dearest backend's price costs in quality, 0 to 1; the others in proportion
    latency  the same for the slowest
    explore  the share of tasks that explore at first; 0 for none
    model    a table from a file instead of the game's own
    """

    name = "learned"

    def __init__(
        self,
        over: Sequence[Strategy] | None = None,
        quality: float | None = None,
        cost: float = 0.0,
        latency: float = 0.0,
        explore: float = EXPLORE,
        model: str = "",
    ):
        super().__init__(over)
        self.quality, self.cost, self.latency, self.explore = quality, cost, latency, explore
        self._table = _read(model) if model else None

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        """A model that was trained on outcomes of all backends takes the place of the table."""
        if "model" in options and _format(options["model"]) != "uniwizard-table-1":
            kept = {name: value for name, value in options.items() if name in ("use", "over", "model", "quality")}
            return Trained.build(kept, branch)
        return super().build(options, branch)

    def choose(self, look: Look) -> Choice:
        choices: Mapping[str, Choice] = {}
        if self.plain or not self.children:
            keys = [key for key in self.plain if key in look.able] if self.plain else list(look.able)
        else:
            found = [choice for child in self.children if (choice := child.choose(look)).steps]
            choices = {choice.first: choice for choice in reversed(found)}
            keys = [key for key in look.able if key in choices]
        if not keys:
            return NOBODY
        order, why, propensity, rivals = self._decided(keys, look)
        if not choices:
            return Choice(tuple([Step((key,)) for key in order]), (why,), propensity=propensity, rivals=rivals)
        choice = joined([choices[key] for key in order]).under(why)
        return choice._replace(propensity=propensity, rivals=rivals)

    def _decided(self, keys: list[str], look: Look) -> tuple[list[str], str, float, tuple[str, str]]:
        """The keys in order, why, how likely the first was to be it, and what the table and the rules would have."""
        world = look.world
        table = self._table or world.table
        by_rules = max(keys, key=lambda key: look.able[key].score)
        scores, means, highs = self._scores(keys, look, table)
        best = max(scores, key=lambda key: (scores[key], key == by_rules))
        kind = look.work.kind
        said = f"{best} is the best for {kind} ({means[best]:.0%} expected, {table.seen(kind, best):.0f} outcomes)"
        if self.quality is not None:
            best, said = self._cheapest(best, said, scores, look, table)
        greedy = best
        if world.guard.reverted and self._table is None:
            best, said = by_rules, f"the rules decide, as {world.guard.reverted}"
        share = max(AT_LEAST, self.explore * (1.0 - table.total / SETTLED)) if self.explore else 0.0
        propensity = 1.0
        if share and len(keys) > 1:
            # Whoever's upper bound reaches what is expected of the best; and the rules' choice, to be compared with.
            may_be = {key for key in keys if highs[key] >= means[best]} | {by_rules, greedy}
            propensity = 1.0 - share + share / len(may_be)
            if look.draw("explore") < share:
                explored = sorted(may_be)[min(len(may_be) - 1, int(look.draw("which") * len(may_be)))]
                if explored != best:
                    best, said, propensity = (
                        explored,
                        f"{explored} is tried, as it could be the best",
                        share / len(may_be),
                    )
        order = sorted(keys, key=lambda key: (key != best, -scores[key]))
        return order, f"learned: {said}", propensity, (greedy, by_rules)

    def _scores(
        self, keys: list[str], look: Look, table: Table
    ) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
        """By key: the score, what to expect of an answer, and the most that it could well be."""
        world, able = look.world, look.able
        kinds = likely(look)
        main, only = kinds[0][0], len(kinds) == 1
        scores: dict[str, float] = {}
        means: dict[str, float] = {}
        highs: dict[str, float] = {}
        dearest = max(able[key].cost_usd for key in keys) if self.cost else 0.0
        slowest = max(world.health(key).latency_ms for key in keys) if self.latency else 0.0
        for key in keys:
            fit, prior = world.fit(main, key)
            mean, highs[key] = table.bounds(main, key, prior)
            if not only:
                mean, fit = mean * kinds[0][1], fit * kinds[0][1]
                for kind, share in kinds[1:]:
                    of_kind, prior = world.fit(kind, key)
                    mean += share * table.bounds(kind, key, prior)[0]
                    fit += share * of_kind
            means[key] = mean
            # What willingness, reliability, headroom and the ties' price make of the fit, they make of the mean.
            score = mean * able[key].score / fit
            if dearest:
                score -= self.cost * able[key].cost_usd / dearest
            if slowest:
                score -= self.latency * world.health(key).latency_ms / slowest
            scores[key] = score
        return scores, means, highs

    def _cheapest(self, best: str, said: str, scores: Mapping[str, float], look: Look, table: Table) -> tuple[str, str]:
        assert self.quality is not None
        kind = look.work.kind
        enough = [
            key
            for key in scores
            if scores[key] >= self.quality * scores[best] and (key == best or table.trusted(kind, key))
        ]
        cheapest = min(enough, key=lambda key: (look.able[key].cost_usd, -scores[key]))
        if cheapest == best:
            return best, said
        return cheapest, f"{cheapest} is the cheapest with {self.quality:.0%} of what {best} is worth for {kind}"

    def ordered(self, keys: list[str], look: Look) -> list[str]:
        return self._decided(keys, look)[0]

    def why(self, key: str, look: Look) -> str:
        return key


def likely(look: Look) -> list[tuple[str, float]]:
    """The kinds that the task may be, with their shares: the classifier's, of those that are not unlikely."""
    kinds = look.kinds
    if len(kinds) < 2 or kinds[1][1] - kinds[0][1] < _UNLIKELY_BY:
        return [(look.work.kind, 1.0)]
    top = kinds[0][1]
    kept = [(kind, math.exp(points - top)) for kind, points in kinds[:4] if points - top >= _UNLIKELY_BY]
    whole = sum([share for _, share in kept])
    return [(kind, share / whole) for kind, share in kept]


def _format(path: str) -> str:
    """What kind of file a model stands in. Raises OSError, ValueError."""
    said = json.loads(Path(path).read_text("utf-8"))
    return str(said.get("format")) if isinstance(said, dict) else ""


def _read(path: str) -> Table:
    """A table from a file that ``learn`` or an export wrote. Raises ValueError, OSError."""
    table = Table()
    kept = json.loads(Path(path).read_text("utf-8"))
    said = kept.get("table") if isinstance(kept, dict) else None
    faults = table.restore(said) if isinstance(said, dict) else ["is no table"]
    if faults:
        raise ValueError(f"{path}: {faults[0]}")
    return table


STRATEGY = Learned
