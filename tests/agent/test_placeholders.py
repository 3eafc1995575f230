"""What stands for a name reads as one, comes back however a model has bent it, and leaves alone what is none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.task import Task
from uniwizard.agent.engine.continuation import StreamContinuation
from uniwizard.agent.privacy.blindfold import Blindfold, Redacted
from uniwizard.agent.privacy.placeholders import Placeholders, held, restore, taken_in

NAMES = {"1Q": "Anna", "2Q": "Bob", "2Z": "BOB", "3Q": "Old Mill", "12Q": "Zoë"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Person1Q and Person2Q met at Place3Q.", "Anna and Bob met at Old Mill."),
        ("person1q, PERSON1Q, Person 1Q, Person_1Q, PERSON-1Q, Person\\_1Q", "Anna, Anna, Anna, Anna, Anna, Anna"),
        ("Person1Q's, Person2Qs, **Person1Q**, (Person2Z)!", "Anna's, Bobs, **Anna**, (BOB)!"),
        ("z Person2Qem i Person1Qy do Person1Qą", "z Bobem i Anny do Anną"),
        ("Osoba1Q und Persona 2Q", "Anna und Bob"),
        ("Person12Q2 and Person2Q2", "Zoë2 and Bob2"),
        ("def Person2Q_file(person_1q): Person2QPerson1Q", "def Bob_file(Anna): BobAnna"),
        ("seen\\nPerson1Q, %2FPerson1Q", "seen\\nAnna, %2FAnna"),
        ("Person01Q", "Anna"),
    ],
)
def test_what_a_model_makes_of_a_placeholder_is_known_again(said: str, meant: str) -> None:
    assert restore(said, NAMES) == meant


@pytest.mark.parametrize(
    "said",
    [
        "SELECT name_1, person_1, person1 FROM t WHERE person_2 = 'Person 1'",
        "Person 1: hello. Person 2: hello.",
        "Person4Q, Person1Y and Place99Q",
        "a place 1qt of milk, place1qty, a salesperson 1Q",
        "in 1Q and 2Q, the FY12Q, Q1",
        "[NAME_1] NAME_1 name 1",
    ],
)
def test_what_nobody_sent_stays_as_it_is(said: str) -> None:
    assert restore(said, NAMES) == said


def test_a_placeholder_that_the_text_has_already_is_not_given_to_a_name() -> None:
    redacted = Blindfold(["Zephyrine"]).redact(Task("Zephyrine wrote Person1Q and PERSON_2Z on the wall"))
    assert redacted.task.prompt == "Person3Q wrote Person1Q and PERSON_2Z on the wall"
    assert redacted.restore("Person1Q, Person 2Z, Person3Q") == "Person1Q, Person 2Z, Zephyrine"


def test_placeholders_are_the_same_whenever_the_same_is_asked() -> None:
    task = Task("Bob met Zephyrine, BOB left")
    prompts = {Blindfold(names).redact(task).task.prompt for names in (["Bob", "Zephyrine"], ["Zephyrine", "Bob", "X"])}
    assert prompts == {"Person1Q met Person2Q, Person1Z left"}


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.text(min_size=1, max_size=3)), max_size=60),
    st.sets(st.integers(1, 9)),
)
def test_every_spelling_has_a_placeholder_of_its_own(names: list[tuple[str, str]], taken: set[int]) -> None:
    placeholders = Placeholders(taken)
    given_to = {(name, written): placeholders.for_name((name,), "person", written) for name, written in names}
    assert len(set(given_to.values())) == len(given_to)
    for (_, written), placeholder in given_to.items():
        assert restore(placeholder, placeholders.names) == written
        assert taken_in(placeholder).isdisjoint(taken)


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "Person1Q",
                "person 2q",
                "PERSON_2Z",
                "Place3Q",
                "Person",
                "1Q",
                "Per",
                " ",
                "\n",
                "-",
                "_",
                "\\_",
                "em",
                "ą",
                "'s",
                "x",
                "名",
                "12Q",
            ]
        ),
        st.text(max_size=4),
    ),
    max_size=30,
)


@settings(max_examples=examples(500), deadline=None)
@given(PIECES, st.lists(st.integers(0, 120), max_size=12))
def test_however_an_answer_is_cut_into_pieces_the_names_come_back_whole(said: list[str], cuts: list[int]) -> None:
    text = "".join(said)
    shown: list[str] = []
    continuation = StreamContinuation(Redacted(Task("x"), NAMES), shown.append)
    continuation._open = True
    for start, end in pairwise([0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]):
        continuation.hear(text[start:end])
    answer = continuation.complete(Answer(text))
    assert restore(text, NAMES) == restore(answer.text, NAMES)
    assert restore(text, NAMES).startswith("".join(shown))


def test_little_is_held_back() -> None:
    assert held("The moon pulls on the water, and the earth turns below it. ") == 59
    assert held("月が水を引く。" * 50) == 350
    assert held("I told Person 1") == 7
    assert held("I told a person") == 9
