"""``shadow``: asks as the branch below says, and now and then a second one for comparison, with spare quota only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .base import Look, Strategy
from .choice import Choice


class Shadow(Strategy):
    """``share`` of the tasks are asked of ``shadow`` as well, after their answer is there; nobody sees that answer.

    Spare quota is quota that would expire unused, or a backend that costs nothing. What comes of it is what ``learned``
    learns most from.
    """

    name = "shadow"

    def __init__(self, then: Strategy, shadow: Strategy, share: float = 0.05):
        self.then, self.shadow, self.share = then, shadow, share
        self.children = (then, shadow)

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        return cls(branch(options["then"]), branch(options["shadow"]), float(options.get("share", 0.05)))

    def choose(self, look: Look) -> Choice:
        choice = self.then.choose(look)
        if not choice.steps:
            return choice
        if look.draw("shadow") > self.share:
            return choice.under(f"shadow: nobody besides ({self.share:.0%} of the tasks are compared)")
        spare = [key for key in self.shadow.choose(look).keys if key != choice.first and has_spare(key, look)]
        if not spare:
            return choice.under("shadow: nobody besides, as nobody has quota to spare")
        return choice._replace(shadow=tuple(spare[:1])).under(f"shadow: {spare[0]} is asked as well, for comparison")


def has_spare(key: str, look: Look) -> bool:
    """Whether asking ``key`` besides takes nothing from anybody: it is free, or its quota would expire unused."""
    entry, quota = look.able[key], look.world.quota(key)
    return entry.score > entry.worth if quota.windows else not entry.cost_usd


STRATEGY = Shadow
