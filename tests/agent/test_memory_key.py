"""What is the same question, and what is not: the canonical text, the key, the scope, the guard."""

from __future__ import annotations

import itertools
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uniwizard.agent import Image, Message, Task, Tool
from uniwizard.agent.memory import canonical, question_of
from uniwizard.agent.memory.canonical import EDGES
from uniwizard.agent.memory.guard import disagreement
from uniwizard.agent.memory.scope import why_bound
from uniwizard.agent.memory.similar import SimilarIndex, cosine, trigrams
from uniwizard.agent.memory.vocabulary import Trie, vocabulary

#: Questions of every language, none of which is polite.
QUESTIONS = {
    "en": [
        "What is 17*23?",
        "Who was the first emperor of Rome?",
        "List animals that cannot fly.",
        "Explain gravity to a five year old.",
    ],
    "de": [
        "Was ist die Hauptstadt von Frankreich?",
        "Nenne drei Flüsse in Asien.",
        "Wie hoch ist der Eiffelturm?",
        "Wer hat 1954 gewonnen?",
    ],
    "fr": [
        "Quelle est la capitale de l'Italie ?",
        "Qui a gagné en 1998 ?",
        "Cite trois fleuves d'Afrique.",
        "Combien font 17*23 ?",
    ],
    "es": ["¿Cuál es la capital de Perú?", "Nombra tres ríos de Asia.", "¿Quién ganó en 2010?", "¿Cuánto es 17*23?"],
    "it": [
        "Quale è la capitale della Polonia?",
        "Elenca tre fiumi africani.",
        "Chi ha vinto nel 2006?",
        "Quanto fa 17*23?",
    ],
    "pl": ["Jaka jest stolica Włoch?", "Wymień trzy rzeki w Azji.", "Kto wygrał w 1974 roku?", "Ile to jest 17*23?"],
}
#: What people put around them, none of which changes what is asked. ``{}`` is the question, ``{small}`` begins small.
POLITE = {
    "en": [
        "Please: {}",
        "Hi, {small}",
        "Hello there! {}",
        "{} Thanks!",
        "{} Thank you very much in advance.",
        "Could you tell me: {}",
        "Hey Timmy, can you please tell me: {} Thanks a lot!",
        "{}\n\nThanks",
        "I would like to know: {}",
        "Good morning. {}",
        "Quick question: {}",
    ],
    "de": [
        "Bitte: {}",
        "Hallo, {small}",
        "Guten Tag! {}",
        "{} Danke!",
        "{} Vielen Dank im Voraus!",
        "Könntest du mir bitte sagen: {}",
        "Können Sie mir sagen: {} Danke schön!",
        "Eine kurze Frage: {}",
        "Moin, {small} Besten Dank",
        "Ich möchte wissen: {}",
    ],
    "fr": [
        "S'il te plaît : {}",
        "Bonjour, {small}",
        "Salut ! {}",
        "{} Merci !",
        "{} Merci d'avance !",
        "Pourrais-tu me dire : {}",
        "Pouvez-vous me dire : {} Merci beaucoup.",
        "Je voudrais savoir : {}",
        "Bonsoir, s'il vous plaît, {small}",
    ],
    "es": [
        "Por favor: {}",
        "Hola, {small}",
        "Buenos días. {}",
        "{} ¡Gracias!",
        "{} Muchas gracias de antemano.",
        "¿Podrías decirme: {}",
        "Hola, ¿me puedes decir: {} ¡Muchas gracias!",
        "Tengo una pregunta: {}",
        "Quisiera saber: {}",
    ],
    "it": [
        "Per favore: {}",
        "Ciao, {small}",
        "Buongiorno! {}",
        "{} Grazie!",
        "{} Grazie mille in anticipo.",
        "Potresti dirmi: {}",
        "Salve, mi puoi dire: {} Grazie mille!",
        "Ho una domanda: {}",
        "Vorrei sapere: {}",
    ],
    "pl": [
        "Proszę: {}",
        "Cześć, {small}",
        "Dzień dobry! {}",
        "{} Dziękuję!",
        "{} Z góry dziękuję.",
        "Czy możesz mi powiedzieć: {}",
        "Hej, mógłbyś mi proszę powiedzieć: {} Dzięki!",
        "Mam pytanie: {}",
        "Chciałbym wiedzieć: {}",
    ],
}
REWRITES = [
    (question, frame.format(question, small=question[:1].lower() + question[1:]))
    for language, questions in QUESTIONS.items()
    for question in questions
    for frame in POLITE[language]
]


