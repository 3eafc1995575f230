"""``round_robin``: in turn; whoever was asked longest ago is next."""

from __future__ import annotations

from .base import Look, Ordering


class RoundRobin(Ordering):
    """In turn, also where some of them cannot be asked for a while."""

    name = "round_robin"

    def figure(self, key: str, look: Look) -> float:
        return look.world.observed.turns.get(key, 0)

    def why(self, key: str, look: Look) -> str:
        return f"it is {key}'s turn"


STRATEGY = RoundRobin
