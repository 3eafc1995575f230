"""The rows of a traffic file: ``{"time": "2026-11-01T09:00:00+01:00", "kind": "chat", "input_tokens": 80, ...}``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.jsonlines import objects
from ..core.task import known_kinds

#: No window of any model is larger; what claims to be is a mistake.
_MOST_TOKENS = 100_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One task of the past: ``at`` in seconds since the epoch."""

    at: float
    kind: str
    input_tokens: int
    output_tokens: int


def read_traffic(lines: Iterable[str]) -> tuple[list[Row], list[str]]:
    """The rows in order of time, and what is wrong with the others: ``line 3: time: has no zone``."""
    rows: list[Row] = []
    faults: list[str] = []
    for number, found, fault in objects(lines):
        try:
            if fault:
                raise ValueError(fault)
            rows.append(_row(found))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    rows.sort(key=lambda row: row.at)
    return rows, faults


def _row(found: dict[str, Any]) -> Row:
    kind = found.get("kind")
    if kind not in known_kinds():
        raise ValueError(f"kind: {str(kind)[:40]!r} is unknown; allowed: {', '.join(known_kinds())}")
    return Row(_time(found.get("time")), kind, _tokens(found, "input_tokens"), _tokens(found, "output_tokens"))


def _time(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError("time: is not text such as 2026-11-01T09:00:00+01:00")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"time: {value[:40]!r} is not ISO 8601") from None
    if moment.tzinfo is None:
        raise ValueError(f"time: {value[:40]!r} has no zone")
    try:
        seconds = moment.timestamp()
    except (OverflowError, OSError):
        seconds = -1.0
    # Windows reach into the past and the future; the calendar ends there.
    if not 86_400 * 400 < seconds < 86_400 * 365 * 1000:
        raise ValueError(f"time: {value[:40]!r} is out of reach")
    return seconds


def _tokens(found: dict[str, Any], name: str) -> int:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_TOKENS:
        raise ValueError(f"{name}: is not a whole number from 0 to {_MOST_TOKENS:,}")
    return value
