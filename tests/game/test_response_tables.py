"""What ``/v1/responses`` keeps in the ledger's tables: written late and twice, limited, and let go of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alone import tables

from uniwizard.agent.gateway.store import BYTES_OF_ONE, Record
from uniwizard.world.ledger import upkeep
from uniwizard.world.ledger.models import KeptResponse
from uniwizard.world.ledger.responses import read, row_of
from uniwizard.world.ledger.storage import Storage

NOON = 1_773_140_400.0


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    with tables(tmp_path) as ledger:
        yield ledger


def record(identifier: str, owner: str = "token", made: float = NOON, text: str = '{"a": "\\u0000"}') -> Record:
    return Record(identifier, owner, made, made + 3600.0, text)


def keep(*records: Record) -> None:
    Storage().apply([("keep", row_of(each)) for each in records])


def there() -> set[str]:
    return set(KeptResponse.objects.values_list("id", flat=True))


def test_a_response_comes_back_as_it_went_also_when_it_is_written_twice(file: Path) -> None:
    keep(record("r"), record("r"))
    keep(record("r"))
    assert read("r") == record("r")
    assert read("unknown") is None


def test_one_is_forgotten_and_all_of_a_token_that_is_gone(file: Path) -> None:
    keep(record("a"), record("b"), record("c", "other"))
    Storage().apply([("unkeep", "a")])
    assert there() == {"b", "c"}
    # One that was on its way when its token went is not kept either.
    Storage().apply([("keep", row_of(record("d"))), ("disown", "token")])
    assert there() == {"c"}


def test_a_tokens_oldest_go_when_its_room_is_full_and_nobody_elses(file: Path) -> None:
    large = "x" * (BYTES_OF_ONE // 3)
    keep(record("theirs", "other", NOON - 100))
    for number in range(5):
        keep(record(f"r{number}", made=NOON + number, text=large))
    assert there() == {"theirs", "r2", "r3", "r4"}


def test_what_is_over_is_let_go_of(file: Path) -> None:
    keep(record("old"), record("new", made=NOON + 1800))
    storage = Storage()
    assert upkeep.piece(storage, NOON + 3600)
    assert there() == {"new"}
