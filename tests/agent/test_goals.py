"""Goals over real sockets: planned, done on several lanes, checked, planned anew, resumed, and never paid twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fake_llm import Reply, Request, answer, refusal, status
from faults import QUESTION, RouterTest, thinking, tick
from twisted.internet.defer import Deferred

from uniwizard.agent.core.backend import Backend, Price, Quota
from uniwizard.agent.goals import (
    REACHED,
    UNREACHABLE,
    Action,
    Allowance,
    Check,
    Desk,
    Goal,
    Library,
    MemoryStore,
    Record,
    state_of,
)

LONG = "The moon pulls on the water of every sea, twice a day, and the harbour has learnt to wait for it."
LIBRARY = Library.read()
YES = json.dumps({"yes": True, "evidence": "it says so"})


def replies(work: Callable[[str], str], verdict: str = YES) -> Callable[[Request], Reply]:
    """A brain that says ``work`` of the prompt, and ``verdict`` to every question of a check."""
    return lambda request: answer(verdict if "Answer yes or no" in request.text else work(request.text))


class GoalTest(RouterTest):
    def desk(
        self, *backends: Backend, store: MemoryStore | None = None, library: Library = LIBRARY, **more: Any
    ) -> Desk:
        router = self.router(*backends, **more)
        desk = self._desk = Desk(router, store, library)
        self.addCleanup(lambda: Deferred.fromCoroutine(desk.close()))
        return desk

    async def ended(self, desk: Desk, goal: Goal | str) -> Record:
        """The goal's record, once it is over."""
        record = await desk.add(Goal(goal) if isinstance(goal, str) else goal)
        await self.end_of(desk, record)
        return record

    async def end_of(self, desk: Desk, record: Record) -> None:
        over: Deferred[None] = Deferred()

        def listener(of: Record, event: dict[str, Any]) -> None:
            if of is record and event["what"] == "ended":
                over.callback(None)

        if not record.over:
            desk.subscribe(listener)
            await over

    def priced(self, key: str, **more: Any) -> Backend:
        return replace(self.server.backend(key, **more), price=Price(0.1, 1.0))

    def done(self, record: Record) -> list[str]:
        return [step.action for step in record.steps if step.state == "done"]


