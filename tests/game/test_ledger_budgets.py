"""Budgets: never overshot by thoughts side by side, and reset when their window says, whatever the clock does."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.world.ledger.budgets import BudgetReached, Budgets, Who

VIENNA = ZoneInfo("Europe/Vienna")
ANNA, BERTA = Who(1, "anna", 10, "Anna"), Who(2, "berta", 20, "Berta")


class Clock:
    def __init__(self, at: str):
        self.set(at)

    def set(self, at: str) -> None:
        self.now = datetime.fromisoformat(at).replace(tzinfo=VIENNA).timestamp()

    def __call__(self) -> float:
        return self.now


def budgets(clock: Clock, **limits: tuple[float, str]) -> Budgets:
    return Budgets({scope: {"usd": usd, "per": per} for scope, (usd, per) in limits.items()}, VIENNA, clock)


@given(st.lists(st.tuples(st.sampled_from("rse"), st.integers(0, 5), st.floats(0.001, 0.5)), max_size=60))
def test_thoughts_side_by_side_never_spend_more_than_the_budget(steps: list[tuple[str, int, float]]) -> None:
    kept = budgets(Clock("2026-11-20T12:00"), game=(1.0, "month"))
    reserved: dict[int, float] = {}
    spent = 0.0
    for step, task, usd in steps:
        if step == "r" and task not in reserved:
            try:
                kept.reserve(str(task), ANNA, usd)
            except BudgetReached:
                continue
            reserved[task] = usd
        elif step != "r" and task in reserved:
            # An answer costs at most what was set aside for it.
            cost = min(usd, reserved.pop(task))
            if step == "s":
                kept.spend(ANNA, cost)
                spent += cost
            kept.release(str(task))
        assert spent + sum(reserved.values()) <= 1.0 + 1e-9


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0.0, 0.5), st.floats(0.0, 1.0)), max_size=60))
def test_paid_refusals_never_spend_more_than_the_budget_either(attempts: list[tuple[int, float, float]]) -> None:
    kept = budgets(Clock("2026-11-20T12:00"), game=(1.0, "month"))
    spent = 0.0
    for task, usd, part in attempts:
        try:
            kept.reserve(str(task), ANNA, 0.01)
            kept.renew(str(task), usd)
        except BudgetReached:
            continue
        # Refused or answered, an attempt costs at most what was set aside for it; the task goes on to the next.
        kept.spend(ANNA, usd * part)
        spent += usd * part
        assert spent <= 1.0 + 1e-9


def test_a_budget_that_is_reached_midway_stops_the_task_and_says_so_and_what_is_free_goes_on() -> None:
    kept = budgets(Clock("2026-11-20T12:00"), account=(1.0, "day"))
    kept.reserve("a", ANNA, 0.6)
    kept.renew("a", 0.6)
    kept.spend(ANNA, 0.6)
    kept.renew("a", 0.0)
    with pytest.raises(BudgetReached, match=r"Your account's budget of \$1 a day is used up \(\$0.4000 left\)"):
        kept.renew("a", 0.6)
    assert kept.standings(ANNA)[0].reserved == 0.0
    kept.renew("unknown", 5.0)


def test_each_account_has_its_own_budget_and_all_share_the_games() -> None:
    kept = budgets(Clock("2026-11-20T12:00"), account=(1.0, "day"), game=(1.5, "month"))
    kept.spend(ANNA, 1.0)
    with pytest.raises(BudgetReached, match=r"Your account's budget of \$1 a day is used up"):
        kept.reserve("a", ANNA, 0.01)
    kept.reserve("b", BERTA, 0.4)
    with pytest.raises(BudgetReached, match=r"The game's budget of \$1.5 a month has \$0.5000 left, and thoughts"):
        kept.reserve("c", Who(3, "carla"), 0.4)
    kept.release("b")
    kept.reserve("c", Who(3, "carla"), 0.4)


def test_a_token_spends_its_own_budget_and_the_games() -> None:
    kept = budgets(Clock("2026-11-20T12:00"), token=(1.0, "week"), game=(5.0, "month"))
    kept.spend(Who(payer="ci"), 1.0)
    with pytest.raises(BudgetReached, match="This token's budget"):
        kept.reserve("a", Who(payer="ci"), 0.1)
    kept.reserve("b", Who(payer="other"), 0.1)
    assert [(s.scope, s.spent) for s in kept.standings(ANNA)] == [("game", 1.0)]


def test_the_message_names_which_and_when_it_resets() -> None:
    kept = budgets(Clock("2026-11-20T12:00"), character=(0.0, "month"))
    with pytest.raises(BudgetReached) as reached:
        kept.reserve("a", ANNA, 0.0)
    assert str(reached.value) == (
        "Your character's budget of $0 a month is used up ($0.0000 left). "
        "It resets on Tuesday, 01 December 2026 at 00:00 CET."
    )


@pytest.mark.parametrize(
    ("per", "at", "resets"),
    [
        ("day", "2026-03-29T12:00", "2026-03-30T00:00+02:00"),
        ("day", "2026-10-25T02:30", "2026-10-26T00:00+01:00"),
        ("week", "2026-03-26T12:00", "2026-03-30T00:00+02:00"),
        ("week", "2026-11-22T23:59", "2026-11-23T00:00+01:00"),
        ("month", "2026-03-31T23:59", "2026-04-01T00:00+02:00"),
        ("month", "2028-02-29T12:00", "2028-03-01T00:00+01:00"),
        ("month", "2026-12-31T23:59", "2027-01-01T00:00+01:00"),
    ],
)
def test_windows_are_calendar_days_weeks_and_months_whatever_their_hours(per: str, at: str, resets: str) -> None:
    kept = budgets(Clock(at), game=(1.0, per))
    assert kept.resets("game").isoformat(timespec="minutes") == resets


def test_at_the_months_end_the_budget_is_whole_again_but_reservations_stand() -> None:
    clock = Clock("2026-11-30T23:59:50")
    kept = budgets(clock, game=(1.0, "month"))
    kept.spend(ANNA, 0.9)
    kept.reserve("over midnight", ANNA, 0.1)
    clock.set("2026-12-01T00:00:10")
    kept.reserve("next", ANNA, 0.9)
    with pytest.raises(BudgetReached):
        kept.reserve("too much", ANNA, 0.01)


def test_a_clock_set_back_an_hour_over_the_months_end_opens_no_budget_twice() -> None:
    clock = Clock("2026-11-30T23:30")
    kept = budgets(clock, game=(1.0, "month"))
    kept.spend(ANNA, 0.9)
    clock.set("2026-12-01T00:30")
    kept.spend(ANNA, 0.7)
    clock.set("2026-11-30T23:35")
    assert kept.standings(ANNA)[0].spent == 0.7
    kept.spend(ANNA, 0.1)
    clock.set("2026-12-01T00:10")
    assert round(kept.standings(ANNA)[0].spent, 9) == 0.8


def test_a_clock_put_right_by_weeks_is_believed_and_what_was_spent_is_asked_for_again() -> None:
    clock = Clock("2030-01-15T12:00")
    kept = budgets(clock, game=(1.0, "month"))
    kept.spend(ANNA, 1.0)
    lost = []
    kept.lost = lambda: lost.append(True)
    clock.set("2026-11-20T12:00")
    assert kept.standings(ANNA)[0].spent == 0.0
    assert lost == [True]
    assert f"{kept.resets('game'):%Y-%m}" == "2026-12"


def test_after_a_start_the_rows_of_the_open_windows_count_and_no_others() -> None:
    clock = Clock("2026-11-20T12:00")
    kept = budgets(clock, game=(9.0, "month"), account=(9.0, "day"))
    assert kept.since() == datetime(2026, 11, 1, tzinfo=VIENNA).timestamp()
    today, before = clock.now - 3600, clock.now - 5 * 86_400
    long_ago = datetime(2026, 10, 31, 23, 59, tzinfo=VIENNA).timestamp()
    # The clock was set back before the start: a row of the future counts, too.
    rows = [
        (ANNA, 1.0, today),
        (ANNA, 2.0, before),
        (BERTA, 4.0, today),
        (ANNA, 8.0, long_ago),
        (ANNA, 0.5, clock.now + 9),
    ]
    kept.rebuild(rows)
    kept.rebuild(rows)
    assert [(s.scope, s.spent) for s in kept.standings(ANNA)] == [("game", 7.5), ("account", 1.5)]


@pytest.mark.parametrize(
    "limits",
    [{"galaxy": {"usd": 1, "per": "day"}}, {"game": {"usd": 1}}, {"game": {"usd": -1, "per": "day"}},
     {"game": {"usd": True, "per": "day"}}, {"game": {"usd": 1, "per": "year"}}, {"game": 5}],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_says_what_is_allowed(limits: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="UNIWIZARD_BUDGETS"):
        Budgets(limits, VIENNA, Clock("2026-11-20T12:00"))