@pytest.mark.parametrize(("question", "rewritten"), REWRITES)
def test_politeness_in_six_languages_changes_nothing(question: str, rewritten: str) -> None:
    assert canonical(rewritten) == canonical(question)


@pytest.mark.parametrize("question", [question for questions in QUESTIONS.values() for question in questions])
def test_case_blanks_and_the_mark_at_the_end_change_nothing(question: str) -> None:
    plain = canonical(question)
    for rewritten in (
        question.upper(),
        question.lower(),
        f"  {question.replace(' ', '   ')}\n",
        question.rstrip("?. "),
        question + "??",
    ):
        assert canonical(rewritten) == plain, rewritten


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What's the capital of Peru?", "What is the capital of Peru?"),
        ("what’s the capital of Peru", "whats the capital of Peru"),
        ("List animals that can't fly.", "List animals that cannot fly."),
        ("Why don't cats swim?", "why do not cats swim"),
        ("Wie geht's dem König?", "Wie geht es dem König?"),
        ("WAS IST DIE GRÖSSTE STRASSE?", "Was ist die größte Straße?"),
        ("Cos'è la luna?", "Cosa è la luna?"),
        ("Dov'è Roma?", "Dove è Roma?"),
        ("Qual'è il fiume più lungo?", "Qual è il fiume più lungo?"),
        ("Que dit-on quand t'as perdu ?", "Que dit-on quand tu as perdu ?"),
        ("Translate “good morning” into French.", 'translate "good morning" into french'),
        ("Could you please write a poem about rain?", "Write a poem about rain."),
        ("Schreib bitte ein Gedicht über Regen.", "Schreib ein Gedicht über Regen!"),
        ("Kannst du bitte ein Gedicht schreiben?", "Kannst du ein Gedicht schreiben?"),
        ("Napisz proszę wiersz o deszczu.", "Napisz wiersz o deszczu"),
        ("Do you know who won in 1966?", "Who won in 1966?"),
        ("Please, review this:\n```py\nX = 1\n```", "review this:\n```py\nX = 1\n```"),
        ("What is 17 * 23 please?", "what is 17*23"),
        ("WHO IS Person1Q?", "who is Person1Q"),
    ],
)
def test_one_question_in_other_clothes(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 5!", "What is 5?"),
        ("How many watts are 5 mW?", "How many watts are 5 MW?"),
        ("Is 8 Mb enough?", "Is 8 MB enough?"),
        ("If X = 3 and x = 4, what is X?", "If X = 3 and x = 4, what is x?"),
        ("What does print(X) show?", "What does print(x) show?"),
        ('How many capitals are in "HeLLo"?', 'How many capitals are in "hello"?'),
        ("How many uppercase letters has Peru?", "How many uppercase letters has PERU?"),
        ("What is IT?", "What is it?"),
        ("Trinkt man Bier in Maßen?", "Trinkt man Bier in Massen?"),
        ("How do you say please?", "How do you say thanks?"),
        ("Translate these words: hello, goodbye, please", "Translate these words: hello, goodbye, thanks"),
        ('What does "please" mean?', 'What does "thanks" mean?'),
        ("Was bedeutet bitte?", "Was bedeutet danke?"),
        ("Can you fly?", "Fly."),
        ("Who is Hello Kitty?", "Who is Kitty?"),
        ("Hello Kitty is from where?", "Kitty is from where?"),
        ("What does `ls -A` do?", "What does `ls -a` do?"),
        ("Fix:\n    if x:\n        y()", "Fix:\n    if x:\n    y()"),
        ("Fix: int x = 5;", "Fix: int x = 5"),
        ("Let's eat, grandma", "Let's eat grandma"),
        ("Whose is its color", "Whose is it's color"),
        ("What is C?", "What is C++?"),
        ("What is x²?", "What is x2?"),
        ("¿Cuántos años hay?", "¿Cuántos anos hay?"),
        ("Who is Person1Q?", "Who is Person2Q?"),
        ("Translate: thanks", "Translate: please"),
        ("Thanks", "Please"),
        ("1, 2, 3, ...", "1, 2, 3"),
    ],
)
def test_what_carries_meaning_stays(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


# -- properties ------------------------------------------------------------------------------------------------------

WORD = st.text(string.ascii_lowercase, min_size=3, max_size=8)
TEXT = st.lists(st.one_of(WORD, st.integers(0, 9999).map(str), st.sampled_from("+-*/<>=")), min_size=3, max_size=12)


def key(text: str) -> str:
    found = question_of(Task(text, kind="knowledge"), "knowledge")
    return found.key or canonical(text)


def told(parts: list[str]) -> str:
    return " ".join(parts)


@given(TEXT, st.data())
def test_another_digit_is_another_question(parts: list[str], data: st.DataObject) -> None:
    text = told([*parts, str(data.draw(st.integers(0, 99999)))])
    place = data.draw(st.sampled_from([index for index, char in enumerate(text) if char.isdigit()]))
    digit = data.draw(st.sampled_from([digit for digit in string.digits if digit != text[place]]))
    assert key(text[:place] + digit + text[place + 1 :]) != key(text)


@given(st.integers(1000, 2100), st.integers(1000, 2100), TEXT)
def test_another_year_is_another_question(year: int, other: int, parts: list[str]) -> None:
    assume(year != other)
    assert key(told([*parts, "in", str(year)]) + "?") != key(told([*parts, "in", str(other)]) + "?")


@given(
    st.integers(0, 999),
    st.integers(0, 999),
    st.lists(st.sampled_from(["+", "-", "*", "/", "<", ">", "=", "%", "^"]), min_size=2, max_size=2, unique=True),
)
def test_another_operator_is_another_question(left: int, right: int, operators: list[str]) -> None:
    one, other = (f"What is {left} {operator} {right}?" for operator in operators)
    assert key(one) != key(other)


@given(TEXT, WORD, st.data())
def test_another_name_is_another_question(parts: list[str], name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(parts) - 1))
    assume(name != parts[place] and not {name, *parts} & ORDINARY)
    assert key(told([*parts[:place], name, *parts[place + 1 :]])) != key(told(parts))


