"""How long goals are kept, how many, and what happens where they cannot be written down."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from fake_llm import answer
from test_goals import LONG, YES, GoalTest, tick
from twisted.internet.defer import Deferred, fail, succeed

from uniwizard.agent.goals import OFFERED, REACHED, WORKING, Goal, MemoryStore, NotKept, Record, SqliteStore
from uniwizard.agent.goals import desk as desks
from uniwizard.agent.goals.keeping import KEEP, MOST_OFFERS, MOST_OFFERS_OF_ONE, OFFER, outlived, surplus


def record(number: int, owner: str, state: str = OFFERED, **more: Any) -> Record:
    return Record(f"g{number}", Goal("a line"), owner, state, began=float(number), **more)


def test_an_offer_stands_for_an_hour_and_one_that_is_over_for_a_month() -> None:
    offer, over, working = record(0, "a"), record(0, "a", REACHED, ended=100.0), record(0, "a", WORKING)
    assert not outlived(offer, OFFER) and outlived(offer, OFFER + 1)
    assert not outlived(over, KEEP + 100) and outlived(over, KEEP + 101)
    assert not outlived(working, 10 * KEEP)


def test_of_too_many_offers_the_oldest_go_and_nobody_elses_before_the_wall_is_full() -> None:
    own = [record(number, "a") for number in range(MOST_OFFERS_OF_ONE + 2)]
    others = [record(1000 + number, f"b{number}") for number in range(3)]
    assert surplus([*others, *own], "a") == ["g0", "g1"]
    assert surplus([*others, *own], "b0") == []
    many = [record(number, f"o{number}") for number in range(MOST_OFFERS + 1)]
    assert surplus(many, "somebody") == ["g0"]


class Offers(GoalTest):
    async def test_offers_are_not_under_way_and_hold_nobody_up(self) -> None:
        self.patch(desks, "MOST_GOALS", 2)
        self.server.script("one", lambda request: answer(YES if "Answer yes" in request.text else LONG))
        desk = self.desk(self.server.backend("one"))
        for number in range(3 * MOST_OFFERS_OF_ONE):
            await desk.add(Goal(f"offer {number}"), "mallory", start=False)
        assert sum(one.owner == "mallory" for one in desk) == MOST_OFFERS_OF_ONE
        taken = await desk.add(Goal("a line"), "ada")
        await desk.add(Goal("another line"), "ada")
        with pytest.raises(OverflowError):
            await desk.add(Goal("a third"), "ada")
        offer = await desk.add(Goal("an offer"), "ada", start=False)
        with pytest.raises(OverflowError):
            desk.begin(offer.id)
        await self.end_of(desk, taken)
        desk.begin(offer.id)
        await self.end_of(desk, offer)
        assert (taken.state, offer.state) == (REACHED, REACHED)

    async def test_an_offer_that_nobody_takes_is_forgotten_while_the_desk_runs(self) -> None:
        store = MemoryStore()
        desk = self.desk(self.server.backend("one"), store=store)
        offer = await desk.add(Goal("a castle"), "ada", start=False)
        self.patch(desks, "LOOK", 0.01)
        desk._tidy()
        assert offer.id in desk
        offer.began -= OFFER + 1
        desk._look.cancel()  # type: ignore[union-attr]
        desk._tidy()
        assert offer.id not in desk and offer.id not in store.kept
        assert self.server.asked("one") == 0


class Full(MemoryStore):
    """A store whose disk is full from some moment on."""

    full = False

    def put(self, identifier: str, text: str) -> Deferred[None]:
        return fail(NotKept("the disk is full")) if self.full else super().put(identifier, text)

    def forget(self, identifier: str) -> None:
        if self.full:
            raise NotKept("the disk is full")
        super().forget(identifier)


class NotWritten(GoalTest):
    async def test_a_goal_that_cannot_be_written_down_is_not_taken_and_nothing_is_kept_of_it(self) -> None:
        store = Full()
        desk = self.desk(self.server.backend("one"), store=store)
        store.full = True
        with pytest.raises(NotKept):
            await desk.add(Goal("a line"))
        for _ in range(20):
            await tick()
        assert (list(desk), self.server.asked("one")) == ([], 0)
        self.flushLoggedErrors()

    async def test_what_cannot_be_written_down_does_not_happen_and_does_once_it_can(self) -> None:
        store = Full()
        self.server.script("one", lambda request: answer(YES if "Answer yes" in request.text else LONG))
        desk = self.desk(self.server.backend("one"), store=store)
        wanted = await desk.add(Goal("a line"))
        store.full = True
        for _ in range(30):
            await tick()
        assert self.server.asked("one") == 0
        store.full = False
        await self.end_of(desk, wanted)
        assert wanted.state == REACHED
        self.flushLoggedErrors()

    async def test_a_desk_closes_whatever_its_store_does(self) -> None:
        store = Full()
        self.server.go.clear()
        desk = self.desk(self.server.backend("one"), store=store)
        await desk.add(Goal("a line"))
        await desk.add(Goal("another"), start=False)
        store.full = True
        await desk.close()
        self.flushLoggedErrors()

    async def test_goals_that_cannot_be_read_yet_are_taken_up_later(self) -> None:
        tries: list[Deferred[list[str]]] = [fail(NotKept("locked")), succeed([])]
        store = MemoryStore()
        store.load = lambda: tries.pop(0)  # type: ignore[method-assign]
        self.patch(desks, "AGAIN", 0.01)
        desk = self.desk(self.server.backend("one"), store=store)
        starting = Deferred.fromCoroutine(desk.start(patient=True))
        assert not desk.started
        await starting
        assert desk.started
        self.flushLoggedErrors()


def test_a_file_of_goals_is_its_owners_alone_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "below" / "goals.db3"
    store = SqliteStore(path)
    store.put("g1", "{}")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == dict.fromkeys(("goals.db3", "goals.db3-wal", "goals.db3-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.close()
    path.chmod(0o644)
    SqliteStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "also one of an earlier version"


def test_a_locked_file_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "goals.db3")
    other = sqlite3.connect(tmp_path / "goals.db3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    failed: list[Any] = []
    store.put("g1", "{}").addErrback(failed.append)
    assert failed and failed[0].check(NotKept)
    with pytest.raises(NotKept):
        store.forget("g1")
    other.execute("ROLLBACK")
    kept: list[Any] = []
    store.put("g1", json.dumps({}))
    store.load().addCallback(kept.append)
    assert kept == [["{}"]]
    store.close()
    with pytest.raises(NotKept):
        SqliteStore(tmp_path)
