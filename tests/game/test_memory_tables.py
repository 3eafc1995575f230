"""Remembered answers in the ledger's tables: written late and twice, read back, let go of; and what they saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alone import tables
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uniwizard.agent import MemoryEntry
from uniwizard.world.ledger import history, upkeep
from uniwizard.world.ledger.memory import read, row_of
from uniwizard.world.ledger.models import Attempt, KnownAnswer, Totals
from uniwizard.world.ledger.report import tally
from uniwizard.world.ledger.storage import Storage, moment

NOON = datetime(2026, 3, 10, 11, tzinfo=UTC).timestamp()
DAY = 86_400.0


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    with tables(tmp_path) as ledger:
        yield ledger


def entry(key: str = "k", text: str = "High at noon.", made: float = NOON, keep: float = DAY) -> MemoryEntry:
    return MemoryEntry(
        key, "knowledge", text, "one", "told", made, made + keep, cost_usd=0.25, content={"a": ["ż", None]}
    )


def attempt(task: str, number: int, outcome: str, at: float = NOON, **more: Any) -> tuple[str, dict[str, Any]]:
    row = {"task": task, "number": number, "started": at, "ended": at, "kind": "knowledge", "backend": "one"}
    return "end", {**row, "outcome": outcome, "account": "anna", "account_id": 7, **more}


def test_an_entry_comes_back_as_it_went(file: Path) -> None:
    nul = entry("nul", "a\0b", NOON + 1)
    Storage().apply([("know", row_of(entry())), ("know", row_of(nul))])
    assert read(10, NOON) == [entry(), nul]
    assert read(1, NOON) and read(10, NOON + DAY + 1) == []


def test_what_is_learned_anew_takes_the_place_of_what_was_known(file: Path) -> None:
    Storage().apply([("know", row_of(entry()))])
    newer = entry(text="At midnight.", made=NOON + 5)
    Storage().apply([("know", row_of(newer))])
    assert read(10, NOON) == [newer]
    Storage().apply([("unknow", "k")])
    assert read(10, NOON) == []


def test_what_somebody_has_spoilt_in_the_table_is_left_out(file: Path) -> None:
    Storage().apply([("know", row_of(entry(str(n), made=NOON + n))) for n in range(3)])
    KnownAnswer.objects.filter(key="1").update(entry='{"text": 3}')
    assert [found.key for found in read(10, NOON)] == ["0", "2"]


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("know"), st.sampled_from("ab"), st.integers(0, 3)),
        st.tuples(st.just("unknow"), st.sampled_from("ab")),
    ),
    max_size=10,
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS, st.integers(0, 10))
def test_operations_count_in_their_order_whatever_the_batches(file: Path, drawn: list[Any], cut: int) -> None:
    KnownAnswer.objects.all().delete()
    operations = [("know", row_of(entry(given[1], str(given[2])))) if given[0] == "know" else given for given in drawn]
    # As the spill file gives them back.
    operations = [tuple(json.loads(json.dumps(operation))) for operation in operations]
    for batch in (operations[:cut], operations[cut:]):
        Storage().apply(batch)
    expected = {}
    for given_ in drawn:
        expected[given_[1]] = str(given_[2]) if given_[0] == "know" else None
    assert {found.key: found.text for found in read(10, NOON)} == {
        k: text for k, text in expected.items() if text is not None
    }


def test_answers_whose_time_is_over_are_let_go_of(file: Path) -> None:
    storage = Storage()
    storage.apply([("know", row_of(entry("old"))), ("know", row_of(replace(entry("new"), until=NOON + 9 * DAY)))])
    while upkeep.piece(storage, NOON + 2 * DAY):
        pass
    assert [known.key for known in KnownAnswer.objects.all()] == ["new"]


def test_what_is_remembered_is_no_attempt_and_saves_its_cost_also_once_the_day_is_added_up(file: Path) -> None:
    storage = Storage()
    storage.apply(
        [
            attempt("a", 1, "answered", cost_usd=0.25, latency_ms=1000.0),
            attempt("b", 0, "remembered", saved_usd=0.25),
            attempt("c", 0, "remembered", saved_usd=0.5),
        ]
    )
    for _ in range(2):
        sums = tally(("backend",))[("one",)]
        assert (sums.attempts, sums.answered, sums.ended, sums.remembered) == (1, 1, 1, 2)
        assert (sums.cost_usd, sums.saved_usd) == (0.25, 0.75)
        assert (sums.success_rate, sums.mean_latency_ms) == (1.0, 1000.0)
        assert tally(("asker",))[("anna",)].saved_usd == 0.75
        while upkeep.piece(storage, NOON + 2 * DAY):
            pass
        assert Totals.objects.exists()
    while upkeep.piece(storage, NOON + 500 * DAY):
        pass
    assert not Attempt.objects.exists()
    assert tally(())[()].saved_usd == 0.75


def test_quotas_and_budgets_are_not_charged_for_what_is_remembered(file: Path) -> None:
    Storage().apply([attempt("b", 0, "remembered", saved_usd=0.25)])
    assert list(history.usage_since(NOON - 1)) == []
    assert list(history.spending(NOON - 1, NOON - 1)) == []
    assert list(history.attempts_since("one", NOON - 1)) == []
    assert KnownAnswer(key="k", backend="one", kind="chat", learned=moment(NOON)).__str__().startswith("one, chat")
