"""Puts operations into the tables, as one transaction, in the thread that calls it. Safe to repeat.

    ("start", row)            an attempt is under way        ("end", row)          it is over
    ("hold", row)             a thought is under way         ("answer", task, s)   its end is known, not yet told
    ("release", task)         its player has been told
    ("goal", id, text)        a goal as it stands            ("ungoal", id)       it is forgotten
    ("know", row)             an answer is remembered        ("unknow", key)      it is forgotten
    ("keep", row)             a program's response is kept   ("unkeep", id)       it is forgotten
    ("disown", owner)         all that was kept of a token is forgotten
    ("use", row)              what one process has spent of a token this month, in all

A row is plain data with the field names of :mod:`world.ledger.models`; times are seconds since the epoch. An end is
written over a start and never the other way round, so operations may come twice, and late.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connections, transaction

from uniwizard.agent.gateway.store import SURPLUS
from uniwizard.world.ledger import buckets
from uniwizard.world.ledger.database import alias
from uniwizard.world.ledger.models import (
    Attempt,
    KeptResponse,
    KnownAnswer,
    Pending,
    RolledDay,
    TokenUse,
    Totals,
    WorkedGoal,
    fields_of,
)
from uniwizard.world.ledger.spill import Operation

#: Written without Django's models, which take five times as long for a row. ON CONFLICT is SQLite's and PostgreSQL's.
_COLUMNS = [field.column for field in Attempt._meta.local_fields if field.name != "id"]
_DEFAULTS = {field.column: field.get_default() for field in Attempt._meta.local_fields if field.name != "id"}
_START = (
    f"INSERT INTO {Attempt._meta.db_table} ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))}) "
    "ON CONFLICT (task, number) DO NOTHING"
)
_END = (
    _START.removesuffix("NOTHING")
    + "UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS if column not in ("task", "number"))
)


def zone() -> tzinfo:
    """The game's time zone, whose days and months count."""
    return ZoneInfo(settings.TIME_ZONE)


def moment(at: float) -> datetime:
    """Seconds since the epoch as Django takes them."""
    return datetime.fromtimestamp(at, UTC)


def day_of(at: float) -> date:
    """The day in the game's time zone. A day may have 23 or 25 hours; a moment belongs to exactly one."""
    return datetime.fromtimestamp(at, zone()).date()


class Storage:
    """The tables, as one process writes them."""

    def __init__(self) -> None:
        self._rolled: set[date] | None = None

    def apply(self, operations: Sequence[Operation]) -> None:
        """Write all of them or none. Raises Django's DatabaseError."""
        starts: dict[tuple[str, int], dict[str, Any]] = {}
        ends: dict[tuple[str, int], dict[str, Any]] = {}
        held: dict[str, dict[str, Any]] = {}
        answers: dict[str, str] = {}
        released: list[str] = []
        known: dict[str, dict[str, Any] | None] = {}
        kept: dict[str, dict[str, Any] | None] = {}
        gone: set[str] = set()
        goals: dict[str, str | None] = {}
        used: dict[tuple[str, str, str], dict[str, Any]] = {}
        for operation in operations:
            match operation:
                case ("start", row):
                    starts[row["task"], row["number"]] = row
                case ("end", row):
                    ends[row["task"], row["number"]] = row
                case ("hold", row):
                    held[row["task"]] = row
                case ("answer", task, text):
                    answers[task] = text
                case ("release", task):
                    held.pop(task, None)
                    answers.pop(task, None)
                    released.append(task)
                case ("know", row):
                    known[row["key"]] = row
                case ("unknow", key):
                    known[key] = None
                case ("keep", row):
                    kept[row["id"]] = row
                case ("unkeep", identifier):
                    kept[identifier] = None
                case ("disown", owner):
                    gone.add(owner)
                case ("goal", goal, text):
                    goals[goal] = text
                case ("ungoal", goal):
                    goals[goal] = None
                case ("use", row):
                    used[row["token"], row["owner"], row["month"]] = row
        begun = [row for key, row in starts.items() if key not in ends]
        with transaction.atomic(using=alias()):
            self._attempts(begun, list(ends.values()))
            # First, for what was released and is held anew.
            for first in range(0, len(released), 500):
                Pending.objects.filter(task__in=released[first : first + 500]).delete()
            if held:
                Pending.objects.bulk_create(
                    [Pending(**{**row, "began": moment(row["began"])}) for row in held.values()], ignore_conflicts=True
                )
            for task, text in answers.items():
                Pending.objects.filter(task=task).update(answer=text)
            _remember(known)
            if kept or gone:
                _keep(kept, gone)
            _write_goals(goals)
            _count_uses(list(used.values()))

    def _attempts(self, begun: Sequence[dict[str, Any]], ended: Sequence[dict[str, Any]]) -> None:
        connection = connections[alias()]
        values, days = [], set()
        for row in (*begun, *ended):
            day = day_of(row["started"])
            days.add(day)
            values.append(_values(row, day, connection.ops))
        fresh = _fresh(ended)
        with connection.cursor() as cursor:
            for sql, rows in ((_START, values[: len(begun)]), (_END, values[len(begun) :])):
                if rows:
                    cursor.executemany(sql, rows)
        buckets.write(buckets.counted_rows(fresh))
        if late := self._late(days):
            # What was added up no longer holds; the day is added up anew when asked about, and by the next upkeep.
            RolledDay.objects.filter(day__in=late).delete()
            Totals.objects.filter(day__in=late).delete()
            self.rolled.difference_update(late)

    def _late(self, days: set[date]) -> set[date]:
        """Those of ``days`` that are added up already."""
        if connections[alias()].vendor == "postgresql" and min(days, default=date.max) < day_of(time.time()):
            # Another process may have done that.
            self._rolled = None
        return self.rolled & days

    @property
    def rolled(self) -> set[date]:
        """The days that are added up and could be added up again."""
        if self._rolled is None:
            self._rolled = set(RolledDay.objects.filter(purged=False).values_list("day", flat=True))
        return self._rolled