@given(TEXT, st.data())
def test_another_order_is_another_question(parts: list[str], data: st.DataObject) -> None:
    one, other = sorted(data.draw(st.sets(st.integers(0, len(parts) - 1), min_size=2, max_size=2)))
    swapped = list(parts)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    assume(swapped != parts and not set(parts) & ORDINARY)
    assert key(told(swapped)) != key(told(parts))


NEGATIONS = sorted(vocabulary().negations)


@given(TEXT, st.sampled_from(NEGATIONS), st.data())
def test_a_negation_is_another_question(parts: list[str], negation: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(parts)))
    assert key(told([*parts[:place], negation, *parts[place:]])) != key(told(parts))


UNITS = [
    "kg",
    "g",
    "mg",
    "km",
    "m",
    "cm",
    "miles",
    "litres",
    "gallons",
    "euros",
    "dollars",
    "percent",
    "mW",
    "MW",
    "Mb",
    "MB",
    "°C",
    "°F",
    "hours",
    "days",
]


@given(st.integers(1, 500), st.sampled_from(list(itertools.permutations(UNITS, 2))), st.sampled_from(["", " "]))
def test_another_unit_is_another_question(count: int, units: tuple[str, str], blank: str) -> None:
    one, other = (f"How much are {count}{blank}{unit} in the base unit?" for unit in units)
    assert key(one) != key(other)


def words_of(trie: Trie) -> set[str]:
    return set(trie.next).union(*map(words_of, trie.next.values()))


#: Every word that a phrase of the vocabulary is made of: only these can ever go, or be taken for another.
ORDINARY = (
    {word for phrase in vocabulary().closings for word in phrase}
    | words_of(vocabulary().openings)
    | vocabulary().contractions.keys()
)


