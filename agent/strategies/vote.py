"""``vote``: several at once; the answer that most of them agree on counts, or the judge's best (``by``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import Look, Strategy
from .choice import Vote
from .race import Together


class VoteStrategy(Together):
    """``width`` of them vote; without a majority the judge decides, and then the order of the branches."""

    name = "vote"
    usual = 3

    def __init__(self, over: Sequence[Strategy] | None = None, width: int | None = None, by: str = "majority"):
        super().__init__(over, width)
        self.by = by

    def how(self) -> Any:
        return Vote(self.by)

    def why(self, key: str, look: Look) -> str:
        return f"{self.width} at once, {'the majority' if self.by == 'majority' else 'the best answer'} counts"


STRATEGY = VoteStrategy
