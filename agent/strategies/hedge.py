"""``hedge``: a race whose second runner starts only when the first takes long."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Look, Strategy
from .choice import Race
from .race import Together


class Hedge(Together):
    """The next one is asked as well after ``after`` seconds without an answer, or at once when the last one fails."""

    name = "hedge"

    def __init__(self, over: Sequence[Strategy] | None = None, width: int | None = None, after: float = 2.0):
        super().__init__(over, width)
        self.after = float(after)

    def how(self) -> Race:
        return Race(self.after)

    def why(self, key: str, look: Look) -> str:
        return f"{key} first, another as well after {self.after:g} s"


STRATEGY = Hedge
