"""What practice says to a yes or no about a work: it looks at the work."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.agent.practice.script import Script

SCRIPT = Script.from_file()


def asked(wanted: str, work: str, question: str = "") -> dict[str, Any]:
    """The verdict on the work, asked as goals ask."""
    question = question or f"Is this, in full, what was asked for: {wanted}"
    found = SCRIPT.verdict(
        f"Somebody was asked for this:\n\n{wanted}\n\nThis is what they gave:\n\n<<<\n{work}\n>>>\n\n{question}\n\n"
        "Answer yes or no, with the words in it, or missing from it, that show it."
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("work", "question", "yes"),
    [
        ("The tides rise twice a day.", "", True),
        ("", "", False),
        ("...", "", False),
        ("[practice] I'm sorry, but I can't help with that.", "", False),
        ("I cannot write about tides.", "", False),
        (SCRIPT.lie("anything"), "", False),
        ("The tides rise, and the pier holds.", "Does it mention the pier?", True),
        ("The tides rise.", "Does it mention the pier?", False),
        ("The tides rise.", "Is there a lamp in it?", False),
        ("The tides follow formulas.", "Is it free of formulas?", False),
        ("The tides follow the moon.", "Is it free of formulas?", True),
        ("The tides rise twice a day.", "Is it at most 3 words long?", False),
        ("The tides rise.", "Is it at most 3 words long?", True),
    ],
)
def test_the_work_decides(work: str, question: str, yes: bool) -> None:
    found = asked("a page on tides for children", work, question)
    assert found["yes"] is yes, found["evidence"]
    assert found["evidence"].startswith("[practice] ")


def test_what_practice_itself_makes_of_a_goal_passes_and_what_lies_refuses_or_hedges_does_not() -> None:
    for wanted in (
        "a page on tides for children",
        "a note on the harbour master",
        "Napisz, co to jest latarnia, proszę",
    ):
        assert asked(wanted, SCRIPT.answer(wanted))["yes"], wanted
        if wanted.isascii():
            for work in (SCRIPT.lie(wanted), SCRIPT.refusal(wanted), SCRIPT.hedge(wanted)):
                assert not asked(wanted, work)["yes"], work


def test_a_question_that_shows_no_work_is_none_of_its_business() -> None:
    assert SCRIPT.verdict("Is the moon full? Answer yes or no.") is None


@given(st.text(), st.text(), st.text())
def test_it_says_something_to_any_work_at_all(wanted: str, work: str, question: str) -> None:
    found = asked(wanted, work, question)
    assert json.dumps(found["yes"]) in ("true", "false") and found["evidence"]
