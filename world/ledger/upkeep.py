"""The ledger's housekeeping: every past day is added up once, attempts older than the operator keeps are let go,
and so are remembered answers and kept responses whose time is over.

    consider(writer)     # often; works once an hour, in the writing thread, in pieces that delay no answer

Where several processes have one PostgreSQL, one of them works at a time (an advisory lock).
``UNIWIZARD_LEDGER_KEEP_DAYS`` (default 400; None keeps all) is how long an attempt itself stays. Its day's totals stay
for good. A day is added up a while after it ends; what comes later has it added up anew.
"""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Count, Sum
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from uniwizard.world.ledger import buckets
from uniwizard.world.ledger.database import alias
from uniwizard.world.ledger.models import Attempt, KeptResponse, KnownAnswer, RolledDay, Totals
from uniwizard.world.ledger.report import ASKER, TOTALS_BY, days_present
from uniwizard.world.ledger.storage import Storage, day_of, moment

if TYPE_CHECKING:
    from uniwizard.world.ledger.writer import Writer

_log = Logger()

#: Seconds between two looks at what there is to do.
EVERY = 3600.0
#: Seconds after its end at which a day is added up first; most of what is late has come by then.
SETTLED = 3600.0
#: Attempts let go of in one piece of work; a few tens of milliseconds.
PIECE = 2000
#: PostgreSQL's advisory lock of the upkeep: "uwz" and a number.
_LOCK = 0x75777A01

_SUMS = {
    "attempts": Count("id"),
    "input_tokens": Sum("input_tokens"),
    "output_tokens": Sum("output_tokens"),
    "cached_tokens": Sum("cached_tokens"),
    "cost_usd": Sum("cost_usd"),
    "saved_usd": Sum("saved_usd"),
    "latency_ms": Sum("latency_ms"),
    "first_token_ms": Sum("first_token_ms"),
    "first_tokens": Count("first_token_ms"),
}

_due = 0.0


def consider(writer: Writer) -> None:
    """Do what there is to do, if it is time."""
    global _due
    now = time.monotonic()
    if now < _due:
        return
    _due = now + EVERY
    work = Deferred.fromCoroutine(_all(writer))
    work.addErrback(lambda why: _log.failure("the ledger's upkeep failed", failure=why))


async def _all(writer: Writer) -> None:
    while await writer.work(piece, writer.storage):
        pass


def piece(storage: Storage, now: float | None = None) -> bool:
    """Do one piece of work, in the thread that calls it; False when there was none left, or somebody else works."""
    with transaction.atomic(using=alias()):
        return _alone() and _piece(storage, now)


def _alone() -> bool:
    """Whether no other process works; none will until the transaction is over."""
    connection = connections[alias()]
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _piece(storage: Storage, now: float | None) -> bool:
    at = time.time() if now is None else now
    if KnownAnswer.objects.filter(until__lte=moment(at)).delete()[0]:
        return True
    if KeptResponse.objects.filter(until__lte=at).delete()[0]:
        return True
    buckets.forget(at)
    today = day_of(at - SETTLED)
    for day in days_present():
        if day < today and day not in storage.rolled:
            roll(day, storage)
            return True
    keep = settings.UNIWIZARD_LEDGER_KEEP_DAYS
    return keep is not None and _let_go(day_of(at) - timedelta(days=keep), storage)


def roll(day: date, storage: Storage) -> None:
    """Add up ``day``. Of a day whose attempts are gone already, what has come since is added and let go."""
    purged = RolledDay.objects.filter(day=day, purged=True).exists()
    attempts = Attempt.objects.filter(day=day)
    with transaction.atomic(using=alias()):
        if not purged:
            Totals.objects.filter(day=day).delete()
        for by, columns in TOTALS_BY.items():
            groups = attempts.order_by().annotate(asker=ASKER).values("day", "outcome", "practice", *columns)
            summed = groups.annotate(**{f"sum_{name}": expression for name, expression in _SUMS.items()})
            Totals.objects.bulk_create(
                Totals(
                    by=by, **{name.removeprefix("sum_"): value for name, value in group.items() if value is not None}
                )
                for group in summed
            )
        if purged:
            attempts.delete()
        else:
            RolledDay.objects.update_or_create(day=day)
    if not purged:
        storage.rolled.add(day)


def _let_go(before: date, storage: Storage) -> bool:
    """Delete one piece of the oldest day that is added up and older than ``before``."""
    oldest = RolledDay.objects.filter(purged=False, day__lt=before).order_by("day").first()
    if oldest is None:
        return False
    ids = list(Attempt.objects.filter(day=oldest.day).order_by().values_list("id", flat=True)[:PIECE])
    if len(ids) < PIECE:
        with transaction.atomic(using=alias()):
            Attempt.objects.filter(id__in=ids).delete()
            RolledDay.objects.filter(day=oldest.day).update(purged=True)
        storage.rolled.discard(oldest.day)
    else:
        Attempt.objects.filter(id__in=ids).delete()
    return True
