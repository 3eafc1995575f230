"""The judge's phrases: the word automaton that finds them, and that no pattern explodes."""

from __future__ import annotations

import importlib
import pkgutil
import re
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import uniwizard.agent.judge
from uniwizard.agent.judge.text.phrases import MAX_STATES, PhraseBook, phrase_book

# The word automaton

PHRASES = [
    {
        "language": "en",
        "words": {"cant": ["can't|cannot", "am <very>? not able to"], "very": ["really|just"]},
        "phrases": {
            "decline": ["i <cant> help|assist", "^ no way"],
            "deflect": ["talk ..2 else $"],
            "request": ["a b? c"],
        },
    }
]
BOOK = PhraseBook(PHRASES)


@pytest.mark.parametrize(
    ("sentence", "signals"),
    [
        ("i can't help", ["decline"]),
        ("well i cannot assist you", ["decline"]),
        ("i am really not able to help", ["decline"]),
        ("i am not able to help", ["decline"]),
        ("i am able to help", []),
        ("no way", ["decline"]),
        ("there is no way", []),
        ("let's talk about something else", ["deflect"]),
        ("talk about something else now", []),
        ("talk about all of something else", []),
        ("a c", ["request"]),
        ("a b c", ["request"]),
        ("a b b c", []),
        ("", []),
    ],
)
def test_a_phrase_is_found_where_its_notation_says(sentence: str, signals: list[str]) -> None:
    assert BOOK.names(BOOK.scan(sentence.split())) == signals


WORDS = ["i", "can't", "am", "really", "not", "able", "to", "help", "no", "way", "talk", "else", "a", "b", "c", "zebra"]


@settings(max_examples=examples(300))
@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_what_is_found_is_where_find_says(words: list[str]) -> None:
    mask = BOOK.scan(words)
    for name in BOOK.names(mask):
        bit = BOOK.bit(name)
        place = BOOK.find(words, bit)
        assert place is not None
        start, stop = place
        assert BOOK.scan(words[:stop]) & bit or stop == len(words)
        assert 0 <= start < stop <= len(words)
    assert mask or BOOK.find(words, -1) is None


@settings(max_examples=examples(200))
@given(st.lists(st.sampled_from(WORDS), max_size=8), st.lists(st.sampled_from(WORDS), max_size=8))
def test_a_scan_does_not_depend_on_what_was_scanned_before(first: list[str], second: list[str]) -> None:
    fresh = PhraseBook([{"language": "en", "phrases": {"request": ["a b? c"]}}])
    used = PhraseBook([{"language": "en", "phrases": {"request": ["a b? c"]}}])
    used.scan(first)
    assert used.scan(second) == fresh.scan(second)


def test_a_word_costs_one_step_however_many_phrases_there_are() -> None:
    book = phrase_book()
    hostile = ("i really just not am can't help or and the a not able to " * 400).split()
    steps = 0

    class Counting(list[str]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            nonlocal steps
            for word in list.__iter__(self):
                steps += 1
                yield word

    book.scan(Counting(hostile))
    assert steps == len(hostile)
    assert book.remembered <= MAX_STATES


def test_forgetting_its_states_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [
        ["a", "b", "c"],
        ["a", "c", "b", "c"],
        ["b", "a", "a", "zebra"],
        ["c", "b", "a"],
        ["i", "can't", "help"],
    ]
    expected = [BOOK.scan(words) for words in sentences]
    monkeypatch.setattr("uniwizard.agent.judge.text.phrases.MAX_STATES", 3)
    forgetful = PhraseBook(PHRASES)
    assert [forgetful.scan(words) for words in sentences * 3] == expected * 3
    assert forgetful.remembered <= 3


# No pattern explodes


def _patterns() -> dict[str, re.Pattern[str]]:
    found = {}
    for info in pkgutil.walk_packages(uniwizard.agent.judge.__path__, "uniwizard.agent.judge."):
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, re.Pattern):
                found[f"{info.name.removeprefix('uniwizard.agent.judge.')}.{name}"] = value
    return found


def _repeats(tree: object, inside: int = 0):  # type: ignore[no-untyped-def]
    """(operator, maximum, number of repeats around it) of every repeat in a parsed pattern."""
    for op, args in tree:  # type: ignore[attr-defined]
        if op in (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT):
            _, most, body = args
            if most != 1:
                yield op, most, inside
            yield from _repeats(body, inside + (most != 1))
        else:
            for part in args if isinstance(args, tuple | list) else (args,):
                if isinstance(part, parser.SubPattern):
                    yield from _repeats(part, inside)
                elif isinstance(part, list):
                    for branch in part:
                        if isinstance(branch, parser.SubPattern):
                            yield from _repeats(branch, inside)


def test_there_are_patterns_to_check() -> None:
    assert len(_patterns()) >= 10


@pytest.mark.parametrize("name", sorted(_patterns()))
def test_no_pattern_backtracks_without_bound(name: str) -> None:
    """An unbounded repeat must be possessive and stand alone; a bounded one is short, and nested at most once."""
    for op, most, inside in _repeats(parser.parse(_patterns()[name].pattern)):
        if most == constants.MAXREPEAT:
            assert op is constants.POSSESSIVE_REPEAT, f"{name}: an unbounded repeat that backtracks"
            assert inside == 0, f"{name}: an unbounded repeat within a repeat"
        else:
            assert most <= 100, f"{name}: a repeat of up to {most}"
            assert inside <= 1, f"{name}: repeats nested twice"


def test_the_check_sees_a_pattern_that_explodes() -> None:
    seen = list(_repeats(parser.parse(r"(a+)+b")))
    assert any(most == constants.MAXREPEAT and op is not constants.POSSESSIVE_REPEAT for op, most, _ in seen)
