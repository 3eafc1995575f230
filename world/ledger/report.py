"""Every question that is asked of the ledger: by the ``ledger`` command, the admin's pages and the tests.

    tally(("backend",), since=date(2026, 11, 1))       # {("claude",): Tally(...), ...}
    tally((), account_id=7)[()].cost_usd

Days that are added up are read from their totals, the others from their attempts, so a question about a year is as
quick as one about a day. Everything here reads only, and is called in a reading thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from django.db import connections
from django.db.models import Case, Count, F, Q, Sum, When

from uniwizard.world.ledger.database import alias
from uniwizard.world.ledger.models import Attempt, Outcome, RolledDay, Totals

#: Whoever asked, as one column: the account's name, or a token's label.
ASKER = Case(When(payer="", then=F("account")), default=F("payer"))
#: What a past day is added up by, beside its day, outcome and practice.
TOTALS_BY = {"work": ("backend", "kind"), "asker": ("account_id", "asker")}

_ANSWERED = Q(outcome=Outcome.ANSWERED)
_REMEMBERED = Q(outcome=Outcome.REMEMBERED)
_ENDED = Q(outcome__in=(Outcome.ANSWERED, Outcome.REFUSED, Outcome.FAILED))
#: The days that have attempts, each found by one step through the index.
_DAYS = """
WITH RECURSIVE found(day) AS (
    SELECT min(day) FROM ledger_attempt
    UNION ALL
    SELECT (SELECT min(day) FROM ledger_attempt WHERE day > found.day) FROM found WHERE found.day IS NOT NULL
) SELECT day FROM found WHERE day IS NOT NULL
"""


@dataclass(slots=True)
class Tally:
    """Attempts added up. ``ended`` are those that say something of the backend: answered, refused or failed.
    ``remembered`` counts the answers that nobody was asked for, which are no attempts; ``saved_usd`` is what those
    cost once.

    ``latency_ms`` adds up those of the answered ones; ``first_token_ms`` those of the ``first_tokens`` that have one.
    """

    attempts: int = 0
    answered: int = 0
    ended: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    remembered: int = 0
    latency_ms: float = 0.0
    first_token_ms: float = 0.0
    first_tokens: int = 0

    def add(self, numbers: dict[str, Any]) -> None:
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + (numbers[f"sum_{name}"] or 0))

    @property
    def success_rate(self) -> float | None:
        """0 to 1; None where nothing ended."""
        return self.answered / self.ended if self.ended else None

    @property
    def mean_latency_ms(self) -> float | None:
        return self.latency_ms / self.answered if self.answered else None

    @property
    def success_percent(self) -> str:
        """For people; a dash where nothing ended."""
        return "-" if self.success_rate is None else f"{self.success_rate:.1%}"

    @property
    def latency_told(self) -> str:
        """For people; a dash where nothing was answered."""
        return "-" if self.mean_latency_ms is None else f"{self.mean_latency_ms / 1000:.2f} s"

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


_NUMBERS = [field.name for field in fields(Tally)]
_SUMMED = ("input_tokens", "output_tokens", "cached_tokens", "cost_usd", "saved_usd", "first_token_ms")


def days_present() -> list[date]:
    """The days that have attempts, oldest first."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(_DAYS)
        return [day if isinstance(day, date) else date.fromisoformat(day) for (day,) in cursor.fetchall()]


def tally(
    by: Sequence[str] = (),
    *,
    since: date | None = None,
    until: date | None = None,
    **only: Any,
) -> dict[tuple[Any, ...], Tally]:
    """Attempts added up per combination of ``by``, of ``day backend kind outcome practice account_id asker``.

    ``since`` and ``until`` are days and inclusive; ``only`` are further conditions on the same columns. Who asked for
    which kind or backend is known only as long as the attempts themselves are kept.
    """
    rows, totals = Attempt.objects.annotate(asker=ASKER).filter(**only), Totals.objects.none()
    columns = {*by, *only} - {"day", "outcome", "practice"}
    for name, known in TOTALS_BY.items():
        if columns <= set(known):
            rolled = set(RolledDay.objects.filter(purged=False).values_list("day", flat=True))
            rows = rows.filter(day__in=[day for day in days_present() if day not in rolled])
            totals = Totals.objects.filter(by=name, **only)
            break
    if since is not None:
        rows, totals = rows.filter(day__gte=since), totals.filter(day__gte=since)
    if until is not None:
        rows, totals = rows.filter(day__lte=until), totals.filter(day__lte=until)
    sums = {f"sum_{name}": Sum(name) for name in _SUMMED} | {"sum_latency_ms": Sum("latency_ms", filter=_ANSWERED)}
    of_rows = sums | {
        "sum_attempts": Count("id", filter=~_REMEMBERED),
        "sum_remembered": Count("id", filter=_REMEMBERED),
        "sum_answered": Count("id", filter=_ANSWERED),
        "sum_ended": Count("id", filter=_ENDED),
        "sum_first_tokens": Count("first_token_ms"),
    }
    of_totals = sums | {
        "sum_attempts": Sum("attempts", filter=~_REMEMBERED),
        "sum_remembered": Sum("attempts", filter=_REMEMBERED),
        "sum_answered": Sum("attempts", filter=_ANSWERED),
        "sum_ended": Sum("attempts", filter=_ENDED),
        "sum_first_tokens": Sum("first_tokens"),
    }
    found: dict[tuple[Any, ...], Tally] = {}
    for query, numbers in ((rows, of_rows), (totals, of_totals)):
        query = query.order_by()
        groups = query.values(*by).annotate(**numbers) if by else [query.aggregate(**numbers)]
        for group in groups:
            found.setdefault(tuple(group[name] for name in by), Tally()).add(group)
    return found
