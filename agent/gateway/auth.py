"""Who may come in, and how much of it: a presented key becomes a :class:`Caller`, or the reason why not.

A :data:`KeyCheck` is any callable that does that. Two stand here; the game has a third, over its tokens::

    open_door("")               # whoever comes
    OneKey("secret")("guess")   # "this key is not known"
"""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..core.backend import Quota
from ..quota import LimitCounter
from ..state.cluster import Cluster

#: USD; for sums of floats that should be whole.
_GRACE = 1e-9


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one key may use; None is without limit. The month is the calendar's, in UTC."""

    requests_per_minute: int | None = None
    usd_per_month: float | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a caller has to wait. ``code`` is OpenAI's word; ``retry_after`` is in seconds, None for "not soon"."""

    code: str
    reason: str
    retry_after: float | None = None


class Caller:
    """Somebody who was let in, with what they have used.

    label      what the owner calls this key; never sent to a backend
    id         tells this key from every other; two owners may call theirs the same
    identity   terms that must not leave with this caller's tasks
    spent_usd  in ``month`` (such as "2026-11"), which :meth:`charge` keeps current
    changed    told after every charge, for whoever keeps the figures; ``last_charge`` is what was charged, in USD
    owner      what all keys of one owner may use together; a new key is no new allowance
    cluster    the processes that keep this key's limits together; None where there is one
    """

    __slots__ = (
        *("_money", "_rate", "_seen", "allowance", "changed", "cluster", "id", "identity", "label", "last_charge"),
        *("month", "owner", "spent_usd"),
    )

    def __init__(
        self,
        label: str,
        allowance: Allowance | None = None,
        identity: frozenset[str] = frozenset(),
        spent_usd: float = 0.0,
        month: str = "",
        changed: Callable[[Caller], None] | None = None,
        owner: Caller | None = None,
        id: str = "",
        cluster: Cluster | None = None,
    ):
        self.label = label
        self.cluster = cluster
        self.id = id or label
        self.allowance = allowance or Allowance()
        self.identity = identity
        self.spent_usd = spent_usd
        self.month = month
        self.changed = changed
        self.owner = owner
        self.last_charge = 0.0
        self._rate: LimitCounter | None = None
        self._money: LimitCounter | None = None
        self._seen = 0.0

    async def ready(self, now: float) -> None:
        """Before :meth:`admit`, where several processes keep the limits: try to hold one request."""
        for one in self._payers():
            if one.cluster is not None and (rate := one._requests(now)) is not None:
                await rate.ready(now, 1.0)

    async def ready_to_pay(self, usd: float, now: float) -> None:
        """Before :meth:`reserve`, likewise: try to hold ``usd`` more."""
        for one in self._payers():
            if one.cluster is not None:
                await one._month(now).ready(now, usd)

    def admit(self, now: float) -> Denied | None:
        """Count one request at ``now`` (seconds since the epoch), or say why it has to wait."""
        denied = self._denied(now) or (self.owner._denied(now) if self.owner is not None else None)
        if denied is None:
            for one in self._payers():
                one._seen = now
                if (rate := one._requests(now)) is not None:
                    rate.use(now, 1.0)
        return denied

    def reserve(self, usd: float, now: float) -> str:
        """Set ``usd`` aside for a request under way; why that is too much, or empty."""
        for one in self._payers():
            if one.allowance.usd_per_month is not None and usd > one._month(now).left(now) + _GRACE:
                return f"this key cannot pay ${usd:.4f} out of its ${one.allowance.usd_per_month:g} for the month"
            if one._month(now).lacks(now, usd):
                return (
                    f"what is left of this key's ${one.allowance.usd_per_month:g} is set aside for its other requests"
                )
        for one in self._payers():
            one._month(now).reserve(usd)
        return ""

    def usd_left(self, now: float) -> float:
        """USD of the month that are neither spent nor set aside; infinity without a limit."""
        limited = (one for one in self._payers() if one.allowance.usd_per_month is not None)
        return max(0.0, min((one._month(now).usable(now) for one in limited), default=math.inf))

    def unreserve(self, usd: float, now: float) -> None:
        """What was set aside is over, or charged."""
        for one in self._payers():
            one._month(now).unreserve(usd)

    def charge(self, usd: float, now: float) -> None:
        """Book ``usd`` that a request has cost."""
        for one in self._payers():
            one._month(now).use(now, usd)
            one.spent_usd = one._month(now).used(now)
            one.month = month_of(now)
            one.last_charge = usd
            if one.changed is not None:
                one.changed(one)

    def recount(self, usd: float, now: float) -> None:
        """All that was spent this month, by whatever process, is ``usd``; what is set aside here stays so."""
        self._month(now).recount(now, usd)
        self.spent_usd, self.month = usd, month_of(now)

    @property
    def remaining(self) -> int | None:
        """Requests left in the minute of the last one that was admitted; None without a limit."""
        if self._rate is None:
            return self.allowance.requests_per_minute
        return max(0, int(self._rate.left(self._seen)))

    def _payers(self) -> tuple[Caller, ...]:
        return (self,) if self.owner is None else (self, self.owner)

    def _denied(self, now: float) -> Denied | None:
        budget = self.allowance.usd_per_month
        if budget is not None and self._month(now).used(now) >= budget:
            return Denied("insufficient_quota", f"this key has used up its ${budget:g} for the month")
        rate = self._requests(now)
        if rate is not None and rate.left(now) < 1.0:
            wait = max(0.0, rate.resets_at(now, 1.0) - now)
            limit = self.allowance.requests_per_minute
            return Denied("rate_limit_exceeded", f"this key may ask {limit} times a minute", wait)
        if rate is not None and rate.lacks(now, 1.0):
            limit = self.allowance.requests_per_minute
            return Denied("rate_limit_exceeded", f"this key may ask {limit} times a minute", 1.0)
        return None

    def _requests(self, now: float) -> LimitCounter | None:
        limit = self.allowance.requests_per_minute
        if self._rate is None and limit is not None:
            self._rate = LimitCounter(Quota(limit, "requests", "minute", rolling=True), now)
        if self._rate is not None and self.cluster is not None:
            self._rate.share(self.cluster, f"rate:{self.id}", now)
        return self._rate

    def _month(self, now: float) -> LimitCounter:
        if self._money is None:
            budget = self.allowance.usd_per_month
            spent = self.spent_usd if self.month == month_of(now) else 0.0
            self._money = LimitCounter(Quota(math.inf if budget is None else budget, "usd", "month"), now, spent)
        if self.cluster is not None:
            self._money.share(self.cluster, f"usd:{self.id}", now)
        return self._money


def month_of(now: float) -> str:
    """The calendar's month at ``now`` (seconds since the epoch) in UTC, such as ``2026-11``."""
    return time.strftime("%Y-%m", time.gmtime(now))


#: A presented key (empty when there was none) to its Caller, or to the reason why it is turned away.
KeyCheck = Callable[[str], Caller | str]


def open_door(presented: str) -> Caller | str:
    """Whoever comes may come in: for a server that nobody but this machine can reach."""
    return _ANYONE


_ANYONE = Caller("anyone")


class OneKey:
    """One key for everybody. Its hash is compared, so the comparison's time tells nothing of its length either."""

    def __init__(self, key: str):
        self._hash = hashed(key)
        self._caller = Caller("the key of this server", id=self._hash[:16])

    def __call__(self, presented: str) -> Caller | str:
        if not presented:
            return "no key was presented; send it as `Authorization: Bearer <key>`"
        if not hmac.compare_digest(hashed(presented), self._hash):
            return "this key is not known"
        return self._caller


def hashed(key: str) -> str:
    """What is kept of a key: SHA-256, which is enough for keys of 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