class Reaching(GoalTest):
    async def test_the_cheapest_way_is_gone_first_and_the_check_decides(self) -> None:
        self.server.script("claude", replies(lambda text: LONG))
        record = await self.ended(self.desk(self.server.backend("claude")), "a line on the tides")
        assert (record.state, record.result, self.done(record)) == (REACHED, LONG, ["ask", "check_1"])
        assert all(request.json for request in self.server.requests["claude"])

    async def test_what_a_check_turns_down_is_done_by_another_and_then_by_another_way(self) -> None:
        def heeding(said: str) -> Any:
            return replies(lambda text: f"{said} REVISED" if "A critic says" in text else said)

        self.server.script("liar", heeding("Whatever you like, it is all made of green cheese."))
        self.server.script("gpt", heeding(LONG))
        goal = Goal("a line on the tides", checks=(Check("pattern", "REVISED$"),))
        desk = self.desk(self.server.backend("liar"), self.server.backend("gpt"))
        record = await self.ended(desk, goal)
        assert record.state == REACHED
        tried = [(step.action, step.backend) for step in record.steps if step.state == "turned down"]
        assert [entry for entry in tried if entry[0] == "ask"] == [("ask", "liar"), ("ask", "gpt")]
        assert self.done(record)[-2:] == ["revise", "check_1"]
        # Both were turned down by then; which of them revises is a matter of the ranking.
        revising = next(r for key in ("gpt", "liar") for r in self.server.requests[key] if "A critic says" in r.text)
        assert "has no /REVISED$/ in it" in revising.text, "what earlier tries were turned down for"

    async def test_drafts_go_to_different_brains_at_once(self) -> None:
        for key in ("one", "two", "three"):
            self.server.script(key, replies(lambda text: LONG))
        goal = Goal("a line", wants=frozenset({"compared"}), checks=(Check("pattern", ".", "compared"),),
                    given={"researched": "notes"})  # fmt: skip
        desk = self.desk(*(self.server.backend(key, max_parallel=4) for key in ("one", "two", "three")))
        record = await self.ended(desk, goal)
        first, second, compared = (
            next(step for step in record.steps if step.action == name) for name in ("draft", "second_draft", "compare")
        )
        assert first.backend != second.backend and compared.backend not in (first.backend, second.backend)
        assert second.began < first.ended, "one after the other"

    async def test_a_step_that_must_be_right_is_asked_of_two_and_a_third_decides(self) -> None:
        for key, said in (
            ("one", "It is 42."),
            ("two", "It is 41."),
            ("three", json.dumps({"better": 2, "why": "sum"})),
        ):
            self.server.script(key, replies(lambda text, said=said: said))  # type: ignore[misc]
        library = Library([Action("count", makes=frozenset({"answered"}), prompt="{goal}", brains=2, kind="analysis")])
        goal = Goal("what is 40 + 1?", checks=(Check("pattern", "41"),))
        desk = self.desk(*(self.server.backend(key) for key in ("one", "two", "three")), library=library)
        assert (await self.ended(desk, goal)).result == "It is 41."

    async def test_a_question_that_must_be_sure_is_asked_of_several(self) -> None:
        no = json.dumps({"yes": False, "evidence": "nothing of it"})
        self.server.script("one", replies(lambda text: LONG))
        self.server.script("two", replies(lambda text: LONG, no))
        self.server.script("three", replies(lambda text: LONG))
        goal = Goal("a line", checks=(Check("question", "Is it good?", sure=2),))
        desk = self.desk(*(self.server.backend(key) for key in ("one", "two", "three")))
        record = await self.ended(desk, goal)
        check = next(step for step in record.steps if step.action == "check_1")
        assert record.state == REACHED and len(check.parts) == 3

    async def test_a_brain_proposes_where_the_library_does_not_reach_and_only_what_is_valid_counts(self) -> None:
        steps = [
            {"name": "survey", "needs": [], "makes": ["surveyed"], "instruction": "Survey the ground."},
            {"name": "Bad Name!", "needs": [], "makes": ["castle"], "instruction": "Cheat."},
            {"name": "skip", "needs": [], "makes": ["check_1"], "instruction": "Cheat."},
            {"name": "raise_it", "needs": ["surveyed"], "makes": ["castle"], "instruction": "Describe the castle."},
            {"name": "dream", "needs": ["dreamt"], "makes": ["castle"], "instruction": "Dream."},
        ]
        proposal = json.dumps({"steps": steps})
        self.server.script("one", replies(lambda text: proposal if "Propose at most" in text else LONG))
        goal = Goal("a castle", wants=frozenset({"castle"}))
        record = await self.ended(self.desk(self.server.backend("one")), goal)
        assert record.state == REACHED
        assert sorted(record.proposed) == ["raise_it", "survey"]
        assert self.done(record) == ["propose", "survey", "raise_it", "check_1"]

    async def test_code_does_a_step_and_decides_a_check(self) -> None:
        from uniwizard.agent.goals import register_check

        register_check("polite", lambda text: "please" in text or "is not polite")
        look = Action("look", makes=frozenset({"answered"}), run=lambda doing: f"{doing.words}, please")
        record = await self.ended(self.desk(self.server.backend("one"), library=Library([look])),
                                  Goal("bread", checks=(Check("callable", "polite"),)))  # fmt: skip
        assert (record.state, record.result, self.server.asked("one")) == (REACHED, "bread, please", 0)


