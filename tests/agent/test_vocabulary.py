"""A name that is a word of every day is hidden where it names somebody, and nowhere else."""

from __future__ import annotations

import pytest

from uniwizard.agent import Names, Task
from uniwizard.agent.privacy.blindfold import Blindfold
from uniwizard.agent.privacy.vocabulary import vocabulary

#: All of them are somebody's name.
NAMES = ("Will", "Mark", "Rose", "Hope", "May", "The", "of", "City", "Guard", "It", "Bo", "Dragon", "Old Man", "search")
PLAYERS = ("Tim", "Sam", "Bob", "Ann", "Eva", "Max", "Player1", "King Arthur")


@pytest.mark.parametrize(
    "said",
    [
        "Ask <Will>. Then <Will> answered; I thanked <Hope>.",
        "<Will> is here. <May> said so. <Rose>'s sword. <Rose>, come here!",
        "Tell <Mark> that <Hope> and <Rose> met, please.",
        "Dear <Rose>, how are you? Hi <bo>! thanks, <mark>.",
        "A guard called <of>, named <it>. My name is <search>. @<the> said so.",
        "Mr. <May>, Sir <Dragon> and captain <Guard>.",
        "I gave it to <The>; then <The> laughed.",
        "<The> said: no. <Bo> wants it.",
        "Is <Old Man> the one?",
    ],
)
def test_is_used_as_a_name(said: str) -> None:
    redacted = Blindfold(Names(NAMES)).redact(Task(said.replace("<", "").replace(">", "")))
    inside = [part.split(">")[0] for part in said.split("<")[1:]]
    assert list(redacted.names.values()) == list(dict.fromkeys(inside))
    for part in inside:
        assert f" {part} " not in f" {redacted.task.prompt} "


@pytest.mark.parametrize(
    "said",
    [
        "Will you do it at the same time? I will. Mark my words; I hope it may rain of all days.",
        "May I? In the City of Rome a Dragon rose; the Guard, too. IT is hard. It is hard. THE END",
        "Search for it. Mark this diff. It works, of course. New York City is big.",
        "def mark(rose): return search(city, guard=it, max=1)  # Guard clause",
        "SELECT city, mark FROM guard WHERE rose = 'it'",
        "What is the old man of the city to do?",
        "prices rose and rose; roses, marks, cities",
        "he called the guard",
        "",
    ],
)
def test_is_a_word_like_any_other(said: str) -> None:
    assert Blindfold(Names(NAMES)).redact(Task(said)).task.prompt == said


@pytest.mark.parametrize(
    "said",
    [
        "Is there time, and some fame, in the tome? The same robe, sama, toma, even eve.",
        "annual evaluation of bobsleds by Samuel; Evaluate maximum(a)",
        "player 1 moves first, then the king",
    ],
)
def test_words_that_only_begin_like_a_name_are_none(said: str) -> None:
    assert Blindfold(Names(PLAYERS)).redact(Task(said)).task.prompt == said


def test_the_lists_hold_no_name_of_these() -> None:
    for name in ("anna", "timmy", "bob", "zephyrine", "łukasz", "kowalska", "nthe"):
        assert not vocabulary().is_everyday((name,))
    for name in ("the", "of", "rose", "city", "search", "prices", "a", "i", "42"):
        assert vocabulary().is_everyday((name,))
