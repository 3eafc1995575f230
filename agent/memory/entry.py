"""One answer that is known: :class:`Entry`, and its form in a store. Pure data, and nothing in it tells who asked."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..core.answer import Usage
from ..core.recollection import NOTHING_USED


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted answer to a question.

    key         the question's
    kind        of work
    question    its canonical text, where similar questions may find it; else empty
    settings    what else shaped the answer
    text        the answer with every name veiled, ``content`` the parsed JSON where the task gave a schema
    backend     who gave it; ``model`` as its provider names it
    made        when, in seconds since the epoch; ``until`` is when it is forgotten
    latency_ms  what it took then
    usage, cost_usd   what it cost then: what is saved when it is asked for again
    score, sure the verdict's
    practice    a simulated backend gave it
    """

    key: str
    kind: str
    text: str
    backend: str
    model: str
    made: float
    until: float
    latency_ms: float = 0.0
    cost_usd: float = 0.0
    usage: Usage = NOTHING_USED
    content: Any = None
    question: str = ""
    settings: str = ""
    score: float = 0.0
    sure: float | None = None
    practice: bool = False

    def as_json(self) -> str:
        """For a store."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Entry | None:
        """What a store gave back; None where it is no entry of ours, whatever it is."""
        try:
            plain = json.loads(text)
            if not isinstance(plain, dict):
                return None
            usage = Usage(**plain.pop("usage"))
            entry = cls(usage=usage, **plain)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return entry if _sound(entry) else None


_NUMBERS = ("made", "until", "latency_ms", "cost_usd", "score")
_TEXTS = tuple(field.name for field in fields(Entry) if field.type == "str")


def _sound(entry: Entry) -> bool:
    """Whether every field holds what it should."""
    numbers = [getattr(entry, name) for name in _NUMBERS] + ([] if entry.sure is None else [entry.sure])
    tokens = [
        getattr(entry.usage, name) for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    ]
    return (
        all(isinstance(getattr(entry, name), str) for name in _TEXTS)
        and all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)
        and all(isinstance(count, int) and count >= 0 for count in tokens)
        and isinstance(entry.practice, bool)
    )
