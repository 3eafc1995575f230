"""Who may come in, and how much of it: a presented key becomes a :class:`Caller`, or the reason why not.

A :data:`KeyCheck` is any callable that does that. Two stand here; the game has a third, over its tokens::

    open_door("")               # whoever comes
    OneKey("secret")("guess")   # "this key is not known"
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

#: Seconds over which requests are counted.
MINUTE = 60.0


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


@dataclass(slots=True)
class Caller:
    """Somebody who was let in, with what they have used.

    label      what the owner calls this key; never sent to a backend
    identity   terms that must not leave with this caller's tasks
    spent_usd  in ``month`` (such as "2026-11"), which :meth:`charge` keeps current
    changed    told after every charge, for whoever keeps the figures
    """

    label: str
    allowance: Allowance = Allowance()
    identity: frozenset[str] = frozenset()
    spent_usd: float = 0.0
    month: str = ""
    changed: Callable[[Caller], None] | None = None
    _recent: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> Denied | None:
        """Count one request at ``now`` (seconds since the epoch), or say why it has to wait."""
        self._turn_month(now)
        budget = self.allowance.usd_per_month
        if budget is not None and self.spent_usd >= budget:
            return Denied("insufficient_quota", f"this key has used up its ${budget:g} for the month")
        limit = self.allowance.requests_per_minute
        if limit is not None:
            while self._recent and self._recent[0] <= now - MINUTE:
                self._recent.popleft()
            if len(self._recent) >= limit:
                wait = self._recent[0] + MINUTE - now if self._recent else MINUTE
                return Denied("rate_limit_exceeded", f"this key may ask {limit} times a minute", wait)
            self._recent.append(now)
        return None

    def charge(self, usd: float, now: float) -> None:
        """UsageSink ``usd`` that a request has cost."""
        self._turn_month(now)
        self.spent_usd += usd
        if self.changed is not None:
            self.changed(self)

    @property
    def remaining(self) -> int | None:
        """Requests left in this minute; None without a limit."""
        limit = self.allowance.requests_per_minute
        return None if limit is None else max(0, limit - len(self._recent))

    def _turn_month(self, now: float) -> None:
        month = time.strftime("%Y-%m", time.gmtime(now))
        if month != self.month:
            self.month, self.spent_usd = month, 0.0


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
        self._caller = Caller("the key of this server")

    def __call__(self, presented: str) -> Caller | str:
        if not presented:
            return "no key was presented; send it as `Authorization: Bearer <key>`"
        if not hmac.compare_digest(hashed(presented), self._hash):
            return "this key is not known"
        return self._caller


def hashed(key: str) -> str:
    """What is kept of a key: SHA-256, which is enough for keys of 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
