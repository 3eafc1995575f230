"""Whether what was learned does better than the rules, by the tasks of late: an estimate by propensity.

guard = Guard()
guard.add("task-1", propensity=0.96, learned=True, rules=False, reward=1.0)
guard.consider()                   # "" or why the table is set aside, or taken up again

Chance has a say in who is asked, so each choice has a propensity, and what either policy would have earned can be
estimated from the tasks of the other (self-normalized inverse propensity scoring: Swaminathan and Joachims, "The
Self-Normalized Estimator for Counterfactual Learning", NIPS 2015). Only tasks on which the two differ tell anything.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

#: Tasks that are looked back on.
WINDOW = 500
#: The fewest of them on which the two differed, and the fewest that either side was asked for.
ENOUGH, EACH = 40, 4
#: Standard errors by which the one must be better than the other.
SIGMAS = 1.64


@dataclass(slots=True)
class _Chosen:
    propensity: float
    learned: bool
    rules: bool
    reward: float


class Guard:
    """``reverted`` holds why the rules decide for the present; empty where the table does."""

    def __init__(self) -> None:
        self.reverted = ""
        self._chosen: OrderedDict[str, _Chosen] = OrderedDict()

    def add(self, task_id: str, *, propensity: float, learned: bool, rules: bool, reward: float) -> None:
        """A task on which a choice was made: whether it was the table's, the rules', or both; what came of it."""
        self._chosen[task_id] = _Chosen(max(propensity, 1e-3), learned, rules, reward)
        while len(self._chosen) > WINDOW:
            self._chosen.popitem(last=False)

    def amend(self, task_id: str, reward: float) -> None:
        """Somebody has said what the task's answer was worth."""
        if task_id in self._chosen:
            self._chosen[task_id].reward = reward

    def consider(self) -> str:
        """Look back; why that changes who decides, or empty when it does not."""
        differing = [chosen for chosen in self._chosen.values() if chosen.learned != chosen.rules]
        if len(differing) < ENOUGH:
            return ""
        learned = _estimate([c for c in differing if c.learned])
        rules = _estimate([c for c in differing if c.rules])
        if learned is None or rules is None:
            return ""
        difference, error = learned[0] - rules[0], math.hypot(learned[1], rules[1])
        told = f"{learned[0]:.0%} against {rules[0]:.0%} of the rules, on {len(differing)} tasks where they differ"
        if not self.reverted and difference < -SIGMAS * error:
            self.reverted = f"what was learned did worse: {told}"
            return self.reverted
        if self.reverted and difference > SIGMAS * error:
            self.reverted = ""
            return f"what was learned does better again: {told}"
        return ""

    def reset(self) -> None:
        """Trust the table, and look back on nothing."""
        self.reverted = ""
        self._chosen.clear()


def _estimate(chosen: list[_Chosen]) -> tuple[float, float] | None:
    """The mean reward and its standard error, weighted by how unlikely each choice was; None where too few tell."""
    if len(chosen) < EACH:
        return None
    weights = [1.0 / each.propensity for each in chosen]
    whole = sum(weights)
    mean = sum(w * each.reward for w, each in zip(weights, chosen, strict=True)) / whole
    spread = sum((w * (each.reward - mean)) ** 2 for w, each in zip(weights, chosen, strict=True))
    # A handful of equal rewards is no certainty: one outcome of each sort is assumed besides.
    floor = math.sqrt(mean * (1.0 - mean) / len(chosen)) if 0.0 < mean < 1.0 else 0.5 / math.sqrt(len(chosen) + 2)
    return mean, max(math.sqrt(spread) / whole, floor)
