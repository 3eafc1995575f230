"""How sure a model is of its own answer, and how far to believe it.

    stated = confidence("Confidence: 0.8", logprob=None, asked=True)      # 0.8
    temperature = fit_temperature([(0.9, True), (0.9, False), ...])       # 2.1: this backend is too sure of itself
    calibrated(0.9, temperature)                                          # 0.74

Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017): one figure per backend that
the log-odds are divided by, found by least log-loss on recorded outcomes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from .model import sigmoid

#: A probability is kept this far from 0 and 1, so that its log-odds stay finite.
EDGE = 1e-6

#: The temperatures that are considered, and the fewest outcomes (of each sort) that say anything.
LOWEST, HIGHEST, MIN_OUTCOMES = 0.05, 20.0, 5

_STATED = re.compile(
    r"\bconfidence\*{0,4}(?: level| score)?\*{0,4}\s{0,3}[:=]\*{0,4}\s{0,3}(\d{1,3}(?:\.\d{1,6})?)\s?(%|/ ?100?\b)?",
    re.I,
)
_ASKS = re.compile(r"\b(?:confidence|how (?:sure|certain|confident))\b", re.I)


def confidence(task: str, text: str, content: object = None, logprob: float | None = None) -> float | None:
    """The model's confidence, 0 to 1 and uncalibrated, or None where nothing tells.

    A self-report counts only if ``task`` asks for one: a ``confidence`` field of ``content``, else the last
    "Confidence: 0.8" in ``text`` (also 80% and 8/10). Else ``exp(logprob)``, the geometric mean of the tokens'
    probabilities.
    """
    if _ASKS.search(task):
        if isinstance(content, Mapping):
            field = content.get("confidence")
            if isinstance(field, int | float) and not isinstance(field, bool):
                return _fraction(field)
        stated = list(_STATED.finditer(text[-2000:]))
        if stated:
            value, unit = float(stated[-1][1]), (stated[-1][2] or "").replace(" ", "")
            scale = {"": 1, "/10": 10}.get(unit, 100)
            return _fraction(value / scale) if not unit or value <= scale else None
    if logprob is None or math.isnan(logprob):
        return None
    return math.exp(min(logprob, 0.0))


def _fraction(value: float) -> float | None:
    """A stated figure as 0 to 1; above 1 it was meant in per cent; outside 0 to 100 it means nothing.

    It may be any number that JSON can hold: one of hundreds of digits, too large for a float, means nothing either.
    """
    if not 0 <= value <= 100:
        return None
    return value / 100 if value > 1 else float(value)


def logit(p: float) -> float:
    """The log-odds of ``p``, finite for 0 and 1 as well."""
    p = min(max(p, EDGE), 1 - EDGE)
    return math.log(p / (1 - p))


def calibrated(p: float, temperature: float) -> float:
    """``p`` with its log-odds divided by ``temperature``."""
    return sigmoid(logit(p) / temperature)


def fit_temperature(outcomes: Iterable[tuple[float, bool]]) -> float:
    """The temperature that makes (confidence, was right) pairs likeliest; 1 where they cannot tell.

    Golden-section search over the logarithm of the temperature, in which the log-loss has one minimum. With fewer than
    :data:`MIN_OUTCOMES` right or wrong ones any temperature would be chance, so they leave the figures as they are.
    """
    seen = [(logit(p), right) for p, right in outcomes if not math.isnan(p)]
    rights = sum(right for _, right in seen)
    if min(rights, len(seen) - rights) < MIN_OUTCOMES:
        return 1.0
    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(LOWEST), math.log(HIGHEST)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    loss_left, loss_right = _loss(seen, left), _loss(seen, right)
    while high - low > 1e-4:
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - ratio * (high - low)
            loss_left = _loss(seen, left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + ratio * (high - low)
            loss_right = _loss(seen, right)
    return math.exp((low + high) / 2)


def _loss(seen: Sequence[tuple[float, bool]], log_temperature: float) -> float:
    scale = math.exp(-log_temperature)
    return sum(_softplus(-x * scale if right else x * scale) for x, right in seen)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
