"""What the overview reads of an address, the figures it finds, and the pictures it draws."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import alone
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ledger_tables import DAY, NOON, end

from uniwizard.agent.goals import Allowance, Check, Goal, Record, Step, state_of
from uniwizard.world.ledger.storage import Storage
from uniwizard.world.overview import charts, plans
from uniwizard.world.overview.asked import LONGEST, STEPS, Asked
from uniwizard.world.overview.figures import read, troubles

TODAY = date(2026, 11, 22)
ACCOUNTS = {"anna": 1, "ben": 2}


def asked(viewer: int | None = None, **query: str) -> Asked:
    return Asked.of(query, TODAY, viewer, ACCOUNTS.get)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    with alone.tables(tmp_path) as file:
        rows: list[Any] = [
            end("a", backend="claude", kind="chat", latency_ms=500.0),
            end("b", backend="gpt", kind="chat", outcome="refused", failure="refused"),
            end("b", 2, NOON + 5, backend="claude", kind="story", latency_ms=4000.0),
            end("c", 1, NOON + DAY, backend="claude", kind="chat", account="ben", account_id=2),
            end("d", 1, NOON + DAY, backend="claude", kind="chat", payer="my editor", account_id=2),
            end("e", backend="claude", kind="chat", practice=True),
        ]
        Storage().apply([("end", row) for row in rows])
        yield file


class TestAsked:
    @settings(max_examples=examples(80))
    @given(
        st.dictionaries(st.sampled_from(["from", "to", "step", "player", "practice", "backend"]), st.text(max_size=40))
    )
    def test_whatever_an_address_says_some_days_are_shown(self, query: dict[str, str]) -> None:
        found = Asked.of(query, TODAY, None, ACCOUNTS.get)
        assert found.since <= found.until <= TODAY
        assert (found.until - found.since).days <= LONGEST
        assert found.step in STEPS

    def test_an_address_and_what_it_means_are_the_same(self) -> None:
        first = asked(**{"from": "2026-11-01", "to": "2026-11-20", "backend": "a&b", "player": "anna", "practice": "1"})
        assert first.query() == ("from=2026-11-01&to=2026-11-20&step=day&backend=a%26b&player=anna&practice=1")
        assert "practice" not in first.query(practice="")

    def test_hours_are_for_a_few_days_and_a_player_sees_nobody_else(self) -> None:
        assert asked(**{"from": "2026-11-20", "step": "hour"}).step == "hour"
        assert asked(**{"from": "2026-01-01", "step": "hour"}).step == "week"
        assert asked(7, player="anna").account == 7
        assert asked(player="nobody").account == -1


class TestFigures:
    def test_all_together_step_by_step_and_by_everything_and_no_practice(self, file: Path) -> None:
        found = read(asked())
        assert (found.total.attempts, found.total.answered, found.total.refused, found.total.fallbacks) == (5, 4, 1, 1)
        assert [sums.attempts for _, sums in found.steps] == [0, 0, 0, 0, 3, 2, 0]
        counts = {which: {name: sums.attempts for name, sums in (by or {}).items()} for which, by in found.by.items()}
        assert counts == {
            "backend": {"claude": 4, "gpt": 1},
            "kind": {"chat": 4, "story": 1},
            "player": {"anna": 3, "ben": 1},
            "token": {"my editor": 1},
        }
        assert read(asked(practice="1")).total.attempts == 1

    def test_by_the_hour_by_the_week_and_for_a_backend(self, file: Path) -> None:
        hours = read(asked(**{"from": "2026-11-20", "to": "2026-11-20", "step": "hour"}))
        # 12 o'clock UTC is 13 in Vienna.
        assert [index for index, (_, sums) in enumerate(hours.steps) if sums.attempts] == [13]
        weeks = read(asked(**{"from": "2026-11-01", "step": "week"}))
        assert [sums.attempts for _, sums in weeks.steps][-1] == 5
        year = read(asked(**{"from": "2026-01-01"}))
        assert {name: sums.attempts for name, sums in (year.by["player"] or {}).items()} == {"anna": 3, "ben": 1}
        assert read(asked(**{"from": "2026-01-01", "to": "2026-02-01"})).by["backend"] == {}
        some = read(asked(backend="gpt"))
        assert (some.total.attempts, some.by.get("player")) == (1, None)

    @pytest.mark.parametrize("query", [{"player": "ben"}, {"player": "ben", "backend": "claude"}])
    def test_of_one_asker_by_what_was_asked(self, query: dict[str, str], file: Path) -> None:
        found = read(asked(**query))
        assert found.total.attempts == 2
        assert {name: sums.attempts for name, sums in (found.by["backend"] or {}).items()} == {"claude": 2}
        assert read(asked(2)).total.attempts == 2
        assert read(asked(2, token="my editor")).total.attempts == 1
        assert read(asked(player="nobody")).total.attempts == 0

    def test_troubles_have_the_road_of_their_task(self, file: Path) -> None:
        ((refused, road),) = troubles(asked())
        assert refused.backend == "gpt"
        assert [(each.backend, each.outcome) for each in road] == [("gpt", "refused"), ("claude", "answered")]
        assert troubles(asked(2)) == []


class TestPlans:
    def test_a_plan_shows_every_step_after_what_it_needs_what_is_done_and_the_cost_of_the_budget(self) -> None:
        goal = Goal("<b>a poem</b>", checks=(Check("question", "Is it short?"),), budget=Allowance(usd=0.5))
        record = Record("g1", goal)
        price = {"usd": 0.01, "seconds": 2.0, "quota": 0.0}
        record.steps = [
            Step(1, "ask", [], ["answered"], 1, "done", "answer <i>at once</i>", "chat", "claude", price),
            Step(2, "check_1", ["answered"], ["check_1"], 1, "begun", "see", "analysis", "gpt", price),
        ]
        record.spent = {"t/1": [0.125, 10, "claude"]}
        drawn = str(plans.drawn("<b>ada</b>", state_of(record)))
        assert not re.search(r"<(b|i)>", drawn)
        assert drawn.count("<path") == 1 and 'class="step done"' in drawn and 'class="step begun"' in drawn
        assert "$0.1250 of at most $0.5" in drawn
        first, second = (int(x) for x in re.findall(r'rect x="(\d+)" y="8" width="138"', drawn))
        assert second > first + 138
        bar, paid = (float(x) for x in re.findall(r'class="(?:budget|paid)" x="8" y="\d+" width="([\d.]+)"', drawn))
        assert paid / bar == pytest.approx(0.25, abs=0.01)

    def test_a_plan_that_goes_round_in_a_circle_is_drawn_all_the_same(self) -> None:
        record = Record("g1", Goal("x"))
        record.steps = [Step(1, "a", ["q"], ["p"], 1), Step(2, "b", ["p"], ["q"], 1)]
        assert str(plans.drawn("x", state_of(record))).count("<rect") == 4


class TestCharts:
    def test_what_stands_in_a_picture_is_escaped_and_gaps_are_gaps(self) -> None:
        drawn = str(charts.lines("<b>", ["<i>", "2", "3"], {"<u>": [1.0, None, 3.0]}, lambda value: f"{value} <s>"))
        assert not re.search(r"<(b|i|u|s)>", drawn)
        assert drawn.count("<circle") == 2

    @settings(max_examples=examples(40))
    @given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40))
    def test_bars_lie_within_the_picture(self, values: list[float]) -> None:
        labels = [str(index) for index in range(len(values))]
        drawn = str(charts.bars("x", labels, {"a": values, "b": values}, str))
        for y, height in re.findall(r'<rect x="[\d.]+" y="([\d.-]+)" width="[\d.]+" height="([\d.]+)"', drawn):
            assert 0 <= float(y) <= 190
            assert float(y) + float(height) <= 190
