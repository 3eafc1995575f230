"""The ledger's tables and its writer, on a database of the test's own: once and only once, whatever goes wrong."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import alone
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial import unittest

from uniwizard.world.ledger import history, upkeep
from uniwizard.world.ledger.models import Attempt, Outcome, Pending, RolledDay, Totals
from uniwizard.world.ledger.report import tally
from uniwizard.world.ledger.spill import Spill
from uniwizard.world.ledger.storage import Storage, day_of
from uniwizard.world.ledger.writer import Writer

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    with alone.tables(tmp_path) as file:
        yield file


def row(task: str = "t", number: int = 1, at: float = NOON, **more: Any) -> dict[str, Any]:
    plain = {"task": task, "number": number, "started": at, "backend": "one", "outcome": "under way", "account": "anna"}
    return {**plain, "account_id": 1, **more}


def end(task: str = "t", number: int = 1, at: float = NOON, **more: Any) -> dict[str, Any]:
    answered = {"outcome": "answered", "ended": at + 1, "latency_ms": 1000.0, "cost_usd": 0.25, "input_tokens": 10}
    return row(task, number, at, **{**answered, **more})


def hold(task: str) -> tuple[Any, ...]:
    return "hold", {"task": task, "router": 1, "thinker": 2, "text": "?", "pin": None, "began": NOON}


# Once and only once


def test_an_end_is_written_over_its_start_and_a_late_start_over_nothing(file: Path) -> None:
    Storage().apply([("start", row())])
    assert Attempt.objects.get().outcome == Outcome.UNDER_WAY
    Storage().apply([("end", end())])
    Storage().apply([("start", row())])
    found = Attempt.objects.get()
    assert (found.outcome, found.cost_usd, found.latency_ms) == ("answered", 0.25, 1000.0)


OPERATIONS = st.lists(
    st.sampled_from(
        [("start", row("a")), ("end", end("a")), ("start", row("b")), ("end", end("b", cost_usd=0.5)), hold("a"),
         ("answer", "a", "[]"), ("release", "a")]
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS, st.integers(0, 12))
def test_operations_may_come_twice_and_in_any_batches(file: Path, operations: list[Any], cut: int) -> None:
    for model in (Attempt, Pending):
        model.objects.all().delete()
    operations = json.loads(json.dumps(operations))
    Storage().apply(operations[:cut])
    Storage().apply(operations)
    names = [operation[0:1] + operation[1:2] for operation in operations]
    ended = {operation[1]["task"] for operation in operations if operation[0] == "end"}
    begun = ended | {operation[1]["task"] for operation in operations if operation[0] == "start"}
    assert {found.task for found in Attempt.objects.all()} == begun
    assert {found.task for found in Attempt.objects.filter(outcome="answered")} == ended
    holds = [n for n, name in enumerate(names) if name[0] == "hold"]
    releases = [n for n, name in enumerate(names) if name[0] == "release"]
    wanted = bool(holds) and (not releases or holds[-1] > releases[-1])
    assert Pending.objects.exists() == wanted


def test_what_a_provider_makes_too_long_spoils_no_batch(file: Path) -> None:
    Storage().apply([("end", end(evidence="x" * 5000 + "\0", model="m" * 900)), ("end", end("u"))])
    assert Attempt.objects.count() == 2
    assert len(Attempt.objects.get(task="t").evidence) == 500


def test_attempts_that_a_crash_cut_off_are_marked_and_can_still_end(file: Path) -> None:
    Storage().apply([("start", row()), ("end", end("u"))])
    assert history.mark_interrupted() == 1
    assert Attempt.objects.get(task="t").outcome == "interrupted"
    Storage().apply([("end", end())])
    assert Attempt.objects.get(task="t").outcome == "answered"


# Days


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        # Vienna: the day in March has 23 hours, that in October 25, and the month ends an hour before it does in UTC.
        ("2026-03-28T22:59:59+00:00", date(2026, 3, 28)),
        ("2026-03-28T23:00:00+00:00", date(2026, 3, 29)),
        ("2026-03-29T21:59:59+00:00", date(2026, 3, 29)),
        ("2026-03-29T22:00:00+00:00", date(2026, 3, 30)),
        ("2026-10-24T22:00:00+00:00", date(2026, 10, 25)),
        ("2026-10-25T22:59:59+00:00", date(2026, 10, 25)),
        ("2026-10-25T23:00:00+00:00", date(2026, 10, 26)),
        ("2026-10-31T22:59:59+00:00", date(2026, 10, 31)),
        ("2026-10-31T23:00:00+00:00", date(2026, 11, 1)),
    ],
)
def test_an_attempt_belongs_to_one_day_of_the_games_time_zone(file: Path, moment: str, day: date) -> None:
    at = datetime.fromisoformat(moment).timestamp()
    assert day_of(at) == day
    Storage().apply([("end", end(at=at))])
    assert Attempt.objects.get().day == day


def work_off(storage: Storage, now: float) -> None:
    while upkeep.piece(storage, now):
        pass


def test_past_days_are_added_up_once_and_nothing_changes_by_it(file: Path) -> None:
    storage = Storage()
    storage.apply([("end", end(f"t{n}", at=NOON - n * DAY / 3, cost_usd=0.5 + n)) for n in range(30)])
    storage.apply([("end", end("r", at=NOON - DAY, outcome="refused", cost_usd=0.125, kind="chat"))])
    questions = [(), ("day",), ("backend", "kind"), ("outcome",), ("asker",), ("account_id", "day"), ("asker", "kind")]
    before = [tally(by) for by in questions]
    work_off(storage, NOON)
    assert RolledDay.objects.count() == 10
    assert Totals.objects.exists()
    assert [tally(by) for by in questions] == before
    assert tally(())[()].cost_usd == sum(0.5 + n for n in range(30)) + 0.125
    assert (tally(())[()].answered, tally(())[()].ended) == (30, 31)


def test_a_row_that_comes_late_is_counted_once_also_after_its_day_was_added_up(file: Path) -> None:
    storage = Storage()
    storage.apply([("end", end("a", at=NOON - 3 * DAY))])
    work_off(storage, NOON)
    storage.apply([("end", end("b", at=NOON - 3 * DAY)), ("end", end("a", at=NOON - 3 * DAY))])
    assert tally(())[()].attempts == 2
    work_off(storage, NOON)
    assert tally(())[()].attempts == 2
    assert tally(("day",)).keys() == {(day_of(NOON - 3 * DAY),)}


def test_old_attempts_go_and_their_days_stay(file: Path) -> None:
    storage = Storage()
    old = NOON - 500 * DAY
    storage.apply([("end", end(f"t{n}", at=old)) for n in range(upkeep.PIECE + 3)])
    storage.apply([("end", end("new"))])
    work_off(storage, NOON)
    assert [found.task for found in Attempt.objects.all()] == ["new"]
    assert tally(("day",))[(day_of(old),)].attempts == upkeep.PIECE + 3
    # The spill file of a server that stood still for a year.
    storage.apply([("end", end("late", at=old))])
    assert tally(("day",))[(day_of(old),)].attempts == upkeep.PIECE + 4
    work_off(storage, NOON)
    assert not Attempt.objects.filter(task="late").exists()
    assert tally(("day",))[(day_of(old),)].attempts == upkeep.PIECE + 4


def test_a_clock_set_back_over_midnight_counts_everything_once(file: Path) -> None:
    storage = Storage()
    midnight = datetime(2026, 11, 19, 23, tzinfo=UTC).timestamp()
    storage.apply([("end", end("before", at=midnight - 60)), ("end", end("after", at=midnight + 60))])
    work_off(storage, midnight + 2 * 3600)
    storage.apply([("end", end("again", at=midnight - 30))])
    assert {key: sums.attempts for key, sums in tally(("day",)).items()} == {
        (date(2026, 11, 19),): 2,
        (date(2026, 11, 20),): 1,
    }


# What a start asks


def test_quotas_are_counted_from_what_reached_a_real_backend(file: Path) -> None:
    Storage().apply(
        [
            ("end", end("old", at=NOON - 3 * DAY)),
            ("end", end("b", at=NOON + 2)),
            ("end", end("a", at=NOON + 1)),
            ("end", end("practice", at=NOON + 3, practice=True)),
            ("end", end("limited", at=NOON + 4, outcome="failed", failure="rate_limited")),
            ("end", end("leak", at=NOON + 5, outcome="leaked")),
            ("start", row("cut", at=NOON + 6)),
        ]
    )
    history.mark_interrupted()
    assert list(history.usage_since(NOON)) == [
        (NOON + 1, "one", 10, 0, 0.25),
        (NOON + 2, "one", 10, 0, 0.25),
        (NOON + 6, "one", 0, 0, 0.0),
    ]


def test_health_is_told_what_ended_since_and_in_order(file: Path) -> None:
    Storage().apply(
        [
            ("end", end("a", at=NOON)),
            ("end", end("b", at=NOON + 5, outcome="failed", failure="overloaded", cost_usd=0.0)),
            ("end", end("c", at=NOON + 3, backend="two")),
            ("end", end("d", at=NOON + 4)),
        ]
    )
    fared = list(history.attempts_since("one", NOON + 1))
    assert [(attempt.outcome, attempt.failure) for attempt in fared] == [
        ("answered", None),
        ("failed", "overloaded"),
    ]


# The spill file


def test_the_spill_file_is_its_owners_alone_and_survives_a_torn_line(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "private" / "spill.jsonl")
    assert not spill
    spill.append([("release", "a")])
    with spill.path.open("a") as file:
        file.write('["release", "b')
    spill.append([("release", "c")])
    assert spill.read() == [("release", "a"), ("release", "c")]
    assert spill.path.stat().st_mode & 0o777 == 0o600
    spill.clear()
    assert not spill


# The writer, on the real reactor


class WriterCase(unittest.TestCase):
    """Each test has a database of its own, and a writer on it."""

    pages = 0

    def setUp(self) -> None:
        # Not trial's own mktemp, which would leave a folder beside the tests.
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.directory = self.directory / "ledger"
        self.directory.mkdir()
        tables = alone.tables(self.directory, self.pages)
        self.file = tables.__enter__()
        self.addCleanup(tables.__exit__, None, None, None)
        self.told: list[str] = []
        self.spill = Spill(self.directory / "spill.jsonl")
        # Trial's reactor outlives the test, so its end is not the writer's.
        lasting = SimpleNamespace(
            callLater=reactor.callLater,  # type: ignore[attr-defined]
            seconds=reactor.seconds,  # type: ignore[attr-defined]
            callFromThread=reactor.callFromThread,  # type: ignore[attr-defined]
            addSystemEventTrigger=lambda *_: None,
        )
        self.writer = Writer(lasting, Storage(), self.spill, self.told.append)
        self.writer.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.writer.close()))

    def rows(self) -> list[Any]:
        with sqlite3.connect(self.file) as database:
            return database.execute("SELECT task, outcome FROM ledger_attempt ORDER BY task").fetchall()


class TheWriter(WriterCase):
    async def test_whoever_waited_finds_the_rows_written(self) -> None:
        for n in range(50):
            self.writer.put("end", end(f"t{n:02}"))
        await self.writer.written()
        self.assertEqual(len(self.rows()), 50)
        self.assertFalse(self.spill)

    async def test_one_bad_row_keeps_no_other_out(self) -> None:
        self.writer.put("end", end("good"))
        self.writer.put("end", {**end("bad"), "backend": None})
        self.writer.put("end", end("too"))
        await self.writer.written()
        self.assertEqual(self.rows(), [("good", "answered"), ("too", "answered")])
        self.flushLoggedErrors()

    async def test_a_locked_database_spills_answers_go_on_and_all_is_written_once_it_opens(self) -> None:
        lock = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False)
        lock.execute("BEGIN IMMEDIATE")
        self.writer.put("end", end("a"))
        await self.writer.written()
        self.assertEqual([operation[1]["task"] for operation in self.spill.read()], ["a"])
        self.assertIn("cannot be written", self.told[-1])
        self.writer.put("end", end("b"))
        await self.writer.written()
        self.assertEqual(len(self.spill.read()), 2)
        lock.execute("ROLLBACK")
        lock.close()
        while self.writer.trouble:
            await self.writer.work(threading.Event().wait, 0.05)
        self.assertEqual(self.rows(), [("a", "answered"), ("b", "answered")])
        self.assertFalse(self.spill)
        self.assertIn("can be written again", self.told[-1])

    async def test_what_an_earlier_run_spilled_is_written_with_the_first_batch(self) -> None:
        self.spill.append([("end", end("a")), ("end", end("b")), ("end", end("a"))])
        self.writer.put("end", end("c"))
        await self.writer.written()
        self.assertEqual([task for task, _ in self.rows()], ["a", "b", "c"])
        self.assertFalse(self.spill)

    async def test_the_end_of_the_server_loses_nothing_even_from_a_locked_database(self) -> None:
        lock = sqlite3.connect(self.file, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        self.writer.put("end", end("a"))
        await self.writer.close()
        lock.execute("ROLLBACK")
        lock.close()
        self.assertEqual([operation[1]["task"] for operation in self.spill.read()], ["a"])


class AFullDisk(WriterCase):
    pages = 30

    async def test_rows_wait_in_the_spill_file(self) -> None:
        for n in range(400):
            self.writer.put("end", end(f"t{n}", prompt="x" * 1000))
        await self.writer.written()
        self.assertIn("full", self.told[-1])
        self.assertEqual(len(self.spill.read()), 400)

    async def test_where_nothing_can_be_written_answers_are_shown_after_a_wait_and_rows_stay_in_memory(self) -> None:
        # A file stands where the directory should be, so that nothing can be written there.
        self.spill.path = self.directory / "private" / "spill.jsonl"
        self.spill.path.parent.touch()
        import uniwizard.world.ledger.writer as module

        self.patch(module, "PATIENCE", 1.0)
        self.patch(module, "RETRY", 0.1)
        for n in range(400):
            self.writer.put("end", end(f"t{n}", prompt="x" * 1000))
        await self.writer.written()
        self.assertIn("nor can the spill file", self.told[-1])
        self.assertEqual(self.rows(), [])
        self.spill.path.parent.unlink()
        self.writer.put("end", end("last"))
        await self.writer.written()
        self.assertEqual(len(self.spill.read()), 401)
