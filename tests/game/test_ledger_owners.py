"""Several processes write into one ledger: what a dead one had under way is cut off, what it spilled is adopted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alone
import pytest

from uniwizard.world.ledger.models import Attempt
from uniwizard.world.ledger.owners import FORMER_SPILL, Owner
from uniwizard.world.ledger.spill import Spill
from uniwizard.world.ledger.storage import Storage

NOON = 1_795_000_000.0
#: A process that lives until its input ends, and says who it is.
_SIBLING = """
import sys
sys.path[:0] = ["{tests}"]
import alone
from pathlib import Path
from uniwizard.world.ledger.owners import Owner
owner = Owner(Path("{directory}"))
owner.live()
owner.spill.append([("end", {{"task": "spilled", "number": 1, "started": 1795000000.0, "ended": 1795000001.0,
                             "backend": "one", "outcome": "answered", "owner": owner.id}})])
print(owner.id, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    with alone.tables(tmp_path) as file:
        yield file


@pytest.fixture
def sibling(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Another process of the same game."""
    code = _SIBLING.format(tests=Path(__file__).parent, directory=tmp_path)
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.kill()


def _under_way(owner: str | None, task: str) -> tuple[str, dict[str, Any]]:
    return "start", {
        "task": task, "number": 1, "started": NOON, "backend": "one", "outcome": "under way", "owner": owner,
    }  # fmt: skip


def _outcomes() -> dict[str, str]:
    return dict(Attempt.objects.values_list("task", "outcome"))


@pytest.mark.slow
def test_a_living_siblings_attempts_are_left_alone_and_a_dead_ones_are_cut_off(
    file: Path, tmp_path: Path, sibling: tuple[str, subprocess.Popen[str]]
) -> None:
    other, process = sibling
    owner = Owner(tmp_path)
    owner.live()
    Storage().apply([_under_way(owner.id, "mine"), _under_way(other, "theirs"), _under_way("gone", "lost")])
    assert owner.reap() == 1
    assert _outcomes() == {"mine": "under way", "theirs": "under way", "lost": "interrupted"}
    process.kill()
    process.wait()
    assert owner.reap() == 1
    assert _outcomes()["theirs"] == "interrupted"


def test_what_was_under_way_before_owners_were_known_is_cut_off(file: Path, tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    owner.live()
    Storage().apply([_under_way(None, "old"), _under_way(owner.id, "mine")])
    assert owner.reap() == 1
    assert _outcomes() == {"old": "interrupted", "mine": "under way"}


@pytest.mark.slow
def test_a_spill_file_is_adopted_once_its_process_is_dead(
    tmp_path: Path, sibling: tuple[str, subprocess.Popen[str]]
) -> None:
    other, process = sibling
    theirs = Spill(tmp_path / f"ledger-spill-{other}.jsonl")
    owner = Owner(tmp_path)
    owner.live()
    assert not owner.adopt()
    assert theirs
    process.kill()
    process.wait()
    assert owner.adopt()
    assert not theirs
    assert [row["task"] for _, row in owner.spill.read()] == ["spilled"]
    assert [path.name for path in (tmp_path / "owners").iterdir()] == [owner.id]


def test_the_spill_file_of_an_older_version_is_adopted(tmp_path: Path) -> None:
    Spill(tmp_path / FORMER_SPILL).append([("release", "t")])
    owner = Owner(tmp_path)
    assert owner.adopt()
    assert not (tmp_path / FORMER_SPILL).exists()
    assert owner.spill.read() == [("release", "t")]


def test_who_leaves_in_good_order_marks_what_is_its_own(file: Path, tmp_path: Path) -> None:
    owner, other = Owner(tmp_path), Owner(tmp_path)
    for each in (owner, other):
        each.live()
    Storage().apply([_under_way(owner.id, "mine"), _under_way(other.id, "theirs")])
    owner.leave()
    assert _outcomes() == {"mine": "interrupted", "theirs": "under way"}


def test_who_retires_leaves_its_lock_only_where_something_waits(tmp_path: Path) -> None:
    idle, busy = Owner(tmp_path), Owner(tmp_path)
    for owner in (idle, busy):
        owner.live()
    busy.spill.append([("release", "t")])
    idle.retire()
    busy.retire()
    assert [path.name for path in (tmp_path / "owners").iterdir()] == [busy.id]
