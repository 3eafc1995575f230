"""The figures of a range of days: all together, step by step, and by backend, kind, player and token.

    figures = read(asked)
    figures.total.latency.percentile(0.95)
    figures.by["backend"]["claude"].cost_usd

They are read from buckets (:mod:`world.ledger.buckets`): hours for pictures by the hour, days for everything else. Only
what no bucket tells, which is who asked for which work, is read from that asker's own attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.db.models import Sum

from uniwizard.world.ledger.buckets import COUNTED, SUMS, Sums
from uniwizard.world.ledger.histogram import Histogram
from uniwizard.world.ledger.models import Attempt, Bucket, Outcome
from uniwizard.world.ledger.storage import zone
from uniwizard.world.overview.asked import Asked

#: Days up to which players and tokens are told with their times; they are too many to be read for a year.
TIMES_OF_ASKERS = 31
#: Of one asker, attempts that are looked at one by one; a page says so where there were more.
MOST_ATTEMPTS = 100_000

_ROW = (
    *("number", "started", "backend", "kind", "outcome", "practice", "account_id", "account", "payer"),
    *("input_tokens", "output_tokens", "cached_tokens", "cost_usd", "saved_usd", "latency_ms", "first_token_ms"),
)


@dataclass(slots=True)
class Figures:
    """``steps`` has every step of the range, with its beginning; ``by`` is None for what cannot be told at once."""

    total: Sums
    steps: list[tuple[datetime, Sums]]
    by: dict[str, dict[str, Sums] | None] = field(default_factory=dict)
    cut: bool = False


def read(asked: Asked) -> Figures:
    """The figures that ``asked`` wants, in the thread that calls it."""
    place, places = _steps(asked)
    figures = Figures(Sums(), [(began, Sums()) for began in places], {"backend": {}, "kind": {}})
    index = dict(figures.steps)
    if asked.of_somebody and asked.of_some_work:
        _count_attempts(asked, figures, lambda at: index.get(place(at)))
        return figures
    who = asked.of_somebody
    works: dict[tuple[str, str], Sums] = {}
    for by in ("asker", "token") if who else ("work",):
        for bucket, sums in _buckets(asked, "h" if asked.step == "hour" else "d", by):
            if (step := index.get(place(bucket["began"]))) is not None:
                step.merge(sums)
            # What is all, and a backend's, and a kind's, is added up from these: they are few.
            works.setdefault((bucket["backend"], bucket["kind"]), Sums()).merge(sums)
    for (backend, kind), sums in works.items():
        figures.total.merge(sums)
        if not who:
            _into(figures.by, "backend", backend, sums)
            _into(figures.by, "kind", kind, sums)
    if who:
        # By the attempts of that asker alone.
        apart = Figures(Sums(), [], {"backend": {}, "kind": {}})
        _count_attempts(asked, apart, lambda at: None)
        figures.by, figures.cut = apart.by, apart.cut
    if not asked.of_some_work:
        _askers(asked, figures)
    return figures


def _askers(asked: Asked, figures: Figures) -> None:
    """By player and by token."""
    for which, by in (("player", "asker"), ("token", "token")):
        figures.by[which] = {}
        if (asked.until - asked.since).days < TIMES_OF_ASKERS:
            for bucket, sums in _buckets(asked, "d", by):
                _into(figures.by, which, bucket["asker"] or "the game", sums)
        else:
            added = {name: Sum(name) for name in SUMS}
            for asker, *numbers in _found(asked, "d", by).order_by().values_list("asker").annotate(**added):
                made: Any = Sums
                _into(figures.by, which, asker or "the game", made(*numbers))


def _into(by: dict[str, Any], which: str, name: str, sums: Sums) -> None:
    found = by.get(which)
    if found is None:
        found = by[which] = {}
    found.setdefault(name, Sums()).merge(sums)


def _found(asked: Asked, span: str, by: str) -> Any:
    """The buckets that ``asked`` is about, as a query."""
    began, ended = _bounds(asked)
    found = Bucket.objects.filter(span=span, by=by, began__gte=began, began__lt=ended, practice=asked.practice)
    if by == "work":
        found = found.filter(**{name: getattr(asked, name) for name in ("backend", "kind") if getattr(asked, name)})
    else:
        found = found.filter(account_id=asked.account) if asked.account is not None else found
        found = found.filter(asker=asked.token, by="token") if asked.token else found
    return found


def _buckets(asked: Asked, span: str, by: str) -> Iterator[tuple[dict[str, Any], Sums]]:
    found, names = _found(asked, span, by), ("began", "backend", "kind", "asker")
    for values in found.order_by().values_list(*names, *SUMS, "latency", "first").iterator(5000):
        numbers: Any = values[len(names) : -2]
        made: Any = Sums
        sums = made(*numbers, Histogram.read(values[-2]), Histogram.read(values[-1]))
        yield dict(zip(names, values, strict=False)), sums


def _count_attempts(asked: Asked, figures: Figures, step_at: Callable[[datetime], Sums | None]) -> None:
    """Add up the attempts of one asker."""
    for which in ("backend", "kind"):
        figures.by[which] = {}
    count = 0
    for values in attempts(asked).order_by("-started").values_list(*_ROW)[: MOST_ATTEMPTS + 1].iterator(2000):
        count += 1
        if count > MOST_ATTEMPTS:
            figures.cut = True
            break
        row = dict(zip(_ROW, values, strict=True))
        if row["outcome"] not in COUNTED:
            continue
        step = step_at(row["started"])
        for sums in filter(None, (figures.total, step, _of(figures, "backend", row), _of(figures, "kind", row))):
            sums.count(row)


def _of(figures: Figures, which: str, row: dict[str, Any]) -> Sums:
    found = figures.by[which]
    assert found is not None
    return found.setdefault(row[which], Sums())


def attempts(asked: Asked) -> Any:
    """The attempts themselves that ``asked`` is about, as a query."""
    began, ended = _bounds(asked)
    found = Attempt.objects.filter(started__gte=began, started__lt=ended, practice=asked.practice)
    if asked.account is not None:
        found = found.filter(account_id=asked.account)
    for name, column in (("backend", "backend"), ("kind", "kind"), ("token", "payer")):
        if value := getattr(asked, name):
            found = found.filter(**{column: value})
    return found


def troubles(asked: Asked, most: int = 25) -> list[tuple[Attempt, list[Attempt]]]:
    """The latest attempts that were refused or failed, each with the whole road of its task, newest first."""
    found: list[Attempt] = []
    for outcome in (Outcome.REFUSED, Outcome.FAILED, Outcome.LEAKED):
        found += attempts(asked).filter(outcome=outcome).order_by("-started", "-id")[:most]
    found = sorted(found, key=lambda attempt: attempt.started, reverse=True)[:most]
    roads: dict[str, list[Attempt]] = {}
    for attempt in Attempt.objects.filter(task__in={attempt.task for attempt in found}).order_by("number"):
        roads.setdefault(attempt.task, []).append(attempt)
    return [(attempt, roads[attempt.task]) for attempt in found]


def _bounds(asked: Asked) -> tuple[datetime, datetime]:
    return _midnight(asked.since), _midnight(asked.until + timedelta(days=1))


def _midnight(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone()).astimezone(UTC)


def _steps(asked: Asked) -> tuple[Callable[[datetime], datetime], list[datetime]]:
    """What says in which step a moment is, and all steps of the range, by their beginnings."""
    began, ended = _bounds(asked)
    if asked.step == "hour":
        hours = int((ended - began).total_seconds() // 3600)
        return lambda at: at.replace(minute=0, second=0, microsecond=0), [
            began + timedelta(hours=n) for n in range(hours)
        ]
    here, week = zone(), asked.step == "week"

    @cache
    def begins(day: Any) -> datetime:
        return _midnight(day - timedelta(days=day.weekday()) if week else day)

    days = [asked.since + timedelta(days=n) for n in range((asked.until - asked.since).days + 1)]
    return lambda at: begins(at.astimezone(here).date()), list(dict.fromkeys(begins(day) for day in days))