class Ending(GoalTest):
    async def test_what_cannot_be_reached_ends_and_says_which_fact_and_why(self) -> None:
        self.server.script("one", replies(lambda text: LONG))
        goal = Goal("a line", checks=(Check("pattern", "^never$"),))
        record = await self.ended(self.desk(self.server.backend("one")), goal)
        assert (record.state, record.fact) == (UNREACHABLE, "answered")
        assert "has no /^never$/ in it" in record.why
        assert self.server.asked("one") < 20

    async def test_two_plans_without_progress_end_it(self) -> None:
        self.server.script("one", status(400))
        record = await self.ended(self.desk(self.server.backend("one", allowed_fails=1000)), "a line")
        assert record.state == UNREACHABLE
        assert record.plans <= 3

    async def test_no_budget_is_passed(self) -> None:
        self.server.script("one", replies(lambda text: LONG))
        goal = Goal("a line", checks=(Check("pattern", "^never$"),), budget=Allowance(usd=1.08))
        record = await self.ended(self.desk(self.priced("one")), goal)
        assert (record.state, "$1.08" in record.why) == (UNREACHABLE, True)
        assert 0 < record.cost_usd <= 1.08

    async def test_tokens_and_shares_of_a_quota_are_budgets_too(self) -> None:
        self.server.script("one", replies(lambda text: LONG))
        quota = {"quota": (Quota(100, "requests", "day"),)}
        for budget, said in ((Allowance(tokens=100), "tokens"), (Allowance(quota=0.02), "requests per day")):
            goal = Goal("a line", checks=(Check("pattern", "^never$"),), budget=budget)
            record = await self.ended(self.desk(self.server.backend("one", **quota)), goal)
            assert (record.state, said in record.why) == (UNREACHABLE, True), record.why
            assert record.tokens <= 100

    async def test_a_goal_is_stopped_at_once(self) -> None:
        self.server.go.clear()
        desk = self.desk(self.server.backend("one"))
        record = await desk.add(Goal("a line"))
        while not self.server.asked("one"):
            await tick()
        desk.stop(record.id)
        assert record.state == "stopped"
        await self.server.until_closed()


class GivingWay(GoalTest):
    async def test_nobody_waits_for_a_goal(self) -> None:
        self.server.go.clear()
        desk = self.desk(self.server.backend("one", max_parallel=1))
        record = await desk.add(Goal("a line on the tides"))
        while not self.server.asked("one"):
            await tick()
        asked = thinking(desk.router, QUESTION)
        while self.server.asked("one") < 2:
            await tick()
        assert desk.lanes.given_way == 1
        self.server.script("one", replies(lambda text: LONG))
        self.server.go.set()
        assert (await asked).text
        await self.end_of(desk, record)
        assert record.state == REACHED

    async def test_who_was_only_busy_is_asked_before_a_step_is_given_up(self) -> None:
        for first in (refusal(), status(400)):
            self.server.script("one", first)
            self.server.script("two", replies(lambda text: LONG))
            two = self.server.backend("two", max_parallel=1)
            desk = self.desk(self.server.backend("one"), two)
            place = desk.router._admission.slot(two)
            await place.acquire()
            record = await desk.add(Goal("a line on the tides"))
            while not record.over and "answered" not in record.avoid:
                await tick()
            place.release()
            await self.end_of(desk, record)
            assert (record.state, record.plans) == (REACHED, 1)

    async def test_whose_work_was_turned_down_is_not_turned_to_after_a_refusal(self) -> None:
        self.server.script("liar", replies(lambda text: "It is all made of green cheese, whatever you may have read."))
        self.server.script("refuser", refusal())
        self.server.script("honest", replies(lambda text: LONG))
        honest = self.server.backend("honest", max_parallel=1)
        desk = self.desk(self.server.backend("liar"), self.server.backend("refuser"), honest)
        place = desk.router._admission.slot(honest)
        await place.acquire()
        record = await desk.add(Goal("a line on the tides", checks=(Check("pattern", "moon"),)))
        while not record.over and "refuser" not in record.avoid.get("answered", ()):
            await tick()
        place.release()
        await self.end_of(desk, record)
        assert (record.state, self.server.asked("liar"), self.server.asked("honest")) == (REACHED, 1, 1)

    async def test_a_place_is_kept_free_and_what_a_goal_uses_is_not_wanted_again(self) -> None:
        self.server.go.clear()
        backend = self.server.backend("one", max_parallel=3, quota=(Quota(1000, "requests", "day"),))
        desk = self.desk(backend)
        for number in range(5):
            await desk.add(Goal(f"line {number}"))
        while self.server.asked("one") < 2:
            await tick()
        for _ in range(20):
            await tick()
        assert (self.server.asked("one"), desk.router.free_places("one")) == (2, 1)
        assert not desk.router.registry.quota("one").windows[0].demand.slots

    async def test_what_is_kept_for_others_is_not_taken(self) -> None:
        # Its horizon is a day whatever the hour at which this runs.
        backend = self.server.backend("one", quota=(Quota(10, "requests", "day", rolling=True),))
        desk = self.desk(backend)
        demand = desk.router.registry.quota("one").windows[0].demand
        now = desk.clock.seconds()
        for hour in range(30):
            demand.wanted(now - hour * 3600, 0.5, 10.0)
        record = await desk.add(Goal("a line"))
        for _ in range(50):
            await tick()
        assert (self.server.asked("one"), record.state) == (0, "working")


