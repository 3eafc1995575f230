"""When the windows of a quota begin and end. Pure: seconds since the epoch in, seconds since the epoch out.

    bounds(Quota(100, "usd", "month", zone="Europe/Warsaw", day=31, hour=9), now)     # (start, reset)

Windows of minutes and hours are cut from the epoch on and never notice a clock change. Windows of days begin at a
wall-clock hour in their zone, so a day is 23 or 25 hours long where summer time begins or ends; an hour that the
change leaves out begins when the clock has passed it. A month that lacks the day it should begin on begins on its last.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from .backend import Quota

WEEKDAYS: tuple[str, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
_NAMED = {"minute": "1m", "hour": "1h", "day": "1d", "week": "7d", "month": "30d"}
_COUNTED = re.compile(r"([1-9][0-9]{0,3})([mhd])")


def counted(per: str) -> tuple[int, str]:
    """``("5h")`` as ``(5, "h")``; the named ones too, a month as thirty days. Raises ValueError."""
    match = _COUNTED.fullmatch(_NAMED.get(per, per))
    if match is None:
        raise ValueError(f"{per!r} is no length of time")
    return int(match[1]), match[2]


def length(per: str) -> float:
    """Seconds in ``per``; what rolls takes a month for thirty days."""
    number, unit = counted(per)
    return number * _SECONDS[unit]


def in_days(per: str) -> bool:
    """Whether windows of this length begin at an hour of the day in a zone."""
    return counted(per)[1] == "d"


def bounds(quota: Quota, now: float) -> tuple[float, float]:
    """The start and the reset of the fixed window that ``now`` falls into; the reset belongs to the next one."""
    if not in_days(quota.per):
        size = length(quota.per)
        start = now // size * size
        return start, start + size
    today = datetime.fromtimestamp(now, zone(quota.zone)).date()
    # The window that begins today may not have begun yet, at this hour.
    first = _first_day(quota, today)
    start = _instant(first, quota)
    if start > now:
        first = _first_day(quota, first - timedelta(days=1))
        start = _instant(first, quota)
    return start, _instant(_next_day(quota, first), quota)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises ValueError where there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError):
        # zoneinfo raises all three, depending on how the name is wrong.
        raise ValueError(f"{name!r} is no time zone") from None


def told(moment: float, name: str = "UTC") -> str:
    """``moment`` for people: ``2026-12-01 00:00 UTC``, with seconds where they matter."""
    there = datetime.fromtimestamp(moment, zone(name))
    return there.strftime("%Y-%m-%d %H:%M:%S %Z" if there.second else "%Y-%m-%d %H:%M %Z")


def _instant(day: date, quota: Quota) -> float:
    return datetime(day.year, day.month, day.day, quota.hour, tzinfo=zone(quota.zone)).timestamp()


def _first_day(quota: Quota, today: date) -> date:
    """The day on which the window that holds ``today`` begins."""
    if quota.per == "month":
        begins = _of_month(today.year, today.month, quota.day or 1)
        if begins <= today:
            return begins
        before = today.replace(day=1) - timedelta(days=1)
        return _of_month(before.year, before.month, quota.day or 1)
    if quota.per == "week":
        return today - timedelta(days=(today.weekday() - (quota.day or 0)) % 7)
    number, _ = counted(quota.per)
    return date.fromordinal(today.toordinal() // number * number)


def _next_day(quota: Quota, first: date) -> date:
    if quota.per == "month":
        following = first.replace(day=1) + timedelta(days=32)
        return _of_month(following.year, following.month, quota.day or 1)
    return first + timedelta(days=counted(quota.per)[0])


def _of_month(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))
