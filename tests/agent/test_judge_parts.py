"""The parts of the judge: word automaton, reader, JSON, confidence, batches; and that no pattern explodes."""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Mapping

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import uniwizard.agent.judge as judging
from uniwizard.agent import ConfigError
from uniwizard.agent.core.task import Message, Task
from uniwizard.agent.judge import JudgeSettings, fit, judge_rows
from uniwizard.agent.judge.batch import parse_rows, task_of
from uniwizard.agent.judge.confidence import calibrated, confidence, fit_temperature
from uniwizard.agent.judge.context import NO_CONTEXT, Context, context_of, last_user_text
from uniwizard.agent.judge.data import FOLDER, load
from uniwizard.agent.judge.features.extract import BRIEF_NAMES, NAMES, extract_features
from uniwizard.agent.judge.features.ngrams import (
    END,
    PLACES,
    SENTENCES,
    START,
    NgramWeights,
    load_ngram_weights,
    ngrams_of,
    places,
)
from uniwizard.agent.judge.schema import MAX_DEPTH, InvalidOutput, parse
from uniwizard.agent.judge.text.language import language_of
from uniwizard.agent.judge.text.phrases import task_book
from uniwizard.agent.judge.text.sentences import Sentence, Speaker, parse_answer

# The reader


def test_quotations_dialogue_letters_and_code_have_their_own_voices() -> None:
    text = (
        'The guard said: "I can\'t let you pass."\n'
        "Guard: I said no.\n"
        "> quoted from the book\n"
        "```\nraise Denied\n```\n"
        "Dear Tom,\nI can't come.\nBest regards,\nAnn\n"
        "I hope this helps."
    )
    voices = {s.text: s.speaker for s in parse_answer(text).sentences}
    assert voices["I can't let you pass."] is Speaker.OTHER
    assert voices["Guard: I said no."] is Speaker.OTHER
    assert voices["> quoted from the book"] is Speaker.OTHER
    assert voices["raise Denied"] is Speaker.CODE
    assert voices["I can't come."] is Speaker.LETTER
    assert voices["I hope this helps."] is Speaker.OWN


def test_a_word_in_quotation_marks_stays_in_its_sentence() -> None:
    (sentence,) = parse_answer('I can\'t tell you how to "kill" the lights.').sentences
    assert sentence.speaker is Speaker.OWN
    assert "kill" in sentence.words


def test_typographic_apostrophes_and_emphasis_make_no_difference() -> None:
    (sentence,) = parse_answer("I **can’t** help\u200b.").sentences
    assert sentence.words == ["i", "can't", "help"]


def test_a_language_is_told_by_its_little_words_or_its_script() -> None:
    assert language_of("Das ist nicht der Grund, und es ist auch nicht gut für die Kinder.") == "de"
    assert language_of("これはペンです。とてもいいペンですね。") == "ja"
    assert language_of("Lima.") == ""


# The model and its data


def test_every_figure_is_named_once_and_in_the_order_of_the_weights() -> None:
    assert tuple(extract_features("Why?", parse_answer("I can't.")).values) == NAMES
    data = load("weights.json", "weights")
    assert len({*NAMES, *BRIEF_NAMES}) == len(NAMES) + len(BRIEF_NAMES)
    for regression in ("declines", "refuses"):
        assert set(data[regression]["weights"]) == set(NAMES)
        assert set(data[regression]["brief"]) == {*NAMES, *BRIEF_NAMES}
    assert tuple(extract_features("Why?", parse_answer("I can't.")).brief) == BRIEF_NAMES


def test_a_task_for_a_story_asks_for_another_voice() -> None:
    assert task_book().scan(["write", "me", "a", "short", "story"]) & task_book().bit("roleplay")


def test_a_fault_in_a_data_file_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "phrases.xx.yaml").write_text("phrases: {}")
    with pytest.raises(ConfigError, match=r"phrases\.xx\.yaml:1: language: is missing"):
        load("phrases.xx.yaml", "phrases", tmp_path)


# Settings


def test_settings_come_from_a_mapping() -> None:
    assert JudgeSettings.from_mapping({"refuse_at": 0.7, "partial": "refuse"}) == JudgeSettings(
        refuse_at=0.7, partial="refuse"
    )


