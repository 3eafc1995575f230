"""``least_busy``: the fewest attempts under way, as a share of the places there are."""

from __future__ import annotations

from .base import Look, Ordering


class LeastBusy(Ordering):
    """The least busy; at random among equals, so that they fill evenly."""

    name = "least_busy"

    def figure(self, key: str, look: Look) -> float:
        health = look.world.health(key)
        return health.in_flight / health.backend.max_parallel + 1e-6 * look.draw(key)

    def why(self, key: str, look: Look) -> str:
        health = look.world.health(key)
        return f"{key} is the least busy ({health.in_flight} of {health.backend.max_parallel} places taken)"


STRATEGY = LeastBusy
