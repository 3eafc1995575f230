"""What is said of an answer that came from memory: :class:`Recollection`. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from .answer import Usage
from .attempt import Attempt
from .verdict import Verdict

NOTHING_USED = Usage()


@dataclass(frozen=True, slots=True)
class Recollection:
    """An answer that somebody has given before.

    backend     who gave it; ``model`` as its provider named it
    kind        of work
    learned     when, in seconds since the epoch
    saved_usd, saved_ms, saved_usage   what it cost and took then, and does not now
    similarity  of the questions: 1 where they are the same, else the cosine
    score, sure   the verdict's, then
    practice    a simulated backend gave it
    """

    backend: str
    model: str
    kind: str
    learned: float
    saved_usd: float = 0.0
    saved_ms: float = 0.0
    saved_usage: Usage = NOTHING_USED
    similarity: float = 1.0
    score: float = 0.0
    sure: float | None = None
    practice: bool = False

    @property
    def attempt(self) -> Attempt:
        """The attempt that the answer came of, as far as it is remembered."""
        return Attempt(
            self.backend,
            self.model,
            self.kind,
            None,
            "",
            self.learned,
            self.saved_ms,
            self.saved_usage,
            self.saved_usd,
            verdict=Verdict(score=self.score, sure=self.sure),
            practice=self.practice,
        )
