"""What a start of the server asks the ledger: what was cut off, what was spent, how the backends did.

Everything that memory forgets in a crash is counted from here again; all these are quick at a million rows, since they
look back over a window and not over everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from django.db.models import Q
from django.db.models.functions import Coalesce

from uniwizard.agent import FailureCode
from uniwizard.world.ledger.budgets import Who
from uniwizard.world.ledger.models import Attempt, Outcome, Pending
from uniwizard.world.ledger.storage import moment

_TURNED_AWAY = (str(FailureCode.NETWORK), str(FailureCode.RATE_LIMITED), str(FailureCode.QUOTA_EXHAUSTED))

CUT_OFF = "the server ended while it was asked"


class PastUsage(NamedTuple):
    """What one attempt used of a backend: seconds since the epoch, key, tokens, USD."""

    at: float
    backend: str
    input_tokens: int
    output_tokens: int
    cost_usd: float


class PastAttempt(NamedTuple):
    """How one attempt went: milliseconds, and its failure if it had one."""

    kind: str
    outcome: str
    failure: FailureCode | None
    evidence: str
    latency_ms: float
    cost_usd: float
    practice: bool


def mark_interrupted(owners: Collection[str | None] | None = None) -> int:
    """Attempts whose end the processes ``owners`` could not see, or nobody could; how many.

    None among them stands for rows of before owners were known. Their requests had left: what stands in their rows
    since then, as tokens and cost, is what they were expected to use.
    """
    cut = Attempt.objects.filter(outcome=Outcome.UNDER_WAY)
    if owners is not None:
        named = [owner for owner in owners if owner is not None]
        cut = cut.filter(Q(owner__in=named) | Q(owner=None) if None in owners else Q(owner__in=named))
    return int(cut.update(outcome=Outcome.INTERRUPTED, evidence=CUT_OFF, estimated=True))


def usage_since(since: float) -> Iterator[PastUsage]:
    """Every attempt at a real backend since ``since`` (seconds since the epoch), oldest first; for the quotas.

    One that was interrupted is in it: its request was sent. Those that the provider turned away are not.
    """
    columns = ("started", "backend", "input_tokens", "output_tokens", "cost_usd")
    rows = Attempt.objects.filter(started__gte=moment(since), practice=False).exclude(
        outcome__in=(Outcome.LEAKED, Outcome.REMEMBERED)
    )
    rows = rows.exclude(failure__in=_TURNED_AWAY)
    for started, *rest in rows.order_by("started", "id").values_list(*columns).iterator(2000):
        yield PastUsage(started.timestamp(), *rest)


def spending(since: float | None, own_since: float) -> Iterator[tuple[Who, float, float]]:
    """Who spent how many USD when, since ``since``; for the budgets.

    What has a label, since ``own_since``; and nothing else where ``since`` is None.
    """
    labelled = Attempt.objects.exclude(label="")
    if since is None or own_since < since:
        # The index is on the start; no attempt takes longer than a day.
        rows = _over(labelled, own_since)
        yield from _spent(rows if since is None else rows.filter(over__lt=moment(since)))
    if since is not None:
        yield from _spent(_over(Attempt.objects.all(), since))


def _over(rows: Any, since: float) -> Any:
    """What was paid since then; what was cut off, at what it was expected to cost when it began."""
    # The index is on the start; no attempt takes longer than a day.
    known = rows.filter(started__gte=moment(since - 86_400.0), cost_usd__gt=0).exclude(outcome=Outcome.UNDER_WAY)
    return known.annotate(over=Coalesce("ended", "started")).filter(over__gte=moment(since))


def _spent(rows: Any) -> Iterator[tuple[Who, float, float]]:
    columns = ("account_id", "account", "character_id", "character", "payer", "label", "cost_usd", "over")
    for *who, usd, over in rows.order_by().values_list(*columns).iterator(2000):
        yield Who(*who), usd, over.timestamp()


def attempts_since(backend: str, since: float) -> Iterator[PastAttempt]:
    """How ``backend`` did after ``since``, oldest first; for its health."""
    rows = Attempt.objects.filter(backend=backend, ended__gt=moment(since), started__gt=moment(since - 86_400.0))
    rows = rows.filter(outcome__in=(Outcome.ANSWERED, Outcome.REFUSED, Outcome.FAILED)).order_by("ended", "id")
    columns = ("kind", "outcome", "failure", "evidence", "latency_ms", "cost_usd", "practice")
    for kind, outcome, failure, *rest in rows.values_list(*columns):
        yield PastAttempt(kind, outcome, FailureCode(failure) if failure else None, *rest)


def pending(router: int) -> list[Pending]:
    """The thoughts of one BackendRouter whose players have not been told their end."""
    return list(Pending.objects.filter(router=router).order_by("began", "id"))
