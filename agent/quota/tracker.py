"""One backend's quotas: all its windows, what the provider says of them, and what they mean for a choice.

meter = QuotaTracker(backend, now)
meter.obstacle(now, work)                  # "" or "quota: 100 usd per month used up; resets 2026-12-01 00:00 UTC"
ticket = meter.reserve(now, work)          # counts the most that the call can use
ticket.settle(Spend(1, 930, 210, 0.004))   # ... and is put right by what it has used
ticket.release()                           # ... or given back; nothing once it is settled
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..config.settings import Headroom
from ..core.backend import Backend, Quota
from ..core.decision import Work
from ..core.windows import length, told
from ..state.cluster import Cluster
from .demand import WEEK, Demand
from .estimate import Estimate, Spend
from .headers import Reported, read
from .shared import Share
from .window import RollingWindow, Window, obstacle, window_of


@dataclass(slots=True)
class TrackedWindow:
    """One window and what is wanted of it."""

    window: Window
    demand: Demand
    name: str = ""
    #: Where other processes use the same window.
    share: Share | None = None

    def price(self, now: float, reserve: float = 0.0) -> float:
        """Fit per unit. ``reserve`` is the share of a window of a week or longer that is kept for a surge."""
        window = self.window
        spare = 0.0
        if isinstance(window, RollingWindow):
            # Adding up what it forgets until its horizon takes a while, and its horizon moves with the clock.
            if (known := self.demand.last_price(now)) is not None:
                return known
            until, left = window.horizon(now)
            until = round(until / self.demand.length, 2) * self.demand.length
        else:
            until, left = window.horizon(now)
            if self.demand.length >= WEEK:
                spare = reserve * window.quota.limit
        return self.demand.price(now, until, left, spare)


@dataclass(slots=True)
class ProviderLimit:
    """What the provider said was left; it fills up evenly until the reset."""

    limit: float
    remaining: float
    at: float
    reset: float

    def left(self, now: float) -> float:
        if now >= self.reset:
            return self.limit
        gone = max(0.0, now - self.at) / max(1e-9, self.reset - self.at)
        return self.remaining + max(0.0, self.limit - self.remaining) * gone


class QuotaStatus(NamedTuple):
    """One window as people want it told.

    name       such as ``100 usd per month``
    used       of ``limit``, both in the quota's unit
    gone       the share of its time that is over, 0 to 1; None for a rolling window, which has no reset
    resets_at  when there will be room again, seconds since the epoch
    """

    name: str
    used: float
    limit: float
    gone: float | None
    resets_at: float

    @property
    def share(self) -> float:
        """The share of the limit that is used, 0 to 1."""
        return min(1.0, max(0.0, self.used / self.limit)) if self.limit else 1.0


class Pressure(NamedTuple):
    """What quota makes of a backend's worth: a factor above 0, the reasons, and whom the quota is rather kept for.

    ``kept_for`` is a sentence where the quota that the task would take is worth more than the task makes of it.
    """

    factor: float
    reasons: tuple[str, ...] = ()
    kept_for: str = ""


NO_PRESSURE = Pressure(1.0)


class QuotaReservation:
    """A reservation: counted now, put right once."""

    __slots__ = ("_meter", "_spend", "_tickets", "open", "work")

    def __init__(self, meter: QuotaTracker | None = None, work: Work | None = None, spend: Spend | None = None):
        self._meter = meter
        self._spend = spend or Spend()
        self._tickets: list[tuple[Window, float]] = []
        self.work = work
        self.open = meter is not None

    def take(self, tracked: TrackedWindow, now: float) -> None:
        window = tracked.window
        self._tickets.append((window, window.take(now, self._spend.of(window.quota.unit))))
        if tracked.share is not None:
            tracked.share.touched(now)

    def settle(self, spend: Spend) -> None:
        """The call used ``spend``."""
        if not self.open:
            return
        self.open = False
        for window, ticket in self._tickets:
            unit = window.quota.unit
            window.amend(ticket, spend.of(unit) - self._spend.of(unit))
        assert self._meter is not None
        self._meter.in_flight -= 1

    def release(self) -> None:
        """The call used nothing. Does nothing once the ticket is settled."""
        self.settle(Spend())


#: For backends without quota: nothing to count.
FREE = QuotaReservation()


class QuotaTracker:
    """Everything that is counted for one backend."""

    def __init__(self, backend: Backend, now: float):
        self.backend = backend
        self.estimate = Estimate(backend)
        self.windows = [_tracked(quota, now) for quota in backend.quota]
        self.live: dict[str, ProviderLimit] = {}
        #: The provider asked to be left alone until then.
        self.hold_until = 0.0
        self.in_flight = 0

    def reload(self, backend: Backend, now: float) -> None:
        """Use another config; windows that stay keep what is used of them."""
        before: dict[Quota, TrackedWindow] = {tracked.window.quota: tracked for tracked in self.windows}
        similar = {_identity(quota): tracked for quota, tracked in before.items()}
        self.backend = self.estimate.backend = backend
        tracked_windows: list[TrackedWindow] = []
        for quota in backend.quota:
            tracked = before.get(quota) or similar.get(_identity(quota))
            if tracked is None:
                tracked = _tracked(quota, now)
            else:
                # Only the limit is another; what was used stays used.
                tracked.window.quota, tracked.name = quota, str(quota)
            tracked_windows.append(tracked)
        for gone in self.windows:
            if gone.share is not None and gone not in tracked_windows:
                gone.share.close()
        self.windows = tracked_windows

    def share(self, cluster: Cluster, now: float) -> None:
        """Keep every window together with the other processes."""
        for tracked in self.windows:
            if tracked.share is None:
                name = f"quota:{self.backend.key}:{_identity(tracked.window.quota)}"
                tracked.share = Share(cluster, name, tracked.window, now)

    async def ready(self, now: float, work: Work) -> None:
        """Try to hold what ``work`` can use; at most some milliseconds a window."""
        most = self.estimate.most(work)
        for tracked in self.windows:
            if tracked.share is not None:
                await tracked.share.ready(now, most.of(tracked.window.quota.unit))

    def lacking(self, now: float, work: Work) -> str:
        """Why this process may not use what the windows have room for; empty where it may."""
        most = self.estimate.most(work)
        for tracked in self.windows:
            if tracked.share is not None and tracked.share.lacks(now, most.of(tracked.window.quota.unit)):
                return f"quota: what is left of {tracked.window.quota} is set aside for other processes"
        return ""

    # -- may it be asked? ----------------------------------------------------------------------------------------

    @property
    def unlimited(self) -> bool:
        """Whether there is nothing at all to count."""
        return not self.windows and not self.live and not self.hold_until

    def obstacle(self, now: float, work: Work) -> str:
        """Why ``work`` does not go into the quotas now; empty when it does."""
        if self.unlimited:
            return ""
        if now < self.hold_until:
            return f"quota: the provider asks to wait until {told(self.hold_until)}"
        most = self.estimate.most(work)
        for tracked in self.windows:
            tracked.window.advance(now)
            if why := obstacle(tracked.window, now, most.of(tracked.window.quota.unit)):
                return why
        # What the provider says is its own count of calls, not of our worst case.
        likely = self.estimate.expected(work)
        for unit, live in self.live.items():
            if live.left(now) < min(likely.of(unit), live.limit):
                words = unit.replace("_", " ")
                return f"quota: the provider says {live.left(now):,.4g} {words} are left; resets {told(live.reset)}"
        return ""

    def until(self, now: float) -> float:
        """When there is room for one more request, in seconds since the epoch; 0 when there is now."""
        closed = [
            tracked.window.resets_at(now)
            for tracked in self.windows
            if obstacle(tracked.window, now, 1.0 if tracked.window.quota.unit == "requests" else 1e-9)
        ]
        return max((*closed, self.hold_until if self.hold_until > now else 0.0), default=0.0)

    def longest(self, now: float, work: Work) -> float:
        """The output tokens that the windows have room for beside the input of ``work``; infinity without windows."""
        most, price = self.estimate.most(work), self.backend.price.output
        found = float("inf")
        for tracked in self.windows:
            window, unit = tracked.window, tracked.window.quota.unit
            window.advance(now)
            left = window.left if tracked.share is None else min(window.left, tracked.share.usable(now))
            if unit in ("tokens", "output_tokens"):
                asked = most.input_tokens if unit == "tokens" else 0.0
                found = min(found, left - asked)
            elif unit == "usd" and price:
                input_usd = most.input_tokens * self.backend.price.input / 1000.0
                found = min(found, (left - input_usd) / price * 1000.0)
        return max(0.0, found)

    def frees_at(self, now: float) -> float:
        """When there will be room again where there is none now, in seconds since the epoch; ``now`` where there is."""
        times = [self.hold_until, *(live.reset for live in self.live.values() if live.left(now) < 1)]
        standing = self.status(now)
        full = max((status.share for status in standing), default=0.0)
        # The window that is fullest is the one in the way, where what is left of it is too little for a task.
        times += [status.resets_at for status in standing if status.share >= min(full, 0.999)]
        return max((at for at in times if at > now), default=now)

    def reserve(self, now: float, work: Work) -> QuotaReservation:
        """Count the most that ``work`` can use. To be asked only where there is no obstacle."""
        if self.unlimited:
            return FREE
        ticket = QuotaReservation(self, work, self.estimate.most(work))
        for tracked in self.windows:
            tracked.window.advance(now)
            ticket.take(tracked, now)
        likely = self.estimate.expected(work)
        for unit, live in list(self.live.items()):
            if now >= live.reset:
                del self.live[unit]
            else:
                live.remaining = max(0.0, live.remaining - likely.of(unit))
        self.in_flight += 1
        return ticket

    # -- what a choice should know -------------------------------------------------------------------------------

    def pressure(self, now: float, work: Work, worth: float, weights: Headroom) -> Pressure:
        """By how much ``worth`` is to be multiplied, and why."""
        if not self.windows:
            return NO_PRESSURE
        tightest, headroom = self.windows[0], float("inf")
        toll, dearest, most = 0.0, None, 0.0
        expected = self.estimate.expected(work)
        for tracked in self.windows:
            window = tracked.window
            window.advance(now)
            ratio = _headroom(window, now)
            if ratio < headroom:
                tightest, headroom = tracked, ratio
            part = tracked.price(now, weights.reserve) * expected.of(window.quota.unit) * weights.price
            toll += part
            if part > most:
                dearest, most = tracked, part
        window = tightest.window
        share = f"{1 - max(0.0, window.left) / window.quota.limit:.0%} of {tightest.name} used"
        gone = "" if window.quota.rolling else f", {1 - window.time_left(now):.0%} of its time gone"
        reasons: list[str] = []
        pace = 1.0
        if headroom > 1.0:
            pace += weights.pull * (1.0 - 1.0 / headroom)
            reasons.append(f"quota to burn ({share}{gone}): x{pace:.3f}")
        elif headroom < 1.0:
            pace -= weights.push * (1.0 - headroom)
            reasons.append(f"quota ahead of its pace ({share}{gone}): x{pace:.3f}")
        # The price takes away what the quota would bring elsewhere; what is left stays above nothing, in order.
        part = toll / worth if worth > 0 else 0.0
        kept = 1.0 - part if part < 0.9 else 0.09 / part
        kept_for = ""
        if dearest is not None and part > 0.0005:
            pressed = f"{min(99.0, dearest.demand.pressed):.1f} times what is left of {dearest.name} is wanted"
            reasons.append(f"{pressed}: x{kept:.3f}")
            if part > 1.0:
                kept_for = f"quota: kept for tasks that make more of it; {pressed}"
        return Pressure(pace * kept, tuple(reasons), kept_for)

    def wanted(self, now: float, work: Work, gain: float, reserve: float = 0.0) -> None:
        """A task would have gained ``gain`` of fit here over the next best backend, whether it came or not."""
        if not self.windows:
            return
        expected = self.estimate.expected(work)
        tolls = [tracked.price(now, reserve) * expected.of(tracked.window.quota.unit) for tracked in self.windows]
        whole = sum(tolls)
        for tracked, toll in zip(self.windows, tolls, strict=True):
            tracked.demand.wanted(now, gain - (whole - toll), expected.of(tracked.window.quota.unit))

    def status(self, now: float) -> list[QuotaStatus]:
        """How far each window is used."""
        found = []
        for tracked in self.windows:
            window = tracked.window
            window.advance(now)
            gone = None if window.quota.rolling else 1.0 - window.time_left(now)
            found.append(QuotaStatus(tracked.name, window.used, window.quota.limit, gone, window.resets_at(now)))
        return found

    # -- what the provider says ----------------------------------------------------------------------------------

    def heard(self, now: float, headers: Mapping[str, str]) -> None:
        """Correct our count by a response's headers."""
        for reported in read(headers, now):
            self._correct(now, reported)

    def _correct(self, now: float, reported: Reported) -> None:
        for tracked in self.windows:
            window = tracked.window
            if window.quota.unit == reported.unit and window.quota.limit == reported.limit:
                window.advance(now)
                used = reported.limit - reported.remaining
                # With other calls under way theirs is older than ours; then only the larger count is safe.
                if used > window.used or self.in_flight <= 1:
                    window.amend(window.take(now, 0.0), used - window.used)
        if reported.reset is None or reported.reset <= now:
            self.live.pop(reported.unit, None)
            return
        limit = reported.remaining if reported.limit is None else max(reported.limit, reported.remaining)
        self.live[reported.unit] = ProviderLimit(max(1.0, limit), reported.remaining, now, reported.reset)

    def hold(self, now: float, seconds: float) -> None:
        """The provider asked to be left alone for so long."""
        self.hold_until = max(self.hold_until, now + seconds)

    def exhausted(self, now: float, retry_after: float | None = None) -> None:
        """The provider says that a quota is used up. It does not say which: the fullest window closes until reset."""
        if retry_after is not None:
            self.hold(now, retry_after)
        if self.windows:
            for tracked in self.windows:
                tracked.window.advance(now)
            fullest = min(self.windows, key=lambda tracked: tracked.window.left / tracked.window.quota.limit).window
            whole = fullest.size if isinstance(fullest, RollingWindow) else fullest.reset - now
            fullest.closed_until = now + (whole if retry_after is None else min(whole, retry_after))

    # -- what is kept --------------------------------------------------------------------------------------------

    def observe(self, at: float, spend: Spend) -> None:
        """Count a call of the past; they must come in order of time."""
        for tracked in self.windows:
            tracked.window.advance(at)
            if isinstance(tracked.window, RollingWindow) or at >= tracked.window.start:
                tracked.window.take(at, spend.of(tracked.window.quota.unit))

    def snapshot(self) -> dict[str, Any]:
        """Plain data: what is used, wanted and learnt. A call under way counts as its reservation."""
        return {
            "estimate": self.estimate.snapshot(),
            "hold_until": self.hold_until,
            "windows": {
                _identity(tracked.window.quota): tracked.window.snapshot() | {"demand": tracked.demand.snapshot()}
                for tracked in self.windows
            },
        }

    def restore(self, kept: Mapping[str, Any], now: float) -> list[str]:
        """Take up a snapshot, also one that somebody edited. Returns what could not be used, one line each."""
        faults: list[str] = []
        windows = kept.get("windows", {})
        if not isinstance(windows, Mapping):
            return ["windows: is not a mapping"]
        if isinstance(kept.get("estimate"), Mapping):
            self.estimate.restore(kept["estimate"])
        hold = kept.get("hold_until")
        if isinstance(hold, int | float) and not isinstance(hold, bool) and 0 <= hold <= now + 86_400:
            self.hold_until = float(hold)
        elif hold is not None:
            faults.append(f"hold_until: is not a number from 0 to {now + 86_400:.12g}, a day from now")
        for tracked in self.windows:
            tracked.window.advance(now)
            found = windows.get(_identity(tracked.window.quota))
            if isinstance(found, Mapping):
                used = found.get("used")
                if used is not None and (isinstance(used, bool) or not isinstance(used, int | float) or not used >= 0):
                    faults.append(f"windows: {_identity(tracked.window.quota)}: used: is not a number from 0")
                tracked.window.restore(dict(found), now)
                tracked.window.advance(now)
                if tracked.share is not None:
                    # What was kept was everybody's.
                    tracked.window.own = max(0.0, tracked.window.own - tracked.window.others)
                if isinstance(found.get("demand"), Mapping):
                    tracked.demand.restore(found["demand"])
            elif found is not None:
                faults.append(f"windows: {_identity(tracked.window.quota)}: is not a mapping")
        return faults


def _tracked(quota: Quota, now: float) -> TrackedWindow:
    return TrackedWindow(window_of(quota, now), Demand(length(quota.per)), str(quota))


def _identity(quota: Quota) -> str:
    """What a window is known by when its limit changes."""
    words = [quota.unit, "per", quota.per]
    if quota.rolling:
        words.append("rolling")
    elif (quota.zone, quota.day, quota.hour) != ("UTC", None, 0):
        words.append(f"from {quota.day} {quota.hour}h {quota.zone}")
    return " ".join(words)


def _headroom(window: Window, now: float) -> float:
    """What is left of the window against what is left of its time: 1 is on pace, above it there is quota to burn."""
    left = max(0.0, window.left) / window.quota.limit
    return left / max(window.time_left(now), 1e-3)