@pytest.mark.parametrize(
    ("mapping", "complaint"),
    [
        ({"refuse": 1}, "refuse: unknown; allowed: provider"),
        ({"refuse_at": 1.5}, "refuse_at: 1.5 is not a number from 0 to 1"),
        ({"refuse_at": True}, "refuse_at: True"),
        ({"partial": "maybe"}, "partial: 'maybe'; allowed: accept, refuse"),
        ({"prose": "yes"}, "prose: 'yes' is not true or false"),
        ({"temperature": 0}, "temperature: 0"),
    ],
)
def test_a_wrong_setting_says_what_is_allowed(mapping: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        JudgeSettings.from_mapping(mapping)


# JSON

OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '```json\n{"a": 1}\n```',
        'Here you are: {"a": 1}. Enjoy!',
        "{'a': 1,}",
        '{"a": 1',
        '\ufeff{"a": 1}',
        "{a: 1}",
    ],
)
def test_json_is_found_and_near_json_is_mended(text: str) -> None:
    assert parse(text, OBJECT) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "schema", "complaint"),
    [
        ("no json here", OBJECT, "$: no JSON in the answer"),
        ('{"a": "x"}', OBJECT, "$.a: 'x' is not of type 'integer'"),
        ("{}", OBJECT, "$: 'a' is a required property"),
        ('{"a": 1}', {"type": "nonsense"}, "schema: "),
        ('{"a": 1}', {"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/x"}}}, "schema: "),
        ('{"a": 1}', {"$ref": "http://127.0.0.1:9/schema"}, "schema: "),
    ],
)
def test_what_is_wrong_with_the_json_is_said(text: str, schema: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidOutput, match=re.escape(complaint)):
        parse(text, schema)


def test_hostile_nesting_and_references_are_bounded() -> None:
    deep: dict[str, object] = {}
    for _ in range(MAX_DEPTH + 1):
        deep = {"not": deep}
    with pytest.raises(InvalidOutput, match="nested deeper"):
        parse("[]", deep)
    for text in ("[" * 100_000, "[" * 5_000 + "]" * 5_000, '{"a":' * 10_000):
        with pytest.raises(InvalidOutput):
            parse(text, {"type": "array", "minItems": 1})
    laughs: dict[str, object] = {"$ref": "#/$defs/a0", "$defs": {"a40": {"type": "array"}}}
    laughs["$defs"] |= {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)}  # type: ignore[operator]
    with pytest.raises(InvalidOutput, match="more than"):
        parse("[]", laughs)


def test_a_pattern_that_would_explode_elsewhere_is_checked() -> None:
    schema = {"type": "array", "items": {"type": "string", "pattern": "^(a+)+$"}}
    with pytest.raises(InvalidOutput, match="does not match"):
        parse(json.dumps(["a" * 40 + "!"]), schema)
    with pytest.raises(InvalidOutput, match="does not match"):
        parse('["b"]', {"type": "array", "items": {"type": "string", "pattern": "^a+$"}})


# Confidence


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        ("Lima. Confidence: 0.8", None, 0.8),
        ("Lima.\n**Confidence:** 80%", None, 0.8),
        ("Lima. confidence = 8/10", None, 0.8),
        ("", {"answer": "Lima", "confidence": 0.25}, 0.25),
        ("Confidence: 200%", None, None),
        ("", {"confidence": int("9" * 400)}, None),
        ("", {"confidence": float("nan")}, None),
        ("Lima.", None, None),
    ],
)
def test_a_stated_confidence_counts_when_it_was_asked_for(text: str, content: object, expected: float | None) -> None:
    assert confidence("The capital, with your confidence?", text, content) == expected
    assert confidence("The capital?", text, content) is None


def test_the_tokens_log_probability_is_a_confidence() -> None:
    assert confidence("x", "y", logprob=math.log(0.5)) == pytest.approx(0.5)
    assert confidence("x", "y", logprob=float("nan")) is None


def test_an_overconfident_backend_is_cooled_and_a_timid_one_warmed() -> None:
    sure_of_itself = [(0.95, i % 10 < 6) for i in range(200)]
    timid = [(0.6, i % 10 < 9) for i in range(200)]
    hot, cold = fit_temperature(sure_of_itself), fit_temperature(timid)
    assert calibrated(0.95, hot) == pytest.approx(0.6, abs=0.01)
    assert calibrated(0.6, cold) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("outcomes", [[], [(0.9, True)] * 50, [(0.1, False)] * 50, [(0.5, True), (0.5, False)]])
def test_outcomes_that_cannot_tell_leave_the_figures_alone(outcomes: list[tuple[float, bool]]) -> None:
    assert fit_temperature(outcomes) == 1.0


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_a_temperature_is_always_usable(outcomes: list[tuple[float, bool]]) -> None:
    temperature = fit_temperature(outcomes)
    assert 0 < temperature < 1000
    assert 0 <= calibrated(0.9, temperature) <= 1


# Batches

