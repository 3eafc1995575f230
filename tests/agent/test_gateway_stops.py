"""Where an answer ends: a stream held to its stops shows what the whole answer would have been cut to."""

from __future__ import annotations

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.gateway.doors.door import PIECE, Stops, pieces, stopped


@pytest.mark.parametrize(
    ("heard", "stops", "shown", "by"),
    [
        (["The mo", "on. END and more"], ("END",), "The moon. ", "END"),
        (["The moon. E", "N", "D", "more"], ("END",), "The moon. ", "END"),
        (["The moon. EN", "OUGH"], ("END",), "The moon. ENOUGH", ""),
        (["one two three"], ("three", "two"), "one ", "two"),
        (["one two three"], (), "one two three", ""),
    ],
)
def test_nothing_is_shown_behind_a_stop_wherever_it_is_cut(
    heard: list[str], stops: tuple[str, ...], shown: str, by: str
) -> None:
    held = Stops(stops)
    assert "".join([*map(held.hear, heard), held.hear("", last=True)]) == shown
    assert held.stopped == by


def test_what_may_be_the_beginning_of_a_stop_waits_for_what_follows() -> None:
    held = Stops(("END",))
    assert held.hear("moon E") == "moon "
    assert held.hear("a") == "Ea"


@settings(max_examples=examples(500))
@given(
    st.lists(st.text("abE", max_size=5), max_size=8),
    st.lists(st.text("abE", min_size=1, max_size=4), max_size=3).map(tuple),
)
def test_a_stream_ends_where_the_whole_answer_would(heard: list[str], stops: tuple[str, ...]) -> None:
    held = Stops(stops)
    shown = "".join([*map(held.hear, heard), held.hear("", last=True)])
    whole, by = stopped("".join(heard), stops)
    if by:
        # Of two stops that overlap the one that is complete first ends a stream.
        assert held.stopped in stops
        assert shown.startswith(whole) and shown + held.stopped == "".join(heard)[: len(shown + held.stopped)]
    else:
        assert (shown, held.stopped) == ("".join(heard), "")


@settings(max_examples=examples(200))
@given(st.lists(st.text("ab", min_size=1, max_size=200), max_size=8).map(" ".join))
def test_pieces_are_the_text_and_short(text: str) -> None:
    cut = list(pieces(text))
    assert "".join(cut) == text
    assert all(0 < len(piece) <= PIECE for piece in cut)