@given(st.text(max_size=80))
def test_nothing_goes_but_words_of_the_vocabulary(text: str) -> None:
    """A word that no phrase has stands in the canonical text as it stood in the task, whatever is around it."""
    plain = canonical(f"{text} xylophon17 {text}")
    assert "xylophon17" in plain


@given(
    st.lists(
        st.sampled_from([*sorted(ORDINARY), "17", "rome", "?", "!", ",", "\n", '"', "`", "US", "x", "X"]), max_size=14
    )
)
def test_the_canonical_text_is_never_empty_and_stays_as_it_is_made(words: list[str]) -> None:
    text = " ".join(words)
    plain = canonical(text)
    assert bool(plain) == bool(text.strip())
    assert plain.strip() == plain


@given(TEXT)
def test_case_and_blanks_never_count_in_prose(parts: list[str]) -> None:
    text = told(parts)
    for rewritten in (text.upper(), text.title() if not any(part in "=<>" for part in parts) else text, f" {text}  "):
        assume(not _single_letters(text))
        assert canonical(rewritten) == canonical(text)


def _single_letters(text: str) -> bool:
    return any(len(part.strip(EDGES)) == 1 and part.isalpha() for part in text.split())


# -- the key -----------------------------------------------------------------------------------------------------------


def test_what_else_shapes_an_answer_is_in_the_key() -> None:
    tasks = [
        Task("rivers?"),
        Task("rivers?", kind="knowledge"),
        Task("rivers?", kind="chat"),
        Task("rivers?", schema={"type": "array"}),
        Task("rivers?", schema={"type": "object"}),
        Task("rivers?", max_tokens=10),
        Task("rivers?", max_tokens=10, may_be_cut=True),
        Task("rivers?", temperature=0.0),
        Task("rivers?", temperature=0.5),
        Task("rivers?", messages=(Message("system", "Be brief."),)),
        Task("rivers?", messages=(Message("user", "Be brief."), Message("assistant", "Yes."))),
        Task("rivers?", messages=(Message("user", "be brief."), Message("assistant", "Yes."))),
    ]
    keys = [question_of(task, "knowledge").key for task in tasks]
    assert all(keys) and len(set(keys)) == len(keys)
    assert question_of(tasks[0], "knowledge", practice=True).key not in keys
    assert question_of(Task("Rivers? Thanks!"), "chat").key == keys[0]
    as_messages = Task(messages=(Message("user", "rivers?"),))
    assert question_of(as_messages, "knowledge").key == keys[0]


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (Task("rivers?", tools=(Tool("map"),)), "tools"),
        (Task("rivers?", images=(Image("image/png", b"x"),)), "pictures"),
        (Task("rivers?", temperature=0.51), "temperature"),
        (Task("what is it?", messages=(Message("user", "look", images=(Image("image/png", b"x"),)),)), "pictures"),
        (Task(messages=(Message("tool", "42", tool_call_id="1"),)), "tools"),
        (Task(messages=(Message("assistant", "42"),)), "nobody asks"),
        (Task("x" * 20_001), "longer"),
        (Task("?"), ""),
    ],
)
def test_tasks_that_the_memory_is_not_for(task: Task, why: str) -> None:
    assert why in question_of(task, "knowledge").why_not
    assert bool(question_of(task, "knowledge").key) == (not why)
    assert question_of(Task("rivers?"), "status").why_not
    assert question_of(Task("rivers?"), "multimodal").why_not


