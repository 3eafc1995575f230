"""Attempts added up by hour and by day as they are written, with their times as histograms: what the overview reads.

    counted = counted_rows(rows)             # by Bucket's key: what they add up to
    write(counted)                           # in the transaction that writes the rows themselves

Hours stay for :data:`KEEP_HOURS` days, days for good. Practice and real attempts have buckets of their own; so has work
(by backend and kind) beside who asked (by account and token), as a bucket for every combination would be a row for
every attempt. An attempt that is written twice counts once: the storage leaves out those that had ended before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db import connections

from uniwizard.world.ledger.database import alias
from uniwizard.world.ledger.histogram import Histogram
from uniwizard.world.ledger.models import Bucket, Outcome

#: Days for which hours are kept; longer questions are answered from days.
KEEP_HOURS = 60
#: Hours that are looked up at once.
_AT_ONCE = 300
#: What an attempt must have come to, to be counted.
COUNTED = frozenset(
    {Outcome.ANSWERED, Outcome.REFUSED, Outcome.FAILED, Outcome.LEAKED, Outcome.STOPPED, Outcome.REMEMBERED}
)
_COLUMN_OF = {
    str(Outcome.ANSWERED): "answered",
    str(Outcome.REFUSED): "refused",
    str(Outcome.FAILED): "failed",
    str(Outcome.LEAKED): "failed",
    str(Outcome.STOPPED): "stopped",
    str(Outcome.REMEMBERED): "remembered",
}
SUMS = (
    *("attempts", "answered", "refused", "failed", "stopped", "remembered", "fallbacks", "input_tokens"),
    *("output_tokens", "cached_tokens", "cost_usd", "saved_usd"),
)


class Key(NamedTuple):
    """Which bucket: ``span`` is ``h`` or ``d``; ``account_id`` is 0 for nobody."""

    span: str
    began: datetime
    by: str
    backend: str
    kind: str
    account_id: int
    asker: str
    practice: bool


@dataclass(slots=True)
class Sums:
    """What a bucket holds; tokens, USD, and how many of each outcome. ``fallbacks`` came after another attempt."""

    attempts: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    stopped: int = 0
    remembered: int = 0
    fallbacks: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    latency: Histogram = field(default_factory=Histogram)
    first: Histogram = field(default_factory=Histogram)

    def count(self, row: dict[str, Any]) -> None:
        """Add an attempt that has ended."""
        outcome = str(row["outcome"])
        column = _COLUMN_OF[outcome]
        setattr(self, column, getattr(self, column) + 1)
        if column != "remembered":
            self.attempts += 1
            self.fallbacks += row["number"] > 1
        self.input_tokens += row.get("input_tokens") or 0
        self.output_tokens += row.get("output_tokens") or 0
        self.cached_tokens += row.get("cached_tokens") or 0
        self.cost_usd += row.get("cost_usd") or 0.0
        self.saved_usd += row.get("saved_usd") or 0.0
        if column == "answered" and row.get("latency_ms") is not None:
            self.latency.add(row["latency_ms"])
        if row.get("first_token_ms") is not None:
            self.first.add(row["first_token_ms"])

    def merge(self, other: Sums) -> None:
        # One by one: a year has twenty thousand of them, and a loop over names takes three times as long.
        self.attempts += other.attempts
        self.answered += other.answered
        self.refused += other.refused
        self.failed += other.failed
        self.stopped += other.stopped
        self.remembered += other.remembered
        self.fallbacks += other.fallbacks
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_tokens += other.cached_tokens
        self.cost_usd += other.cost_usd
        self.saved_usd += other.saved_usd
        self.latency.merge(other.latency)
        self.first.merge(other.first)

    @property
    def ended(self) -> int:
        """Attempts that say something of the backend."""
        return self.answered + self.refused + self.failed

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def rate(self, name: str) -> float | None:
        """``answered``, ``refused`` or ``failed`` of those that ended, ``fallbacks`` of all; None of nothing."""
        whole = self.attempts if name == "fallbacks" else self.ended
        return getattr(self, name) / whole if whole else None


def hour_of(at: float) -> datetime:
    """When the hour of a moment began."""
    return datetime.fromtimestamp(at - at % 3600.0, UTC)


def day_begins(at: float) -> datetime:
    """When the day of a moment began, in the game's time zone."""
    from uniwizard.world.ledger.storage import zone

    return datetime.fromtimestamp(at, zone()).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def keys_of(row: dict[str, Any]) -> Iterator[Key]:
    """The buckets that an attempt is in."""
    practice, started = bool(row.get("practice")), row["started"]
    for span, began in (("h", hour_of(started)), ("d", day_begins(started))):
        yield Key(span, began, "work", row["backend"], row.get("kind") or "", 0, "", practice)
        payer = row.get("payer") or ""
        asker = payer or row.get("account") or ""
        yield Key(span, began, "token" if payer else "asker", "", "", row.get("account_id") or 0, asker, practice)


def counted_rows(rows: Iterable[dict[str, Any]], hours_since: float = 0.0) -> dict[Key, Sums]:
    """What these attempts add up to, bucket by bucket; hours only from ``hours_since`` on, in seconds."""
    found: dict[Key, Sums] = {}
    for row in rows:
        if row["outcome"] in COUNTED:
            for key in keys_of(row):
                if key.span == "h" and row["started"] < hours_since:
                    continue
                found.setdefault(key, Sums()).count(row)
    return found


def write(counted: dict[Key, Sums]) -> None:
    """Add to the buckets in the database; within the caller's transaction, by the one thread that writes."""
    if not counted:
        return
    began = sorted({key.began for key in counted})
    for first in range(0, len(began), _AT_ONCE):
        for bucket in Bucket.objects.filter(began__in=began[first : first + _AT_ONCE]).iterator(2000):
            if (sums := counted.get(_key(bucket))) is not None:
                sums.merge(sums_of(bucket))
    connection = connections[alias()]
    adapted = connection.ops.adapt_datetimefield_value
    rows = [
        [
            *(adapted(value) if isinstance(value, datetime) else value for value in key),
            *(getattr(sums, name) for name in SUMS),
            sums.latency.text(),
            sums.first.text(),
        ]
        for key, sums in counted.items()
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_upsert(connection.ops.quote_name), rows)


@cache
def _upsert(quoted: Callable[[str], str]) -> str:
    """Without Django's models, which take many times as long. ON CONFLICT is SQLite's and PostgreSQL's."""
    keys, values = [quoted(name) for name in Key._fields], [quoted(name) for name in (*SUMS, "latency", "first")]
    columns = [*keys, *values]
    return (
        f"INSERT INTO {quoted(Bucket._meta.db_table)} ({', '.join(columns)}) "
        f"VALUES ({', '.join(['%s'] * len(columns))}) ON CONFLICT ({', '.join(keys)}) "
        f"DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in values)}"
    )


def sums_of(bucket: Bucket) -> Sums:
    """What a bucket holds."""
    sums = Sums(latency=Histogram.read(bucket.latency), first=Histogram.read(bucket.first))
    for name in SUMS:
        setattr(sums, name, getattr(bucket, name))
    return sums


def _key(bucket: Bucket) -> Key:
    return Key(*(getattr(bucket, name) for name in Key._fields))


def forget(at: float) -> int:
    """Delete the hours that are too old; how many."""
    old = datetime.fromtimestamp(at, UTC) - timedelta(days=KEEP_HOURS)
    return int(Bucket.objects.filter(span="h", began__lt=old).delete()[0])
