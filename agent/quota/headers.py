"""What a provider says in its headers of what is left. A parser that never raises, whatever the headers hold.

    read({"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "1s"}, now)
    # [Reported("requests", limit=None, remaining=59.0, reset=now + 1.0)]

Understood are ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` (OpenAI and those who follow it; the reset is a
duration such as ``6m0s``), the same without a unit (the reset in seconds, or since the epoch), and
``anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`` (the reset as RFC 3339).
Both providers fill up again continuously, and the reset is when it would be full:
https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

#: Seconds; what claims to last longer says nothing of today.
_LONGEST = 32 * 86_400.0
#: From here on a number of seconds is a moment since the epoch and no duration.
_EPOCH = 1e9

_DURATION = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
_UNITS = ("requests", "tokens", "input-tokens", "output-tokens")


@dataclass(frozen=True, slots=True)
class Reported:
    """One limit as a provider reports it. ``reset`` is seconds since the epoch, None where it is not said."""

    unit: str
    limit: float | None
    remaining: float
    reset: float | None


def read(headers: Mapping[str, str], now: float) -> list[Reported]:
    """Every limit that the headers tell enough of, at most one a unit."""
    lower = {str(name).lower(): str(value) for name, value in headers.items() if "ratelimit" in str(name).lower()}
    found: dict[str, Reported] = {}
    if not lower:
        return []
    for unit in _UNITS:
        word = unit.replace("-", "_")
        for pattern in ("anthropic-ratelimit-{0}-{1}", "x-ratelimit-{1}-{0}"):
            reported = _one(lower, word, [pattern.format(unit, part) for part in ("limit", "remaining", "reset")], now)
            if reported is not None:
                found.setdefault(word, reported)
    plain = _one(lower, "requests", ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"], now)
    if plain is not None:
        found.setdefault("requests", plain)
    return list(found.values())


def _one(headers: Mapping[str, str], unit: str, names: list[str], now: float) -> Reported | None:
    limit, remaining, reset = (headers.get(name, "") for name in names)
    left = number(remaining)
    return None if left is None else Reported(unit, number(limit), left, moment(reset, now))


def number(text: str) -> float | None:
    """A plain amount; None for anything else, and for what no amount can be."""
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= 1e15 else None


def moment(text: str, now: float) -> float | None:
    """Seconds since the epoch for a duration (``6m0s``, ``120ms``, ``12``), an epoch or an RFC 3339 moment.

    None for what cannot be read or lies more than a month ahead; what lies behind is ``now``.
    """
    text = text.strip()
    if not text:
        return None
    seconds = number(text)
    if seconds is None:
        match = _DURATION.fullmatch(text.lower())
        if match is not None:
            days, hours, minutes, secs, millis = (float(part or 0) for part in match.groups())
            seconds = days * 86_400 + hours * 3600 + minutes * 60 + secs + millis / 1000
        else:
            try:
                there = datetime.fromisoformat(text)
                seconds = there.timestamp() - now if there.tzinfo is not None else None
            except (ValueError, OverflowError, OSError):
                return None
    elif seconds >= _EPOCH:
        seconds -= now
    if seconds is None or not seconds <= _LONGEST:
        return None
    return now + max(0.0, seconds)