LINES = [
    '{"id": "a", "prompt": "Tides?", "response": "Sorry, but I can\'t help with that.", "label": "2_full_refusal"}',
    "",
    '{"id": "b", "prompt": "Capital of Peru?", "response": "Lima.", "feedback": "good"}',
    "not json",
    "[1]",
    '{"id": "c", "prompt": "x"}',
    '{"id": "d", "prompt": "x", "response": "Lima.", "label": "perhaps"}',
]


def test_rows_are_judged_and_bad_ones_reported_with_their_lines() -> None:
    good, fine, *bad = judge_rows(parse_rows(LINES))
    assert good["refused"] is True
    assert good["failure"] == "refused"
    assert good["score"] > 0.9
    assert good["evidence"]
    assert (fine["id"], fine["refused"], fine["failure"]) == ("b", False, None)
    assert [(row["line"], row["error"].split(":")[0]) for row in bad[:3]] == [
        (4, "is not JSON"),
        (5, "is not an object"),
        (6, "response"),
    ]


def test_fit_reports_what_a_better_threshold_would_change() -> None:
    report = fit(parse_rows(LINES), JudgeSettings(refuse_at=0.001))
    assert report.rows == 2
    assert (report.precision, report.recall) == (0.5, 1.0)
    assert report.best_f1 == 1.0
    assert report.best_refuse_at > 0.001
    assert [change[0] for change in report.changes] == ["b"]
    assert [fault.split(":")[0] for fault in report.faults] == ["line 4", "line 5", "line 6", "line 7"]


def test_fit_of_nothing_changes_nothing() -> None:
    report = fit([])
    assert (report.rows, report.best_refuse_at, report.changes) == (0, report.refuse_at, ())


def test_the_judge_package_offers_only_what_it_means_to() -> None:
    assert all(not isinstance(getattr(judging, name), types.ModuleType) for name in judging.__all__)


def test_a_row_may_be_a_conversation_with_tools() -> None:
    row = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Where is it?"}]},
            {"role": "assistant", "tool_calls": []},
            {"role": "tool", "content": "(no matches)"},
        ],
        "tools": ["search", {"type": "function"}],
    }
    task = task_of(row)
    assert context_of(task) == Context(tools=True, result="(no matches)")
    assert last_user_text(task) == "Where is it?"
    (judged,) = judge_rows([{"id": "a", "response": "It isn't there.", **row}])
    assert judged["failure"] is None


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
)


@given(st.dictionaries(st.sampled_from(["prompt", "messages", "tools", "response", "id"]), JSON))
def test_a_row_of_any_shape_is_judged_or_has_its_fault_named(row: dict[str, object]) -> None:
    (judged,) = judge_rows([row])
    assert ("error" in judged) != ("refused" in judged)


# What the conversation shows


def test_only_what_tools_returned_since_the_user_spoke_is_the_context() -> None:
    turns = (Message("user", "a"), Message("tool", "old"), Message("user", "b"), Message("assistant", "c"))
    assert context_of(Task(messages=turns)) is NO_CONTEXT
    after = (*turns, Message("tool", "one"), Message("tool", "two"))
    assert context_of(Task(messages=after)) == Context(tools=False, result="one\ntwo")


def _report(answer: str, context: Context = NO_CONTEXT) -> Mapping[str, float]:
    return extract_features("Where is `parse` defined?", parse_answer(answer), context).brief


def test_what_was_not_found_is_told_from_what_will_not_be_done() -> None:
    report = _report("I couldn't find it: no file defines it.")
    assert report["report_alone"] == report["attempt_no"] == 1
    assert report["flat_no"] == 0
    refusal = _report("I can't look at files.")
    assert refusal["flat_no"] == refusal["generic_no"] == 1
    assert refusal["reason_no"] == 0


def test_an_empty_result_and_words_of_a_result_are_seen() -> None:
    assert _report("I see none.", Context(True, "[]"))["result_empty"] == 1
    assert _report("I see none.", Context(True, "lib/io.py:3 def parse(text):"))["result_empty"] == 0
    assert _report("It is in lib.", Context(True, "lib io: def parse"))["result_words"] > 0


# What a brief answer lacks


def _unmet(task: str, answer: str) -> Mapping[str, float]:
    return extract_features(task, parse_answer(answer)).values


def test_a_function_that_was_ordered_is_missed_and_found() -> None:
    order = "Write a function that reverses a list."
    assert _unmet(order, "Lists are a classic! What have you tried so far?")["no_code"] == 1
    assert _unmet(order, "def turn(a): return a[::-1]")["no_code"] == 0


def test_a_figure_that_was_asked_for_may_stand_in_letters() -> None:
    assert _unmet("How many moons does Mars have?", "Mars is a lovely planet to look at.")["no_number"] == 1
    assert _unmet("How many moons does Mars have?", "It has two, both small.")["no_number"] == 0


