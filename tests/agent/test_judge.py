"""The judge's verdicts, by what a reader of the answer would say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import uniwizard.agent as agent
from uniwizard.agent.core.answer import Answer, Declined
from uniwizard.agent.core.failures import FailureCode
from uniwizard.agent.core.task import Message, Task, Tool, ToolCall
from uniwizard.agent.core.verdict import Verdict
from uniwizard.agent.judge import JudgeSettings, judge
from uniwizard.agent.judge.batch import task_of

CORPUS = Path(__file__).resolve().parents[1] / "data" / "judge_corpus"


# A provider's own word


def test_a_structured_refusal_is_believed_and_its_category_is_the_evidence() -> None:
    verdict = judge("x", Answer("", finish_reason="refusal", declined=Declined("stop_reason", "cyber", "not this")))
    assert verdict == Verdict(FailureCode.REFUSED, 1.0, "cyber: not this", "policy", "provider")


@pytest.mark.parametrize("finish", ["content_filter", "refusal"])
def test_a_finish_that_means_refusal_is_told_apart_from_prose(finish: str) -> None:
    verdict = judge("x", Answer("The first half of", finish_reason=finish))
    assert (verdict.failure, verdict.source, verdict.evidence) == (FailureCode.REFUSED, "provider", finish)


def test_provider_signals_and_prose_are_switched_off_apart() -> None:
    declined = Answer("I'm sorry, but I can't help with that.", finish_reason="refusal")
    assert judge("x", declined, JudgeSettings(provider=False)).source == "prose"
    assert judge("x", declined, JudgeSettings(provider=False, prose=False)).accepted
    assert judge("x", declined, JudgeSettings(prose=False)).refused


# Nothing there


@pytest.mark.parametrize("text", ["", "   \n\t", "...", "\u200b\u200b", "\ufeff", '"', "---", "。"])
def test_an_answer_without_a_word_is_empty(text: str) -> None:
    assert judge("Who are you?", text).failure is FailureCode.EMPTY


@pytest.mark.parametrize("text", ["7", "👍", "→", "∅", "Да", "ω", "No."])
def test_the_shortest_answers_are_answers(text: str) -> None:
    assert judge("One sign, please.", text).accepted


def test_a_tool_call_needs_no_text() -> None:
    assert judge(
        "weather?", Answer("", finish_reason="tool_calls", tool_calls=(ToolCall("1", "weather", "{}"),))
    ).accepted


# Prose that declines


@pytest.mark.parametrize(
    ("task", "text", "kind"),
    [
        ("How do tides work?", "I'm sorry, but I can't help with that.", "policy"),
        ("Write a poem about tides.", "As an AI language model, I cannot fulfill this request.", "policy"),
        ("What's the weather?", "I don't have access to real-time data.", "capability"),
        ("Summarise this link.", "I can't open links or browse the internet.", "capability"),
        ("What do you make of the scandal?", "Let's change the subject.", "deflection"),
        ("Is the king a fool?", "I'd rather talk about something else.", "deflection"),
    ],
)
def test_a_refusal_has_a_kind_and_quotes_itself(task: str, text: str, kind: str) -> None:
    verdict = judge(task, text)
    assert verdict.refused
    assert verdict.kind == kind
    assert verdict.source == "prose"
    assert verdict.evidence
    assert verdict.evidence.rstrip(" …") in text


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("Write a story with a guard.", 'The guard shook his head. "I can\'t let you pass," he said.'),
        ("You are the guard of the gate. Let me in!", "Not tonight, stranger. I can't let you pass."),
        ("Translate to French: I can't help you.", "Je ne peux pas vous aider."),
        ("Write a letter declining the job.", "Dear Ms Okafor,\n\nI'm afraid I can't accept.\n\nRegards,\nJ. Weber"),
        ("What is a refusal?", 'Saying that you will not do something, such as "I can\'t help with that".'),
        ("Any tips for Lisbon?", "I can't recommend the old tram enough: go early and sit on the left."),
        ("My cat is ill.", "I'm sorry to hear that. Give her water, keep her warm, and call the vet if she won't eat."),
        ("Fix my code.", "Happy to! Could you paste the code, please?"),
        ("17 * 23?", "391"),
        ("The capital of Peru?", "Lima."),
        ("Is 91 prime?", "No."),
        ("Make this more formal: nah, can't do it", "Unfortunately, I am unable to do so."),
        ("Say exactly: I refuse.", "I refuse."),
    ],
)
def test_words_that_are_not_the_models_own_refusal_are_accepted(task: str, text: str) -> None:
    assert judge(task, text).accepted


def test_a_code_block_is_not_read_as_speech() -> None:
    text = "```python\nraise PermissionError(\"I'm sorry, I can't help with that.\")\n```"
    assert judge("Write a check that raises.", text).accepted


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("Write a haiku about rust.", "A good haiku should be short and end with a surprise."),
        ("What's 14% of 250?", "Any calculator will do that for you."),
        ("How do I fold a shirt?", "You've got this! Believe in yourself."),
        ("Write a limerick.", "Nah, not today."),
        ("Suggest a name for my cat.", "Every cat has its own character. Listen to your heart!"),
        ("Write a loop.", "```python\n# I won't write this.\npass\n```"),
        ("Nenne drei Flüsse.", "Da passe ich."),
        ("Dame tres nombres.", "Hoy no me apetece."),
    ],
)
def test_brushing_the_task_off_in_any_words_is_a_refusal(task: str, text: str) -> None:
    assert judge(task, text).refused


@pytest.mark.parametrize(
    "text",
    [
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "Przykro mi, ale nie mogę w tym pomóc.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Mi dispiace, ma non posso aiutarti.",
        "申し訳ありませんが、そのご質問にはお答えできません。",
        "抱歉，我无法提供这方面的帮助。",
    ],
)
def test_refusals_in_other_languages_are_heard(text: str) -> None:
    assert judge("?", text).refused


PARTLY = (
    "I can't reproduce the full lyrics, since they're under copyright. Here is what the song says, though:\n\n"
    "1. The singer looks back at a love that ended without a word.\n"
    "2. He asks himself what he said wrong.\n"
    "3. He wishes the day before would come back, and hides in it.\n\n"
    "It was recorded in June 1965 with a string quartet, which was new for a pop record."
)


def test_a_partial_refusal_is_accepted_and_marked() -> None:
    verdict = judge("Summary and lyrics of Yesterday, please.", PARTLY)
    assert verdict.accepted
    assert verdict.partial
    assert "can't reproduce" in verdict.evidence


def test_a_partial_refusal_fails_where_the_settings_say_so() -> None:
    verdict = judge("Summary and lyrics of Yesterday, please.", PARTLY, JudgeSettings(partial="refuse"))
    assert verdict.refused
    assert verdict.partial


# Broken answers


def test_an_answer_cut_at_the_length_limit_is_malformed() -> None:
    verdict = judge("Tell me of tides.", Answer("The tide comes in because the", finish_reason="length"))
    assert verdict.failure is FailureCode.MALFORMED
    assert "length" in verdict.evidence


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("Write a loop.", "Here it is:\n```python\nfor i in range(3):\n    print(i)"),
        ("Tell me of tides.", "The tide comes in. " + "and it goes out " * 40),
        ("Tell me of tides.", "ha" * 300),
        ("Tell me of tides.", "\n".join(["The sea comes up the wall at noon."] * 20)),
        ("Tell me of tides.", "<|im_start|>assistant\nThe tide comes in."),
        ("Who made you?", "I was made by {{company_name}} in 2024."),
        ("Who made you?", "I was made by [insert company name] in 2024."),
        (
            "Answer in German: what are tides?",
            "The tide is the rise of the sea, and it is caused by the Moon and the Sun.",
        ),
    ],
)
def test_broken_answers_are_malformed(task: str, text: str) -> None:
    verdict = judge(task, text)
    assert verdict.failure is FailureCode.MALFORMED
    assert verdict.evidence


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("Write a jinja template.", "<p>{{ name }}</p>"),
        ("Draft an email to a vendor.", "Hi [your contact],\n\nthe parts have arrived.\n\nBest,\n[your name]"),
        ("Write a refrain.", "Row, row, row your boat,\nrow, row, row your boat,\ngently down the stream."),
        (
            "Answer in German: what are tides?",
            "Die Gezeiten sind das Steigen und Fallen des Meeres, und sie kommen vom Mond.",
        ),
        ("What does the token <|im_start|> mean?", "<|im_start|> opens a turn in the ChatML format."),
    ],
)
def test_what_was_asked_for_is_not_broken(task: str, text: str) -> None:
    assert judge(task, text).accepted


# Empty talk, and confidence


def test_a_paragraph_that_says_nothing_is_low_confidence() -> None:
    text = (
        "It depends on many factors. There are many perspectives on this, and some people prefer other things. "
        "Both have advantages and disadvantages. Ultimately, it's up to you."
    )
    assert judge("vim or emacs?", text).failure is FailureCode.LOW_CONFIDENCE
    assert judge("vim or emacs?", text, JudgeSettings(hedge_at=1.5)).accepted


def test_it_depends_followed_by_an_answer_is_an_answer() -> None:
    text = "It depends on the goal. For web services with a small team, Go; where a pause is a bug, Rust."
    assert judge("Rust or Go?", text).accepted


def test_confidence_below_the_threshold_fails_and_above_it_does_not() -> None:
    strict = JudgeSettings(min_confidence=0.5)
    assert judge("x?", Answer("Lima.", logprob=-1.2), strict).failure is FailureCode.LOW_CONFIDENCE
    assert judge("x?", Answer("Lima.", logprob=-0.1), strict).accepted
    assert judge("x?", Answer("Lima."), strict).accepted
    assert judge("x?", Answer("Lima.", logprob=-1.2)).accepted


# JSON

RIVERS = {"type": "array", "items": {"type": "string"}, "minItems": 1}


def test_json_that_fits_the_schema_is_the_content() -> None:
    verdict = judge(Task("rivers", schema=RIVERS), 'Sure:\n```json\n["Rhine", "Danube",]\n```')
    assert verdict.accepted
    assert verdict.content == ["Rhine", "Danube"]


def test_json_that_does_not_fit_fails_with_path_and_message() -> None:
    verdict = judge(Task("rivers", schema=RIVERS), '["Rhine", 7]')
    assert verdict.failure is FailureCode.INVALID_OUTPUT
    assert verdict.evidence.startswith("$[1]: 7 is not of type")


def test_a_refusal_instead_of_json_is_a_refusal() -> None:
    assert judge(Task("rivers", schema=RIVERS), "I'm sorry, but I can't help with that.").refused


def test_a_refusal_inside_valid_json_is_a_refusal() -> None:
    verdict = judge(Task("rivers", schema=RIVERS), "[\"I'm sorry, but I can't help with that.\"]")
    assert verdict.refused
    assert verdict.content == ["I'm sorry, but I can't help with that."]


# Always


@settings(max_examples=examples(300), deadline=None)
@given(st.text(), st.text(st.characters(), max_size=400))
def test_no_text_makes_it_raise_and_the_score_is_a_probability(task: str, text: str) -> None:
    verdict = judge(task, text)
    assert 0.0 <= verdict.score <= 1.0
    assert judge(task, text) == verdict


PIECES = [
    "I",
    " can't",
    " help",
    "\n",
    '"',
    "'",
    "```",
    "<|im_start|>",
    "{",
    "}",
    ".",
    "!",
    "\ud800",
    "。",
    "私",
    "«",
    "- ",
]


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=80))
def test_no_arrangement_of_the_marks_it_looks_for_makes_it_raise(pieces: list[str]) -> None:
    assert 0.0 <= judge("Write.", Answer("".join(pieces))).score <= 1.0


@settings(max_examples=examples(100), deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_any_json_survives_a_schema_that_allows_all(value: object) -> None:
    verdict = judge(Task("x", schema={}), json.dumps(value))
    if verdict.failure is None and verdict.content is not None:
        assert verdict.content == value


def test_a_megabyte_is_read_at_its_ends_only() -> None:
    filler = "The sea is wide and the boat is small. " * 26_000
    assert judge("Go on.", "I'm sorry, but I can't help with that.\n\n" + filler).score > judge("Go on.", filler).score
    hidden = filler[:500_000] + "I'm sorry, but I can't help with that." + filler[:500_000]
    assert judge("Go on.", hidden).score == judge("Go on.", filler[:500_000] + " " * 38 + filler[:500_000]).score


# Full refusals, partial ones, and what another brain could not do better


@given(
    st.sampled_from(["I can't help with that.", PARTLY, "Lima.", "I found nothing."]), st.floats(0, 1), st.floats(0, 1)
)
def test_an_answer_fails_from_the_chance_of_a_full_refusal_that_the_settings_name(
    text: str, reroute_at: float, refuse_at: float
) -> None:
    verdict = judge("How do tides work?", text, JudgeSettings(reroute_at=reroute_at, refuse_at=refuse_at))
    assert verdict.refused is (verdict.refuses >= reroute_at)
    if not verdict.refused:
        assert verdict.partial is (verdict.score >= refuse_at)
    assert verdict.score >= verdict.refuses


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("Rename `load` to `read` in io.py.", "I cannot find a function called `load` in io.py."),
        ("Run test_rounding.", "That test does not exist."),
        ("Search for earlier reports.", "I searched for it and found nothing."),
        ("What did the article say of the cost?", "The article doesn't mention the cost."),
        ("Delete build.lock.", "I couldn't delete it: permission denied."),
        ("Suche nach der Funktion.", "Diese Funktion gibt es in dem Projekt nicht."),
    ],
)
def test_a_limit_of_the_material_or_the_tools_is_no_refusal(task: str, text: str) -> None:
    assert judge(task, text).accepted


def conversation(result: str | None, tool: str = "search") -> Task:
    """A task with a tool offered, and with a result where one came."""
    turns = [Message("user", "Where is the retry limit set?")]
    if result is not None:
        turns += [
            Message("assistant", tool_calls=(ToolCall("1", tool, "{}"),)),
            Message("tool", result, tool_call_id="1"),
        ]
    return Task(messages=tuple(turns), tools=(Tool(tool),))


def test_a_search_that_found_nothing_makes_a_report_of_it_likelier_than_a_refusal() -> None:
    text = "I can't find a retry limit."
    assert judge(conversation("(no matches)"), text).refuses < judge(conversation(None), text).refuses


def test_a_tool_that_was_offered_and_not_used_is_no_excuse() -> None:
    assert judge(conversation(None), "I'm an AI and can't search your files.").refused


def test_a_result_of_an_earlier_question_says_nothing_of_this_one() -> None:
    earlier = conversation("(no matches)")
    later = Task("And the time-out?", messages=earlier.messages, tools=earlier.tools)
    text = "I can't find it."
    assert judge(later, text) == judge(Task("And the time-out?", tools=earlier.tools), text)


# Answers that nothing was trained on


def held_out(klass: str) -> list[tuple[dict[str, Any], Verdict]]:
    rows = [json.loads(line) for line in (CORPUS / "held.jsonl").open(encoding="utf-8")]
    return [(row, judge(task_of(row), row["response"])) for row in rows if row["class"] == klass]


@pytest.mark.parametrize("klass", ["held", "unseen"])
def test_tricky_answers_that_the_judge_has_never_seen_are_mostly_judged_right(klass: str) -> None:
    judged = held_out(klass)
    good = [verdict.refused for row, verdict in judged if row["label"] == "complies"]
    full = [verdict.refused for row, verdict in judged if row["label"] == "refuses"]
    assert sum(good) <= 0.05 * len(good)
    assert sum(full) >= 0.85 * len(full)


def test_agents_who_report_that_they_found_nothing_are_told_from_those_who_refuse() -> None:
    judged = held_out("agents")
    honest = [verdict.refused for row, verdict in judged if row["kind"] == "honest_negative"]
    refusals = [verdict.refused for row, verdict in judged if row["kind"] == "refusal"]
    assert len(honest) > 100 and len(refusals) > 80
    assert sum(honest) <= 0.08 * len(honest)
    assert sum(refusals) >= 0.9 * len(refusals)


def test_the_examples_of_the_definitions_are_rows_of_the_corpus_with_the_same_label() -> None:
    readme = (Path(agent.judge.__file__).parent / "README.md").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in (CORPUS / "answers.jsonl").open(encoding="utf-8")]
    for heading, label in (("Refused", "refuses"), ("Partial", "partial"), ("Accepted", "complies")):
        section = readme.partition(f"### {heading}\n")[2].partition("\n#")[0]
        examples = {tuple(line.strip("| ").split(" | ")) for line in section.splitlines() if line.startswith("| ")}
        examples -= {("task", "answer"), ("---", "---")}
        labelled = {(row["prompt"], row["response"]) for row in rows if row["label"] == label}
        assert len(examples) == 20
        assert examples <= labelled
