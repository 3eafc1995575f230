"""Standing goals, and what of a quota is spare: what would expire, and nothing that somebody will want."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_llm import answer
from test_goals import LONG, YES, GoalTest, tick

from uniwizard.agent.config.yaml_files import CONFIGS, ConfigError
from uniwizard.agent.core.backend import Backend, Quota
from uniwizard.agent.core.decision import Work
from uniwizard.agent.goals import REACHED, Goal, Material, latest, read_standing, spare, tend
from uniwizard.agent.goals.spare import RELEASE, Spare
from uniwizard.agent.quota import QuotaTracker, Spend
from uniwizard.agent.quota.demand import DAY, HOUR

NOON = 1_800_014_400.0
WORK = Work("chat", 100)


def tracker(limit: float = 100.0) -> QuotaTracker:
    backend = Backend("one", "openai", "http://x", "m", quota=(Quota(limit, "requests", "month"),))
    return QuotaTracker(backend, NOON)


def test_what_the_forecast_wants_is_not_spare() -> None:
    quiet, busy = tracker(), tracker()
    for hour in range(10 * 24):
        busy.windows[0].demand.wanted(NOON - hour * HOUR, 0.5, 1.0)
    assert Spare().room(quiet, NOON, WORK)
    assert not Spare().room(busy, NOON, WORK)


def test_what_can_wait_waits_for_the_end_of_the_window_and_then_takes_all_of_it() -> None:
    held, spare = tracker(), Spare()
    reset = held.windows[0].window.resets_at(NOON)
    size = reset - held.windows[0].window.start  # type: ignore[union-attr]
    assert not spare.room(held, NOON, WORK, expiring=True)
    shares = [spare.left(held.windows[0], reset - size * RELEASE * part, expiring=True) for part in (0.99, 0.5, 0.1)]
    assert 0 < shares[0] < shares[1] < shares[2] <= 100.0
    taken = 0
    for second in range(int(size * RELEASE), 0, -600):
        now = reset - second
        while spare.room(held, now, WORK, expiring=True):
            held.reserve(now, WORK).settle(Spend(1.0, 100, 100))
            taken += 1
    assert 97 <= taken <= 100


def test_a_surge_that_has_begun_takes_back_what_was_about_to_be_given_out() -> None:
    surging, spare = tracker(1000.0), Spare()
    window = surging.windows[0]
    reset = window.window.resets_at(NOON)
    for hour in range(14 * 24, 0, -1):
        window.demand.wanted(reset - 12 * HOUR - hour * HOUR, 0.5, 1.0)
    calm = spare.left(window, reset - 12 * HOUR, expiring=True)
    for minute in range(300):
        window.demand.wanted(reset - 12 * HOUR + minute * 60.0, 0.5, 1 / 6)
    later = reset - 12 * HOUR + 300 * 60.0
    without = 1000.0 * (1.0 - Spare.kept((reset - later) / DAY / 31))
    assert spare.left(window, later, expiring=True) < without - 50.0
    assert calm > 0


def test_the_example_is_valid_and_a_fault_names_its_goal(tmp_path: Path) -> None:
    found = read_standing(CONFIGS / "goals.yaml", ("board", "room", "questions"))
    assert [one.name for one in found] == ["weekly_summary", "fresh_room", "faq"]
    assert {one.goal.spend for one in found} == {"expiring"}
    broken = tmp_path / "goals.yaml"
    broken.write_text("goals: {one: {goal: x, every: day, source: nowhere, checks: [{pattern: '(a'}]}}")
    with pytest.raises(ConfigError) as faults:
        read_standing(broken, ("board",))
    told = "\n".join(map(str, faults.value.faults))
    assert "goals.one.source" in told and "checks[0]" in told


class Standing(GoalTest):
    async def test_a_standing_goal_comes_back_when_its_time_has_come_and_works_on_what_it_is_brought(self) -> None:
        self.server.script("one", lambda request: answer(YES if "Answer yes" in request.text else LONG))
        one = replace(read_standing(CONFIGS / "goals.yaml", ("board", "room", "questions"))[0], every=0.0)
        desk = self.desk(self.server.backend("one"))
        sources = {"board": lambda: Material({"board": "Ada: the pier is mended."}, {"week": "7"})}
        (first,) = await tend([one], desk, sources)
        assert await tend([one], desk, sources) == [], "it is under way"
        await self.end_of(desk, first)
        assert first.state == REACHED
        assert all("the pier is mended" in request.text for request in self.server.requests["one"])
        (second,) = await tend([one], desk, sources)
        assert latest(desk, one) is second and first.id not in desk
        assert await tend([one], desk, {"board": lambda: None}) == []
        await self.end_of(desk, second)
        assert json.loads(json.dumps(second.as_dict()))["goal"]["options"] == {"week": "7"}

    async def test_it_takes_nothing_but_quota_that_is_about_to_expire(self) -> None:
        self.server.script("one", lambda request: answer(YES if "Answer yes" in request.text else LONG))
        one = replace(read_standing(CONFIGS / "goals.yaml", ("board", "room", "questions"))[0], every=0.0)
        # Long before its reset, and then as it is in its last hours.
        desk = self.desk(self.server.backend("one", quota=(Quota(1000, "requests", "day"),)))
        self.patch(spare, "RELEASE", 0.0)
        (record,) = await tend([one], desk, {"board": lambda: Material({"board": "Ada: the pier is mended."})})
        for _ in range(50):
            await tick()
        assert (self.server.asked("one"), record.state) == (0, "working")
        wanted = await desk.add(Goal("a line for somebody"))
        await self.end_of(desk, wanted)
        assert wanted.state == REACHED
        assert all("a line for somebody" in request.text for request in self.server.requests["one"])
        self.patch(spare, "RELEASE", 1.0)
        await self.end_of(desk, record)
        assert record.state == REACHED
