"""What a place in a window is worth: more where more is wanted, at once in a surge, and never a number that is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.agent.quota.demand import DAY, ENOUGH, HOUR, Demand

MONTH = 30 * DAY
BEGAN = 20_000 * DAY


def wanted(days: float, per_hour: int = 4, demand: Demand | None = None, start: float = BEGAN) -> Demand:
    """Demand for a month's window after so many days in which small tasks and large ones gain the same."""
    demand = demand or Demand(MONTH)
    for number in range(round(days * 24 * per_hour)):
        demand.wanted(start + number * HOUR / per_hour, 0.5, (0.5, 1.0, 2.0, 4.0)[number % 4])
    return demand


def price(demand: Demand, day: float, left: float, spare: float = 0.0) -> float:
    return demand.price(BEGAN + day * DAY, BEGAN + MONTH, left, spare)


def test_where_there_is_enough_for_everyone_nothing_has_a_price() -> None:
    demand = wanted(10)
    expected = demand.forecast(BEGAN + 10 * DAY, BEGAN + MONTH)
    assert price(demand, 10, expected * 1.05) == 0.0
    assert expected == pytest.approx(20 * 24 * 7.5, rel=0.05)


def test_the_scarcer_it_is_the_dearer() -> None:
    prices = [price(wanted(10), 10, left) for left in (3000.0, 1500.0, 500.0, 50.0)]
    assert prices == sorted(prices)
    assert prices[0] > 0


def test_a_surge_is_seen_within_hours_and_expected_to_last_for_days() -> None:
    calm = wanted(14)
    before = calm.forecast(BEGAN + 14 * DAY, BEGAN + 15 * DAY)
    surging = wanted(4 / 24, 32, calm, BEGAN + 14 * DAY)
    at = BEGAN + 14 * DAY + 4 * HOUR
    assert surging.forecast(at, at + DAY) > 5 * before
    assert surging.forecast(at + 3 * DAY, at + 10 * DAY) < surging.forecast(at, at + 3 * DAY) * 7 / 3


def test_a_rush_on_the_first_day_is_half_believed_because_quota_is_bought_to_be_enough() -> None:
    demand = wanted(0.5, 40)
    at = BEGAN + DAY / 2
    believed, whole = demand.forecast(at, BEGAN + MONTH, 2000.0), demand.forecast(at, BEGAN + MONTH)
    assert 2000.0 < believed < whole / 2
    # Little is believed as it is: it asks for no caution.
    assert demand.forecast(at, BEGAN + MONTH, whole) == whole


def test_what_is_kept_for_a_surge_makes_the_calm_dearer_and_is_given_out_in_the_end() -> None:
    assert price(wanted(10), 10, 3000.0, 300.0) > price(wanted(10), 10, 3000.0)
    last = wanted(29.9)
    kept = last.price(BEGAN + 29.9 * DAY, BEGAN + MONTH, 10.0, 300.0)
    assert kept < price(wanted(29.9), 29.9, 10.0) * 2


@given(
    st.floats(-1e6, 1e6),
    st.floats(0, 1e6),
    st.floats(0, 40),
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1e6)), max_size=8),
)
def test_a_price_is_always_a_finite_number_from_zero_also_where_more_is_used_than_there_was(
    left: float, spare: float, day: float, tasks: list[tuple[float, float]]
) -> None:
    demand = Demand(MONTH)
    for gain, amount in tasks * ENOUGH:
        demand.wanted(BEGAN, gain, amount)
    found = price(demand, day, left, spare)
    assert found >= 0.0
    assert math.isfinite(found)
