"""What may be spent: by the game as a whole, by each account, by each character, by each token. Plain Python.

    budgets = Budgets({"game": {"usd": 50, "per": "month"}}, ZoneInfo("Europe/Vienna"), time.time)
    budgets.reserve(task.id, who, 0.02)      # raises BudgetReached, which says which and when it resets
    budgets.renew(task.id, 0.015)            # before each of its attempts, which may cost that; raises the same
    budgets.spend(who, 0.011)                # an attempt was paid for
    budgets.release(task.id)                 # the task is over

A reservation is held from before the first request until the task's end, so that thoughts side by side cannot spend the
same dollar. It is made anew for each attempt: refused ones are paid for, too.

The clock: a window is a calendar day, week (from Monday) or month of the game's time zone, however many hours it has. A
clock set back by up to a day stays in the window it was in, so that nothing is spent twice; after a greater step the
clock is believed, and ``rebuild`` must tell again what was spent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

SCOPES = ("game", "account", "character", "token")
PERIODS = ("day", "week", "month")
#: Seconds by which a clock may be set back without a window being opened again.
STEP_BACK = 86_400.0
#: USD; for sums of floats that should be whole.
_GRACE = 1e-9


@dataclass(frozen=True, slots=True)
class Who:
    """Who asked: an account and its character, or the label of a token. Kept here, never sent."""

    account_id: int | None = None
    account: str = ""
    character_id: int | None = None
    character: str = ""
    payer: str = ""

    @classmethod
    def of(cls, character: Any) -> Who:
        """A player's character, or an account that has none at hand."""
        account = getattr(character, "account", None)
        return cls(
            account.id if account is not None else None,
            account.username if account is not None else "",
            character.id,
            character.key,
        )

    def keys(self) -> dict[str, Any]:
        """By scope, which of its budgets this is."""
        found = {"game": "", "account": self.account_id, "character": self.character_id, "token": self.payer or None}
        return {scope: key for scope, key in found.items() if key is not None}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``usd`` within every ``per``."""

    usd: float
    per: str


class BudgetReached(Exception):
    """There is not enough left for another thought; the message says of what, and when that changes."""

    def __init__(self, scope: str, limit: Limit, left: float, reserved: float, resets: datetime):
        self.scope, self.resets = scope, resets
        whose = "The game's" if scope == "game" else f"Your {scope}'s" if scope != "token" else "This token's"
        if reserved > 0 and left > 0:
            what = f"has ${left:.4f} left, and thoughts under way may need that"
        else:
            what = f"is used up (${max(0.0, left):.4f} left)"
        super().__init__(
            f"{whose} budget of ${limit.usd:g} a {limit.per} {what}. It resets on {resets:%A, %d %B %Y at %H:%M %Z}."
        )


@dataclass(slots=True)
class _Account:
    """What one holder of a budget has spent in this window, and has reserved."""

    spent: float = 0.0
    reserved: float = 0.0


@dataclass(slots=True)
class _Window:
    """The window of one scope that is open now."""

    begins: datetime
    #: The same and its end, in seconds since the epoch.
    since: float
    until: float
    holders: dict[Any, _Account] = field(default_factory=dict)

    def holder(self, key: Any) -> _Account:
        return self.holders.setdefault(key, _Account())


@dataclass(frozen=True, slots=True)
class Standing:
    """How one budget stands, in USD."""

    scope: str
    limit: Limit
    spent: float
    reserved: float
    resets: datetime


class Budgets:
    """Every budget of the game, in memory. ``now`` tells the time in seconds since the epoch."""

    def __init__(self, limits: Mapping[str, Any] | None, zone: tzinfo, now: Callable[[], float]):
        self.limits = {scope: _limit(scope, limit) for scope, limit in (limits or {}).items() if limit is not None}
        self._zone = zone
        self._now = now
        self._windows: dict[str, _Window] = {}
        self._reserved: dict[str, tuple[Who, float]] = {}
        #: Called when the clock has gone back so far that what was spent must be read again.
        self.lost: Callable[[], None] = lambda: None

    def reserve(self, task: str, who: Who, usd: float) -> None:
        """Set ``usd`` aside for a task. Raises BudgetReached, and then sets nothing aside."""
        if not self.limits or task in self._reserved:
            return
        keys = who.keys()
        for scope, limit in self.limits.items():
            if scope in keys:
                holder = self._window(scope).holder(keys[scope])
                left = limit.usd - holder.spent
                if left <= 0 or usd > left - holder.reserved + _GRACE:
                    raise BudgetReached(scope, limit, left, holder.reserved, self.resets(scope))
        self._reserved[task] = who, usd
        self._hold(who, usd)

    def renew(self, task: str, usd: float) -> None:
        """Set ``usd`` aside for the task's next attempt, instead of what its last one had; what costs nothing may be.

        Raises BudgetReached, and then nothing is set aside for the task any more.
        """
        if (found := self._reserved.get(task)) is not None:
            self.release(task)
            if usd > 0:
                self.reserve(task, found[0], usd)
            else:
                self._reserved[task] = found[0], 0.0

    def release(self, task: str) -> None:
        """The task is over; what was set aside and not spent is free again."""
        if (found := self._reserved.pop(task, None)) is not None:
            self._hold(found[0], -found[1])

    def _hold(self, who: Who, usd: float) -> None:
        for scope, key in who.keys().items():
            if scope in self.limits:
                holder = self._window(scope).holder(key)
                holder.reserved = max(0.0, holder.reserved + usd)

    def left(self, task: str) -> float:
        """USD that the task may still spend, what is set aside for it included; infinity where nothing limits it."""
        if (found := self._reserved.get(task)) is None:
            return math.inf
        who, own = found
        keys = who.keys()
        free = math.inf
        for scope, limit in self.limits.items():
            if scope in keys:
                holder = self._window(scope).holder(keys[scope])
                free = min(free, limit.usd - holder.spent - max(0.0, holder.reserved - own))
        return max(0.0, free)

    def spend(self, who: Who, usd: float) -> None:
        """Count what an attempt cost that has just ended."""
        for scope, key in who.keys().items():
            if scope in self.limits and usd:
                self._window(scope).holder(key).spent += usd

    def rebuild(self, rows: Iterable[tuple[Who, float, float]]) -> None:
        """Forget what was spent and count it from (who, USD, time) rows, all since :meth:`since`."""
        for window in self._windows.values():
            for holder in window.holders.values():
                holder.spent = 0.0
        for who, usd, at in rows:
            for scope, key in who.keys().items():
                if scope in self.limits and at >= (window := self._window(scope)).since:
                    window.holder(key).spent += usd

    def since(self) -> float | None:
        """The beginning of the oldest window that is open, in seconds since the epoch; None without budgets."""
        return min((self._window(scope).since for scope in self.limits), default=None)

    def standings(self, who: Who) -> list[Standing]:
        """Every budget that ``who`` spends from."""
        keys = who.keys()
        found = []
        for scope, limit in self.limits.items():
            if scope in keys:
                holder = self._window(scope).holders.get(keys[scope], _Account())
                found.append(Standing(scope, limit, holder.spent, holder.reserved, self.resets(scope)))
        return found

    def resets(self, scope: str) -> datetime:
        """When the window of ``scope`` ends, in the game's time zone."""
        return _next(self._window(scope).begins, self.limits[scope].per)

    # -- windows -------------------------------------------------------------------------------------------------

    def _window(self, scope: str) -> _Window:
        now = self._now()
        window = self._windows.get(scope)
        if window is None:
            return self._open(scope, now, {})
        if window.since - STEP_BACK <= now < window.until:
            return window
        # Nothing is spent in the new window, but what is reserved will be.
        held = {key: _Account(0.0, holder.reserved) for key, holder in window.holders.items() if holder.reserved}
        opened = self._open(scope, now, held)
        if now < window.since:
            self.lost()
        return opened

    def _open(self, scope: str, now: float, holders: dict[Any, _Account]) -> _Window:
        per = self.limits[scope].per
        begins = beginning(datetime.fromtimestamp(now, self._zone), per)
        window = _Window(begins, begins.timestamp(), _next(begins, per).timestamp(), holders)
        self._windows[scope] = window
        return window


def beginning(at: datetime, per: str) -> datetime:
    """Where the day, week or month of ``at`` begins, in its time zone."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if per == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if per == "month" else day


def _next(begins: datetime, per: str) -> datetime:
    if per == "month":
        return beginning(begins.replace(day=28) + timedelta(days=7), "month")
    return begins + timedelta(days=7 if per == "week" else 1)


def _limit(scope: str, limit: Any) -> Limit:
    """Read one entry of UNIWIZARD_BUDGETS. Raises ValueError, which says what is allowed."""
    if scope not in SCOPES:
        raise ValueError(f"UNIWIZARD_BUDGETS: {scope!r} is unknown; allowed: {', '.join(SCOPES)}")
    if not isinstance(limit, Mapping) or set(limit) != {"usd", "per"} or limit["per"] not in PERIODS:
        raise ValueError(f"UNIWIZARD_BUDGETS[{scope!r}]: give 'usd' (a number) and 'per' (one of {', '.join(PERIODS)})")
    usd = limit["usd"]
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not usd >= 0:
        raise ValueError(f"UNIWIZARD_BUDGETS[{scope!r}]['usd']: is not a number from 0")
    return Limit(float(usd), limit["per"])
