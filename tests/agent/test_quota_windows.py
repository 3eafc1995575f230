"""When windows begin and end, and what they count: summer time, short months, clocks set back, rolling windows."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.core.backend import Quota
from uniwizard.agent.core.windows import bounds, told
from uniwizard.agent.quota.window import SLICES, FixedWindow, RollingWindow, obstacle, window_of

WARSAW = ZoneInfo("Europe/Warsaw")


def at(text: str, zone: ZoneInfo | None = None) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone or ZoneInfo("UTC")).timestamp()


def shown(moment: float, zone: str = "UTC") -> str:
    return told(moment, zone)


@pytest.mark.parametrize(
    ("quota", "now", "start", "reset"),
    [
        (Quota(1, "usd", "minute"), "2026-11-20T10:15:42", "2026-11-20 10:15 UTC", "2026-11-20 10:16 UTC"),
        (Quota(1, "usd", "hour"), "2026-11-20T10:00:00", "2026-11-20 10:00 UTC", "2026-11-20 11:00 UTC"),
        (Quota(1, "usd", "day", hour=7), "2026-11-20T06:59:59", "2026-11-19 07:00 UTC", "2026-11-20 07:00 UTC"),
        (Quota(1, "usd", "day", hour=7), "2026-11-20T07:00:00", "2026-11-20 07:00 UTC", "2026-11-21 07:00 UTC"),
        (Quota(1, "usd", "week"), "2026-11-20T10:00:00", "2026-11-16 00:00 UTC", "2026-11-23 00:00 UTC"),
        (Quota(1, "usd", "week", day=4), "2026-11-20T10:00:00", "2026-11-20 00:00 UTC", "2026-11-27 00:00 UTC"),
        (Quota(1, "usd", "month"), "2026-11-20T10:00:00", "2026-11-01 00:00 UTC", "2026-12-01 00:00 UTC"),
        (Quota(1, "usd", "month", day=31), "2026-02-28T10:00:00", "2026-02-28 00:00 UTC", "2026-03-31 00:00 UTC"),
        (Quota(1, "usd", "month", day=31), "2026-02-27T10:00:00", "2026-01-31 00:00 UTC", "2026-02-28 00:00 UTC"),
        (Quota(1, "usd", "month", day=29), "2028-02-29T10:00:00", "2028-02-29 00:00 UTC", "2028-03-29 00:00 UTC"),
        (Quota(1, "usd", "month", day=30), "2026-03-01T00:00:00", "2026-02-28 00:00 UTC", "2026-03-30 00:00 UTC"),
        (Quota(1, "usd", "month", day=9, hour=9), "2027-01-05", "2026-12-09 09:00 UTC", "2027-01-09 09:00 UTC"),
    ],
)  # fmt: skip
def test_a_window_begins_and_ends_when_its_quota_says(quota: Quota, now: str, start: str, reset: str) -> None:
    assert tuple(map(shown, bounds(quota, at(now)))) == (start, reset)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_a_day_is_as_long_as_the_zone_makes_it(day: str, hours: int) -> None:
    start, reset = bounds(Quota(1, "usd", "day", zone="Europe/Warsaw"), at(f"{day}T12:00:00", WARSAW))
    assert (reset - start) / 3600 == hours


def test_an_hour_that_summer_time_leaves_out_begins_when_the_clock_has_passed_it() -> None:
    quota = Quota(1, "usd", "day", zone="Europe/Warsaw", hour=2)
    start, _ = bounds(quota, at("2026-03-29T12:00:00", WARSAW))
    assert told(start, "Europe/Warsaw") == "2026-03-29 03:00 CEST"


UNITS = ("minute", "hour", "5h", "90m", "day", "3d", "week", "month")


@given(
    now=st.floats(1e9, 4e9),
    per=st.sampled_from(UNITS),
    zone=st.sampled_from(["UTC", "Europe/Warsaw", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    day=st.integers(1, 31),
    hour=st.integers(0, 23),
)
def test_windows_follow_each_other_without_a_gap(now: float, per: str, zone: str, day: int, hour: int) -> None:
    quota = Quota(
        1, "usd", per, zone=zone, day=day if per == "month" else day % 7 if per == "week" else None, hour=hour
    )
    start, reset = bounds(quota, now)
    assert start <= now < reset
    assert bounds(quota, reset)[0] == reset
    assert bounds(quota, start) == (start, reset)
    assert bounds(quota, start - 0.5)[1] == start


def test_what_is_put_right_after_the_reset_changes_nothing_in_the_new_window() -> None:
    window = FixedWindow(Quota(10, "usd", "hour"), 3600.0)
    ticket = window.take(3600.0, 6.0)
    window.advance(7200.0)
    window.take(7200.0, 2.0)
    window.amend(ticket, -5.0)
    assert window.used == 2.0


@pytest.mark.parametrize("per", ["hour", "day", "month"])
def test_a_clock_set_back_an_hour_gives_no_quota_back(per: str) -> None:
    window = FixedWindow(Quota(10, "usd", per), at("2026-11-30T23:30:00"))
    window.advance(at("2026-12-01T00:30:00"))
    window.take(at("2026-12-01T00:30:00"), 7.0)
    window.advance(at("2026-11-30T23:45:00"))
    assert window.used == 7.0
    window.advance(at("2026-12-01T00:50:00"))
    assert window.used == 7.0


def test_a_short_window_does_not_stand_still_while_a_clock_set_back_catches_up() -> None:
    window = FixedWindow(Quota(10, "requests", "minute"), 7200.0)
    window.take(7200.0, 10.0)
    window.advance(3600.0)
    assert window.used == 10.0
    window.advance(3660.0)
    assert window.used == 0.0


def test_a_rolling_window_frees_what_is_older_than_it_is_long() -> None:
    window = RollingWindow(Quota(10, "requests", "1h", rolling=True), 0.0)
    window.take(0.0, 4.0)
    window.advance(1800.0)
    window.take(1800.0, 6.0)
    window.advance(3599.0)
    assert window.left == 0.0
    assert 3600.0 <= window.resets_at(3599.0, 1.0) <= 3600.0 * (1 + 2 / SLICES)
    window.advance(3620.0)
    assert window.left == 4.0


def test_an_obstacle_says_what_is_used_up_and_when_it_resets() -> None:
    window = window_of(Quota(100, "usd", "month"), at("2026-11-20T00:00:00"))
    window.take(at("2026-11-20T00:00:00"), 100.0)
    told_ = obstacle(window, at("2026-11-20T00:00:00"), 0.01)
    assert told_ == "quota: 100 usd per month used up; resets 2026-12-01 00:00 UTC"


def test_what_can_never_fit_says_so_instead_of_naming_a_reset() -> None:
    window = window_of(Quota(500, "tokens", "minute"), 0.0)
    assert "too large for 500 tokens per minute" in obstacle(window, 0.0, 1000.0)


@settings(max_examples=examples(200))
@given(
    calls=st.lists(st.tuples(st.floats(0, 400), st.floats(0.1, 5)), max_size=60),
    limit=st.floats(5, 40),
)
def test_no_stretch_of_a_rolling_window_ever_holds_more_than_its_limit(
    calls: list[tuple[float, float]], limit: float
) -> None:
    window = RollingWindow(Quota(limit, "usd", "10m", rolling=True), 1e6)
    now, taken = 1e6, []
    for wait, amount in calls:
        now += wait
        window.advance(now)
        if not obstacle(window, now, amount):
            window.take(now, amount)
            taken.append((now, amount))
    for start, _ in taken:
        assert sum(amount for when, amount in taken if start <= when < start + 600) <= limit * (1 + 1e-6)