BOUND = """
What time is it?
What is the weather in Rome?
Who is online right now?
What is today's date?
How many days are left until 27 June?
Who is the current president of France?
What happened last week?
Where am I?
What can I see from here?
Describe this room.
Who is near me?
What is my name?
What do I have in my inventory?
Who am I?
What did I just say?
Tell me another joke.
Summarise our conversation.
What did you say?
What is the time?
Continue.
Wie spät ist es?
Wie ist das Wetter heute?
Wo bin ich?
Was ist mein Name?
Was ist hier los?
Wie heiße ich?
Quelle heure est-il ?
Quel temps fait-il aujourd'hui ?
Où suis-je ?
Quel est mon nom ?
Comment je m'appelle ?
Qui est ici ?
¿Qué hora es?
¿Qué pasó ayer?
¿Dónde estoy?
¿Cuál es mi nombre?
¿Quién está aquí?
¿Cómo me llamo?
Che ore sono?
Che tempo fa oggi?
Dove sono io?
Come mi chiamo?
Qual è il mio nome?
Która jest godzina?
Jaka jest dzisiaj pogoda?
Gdzie jestem?
Jak się nazywam, powiedz moje imię?
Co jest tutaj?
Kim jestem?
""".strip().split("\n")
FREE = """
What is the capital of France?
How can I increase my blood pressure?
How do I install a package on MySQL?
Give me reasons to accept the peace treaty.
If a sword costs 41 gold and I own 52 gold, how much is left?
What is the time complexity of quicksort?
Explain gravity to me.
A quest gives 90 XP and I need 65 XP in total. How many quests do I still have to finish?
Is the shop open on Tuesday?
Wie kann ich meinen Blutdruck senken?
Ist 4 eine gerade Zahl?
Wer war der erste Kaiser von Rom?
Qui a gagné la Coupe du monde en 1998 ?
Comment puis-je augmenter ma tension ?
Est-ce que tu connais Newton ?
¿Cómo puedo bajar mi presión?
¿Quién ganó en 2010?
Come posso migliorare la mia memoria?
Mi puoi dire chi ha vinto nel 2006?
Ile nóg ma pająk?
Jak mogę poprawić moją pamięć?
Podaj mi trzy rzeki w Azji.
""".strip().split("\n")


@pytest.mark.parametrize("text", BOUND)
def test_now_here_and_me_are_never_remembered(text: str) -> None:
    assert why_bound(canonical(text))


@pytest.mark.parametrize("text", FREE)
def test_what_is_the_same_for_everyone_may_be(text: str) -> None:
    assert why_bound(canonical(text)) == ""


# -- the guard ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("how tall are the towers of rome", "how tall are towers of rome", ""),
        ("what is 17*23", "what is 17*24", "numbers"),
        ("write a story with dragons", "write a story without dragons", "negation"),
        ("is it safe to eat raw eggs", "is it not safe to eat raw eggs", "negation"),
        ("the largest country in africa", "the smallest country in africa", "words"),
        ("the capital of austria", "the capital of australia", "words"),
        ("46 kilograms of gold", "46 grams of gold", "words"),
        ("from rome to milan", "from milan to rome", "order"),
        ("is 5 > 3", "is 5 < 3", "words"),
        ("how many are how many", "how many are many", "often"),
    ],
)
def test_the_guard_says_in_what_two_questions_differ(one: str, other: str, why: str) -> None:
    said = disagreement(one, other)
    assert why in said and bool(said) == bool(why)


@given(TEXT, TEXT)
def test_a_similar_match_differs_in_fillers_and_commas_alone(one: list[str], other: list[str]) -> None:
    index = SimilarIndex()
    index.add("k", "knowledge", "", told(one))
    found = index.find("knowledge", "", told(other), above=-1.0)
    fillers = vocabulary().fillers
    same = [part for part in one if part not in fillers] == [part for part in other if part not in fillers]
    assert bool(found) == same


def test_a_similar_question_is_found_above_the_threshold_alone() -> None:
    index = SimilarIndex()
    long = (
        "list the rivers of africa that flow into the atlantic ocean with their lengths in kilometres and the countries"
    )
    index.add("k", "knowledge", "", long)
    without = long.replace("of africa that", "of africa, that")
    assert [key for key, _ in index.find("knowledge", "", without, above=0.97)] == ["k"]
    assert index.find("knowledge", "", without, above=0.9999) == []
    assert index.find("chat", "", without, above=0.97) == []
    assert index.find("knowledge", "other", without, above=0.97) == []
    index.discard("k")
    assert index.find("knowledge", "", without, above=0.97) == [] and len(index) == 0


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_cosine_is_one_for_the_same_and_within_its_bounds(one: str, other: str) -> None:
    ours, theirs = trigrams(one), trigrams(other)
    assert 0.0 <= cosine(ours, theirs) <= 1.0 + 1e-9
    assert cosine(ours, theirs) == pytest.approx(cosine(theirs, ours))
    assert not ours or cosine(ours, ours) == pytest.approx(1.0)
