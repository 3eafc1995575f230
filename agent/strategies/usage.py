"""``usage``: the smallest share of its limits used, of those in tokens or in requests (``by``)."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Look, Ordering, Strategy

_UNITS = {"tokens": ("tokens", "input_tokens", "output_tokens", "usd"), "requests": ("requests",)}


class Usage(Ordering):
    """The least used against its limits; who has none is compared by what it was asked so far."""

    name = "usage"

    def __init__(self, over: Sequence[Strategy] | None = None, by: str = "tokens"):
        super().__init__(over)
        self.by = by

    def figure(self, key: str, look: Look) -> float:
        observed = look.world.observed
        so_far = observed.tokens[key] if self.by == "tokens" else observed.requests[key]
        return self._share(key, look) + 1e-12 * so_far

    def _share(self, key: str, look: Look) -> float:
        statuses = look.world.quota(key).status(look.now)
        units = _UNITS[self.by]
        limits = [tracked.window.quota.unit in units for tracked in look.world.quota(key).windows]
        return max((s.share for s, counts in zip(statuses, limits, strict=True) if counts), default=0.0)

    def why(self, key: str, look: Look) -> str:
        return f"{key} is the least used ({self._share(key, look):.0%} of its limit in {self.by})"


STRATEGY = Usage
