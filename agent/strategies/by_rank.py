"""``ranked``: by fit, willingness, reliability and headroom, as :mod:`.ranked` works them out."""

from __future__ import annotations

from .base import Look, Ordering


class ByRank(Ordering):
    """Who ranks best. Without ``over`` this is what happens where no route is configured."""

    name = "ranked"

    def figure(self, key: str, look: Look) -> float:
        return -look.able[key].score

    def why(self, key: str, look: Look) -> str:
        return f"{key} ranks best ({look.able[key].score:.2f})"


STRATEGY = ByRank
