"""An answer that is shown as it comes reads like one that is shown whole, however its pieces fall."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import alone  # noqa: F401 - Django's settings
import pytest
from evennia.utils.ansi import strip_ansi
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.world import live, telling
from uniwizard.world.live import LiveAnswer, _complete

ANSWER = """Certainly! Here is a plan for a stall.

## What you need

1. A table
2. Oil: `2 l` to begin with
   - clear oil for indoors
   - heavy oil for the street
3. A sign

| Oil | Price |
|-----|------:|
| Clear | 3 |
| Heavy | 2 |

```python
def takings(sold):

    return sum(sold)
```
> Start small.

I hope this helps!"""


class Shown:
    """A player whose screen is a list."""

    def __init__(self) -> None:
        self.screen: list[str] = []
        self.sessions = SimpleNamespace(all=list)


@pytest.fixture(autouse=True)
def _on_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def hand_over(player: Any, lines: list[str]) -> None:
        player.screen += lines

    monkeypatch.setattr(live, "hand_over", hand_over)


def read(text: str, cuts: list[int]) -> list[str]:
    """What is on the screen at the end, without blank lines."""
    player = Shown()
    answer = LiveAnswer(player, [])
    at = 0
    for cut in [*sorted(cuts), len(text)]:
        answer.hear(text[at:cut])
        at = max(at, cut)
    player.screen += answer.rest(text)
    return [strip_ansi(line) for line in player.screen if line.strip()]


@settings(deadline=None, max_examples=examples(80))
@given(st.lists(st.integers(0, len(ANSWER)), max_size=40))
def test_however_the_pieces_fall_the_answer_is_the_same(cuts: list[int]) -> None:
    whole = telling.body(ANSWER.removeprefix("Certainly! ").removesuffix("\n\nI hope this helps!"), telling.Screen())
    assert read(ANSWER, cuts) == [strip_ansi(line) for line in whole if line.strip()]


@settings(deadline=None)
@given(st.text(alphabet="ab .\n`|-~# \t1", max_size=200))
def test_what_is_complete_never_goes_beyond_the_text(text: str) -> None:
    assert 0 <= _complete(text) <= len(text)


def test_a_long_paragraph_is_shown_a_sentence_at_a_time() -> None:
    player = Shown()
    answer = LiveAnswer(player, [])
    answer.hear("This is a sentence of the answer. " * 20)
    assert player.screen
