"""``split``: a share of the tasks to each arm, for a canary or an A/B test; an asker stays in one arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .base import Look, Strategy, share_of
from .choice import NOBODY, Choice
from .sticky import conversation_of


class Split(Strategy):
    """Divides by a hash of who asks (or of the conversation, or of the task: ``by``).

    What comes of each arm is counted under ``name/arm`` (:attr:`.observed.Observed.arms`). An arm in which nobody can
    be asked, or everybody has failed, leaves its tasks to the next one.
    """

    name = "split"

    def __init__(self, title: str, arms: Mapping[str, tuple[float, Strategy]], by: str = "asker"):
        self.title, self.by, self.arms = title, by, dict(arms)
        self.children = tuple(child for _, child in arms.values())
        self._whole = sum(share for share, _ in arms.values())

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        arms = {name: (float(arm["share"]), branch(arm["then"])) for name, arm in options["arms"].items()}
        return cls(options.get("name", "split"), arms, options.get("by", "asker"))

    def choose(self, look: Look) -> Choice:
        point = share_of(f"{self.title}:{self._token(look)}") * self._whole
        names = list(self.arms)
        first = 0
        for first, name in enumerate(names):  # noqa: B007 (the last one where rounding leaves a crumb)
            point -= self.arms[name][0]
            if point <= 0:
                break
        for name in (*names[first:], *names[:first]):
            share, child = self.arms[name]
            choice = child.choose(look)
            if choice.steps:
                why = f"split {self.title}: arm {name} ({share / self._whole:.0%})"
                return choice._replace(arm=f"{self.title}/{name}").under(why)
        return NOBODY

    def _token(self, look: Look) -> str:
        if self.by == "asker" and look.task.asker:
            return look.task.asker
        return look.task.id if self.by == "task" else conversation_of(look.task)


STRATEGY = Split
