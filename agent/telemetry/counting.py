"""Counters and histograms with a bound on how many there are, whatever comes in from outside.

    attempts = Counts(("backend", "outcome"), most=100)
    attempts.add(("claude", "answered"))
    seconds = Histograms(("backend",), SECONDS, most=16)
    seconds.observe(("claude",), 0.8)

What would pass the bound is counted under ``other`` in every label. Plain dicts: an addition costs a fraction of a
microsecond, and what is scraped is made from them when it is asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

OTHER = "other"

#: Upper bounds of buckets, as OpenTelemetry's semantic conventions for GenAI advise them: of durations in seconds, and
#: of tokens. https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
SECONDS = tuple(0.01 * 2**power for power in range(14))
TOKENS = tuple(float(4**power) for power in range(14))

Labels = tuple[str, ...]


class Counts:
    """Sums by labels; ``most`` of them, the one for all others included."""

    __slots__ = ("labels", "most", "values")

    def __init__(self, labels: Labels, most: int):
        self.labels = labels
        self.most = most
        self.values: dict[Labels, float] = {}

    def add(self, key: Labels, amount: float = 1.0) -> None:
        values = self.values
        if key in values:
            values[key] += amount
        elif len(values) < self.most - 1:
            values[key] = amount
        else:
            rest = (OTHER,) * len(self.labels)
            values[rest] = values.get(rest, 0.0) + amount


class Histogram:
    """How often a value fell below each bound, and the sum of all values."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]):
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: Histogram) -> None:
        """Count what ``other`` has counted, too; its bounds are the same."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def cumulative(self) -> list[tuple[str, float]]:
        """Every bound as Prometheus writes it, with how many values are at or below it."""
        named = [*(f"{bound:.10g}" for bound in self.bounds), "+Inf"]
        return list(zip(named, map(float, accumulate(self.counts)), strict=True))


class Histograms:
    """A :class:`Histogram` by labels; ``most`` of them, the one for all others included."""

    __slots__ = ("bounds", "labels", "most", "values")

    def __init__(self, labels: Labels, bounds: tuple[float, ...], most: int):
        self.labels = labels
        self.bounds = bounds
        self.most = most
        self.values: dict[Labels, Histogram] = {}

    def observe(self, key: Labels, value: float) -> None:
        if (found := self.values.get(key)) is None:
            if len(self.values) >= self.most - 1:
                key = (OTHER,) * len(self.labels)
                found = self.values.get(key)
            if found is None:
                found = self.values[key] = Histogram(self.bounds)
        found.observe(value)