def _write_goals(goals: dict[str, str | None]) -> None:
    """Write goals as they stand now; None is what is forgotten."""
    if gone := [goal for goal, text in goals.items() if text is None]:
        WorkedGoal.objects.filter(id__in=gone).delete()
    # PostgreSQL takes no NUL; JSON writes one as an escape.
    kept = [WorkedGoal(id=goal, text=text) for goal, text in goals.items() if text is not None]
    WorkedGoal.objects.bulk_create(kept, update_conflicts=True, unique_fields=["id"], update_fields=["text"])


def _fresh(ended: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of these attempts that were not written down as ended before."""
    tasks = list({row["task"] for row in ended})
    known: set[tuple[str, int]] = set()
    for first in range(0, len(tasks), 500):
        before = Attempt.objects.filter(task__in=tasks[first : first + 500], outcome__in=buckets.COUNTED)
        known.update(before.order_by().values_list("task", "number"))
    return [row for row in ended if (row["task"], row["number"]) not in known]


def _remember(known: dict[str, dict[str, Any] | None]) -> None:
    """Write down what is remembered by now; None is what is forgotten."""
    gone = [key for key, row in known.items() if row is None]
    for first in range(0, len(gone), 500):
        KnownAnswer.objects.filter(key__in=gone[first : first + 500]).delete()
    KnownAnswer.objects.bulk_create(
        [
            KnownAnswer(**{**row, "learned": moment(row["learned"]), "until": moment(row["until"])})
            for row in known.values()
            if row is not None
        ],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["kind", "backend", "model", "learned", "until", "practice", "entry"],
    )


def _keep(kept: dict[str, dict[str, Any] | None], gone: set[str]) -> None:
    """Keep responses; None is one that is forgotten. What is kept of the owners ``gone`` goes, and what is too much."""
    forgotten = [identifier for identifier, row in kept.items() if row is None]
    rows = [KeptResponse(**row) for row in kept.values() if row is not None and row["owner"] not in gone]
    KeptResponse.objects.filter(id__in=forgotten).delete()
    KeptResponse.objects.filter(owner__in=gone).delete()
    if rows:
        KeptResponse.objects.bulk_create(rows, ignore_conflicts=True)
        with connections[alias()].cursor() as cursor:
            cursor.execute(SURPLUS.format(table=KeptResponse._meta.db_table))


def _count_uses(rows: Sequence[dict[str, Any]]) -> None:
    """Write down what a process has spent of tokens; the figures are whole sums, so that they may come twice."""
    TokenUse.objects.bulk_create(
        [TokenUse(**{**row, "last_used": moment(row["last_used"])}) for row in rows],
        update_conflicts=True,
        unique_fields=["token", "owner", "month"],
        update_fields=["usd", "last_used"],
    )


def _values(row: dict[str, Any], day: date, ops: Any) -> list[Any]:
    """The columns of a row as the database's driver takes them."""
    fields_of(row)
    ended = row.get("ended")
    whole = {
        **_DEFAULTS,
        **row,
        "started": ops.adapt_datetimefield_value(moment(row["started"])),
        "ended": ops.adapt_datetimefield_value(moment(ended)) if ended is not None else None,
        "day": ops.adapt_datefield_value(day),
    }
    return [whole[name] for name in _COLUMNS]
