"""``latency``: the quickest first, by a moving average: of whole answers, or of their first words (``by``)."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Look, Ordering, Strategy


class Latency(Ordering):
    """The quickest; whoever has not answered yet is tried first, or nothing would ever be known of it."""

    name = "latency"

    def __init__(self, over: Sequence[Strategy] | None = None, by: str = "total"):
        super().__init__(over)
        self.by = by

    def figure(self, key: str, look: Look) -> float:
        observed = look.world.observed
        if self.by == "first_token" and key in observed.first_token:
            return observed.first_token[key]
        return observed.latency.get(key) or look.world.health(key).latency_ms / 1000.0

    def why(self, key: str, look: Look) -> str:
        seconds = self.figure(key, look)
        what = "first words after" if self.by == "first_token" else "answers in"
        return f"{key} is the quickest ({what} {seconds:.2f} s)" if seconds else f"{key} has not been timed yet"


STRATEGY = Latency
