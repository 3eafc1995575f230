"""What may be spent: by the game as a whole, by each account, by each character, by each token. Plain Python.

    budgets = Budgets({"game": {"usd": 50, "per": "month"}}, ZoneInfo("Europe/Vienna"), time.time)
    budgets.reserve(task.id, who, 0.02)      # raises BudgetReached, which says which and when it resets
    budgets.renew(task.id, 0.015)            # before each of its attempts, which may cost that; raises the same
    budgets.spend(who, 0.011)                # an attempt was paid for
    budgets.release(task.id)                 # the task is over

A reservation is held from before the first request until the task's end, so that thoughts side by side cannot spend the
same dollar. It is made anew for each attempt: refused ones are paid for, too.

A window is a calendar day, week (from Monday) or month of the game's time zone, however many hours it has; it is
counted as the backends' quotas are (:class:`uniwizard.agent.LimitCounter`). A clock that is set back stays in the
window it was in, so that nothing is spent twice; by more than the length of a window, it is believed, and ``rebuild``
must tell again what was spent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from uniwizard.agent import Cluster, LimitCounter, Quota

SCOPES = ("game", "account", "character", "token")
PERIODS = ("day", "week", "month")
#: USD; for sums of floats that should be whole.
_GRACE = 1e-9
#: USD; for what is counted and limited elsewhere.
_UNLIMITED = 1e12


@dataclass(frozen=True, slots=True)
class Who:
    """Who asked: an account and its character, or the label of a token. Kept here, never sent.

    ``label`` is what of the game's own asked for them, such as a character that talks; it may have a budget of its own.
    """

    account_id: int | None = None
    account: str = ""
    character_id: int | None = None
    character: str = ""
    payer: str = ""
    label: str = ""

    @classmethod
    def of(cls, character: Any) -> Who:
        """A player's character."""
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

    def label_keys(self) -> tuple[str, ...]:
        """Whose own budgets this spends from: the label's, and the label's with this one asker."""
        if not self.label:
            return ()
        asker = self.character_id if self.character_id is not None else f"account {self.account_id}"
        return self.label, f"{self.label} with {asker}"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``usd`` within every ``per``."""

    usd: float
    per: str


#: Limits that hold for one task alone, each with the one of :meth:`Who.label_keys` that it is of.
Own = Sequence[tuple[str, Limit]]


class BudgetReached(Exception):
    """There is not enough left for another thought; the message says of what, and when that changes."""

    def __init__(self, scope: str, limit: Limit, left: float, reserved: float, resets: datetime, label: str = ""):
        self.scope, self.resets = scope, resets
        whose = {"game": "The game's", "token": "This token's"}.get(scope, f"Your {scope}'s")
        whose = f"{label}'s" if label else whose
        if reserved > 0 and left > 0:
            what = f"has ${left:.4f} left, and thoughts under way may need that"
        else:
            what = f"is used up (${max(0.0, left):.4f} left)"
        super().__init__(
            f"{whose} budget of ${limit.usd:g} a {limit.per} {what}. It resets on {resets:%A, %d %B %Y at %H:%M %Z}."
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How one budget stands, in USD."""

    scope: str
    limit: Limit
    spent: float
    reserved: float
    resets: datetime
    #: When its window began, in seconds since the epoch.
    began: float = 0.0


