"""``headroom``: whose quota would sooner expire unused than run out, whatever it does best."""

from __future__ import annotations

from .base import Look, Ordering


class HeadroomFirst(Ordering):
    """The most quota to burn: the factor that headroom has in the ranking, alone."""

    name = "headroom"

    def figure(self, key: str, look: Look) -> float:
        entry = look.able[key]
        return -entry.score / entry.worth if entry.worth > 0 else 0.0

    def why(self, key: str, look: Look) -> str:
        return f"{key} has the most headroom (x{-self.figure(key, look):.3f})"


STRATEGY = HeadroomFirst
