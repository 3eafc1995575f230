"""Times on a logarithmic scale, small enough to keep one for every hour: four steps to the octave.

    counted = Histogram.read("40:3,44:1")
    counted.add(812.0)                    # milliseconds
    counted.percentile(0.95)              # within 9% of the exact one
    counted.text()

A step is a factor of 2^(1/4), about 19%; a percentile is the middle of its step.
"""

from __future__ import annotations

import math

STEPS = 4
#: Below a tenth of a millisecond nothing is told apart; the highest step is some twelve days.
_LOWEST, _HIGHEST = -13, 120


class Histogram:
    """How many times fell into each step."""

    __slots__ = ("counts",)

    def __init__(self, counts: dict[int, int] | None = None):
        self.counts = counts if counts is not None else {}

    @classmethod
    def read(cls, text: str) -> Histogram:
        """What :meth:`text` wrote; empty text is an empty one."""
        found = {}
        for part in text.split(",") if text else ():
            step, _, count = part.partition(":")
            found[int(step)] = int(count)
        return cls(found)

    def text(self) -> str:
        return ",".join(f"{step}:{count}" for step, count in sorted(self.counts.items()))

    def add(self, milliseconds: float) -> None:
        step = math.floor(math.log2(max(milliseconds, 0.1)) * STEPS)
        step = min(_HIGHEST, max(_LOWEST, step))
        self.counts[step] = self.counts.get(step, 0) + 1

    def merge(self, other: Histogram) -> None:
        counts = self.counts
        for step, count in other.counts.items():
            counts[step] = counts.get(step, 0) + count

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def percentile(self, share: float) -> float | None:
        """The time below which ``share`` of all lie, in milliseconds; None where there is none."""
        wanted = math.ceil(share * self.total)
        seen = 0
        for step, count in sorted(self.counts.items()):
            seen += count
            if seen >= max(1, wanted):
                return float(2.0 ** ((step + 0.5) / STEPS))
        return None
