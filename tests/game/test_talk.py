"""What is for Timmy and what is not; what he takes it for; what he says of an answer."""

from __future__ import annotations

import alone  # noqa: F401 - Django's settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.world.manner import plain_spoken
from uniwizard.world.talk import addressed, meaning
from uniwizard.world.weighing import language, shortcomings


@pytest.mark.parametrize(
    ("speech", "heard"),
    [
        ("hello Timmy", "hello"),
        ("Hey Timmy!", "hey"),
        ("Timmy, what is 2+2?", "what is 2+2?"),
        ("timmy what is 2+2?", "what is 2+2?"),
        ("Timmy: sing", "sing"),
        ("thanks, Timmy!", "thanks"),
        ("good night, Timmy", "good night"),
        ("what time is it, Timmy?", "what time is it?"),
        ("Timmy", "hello"),
        ("Timmy's hat is funny", None),
        ("Timmy is asleep", None),
        ("I saw Timmy yesterday and he was fine", None),
        ("what is Timmy's hat made of?", None),
        ("Timmythree, hello", None),
        ("hello everybody", None),
    ],
)
def test_he_hears_what_is_for_him_and_only_that(speech: str, heard: str | None) -> None:
    assert addressed(speech, ("Timmy",)) == heard


@given(st.text(max_size=200))
def test_no_saying_stops_him(speech: str) -> None:
    addressed(speech, ("Timmy",))
    meaning(speech)


@pytest.mark.parametrize(
    ("speech", "meant"),
    [
        ("hello", "hello"), ("cześć", "hello"), ("Guten Tag", "hello"), ("hi, what is the capital of Peru?",
        "question"),
        ("thank you so much", "thanks"), ("who are you?", "who"), ("how are you?",
        "how"), ("what can I do here?", "can"),
        ("what do you remember of me?", "remember"), ("please forget me", "forget"), ("tell me about tides",
        "question"),
        ("was ist Photosynthese?", "question"), ("the weather is nice", "unsure"), ("waves at Timmy", "wave"),
    ],
)  # fmt: skip
def test_he_takes_a_saying_for_what_it_is(speech: str, meant: str) -> None:
    assert meaning(speech) == meant


@pytest.mark.parametrize(
    ("asked", "answer", "short"),
    [
        ("Explain tides in one sentence.", "The moon pulls the sea. The sun pulls, too. So it moves.", "sentences"),
        ("Explain tides in one sentence.", "The moon pulls the sea.", ""),
        ("Name 5 rivers", "- Rhine\n- Elbe\n- Danube", "gives 3 where you asked for 5"),
        ("Name 5 rivers", "Rhine, Elbe, Danube, Volga, Po", ""),
        ("what is 17*23?", "17 times 23 is 381.", "sum wrong"),
        ("what is 17*23?", "That makes 391.", ""),
        ("what is 1000*1000?", "1,000,000", ""),
        ("question q2x2", "I was told about q2x2.", ""),
        ("What happened in Europe 1939-1945?", "There was a war.", ""),
        ("Is 1920x1080 enough for a poster?", "Hardly.", ""),
        ("compare them as a table", "The one is red, the other blue.", "not a table"),
        ("compare them as a table", "| a | b |\n|---|---|\n| 1 | 2 |", ""),
        ("Is it so? yes or no", "It rather depends on the point of view of whoever is asked.", "neither yes nor no"),
        ("Is it so? yes or no", "No.", ""),
        (
            "Answer in French: what is a cat?",
            "A cat is a small animal that lives with people and the mice are not safe.",
            "French",
        ),
        (
            "Answer in French: what is a cat?",
            "Le chat est un petit animal qui vit avec les hommes dans une maison.",
            "",
        ),
        ("in at most 10 words: what is a cat?", "word " * 40, "40 words"),
        ("Tell me a story", "Once upon a time ...", ""),
    ],
)
def test_an_answer_is_weighed_against_what_was_asked(asked: str, answer: str, short: str) -> None:
    found = " ".join(shortcomings(asked, answer))
    assert short in found if short else not found


@given(st.text(max_size=300), st.text(max_size=300))
def test_weighing_never_fails(asked: str, answer: str) -> None:
    shortcomings(asked, answer)
    language(answer)


@pytest.mark.parametrize(
    ("given_answer", "plain"),
    [
        ("Certainly! Here is a list:\n- a\n\nI hope this helps!", "Here is a list:\n- a"),
        ("Great question! Of course! Tides come from the moon.", "Tides come from the moon."),
        ("As an AI language model, I think so.", "I think so."),
        ("Rivers. Let me know if you need anything else!", "Rivers."),
        ("Sure!", "Sure!"),
        ("Certainly is an adverb.", "Certainly is an adverb."),
        ("x" * 1000, "x" * 1000),
        ("a" * 500 + " middle " + "b" * 500, "a" * 500 + " middle " + "b" * 500),
    ],
)
def test_a_brains_own_manners_are_taken_off(given_answer: str, plain: str) -> None:
    assert plain_spoken(given_answer) == plain


@given(st.text(max_size=1200).filter(str.strip))
def test_what_is_taken_off_is_never_the_answer(text: str) -> None:
    assert plain_spoken(text).strip()
    assert plain_spoken("xyz. " * 300 + text).startswith("xyz.")