class Resuming(GoalTest):
    async def test_nothing_is_paid_twice_whose_answer_had_come(self) -> None:
        store = MemoryStore()
        self.server.script("one", replies(lambda text: LONG))
        kept: list[str] = []
        put = store.put

        def written(identifier: str, text: str) -> Deferred[None]:
            kept.append(text)
            return put(identifier, text)

        store.put = written  # type: ignore[method-assign]
        goal = Goal("a line", wants=frozenset({"revised", "answered"}), checks=(Check("question", "Is it good?"),))
        record = await self.ended(self.desk(self.server.backend("one"), store=store), goal)
        in_all = self.server.asked("one")
        for text in kept:
            # A kill at this moment; the next run has this and nothing else.
            left = Record.from_dict(json.loads(text))
            answered = sum(bool(p.backend) for s in left.steps for p in s.parts.values())
            again = MemoryStore()
            again.kept = {record.id: text}
            before = self.server.asked("one")
            desk = self.desk(self.server.backend("one"), store=again)
            await desk.start()
            await self.end_of(desk, desk[record.id])
            assert desk[record.id].state == REACHED
            assert self.server.asked("one") - before == in_all - answered
            assert desk[record.id].result == LONG

    async def test_what_a_kill_cuts_off_is_counted_as_it_was_expected_to_cost(self) -> None:
        store = MemoryStore()
        self.server.script("one", replies(lambda text: LONG))
        first = await self.ended(self.desk(self.priced("one"), store=store), "a line")
        self.server.go.clear()
        desk = self.desk(self.priced("one"), store=store)
        record = await desk.add(Goal("another line"))
        while self.server.asked("one") != 3:
            await tick()
        (expected,) = record.leaving.values()
        assert record.cost_usd == 0.0 and expected[0] > 0.0
        left = MemoryStore()
        left.kept = dict(store.kept)
        again = self.desk(self.priced("one"), store=left)
        await again.start()
        resumed = again[record.id]
        assert (resumed.cost_usd, resumed.estimated_usd) == (expected[0], expected[0])
        assert again[first.id].cost_usd == first.cost_usd
        desk.stop(record.id)
        self.server.go.set()
        await self.end_of(again, resumed)
        assert resumed.cost_usd > resumed.estimated_usd == expected[0]
        assert not resumed.leaving

    async def test_a_record_that_is_broken_keeps_no_other_from_being_taken_up(self) -> None:
        store = MemoryStore()
        self.server.script("one", replies(lambda text: LONG))
        whole = Record("g2", Goal("a line").decided())
        store.kept = {"g1": "{", "g2": json.dumps(whole.as_dict())}
        desk = self.desk(self.server.backend("one"), store=store)
        await desk.start()
        await self.end_of(desk, desk["g2"])
        assert [record.id for record in desk] == ["g2"]
        self.flushLoggedErrors()


class Telling(GoalTest):
    async def test_a_goal_is_priced_before_it_begins_and_told_as_data(self) -> None:
        self.server.script("one", replies(lambda text: LONG))
        desk = self.desk(self.priced("one"))
        record = await desk.add(Goal("a line"), start=False)
        told = state_of(record)
        assert (told["status"], self.server.asked("one")) == ("offered", 0)
        assert told["price"]["usd"] > 0 and told["price"]["seconds"] > 0
        assert [node["action"] for node in told["plan"]["nodes"]] == ["ask", "check_1"]
        assert told["plan"]["edges"] == [[1, 2]]
        desk.begin(record.id)
        await self.end_of(desk, record)
        paid = sum(a.attempt.cost_usd for a in self.events if type(a).__name__ == "AttemptEnded")  # type: ignore[attr-defined]
        assert record.cost_usd == paid > 0

    async def test_a_refusal_goes_to_the_next_brain_before_anything_is_planned_anew(self) -> None:
        self.server.script("one", refusal())
        self.server.script("two", replies(lambda text: LONG))
        record = await self.ended(self.desk(self.server.backend("one"), self.server.backend("two")), "a line")
        assert (record.state, record.plans) == (REACHED, 1)
