"""``cost``: the cheapest first, by the estimate made before there is an answer."""

from __future__ import annotations

from .base import Look, Ordering


class Cost(Ordering):
    """The cheapest."""

    name = "cost"

    def figure(self, key: str, look: Look) -> float:
        return look.able[key].cost_usd

    def why(self, key: str, look: Look) -> str:
        cost = look.able[key].cost_usd
        return f"{key} is the cheapest (about ${cost:.4f})" if cost else f"{key} is free"


STRATEGY = Cost