class Budgets:
    """Every budget of the game, in memory. ``now`` tells the time in seconds since the epoch."""

    def __init__(self, limits: Mapping[str, Any] | None, zone: tzinfo, now: Callable[[], float]):
        self.limits = {scope: _limit(scope, limit) for scope, limit in (limits or {}).items() if limit is not None}
        self._zone = zone
        self._now = now
        self._quotas = {
            scope: Quota(limit.usd, "usd", limit.per, zone=str(zone)) for scope, limit in self.limits.items()
        }
        self._counters: dict[tuple[str, Any], LimitCounter] = {}
        #: What labels have used, by period and key; whether one has a limit is known only when it asks.
        self._own: dict[tuple[str, str], LimitCounter] = {}
        self._reserved: dict[str, tuple[Who, float, Own]] = {}
        #: The latest window of each scope that was seen open, by when it began.
        self._began: dict[str, float] = {}
        #: Called when the clock has gone back so far that what was spent must be read again.
        self.lost: Callable[[], None] = lambda: None
        #: The processes that keep the game's budgets together; None where there is one.
        self.cluster: Cluster | None = None

    def reserve(self, task: str, who: Who, usd: float, own: Own = (), *, held: bool = False) -> None:
        """Set ``usd`` aside for a task, for which ``own`` limits hold, too.

        Where several processes keep the budgets, that is done for each attempt alone, once it is ``held``
        (:meth:`ready`). Raises BudgetReached, and then sets nothing aside.
        """
        if not (self.limits or own) or task in self._reserved:
            return
        now = self._now()
        counters = self._counters_of(who, now)
        for scope, counter in counters.items():
            left = counter.left(now)
            if left + counter.reserved <= 0 or usd > left + _GRACE:
                unspent = left + counter.reserved
                raise BudgetReached(scope, self.limits[scope], unspent, counter.reserved, self.resets(scope))
            if held and counter.lacks(now, usd):
                raise BudgetReached(scope, self.limits[scope], left, left, self.resets(scope))
        if self.cluster is not None and not held:
            usd = 0.0
        for key, limit in own:
            counter = self._own_counter(limit.per, key, now)
            unspent = limit.usd - counter.used(now)
            if unspent <= 0 or usd > unspent - counter.reserved + _GRACE:
                resets = datetime.fromtimestamp(counter.resets_at(now), self._zone)
                raise BudgetReached("label", limit, unspent, counter.reserved, resets, who.label)
        self._reserved[task] = who, usd, own
        for counter in (*counters.values(), *self._own_held(own, now)):
            counter.reserve(usd)

    def renew(self, task: str, usd: float) -> None:
        """Set ``usd`` aside for the task's next attempt, instead of what its last one had; what costs nothing may be.

        Raises BudgetReached, and then nothing is set aside for the task any more.
        """
        if (found := self._reserved.get(task)) is not None:
            self.release(task)
            if usd > 0:
                self.reserve(task, found[0], usd, found[2], held=True)
            else:
                self._reserved[task] = found[0], 0.0, found[2]

    async def ready(self, task: str, usd: float) -> None:
        """Before :meth:`renew`, where several processes keep the budgets: try to hold so much for the task."""
        if (found := self._reserved.get(task)) is not None and self.cluster is not None and usd > found[1]:
            now = self._now()
            for counter in self._counters_of(found[0], now).values():
                await counter.ready(now, usd - found[1])

    def release(self, task: str) -> None:
        """The task is over; what was set aside and not spent is free again."""
        if (found := self._reserved.pop(task, None)) is not None:
            now = self._now()
            for counter in (*self._counters_of(found[0], now).values(), *self._own_held(found[2], now)):
                counter.unreserve(found[1])

    def usd_left(self, task: str) -> float:
        """USD that the task may still spend, what is set aside for it included; infinity where nothing limits it."""
        if (found := self._reserved.get(task)) is None:
            return math.inf
        who, held, own = found
        now = self._now()
        counters = (*self._counters_of(who, now).values(), *self._own_held(own, now))
        free = (counter.usable(now) + held for counter in counters)
        return max(0.0, min(free, default=math.inf))

    def spend(self, who: Who, usd: float) -> None:
        """Count what an attempt cost that has just ended."""
        now = self._now()
        if usd:
            for counter in self._spent_from(who, now):
                counter.use(now, usd)

    def _spent_from(self, who: Who, now: float) -> Iterator[LimitCounter]:
        yield from self._counters_of(who, now).values()
        for key in who.label_keys():
            yield from (self._own_counter(per, key, now) for per in PERIODS)

    def _own_held(self, own: Own, now: float) -> list[LimitCounter]:
        return [self._own_counter(limit.per, key, now) for key, limit in own]

    def _own_counter(self, per: str, key: str, now: float) -> LimitCounter:
        counter = self._own.get((per, key))
        if counter is None:
            counter = self._own[per, key] = LimitCounter(self._unlimited(per), now)
        return counter

    def _unlimited(self, per: str) -> Quota:
        return Quota(_UNLIMITED, "usd", per, zone=str(self._zone))

    def rebuild(self, rows: Iterable[tuple[Who, float, float]]) -> None:
        """Forget what was spent and count it from (who, USD, time) rows, all since :meth:`since`."""
        now = self._now()
        for counter in (*self._counters.values(), *self._own.values()):
            counter.reset(now)
        for who, usd, at in rows:
            for counter in self._spent_from(who, now):
                # What is shared is known to the others, these rows among it.
                if at >= counter.began(now) and not counter.shared:
                    counter.use(now, usd)

    def since(self) -> float | None:
        """The beginning of the oldest window that is open, in seconds since the epoch; None without budgets."""
        return min((self._empty(scope).began(self._now()) for scope in self.limits), default=None)

    def own_since(self) -> float:
        """The same for whatever has a label: the beginning of the longest window that is open now."""
        now = self._now()
        return min(LimitCounter(self._unlimited(per), now).began(now) for per in PERIODS)

    def standings(self, who: Who) -> list[Standing]:
        """Every budget that ``who`` spends from."""
        now = self._now()
        return [
            Standing(
                scope, self.limits[scope], counter.used(now), counter.reserved, self.resets(scope), counter.began(now)
            )
            for scope, counter in self._counters_of(who, now).items()
        ]

    def all_standings(self) -> list[tuple[Any, Standing]]:
        """Every budget that somebody has spent from, with whose it is: an id, a token's label; the game's is empty."""
        now = self._now()
        return [
            (
                key,
                Standing(
                    scope,
                    self.limits[scope],
                    counter.used(now),
                    counter.reserved,
                    self.resets(scope),
                    counter.began(now),
                ),
            )
            for (scope, key), counter in self._counters.items()
            if scope in self.limits
        ]

    def most_used(self) -> dict[str, float]:
        """By scope, the share of the budget that is used most; nothing of those that nobody has spent from."""
        now, found = self._now(), dict[str, float]()
        for (scope, _), counter in self._counters.items():
            if scope in self.limits and (limit := self.limits[scope].usd) > 0:
                found[scope] = max(found.get(scope, 0.0), counter.used(now) / limit)
        return found

    def left(self, who: Who) -> float:
        """The share of the tightest budget of ``who`` that is neither spent nor set aside; 1 without budgets."""
        return min((_share_left(standing) for standing in self.standings(who)), default=1.0)

    def resets(self, scope: str) -> datetime:
        """When the window of ``scope`` ends, in the game's time zone."""
        return datetime.fromtimestamp(self._empty(scope).resets_at(self._now()), self._zone)

    def _empty(self, scope: str) -> LimitCounter:
        """A counter of the window that is open now, for when it begins and ends."""
        return LimitCounter(self._quotas[scope], self._now())

    def _counters_of(self, who: Who, now: float) -> dict[str, LimitCounter]:
        """By scope, what is counted of ``who``."""
        found = {}
        for scope, key in who.keys().items():
            if scope in self._quotas:
                counter = self._counters.get((scope, key))
                if counter is None:
                    counter = self._counters[scope, key] = LimitCounter(self._quotas[scope], now)
                    self._share(scope, key, counter, now)
                found[scope] = counter
                self._heed_clock(scope, counter, now)
        return found

    def share(self, cluster: Cluster) -> None:
        """Keep the game's budgets together with other processes from now on."""
        self.cluster = cluster
        now = self._now()
        for (scope, key), counter in self._counters.items():
            self._share(scope, key, counter, now)

    def _share(self, scope: str, key: Any, counter: LimitCounter, now: float) -> None:
        if self.cluster is not None:
            counter.share(self.cluster, f"budget:{scope}:{key}:{self.limits[scope].per}", now)

    def _heed_clock(self, scope: str, counter: LimitCounter, now: float) -> None:
        """Forget what was spent, and have it read again, where the clock has gone back into an earlier window."""
        began = counter.began(now)
        if began < self._began.get(scope, began):
            for (other, _), each in self._counters.items():
                if other == scope:
                    each.reset(now)
            self._began[scope] = began
            self.lost()
        else:
            self._began[scope] = began


def _limit(scope: str, limit: Any) -> Limit:
    """Read one entry of UNIWIZARD_BUDGETS. Raises ValueError, which says what is allowed."""
    if scope not in SCOPES:
        raise ValueError(f"UNIWIZARD_BUDGETS: {scope!r} is unknown; allowed: {', '.join(SCOPES)}")
    return limit_of(limit, f"UNIWIZARD_BUDGETS[{scope!r}]")


def limit_of(limit: Any, where: str) -> Limit:
    """Read ``{"usd": 2, "per": "day"}``. Raises ValueError, which names ``where`` and says what is allowed."""
    if not isinstance(limit, Mapping) or set(limit) != {"usd", "per"} or limit["per"] not in PERIODS:
        raise ValueError(f"{where}: give 'usd' (a number) and 'per' (one of {', '.join(PERIODS)})")
    usd = limit["usd"]
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not usd >= 0:
        raise ValueError(f"{where}['usd']: is not a number from 0")
    return Limit(float(usd), limit["per"])


def _share_left(standing: Standing) -> float:
    limit = standing.limit.usd
    return max(0.0, 1.0 - (standing.spent + standing.reserved) / limit) if limit > 0 else 0.0
