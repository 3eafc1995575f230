"""The tables of what is veiled, and what is not, in agent/privacy/README.md are true, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from uniwizard.agent import Names, Place, Task
from uniwizard.agent.privacy.blindfold import Blindfold

README = (Path(__file__).resolve().parents[2] / "agent" / "privacy" / "README.md").read_text("utf-8")


def rows(heading: str) -> list[tuple[str, list[str], str, str]]:
    """The rows of the table under ``heading``: what, who is known, what is said, the last column."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = []
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith(("| what", "| ---")):
            what, known, said, last = (cell.strip() for cell in line.strip("|").split(" | "))
            found.append((what, re.findall(r"`([^`]*)`", known), said.strip("`"), last.strip("`")))
    return found


VEILED, NOT_VEILED = rows("What is veiled"), rows("What is not, and cannot be")


def known(names: list[str]) -> Blindfold:
    return Blindfold(Names(Place(n.removeprefix("Place: ")) if n.startswith("Place: ") else n for n in names))


def test_the_tables_are_there() -> None:
    assert len(VEILED) >= 18
    assert len(NOT_VEILED) >= 10


@pytest.mark.parametrize(("what", "names", "said", "sent"), VEILED, ids=[row[0] for row in VEILED])
def test_is_veiled_and_comes_back(what: str, names: list[str], said: str, sent: str) -> None:
    redacted = known(names).redact(Task(said))
    assert redacted.task.prompt == sent
    assert redacted.restore(sent) == said


@pytest.mark.parametrize(("what", "names", "said", "why"), NOT_VEILED, ids=[row[0] for row in NOT_VEILED])
def test_is_not_veiled_and_stops_nothing(what: str, names: list[str], said: str, why: str) -> None:
    blindfold = known(names)
    assert blindfold.redact(Task(said)).task.prompt == said
    assert blindfold.scan(said) == ()
