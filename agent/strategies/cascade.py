"""``cascade``: the cheap one first; a dearer one only when its answer is not sure enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .base import Look, Sequenced, Strategy, joined
from .choice import NOBODY, Choice, Until, singly


class Cascade(Sequenced):
    """Goes on until an answer is sure enough (``until``); the last one's answer is enough in any case.

    Without ``over`` everyone who is able, the cheapest first. The judge's verdict comes before any confidence: what it
    does not accept goes on whatever the backend says of itself.
    """

    name = "cascade"

    def __init__(self, over: Sequence[Strategy] | None = None, until: Until | None = None):
        super().__init__(over)
        self.until = until or Until(confidence=0.7)

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        over = options.get("over")
        until = Until(**options["until"]) if "until" in options else None
        return cls(None if over is None else [branch(each) for each in over], until)

    def choose(self, look: Look) -> Choice:
        if self.children:
            choices = [choice for child in self.children if (choice := child.choose(look)).steps]
        else:
            choices = [singly(self.ordered(list(look.able), look))]
        if not choices or not choices[0].steps:
            return NOBODY
        choice = joined(choices)
        steps = tuple(step._replace(until=self.until) for step in choice.steps[:-1])
        why = f"cascade: {self.why(choice.first, look)}"
        return choice._replace(steps=(*steps, choice.steps[-1]), strict=True).under(why)

    def ordered(self, keys: list[str], look: Look) -> list[str]:
        return sorted(keys, key=lambda key: look.able[key].cost_usd)

    def why(self, key: str, look: Look) -> str:
        wanted = []
        if self.until.confidence is not None:
            wanted.append(f"{self.until.confidence:.0%} sure")
        if self.until.agreement is not None:
            wanted.append(f"{self.until.agreement:.0%} of {self.until.samples} samples agreed")
        return f"{key} first, on unless {' or '.join(wanted) or 'the judge accepts it'}"


STRATEGY = Cascade