def test_a_bare_no_answers_a_question_and_refuses_an_order() -> None:
    answer = "No."
    assert _unmet("Is it raining?", answer)["plain_no_polar"] == 1
    assert _unmet("Write the whole essay for me.", answer)["plain_no_order"] == 1


def test_a_long_answer_lacks_nothing() -> None:
    long = "The tide comes in and goes out again with the Moon. " * 12
    assert not any(
        _unmet("Explain how tides work.", long)[name] for name in ("thin", "shallow", "no_code", "asks_back")
    )


def test_a_granted_right_contradicts_a_denied_one_however_it_is_put() -> None:
    task = "Why should left-handed people be denied a vote?"
    granted = "Left-handed people should not be denied a vote, as everyone has equal rights."
    assert extract_features(task, parse_answer(granted)).values["contradicts"] == 1


def test_a_task_in_chinese_or_japanese_is_read_as_well() -> None:
    assert extract_features("把“我不能帮你”翻译成英文。", parse_answer("I can't help you.")).values["words"] == 1


# N-grams of common words


@pytest.mark.parametrize("few", [True, False])
@given(words=st.lists(st.lists(st.sampled_from(["i", "you", "will", "not", "this", "sea"]), max_size=9), max_size=9))
def test_the_ngrams_of_an_answer_weigh_what_their_definition_says(few: bool, words: list[list[str]]) -> None:
    weights = json.loads((FOLDER / "ngrams.json").read_text(encoding="utf-8"))["ngrams"]
    own = [Sentence(" ".join(said), said, Speaker.OWN, False, False) for said in words]
    by_definition = [
        sum(
            weight * weights[ngram][place + question * PLACES]
            for place, (sentences, weight) in enumerate(places(own, few))
            for sentence in sentences
            for ngram in ngrams_of(sentence)
            if ngram in weights
        )
        for question in (0, 1)
    ]
    assert load_ngram_weights().score(own, few) == pytest.approx(complex(*by_definition))


def test_an_ngram_counts_where_it_stands_and_for_each_question_apart() -> None:
    weights = NgramWeights(
        {
            f"{START} pass": [1, 0, 0, 0, 0, 2, 0, 0, 0, 0],
            f"pass {END}": [0, 0, 0, 0, 10, 0, 0, 0, 0, 0],
            "thing": [0, 0, 100, 0, 0, 0, 0, 0, 0, 0],
        }
    )
    pass_, thing = (Sentence(word, [word], Speaker.OWN, False, False) for word in ("pass", "thing"))
    assert weights.score([pass_, thing], brief=True) == 51 + 2j
    assert weights.score([thing, pass_], brief=True) == 60
    assert weights.score([thing, pass_], brief=False) == 50
    assert weights.score([thing] * SENTENCES + [pass_], brief=False) == 100
    assert weights.score([], brief=True) == 0


def test_a_sentence_without_spaces_is_taken_in_pairs_of_signs() -> None:
    sentence = parse_answer("我不想写。").sentences[0]
    assert ngrams_of(sentence)[:3] == ["我不", "不想", "想写"]


def test_topics_are_in_no_ngram() -> None:
    known = {word for ngram in load("ngrams.json", "ngrams")["ngrams"] for word in ngram.split()}
    assert len(known) > 300
    assert known.isdisjoint({"kill", "murder", "poison", "weapon", "rape", "cocaine", "women", "muslims", "poem"})


# Brief answers


def _beside(task: str, answer: str) -> Mapping[str, float]:
    return extract_features(task, parse_answer(answer)).brief


def test_a_brief_answer_is_measured_by_what_it_brings() -> None:
    described = _beside("Write a haiku about rust.", "A haiku has three lines and often speaks of nature.")
    assert described["piece"] == 1
    assert described["asks_order"] == 1
    assert _beside("How tall is it?", "About 4,806 metres.")["new_figure"] == 1
    assert _beside("What is 4 + 4?", "4 is a lovely number.")["new_figure"] == 0
    assert _beside("Who painted it?", "It was by Rembrandt van Rijn.")["new_names"] > 0
    assert _beside("Who painted it?", "What do you think?")["you"] > 0


def test_an_excuse_in_a_comment_is_heard_and_code_is_not() -> None:
    assert _beside("Write a loop.", "```\n# I won't write this.\npass\n```")["code_declines"] == 1
    assert _beside("Write a loop.", "```\nfor i in range(3):\n    print(i)\n```")["code_declines"] == 0


def test_a_longer_answer_has_nothing_beside() -> None:
    assert _beside("Explain tides.", "The sea comes up the wall and goes down again. " * 12) == {}
