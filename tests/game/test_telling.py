"""The game's own lines are as wide as the screen and no wider."""

from __future__ import annotations

import alone  # noqa: F401 - Django's settings
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.world.telling import flowed

WORDS = st.one_of(st.text("abc(),"), st.integers(0, 200).map("x".__mul__))


@given(st.lists(st.lists(WORDS, max_size=12).map(" ".join), max_size=4).map("\n".join), st.integers(20, 100))
def test_whatever_is_told_fits_and_nothing_of_it_is_lost(text: str, width: int) -> None:
    shown = flowed(text, width)
    assert all(len(line) <= width for line in shown.split("\n"))
    assert "".join(shown.split()) == "".join(text.split())


def test_what_cannot_be_cut_stands_whole_and_colours_take_no_room() -> None:
    coloured = "|r" + "a" * 10 + "|n"
    assert flowed(f"{coloured} {coloured} {coloured}", 21) == f"{coloured} {coloured}\n{coloured}"
    assert flowed(f"begin {'x' * 25} end", 20) == f"begin\n{'x' * 20}\n{'x' * 5} end"
