"""What a call will use: estimated before it, and learnt from what was reported after it.

    estimate.expected(work)      # what it will use most likely: for choosing
    estimate.most(work)          # what it can use at most: for reserving
    estimate.learn(work, input_tokens=930, output_tokens=210)

Input is counted from characters, which each provider's tokenizer turns into more or fewer tokens: the ratio of the
reported to the estimated is a moving average per backend. So is the length of the answers, per kind of work, which
begins as the plain average of the first ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.backend import Backend
from ..core.decision import Work
from ..core.pricing import TYPICAL_ANSWER

#: Weight of the newest report.
SMOOTHING = 0.05
#: Tokens that frame every message on the wire and stand in nobody's text.
FRAME = 16


class Spend(NamedTuple):
    """What one call uses."""

    requests: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    usd: float = 0.0

    def of(self, unit: str) -> float:
        """The amount in a quota's unit."""
        if unit == "tokens":
            return self.input_tokens + self.output_tokens
        return float(getattr(self, unit))


class Estimate:
    """One backend's expectations."""

    def __init__(self, backend: Backend):
        self.backend = backend
        #: Reported input tokens for each estimated one; and how far off that is on average.
        self.ratio = 1.0
        self.deviation = 0.0
        #: Output tokens of an answer, by kind.
        self.answers: dict[str, float] = {}
        #: Answers that were seen by kind, as far as that matters.
        self._seen: dict[str, int] = {}
        #: The last answer of ``expected``: one choice asks for the same work several times.
        self._last: tuple[Work | None, Spend] = (None, Spend())

    def expected(self, work: Work) -> Spend:
        """What the call will use most likely."""
        if self._last[0] is not work:
            output = min(self.answers.get(work.kind, TYPICAL_ANSWER), self.longest(work))
            self._last = (work, self._spend(work.tokens * self.ratio, output))
        return self._last[1]

    def likely(self, work: Work) -> Spend:
        """The same, of a kind of work that is not known by what is known of others; for the books."""
        if work.kind in self.answers or not self.answers:
            return self.expected(work)
        output = min(sum(self.answers.values()) / len(self.answers), self.longest(work))
        return self._spend(work.tokens * self.ratio, output)

    def most(self, work: Work) -> Spend:
        """What the call can use at most, as far as can be known: its longest answer, and input with a margin."""
        ratio = self.ratio + 3.0 * self.deviation
        return self._spend(work.tokens * ratio + (FRAME if self.deviation else 0), self.longest(work))

    def longest(self, work: Work) -> int:
        """The longest answer that the request allows, in tokens."""
        return self.backend.max_tokens if work.max_tokens is None else work.max_tokens

    def learn(self, work: Work, input_tokens: int, output_tokens: int) -> None:
        """Take up what a provider reported for ``work``."""
        self._last = (None, Spend())
        if work.tokens > 0 and input_tokens > 0:
            # One odd report (a cache, a picture counted otherwise) must not throw everything off.
            ratio = min(8.0, max(0.125, input_tokens / work.tokens))
            self.deviation += SMOOTHING * (abs(ratio - self.ratio) - self.deviation)
            self.ratio += SMOOTHING * (ratio - self.ratio)
        seen = self._seen[work.kind] = self._seen.get(work.kind, 0) + 1
        before = self.answers.get(work.kind, 0.0)
        self.answers[work.kind] = before + max(SMOOTHING, 1.0 / seen) * (output_tokens - before)

    def _spend(self, input_tokens: float, output_tokens: float) -> Spend:
        price = self.backend.price
        usd = (input_tokens * price.input + output_tokens * price.output) / 1000.0
        return Spend(1.0, input_tokens, output_tokens, usd)

    def snapshot(self) -> dict[str, Any]:
        return {
            "ratio": round(self.ratio, 4),
            "deviation": round(self.deviation, 4),
            "answers": {kind: round(tokens, 1) for kind, tokens in sorted(self.answers.items())},
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        self._last = (None, Spend())
        self.ratio = _within(kept.get("ratio"), 0.125, 8.0, self.ratio)
        self.deviation = _within(kept.get("deviation"), 0.0, 8.0, self.deviation)
        answers = kept.get("answers")
        if isinstance(answers, Mapping):
            known = {str(kind): _within(tokens, 0.0, 1e7, -1.0) for kind, tokens in answers.items()}
            self.answers.update({kind: tokens for kind, tokens in known.items() if tokens >= 0})
            self._seen.update(dict.fromkeys(self.answers, round(1.0 / SMOOTHING)))


def _within(value: Any, low: float, high: float, otherwise: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        return otherwise
    return float(value)
