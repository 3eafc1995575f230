"""How much would be wanted of a window until its reset, and what a place in it is therefore worth.

    demand.wanted(now, gain=0.5, amount=0.004)     # a task that this backend would do 0.5 better than the next one
    demand.price(now, until, left)                 # fit per unit; 0.0 when there is enough for everyone

Theory of operation
    Giving scarce quota to whoever comes first serves large tasks that gain little and leaves nothing for small ones
    that gain much. The linear program that knows the whole month would instead put a price on each unit of quota and
    serve the tasks that gain more than they cost. The price is where demand meets what is left, so it can be found
    without knowing the future: from how much was wanted lately and how dearly (bid-price control with re-solving;
    Talluri and van Ryzin, "An Analysis of Bid-Price Controls for Network Revenue Management", Management Science 44,
    1998).

    ``wanted`` is told of every task, also of those that were turned away. It keeps how much was wanted, by hour, and a
    curve: how much of that at which gain per unit. The forecast takes the same hours of a week ago (of yesterday,
    until there is a week) and scales them by how the last day compares with its own day a week ago, or the last three
    hours where they say that a surge has begun, which is expected to last for :data:`SURGE`. In a window of a week or
    longer a rush is half believed before there is a day to compare with: what is left is what somebody thought would
    be needed. If more is expected than is left, the price is the gain per unit at which the curve is cut so that what
    is above just fits.

    No forecast sees a surge before it begins. What may be kept back for one (``spare``) is not spent while all is calm,
    is there at once when the trend doubles, and is given out again over the last :data:`LAST` of the window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
#: Seconds that an unusual day is expected to last from now on.
SURGE = 3 * DAY
#: Seconds that show a surge which has just begun, and by how much it must exceed the usual to be one.
QUICK, BEGUN = 3 * HOUR, 2.0
#: Seconds after which what is wanted lately is believed three quarters of the way, as long as no day can be compared.
TRUST = DAY / 2
#: What the paid quota says of the demand before the traffic does: how many times what is left.
SUPPOSED = 1.5
#: The last part of a window, in which what was kept back for a surge is given out.
LAST = 0.1
#: A gain or an amount too small to tell from the rounding of floats.
NOTHING = 1e-12
#: Steps of the curve for each doubling of the gain per unit.
STEPS = 4
#: How often the forecast is made anew in the length of a window, and after how many tasks the price.
RENEWALS = 2000
TASKS = 20
#: Tasks that must have been seen before there is a price at all.
ENOUGH = 30


class Demand:
    """What is wanted of one window. ``length`` is the window's, in seconds."""

    def __init__(self, length: float):
        self.length = length
        #: Seconds in a slot; windows shorter than an hour have no use for yesterday.
        self.slot = HOUR if length >= 6 * HOUR else HOUR / 4 if length >= HOUR else max(1.0, length)
        self.slots: dict[int, float] = {}
        self.curve: dict[int, float] = {}
        #: Seconds after which the curve's old entries weigh half.
        self.half_life = min(2 * DAY, max(8 * length, 600.0)) if length < DAY else max(DAY, min(length / 4, WEEK))
        self._faded = 0.0
        self._price = 0.0
        self._forecast = (-math.inf, 0.0, 0.0)
        self._tasks = TASKS
        self._since = 0.0
        self._surge = 1.0
        #: Tasks so far.
        self.seen = 0
        #: How many times what is left is expected to be wanted.
        self.pressed = 0.0

    def wanted(self, now: float, gain: float, amount: float) -> None:
        """A task wanted ``amount`` of the window and would gain ``gain`` of fit by it."""
        if gain < NOTHING or amount < NOTHING:
            return
        slot = int(now // self.slot)
        self.slots[slot] = self.slots.get(slot, 0.0) + amount
        step = round(STEPS * math.log2(gain / amount))
        self.curve[step] = self.curve.get(step, 0.0) + amount
        self._tasks += 1
        self._since += amount
        self.seen += 1

    def price(self, now: float, until: float, left: float, spare: float = 0.0) -> float:
        """What a unit of the window is worth now, in fit; ``left`` must last ``until`` then.

        spare  what of it is kept for a surge that nobody can foresee, at most half of what is left
        """
        _, until_then, expected = self._forecast
        fresh = self.fresh(now) and until == until_then
        if self._tasks < TASKS and fresh:
            return self._price
        if not fresh:
            self._fade(now)
            expected, self._since = self.forecast(now, until, left), 0.0
            self._forecast = (now, until, expected)
        self._tasks = 0
        calm = min(1.0, max(0.0, BEGUN - self._surge)) * min(1.0, (until - now) / (LAST * self.length))
        free = max(0.5 * left, left - spare * calm)
        self._price = self._resolve(max(0.0, expected - self._since), max(0.0, free))
        return self._price

    def fresh(self, now: float) -> bool:
        """Whether the forecast need not be made anew."""
        made = self._forecast[0]
        return made <= now < made + self.length / RENEWALS

    def last_price(self, now: float) -> float | None:
        """The price, where it need not be worked out anew."""
        return self._price if self._tasks < TASKS and self.fresh(now) else None

    def _resolve(self, forecast: float, left: float) -> float:
        self.pressed = forecast / left if left > 0 else math.inf if forecast else 0.0
        if forecast <= left or self.seen < ENOUGH:
            return 0.0
        places = sum(self.curve.values()) * left / forecast
        above = 0.0
        for step in sorted(self.curve, reverse=True):
            amount = self.curve[step]
            if above + amount >= places:
                # Within the step, the higher the more of it is left over.
                part = (places - above) / amount
                return float(2.0 ** ((step + 0.5 - part) / STEPS))
            above += amount
        return 0.0

    # -- the forecast --------------------------------------------------------------------------------------------

    def forecast(self, now: float, until: float, left: float = math.inf) -> float:
        """How much will be wanted from ``now`` until then, of which ``left`` is left."""
        if until <= now or not self.slots:
            return 0.0
        first = min(self.slots) * self.slot
        seen = now - first
        if self.slot < HOUR / 4 or seen < DAY:
            return self._supposed(self._recent(now, seen) * (until - now), left, seen)
        season = WEEK if seen >= WEEK else DAY
        trend = self._surge = self._trend(now, season, seen)
        period, here, last = int(season // self.slot), now / self.slot, until / self.slot
        total = 0.0
        slot = int(here)
        while slot < last:
            part = min(slot + 1.0, last) - max(float(slot), here)
            back = slot - period * max(1, -(-(slot - int(here) + 1) // period))
            lasting = trend if (slot - here) * self.slot < SURGE else 1.0
            total += self.slots.get(back, 0.0) * part * lasting
            slot += 1
        return total

    def _recent(self, now: float, seen: float) -> float:
        """How much a second is wanted lately."""
        back = min(seen, max(8 * self.slot, self.length if self.length < HOUR else DAY))
        back = max(back, self.slot)
        return self._between(now - back, now) / back

    def _trend(self, now: float, season: float, seen: float) -> float:
        """How the last hours compare with the same ones a season ago."""
        span = min(DAY, seen - season) if season == DAY else DAY if seen >= WEEK + DAY else seen - WEEK
        if span < 6 * HOUR:
            return 1.0
        # A little of the usual on both sides keeps a quiet night from making the next one look like a stampede.
        usual = self._between(now - season, now) / season
        if not usual:
            return 1.0
        trend = self._ratio(now, season, span, 0.2 * usual * span)
        begun = self._ratio(now, season, QUICK, 0.05 * usual * QUICK)
        return max(trend, begun) if begun > BEGUN else trend

    def _ratio(self, now: float, season: float, span: float, little: float) -> float:
        lately, before = self._between(now - span, now), self._between(now - season - span, now - season)
        return min(16.0, max(0.125, (lately + little) / (before + little)))

    def _supposed(self, expected: float, left: float, seen: float) -> float:
        """Between what lately would come to and what the quota was bought for, where the former is the larger."""
        if self.length < WEEK or not 0.0 < SUPPOSED * left < expected:
            return expected
        trust = (seen + TRUST) / (seen + 3 * TRUST)
        return float(expected**trust * (SUPPOSED * left) ** (1.0 - trust))

    def _between(self, start: float, end: float) -> float:
        low, high = start / self.slot, end / self.slot
        total = 0.0
        for slot in range(int(low), int(high) + 1):
            total += self.slots.get(slot, 0.0) * (
                min(slot + 1.0, high) - max(float(slot), low) if slot < int(high) or slot == int(low) else 1.0
            )
        return total

    def _fade(self, now: float) -> None:
        """Forget what is old."""
        if now - self._faded < self.half_life / 16 and now >= self._faded:
            return
        share = 0.5 ** ((now - self._faded) / self.half_life) if 0 < now - self._faded < 100 * self.half_life else 0.0
        if self._faded:
            self.curve = {step: amount * share for step, amount in self.curve.items() if amount * share > 0}
        self._faded = now
        oldest = (now - (WEEK + 2 * DAY if self.slot >= HOUR / 4 else 64 * self.slot)) // self.slot
        if len(self.slots) > 64:
            self.slots = {slot: amount for slot, amount in self.slots.items() if slot >= oldest}

    # -- what is kept --------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        return {
            "seen": min(self.seen, ENOUGH),
            "slots": {str(slot): _short(amount) for slot, amount in self.slots.items()},
            "curve": {str(step): _short(amount) for step, amount in self.curve.items()},
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.slots = _amounts(kept.get("slots"))
        self.curve = _amounts(kept.get("curve"))
        self.seen = ENOUGH if kept.get("seen") == ENOUGH else 0
        self._forecast = (-math.inf, 0.0, 0.0)


def _short(amount: float) -> float:
    return float(f"{amount:.5g}")


def _amounts(kept: Any) -> dict[int, float]:
    found: dict[int, float] = {}
    if isinstance(kept, Mapping):
        for key, amount in kept.items():
            good = isinstance(amount, int | float) and not isinstance(amount, bool) and 0 < amount < 1e15
            if good and str(key).removeprefix("-").isdecimal() and len(str(key)) < 16:
                found[int(key)] = float(amount)
    return found
