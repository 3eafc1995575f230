"""What the classifier promises: the right kind for words nobody tuned it on, and no input that it fails on."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from uniwizard.agent import ConfigError
from uniwizard.agent.classify.classifier import Classifier
from uniwizard.agent.config.kinds import FEATURES
from uniwizard.agent.core.task import KINDS, Image, Message, Task

ROOT = Path(__file__).resolve().parents[2]
KINDS_FILE = ROOT / "configs" / "kinds.yaml"

#: Which backend the rules of configs/backends.yaml put first for a kind; small talk has no rule.
RULES = {
    **dict.fromkeys(("read", "write", "status", "roleplay", "dialogue"), "local"),
    **dict.fromkeys(("reasoning", "analysis", "code_review", "architecture", "describe", "story"), "claude"),
    **dict.fromkeys(("long_document", "bulk_code"), "kimi"),
    **dict.fromkeys(("knowledge", "summarize"), "gpt"),
    "multimodal": "gemini",
    "quick_answer": "grok",
    "chat": None,
}

#: The share that must be routed right. The held-out rows were written after the phrases and are never tuned on.
TUNED_AT_LEAST = 0.97
HELD_OUT_AT_LEAST = {"local": 0.9, "claude": 0.9, "kimi": 0.9, "gpt": 0.95, "gemini": 0.9, "grok": 0.95}

ROWS = [json.loads(line) for line in (ROOT / "tests/data/routing_tasks.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def shares(classifier: Classifier, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of every rule's rows, the share whose kind leads to that rule's backend."""
    right: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        right[row["rule"]].append(RULES[classifier.classify(Task(row["task"])).kind] == row["rule"])
    return {rule: sum(marks) / len(marks) for rule, marks in right.items()}


def test_the_corpus_is_consistent_and_no_task_is_both_tuned_on_and_held_out() -> None:
    assert all(RULES[row["kind"]] == row["rule"] for row in ROWS)
    texts = [row["task"].casefold() for row in ROWS]
    assert len(texts) == len(set(texts))
    for held_out in (False, True):
        by_rule = defaultdict(int)
        for row in ROWS:
            by_rule[row["rule"]] += row.get("held_out", False) is held_out
        assert all(by_rule[rule] >= 16 for rule in HELD_OUT_AT_LEAST)


@pytest.mark.parametrize("rule", HELD_OUT_AT_LEAST)
def test_tuned_tasks_reach_the_backend_of_their_rule(classifier: Classifier, rule: str) -> None:
    rows = [row for row in ROWS if not row.get("held_out")]
    assert shares(classifier, rows)[rule] >= TUNED_AT_LEAST


@pytest.mark.parametrize("rule", HELD_OUT_AT_LEAST)
def test_unseen_wordings_reach_the_backend_of_their_rule(classifier: Classifier, rule: str) -> None:
    rows = [row for row in ROWS if row.get("held_out")]
    assert shares(classifier, rows)[rule] >= HELD_OUT_AT_LEAST[rule]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_given_is_taken(classifier: Classifier, kind: str) -> None:
    found = classifier.classify(Task("summarise this picture of a contract", kind=kind))
    assert (found.kind, found.confidence, found.reasons) == (kind, 1.0, ("given",))


@pytest.mark.parametrize("media_type", ["image/png", "audio/wav"])
@pytest.mark.parametrize("words", ["summarise this", "review this code", "read the note aloud", "quick: how many?", ""])
def test_attachments_beat_words(classifier: Classifier, media_type: str, words: str) -> None:
    found = classifier.classify(Task(words, images=(Image(media_type, b"x"),)))
    assert found.kind == "multimodal"
    assert found.confidence > 0.9


@pytest.mark.parametrize("words", ["Summarise this:", "What is it about?", "Answer quickly:", "Read this:"])
def test_length_beats_words(classifier: Classifier, words: str) -> None:
    report = "The committee met in the old hall and talked about the bridge. " * 2000
    assert classifier.classify(Task(f"{words}\n{report}")).kind == "long_document"
    assert classifier.classify(Task(words)).kind != "long_document"


def test_a_document_in_an_earlier_turn_counts_as_length(classifier: Classifier) -> None:
    earlier = (Message("user", "Minutes. " * 12_000), Message("assistant", "I have read it."))
    assert classifier.classify(Task("Who spoke?", messages=earlier)).kind == "long_document"


def test_a_long_system_prompt_is_no_document(classifier: Classifier) -> None:
    earlier = (Message("system", "Be brief. " * 12_000),)
    assert classifier.classify(Task("good morning", messages=earlier)).kind == "chat"


def test_the_last_user_turn_is_judged_when_there_is_no_prompt(classifier: Classifier) -> None:
    turns = (Message("user", "hello"), Message("assistant", "hi"), Message("user", "review this pull request"))
    assert classifier.classify(Task(messages=turns)).kind == "code_review"


def test_an_instruction_outweighs_the_matter_pasted_behind_it(classifier: Classifier) -> None:
    pasted = "We took a photo of the contract, reviewed the code, and asked for the capital of the region. " * 12
    assert classifier.classify(Task(f"Summarize the following text: {pasted}")).kind == "summarize"
    assert classifier.classify(Task(f"{pasted}\nSummarize the text above.")).kind == "summarize"


def test_a_diff_a_traceback_and_code_speak_for_a_review(classifier: Classifier) -> None:
    diff = "what do you think?\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a = 1\n+a = 2\n"
    traceback = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nKeyError: 1'
    for text in (diff, traceback, "is this good?\n```\ndef add(a, b):\n    return a - b\n```"):
        assert classifier.classify(Task(text)).kind == "code_review"


@pytest.mark.parametrize(
    "prefix", ["", "Timmy, ", "Please ", "Could you please ", "hey Timmy, I need you to ", "Ok, now "]
)
@pytest.mark.parametrize(
    ("words", "kind"),
    [("read the letter", "read"), ("save this as a.txt", "write"), ("design a chat service", "architecture")],
)
def test_courtesy_changes_nothing(classifier: Classifier, prefix: str, words: str, kind: str) -> None:
    assert classifier.classify(Task(prefix + words)).kind == kind


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("Streść mi proszę ten długi artykuł o pszczołach", "summarize"),
        ("STRESC TEN ARTYKUL", "summarize"),
        ("Czy mógłbyś przeczytać i zrecenzować: sprawdź kod tej funkcji", "code_review"),
        ("Jaka jest stolica Litwy?", "quick_answer"),
        ("Co jest na tym zdjęciu?", "multimodal"),
        ("Zapisz to w pliku", "write"),
    ],
)
def test_polish_works_in_its_inflections_and_without_its_accents(classifier: Classifier, task: str, kind: str) -> None:
    assert classifier.classify(Task(task)).kind == kind


def test_reasons_name_the_evidence_and_never_the_tasks_own_words(classifier: Classifier) -> None:
    found = classifier.classify(Task("Summarize the letter of Ermintrude Quagmire"))
    assert found.reasons[0] == '"summar*" +4.0'
    assert "ermintrude" not in " ".join(found.reasons).casefold()
    assert dict(found.scores).keys() == set(KINDS)


@given(st.text(max_size=400))
@example("")
@example(" \t\r\n\f\v\x00\x1b[31m\x7f")
@example("\ud7ff\u202e\ufeff\u0301\u0301")
@example("x" * 100_000)
@example("?" * 100_000)
@example("read " * 20_000)
@example("{" * 50_000 + ";\n" * 25_000)
@example("9" * 5_000)
@example("٣٤ ²³ ⅷ")
@settings(deadline=None)
def test_any_text_has_a_kind_and_always_the_same(text: str) -> None:
    first = SHARED.classify(Task(text))
    assert first.kind in KINDS
    assert 0.0 <= first.confidence <= 1.0
    assert first.reasons
    assert SHARED.classify(Task(text)) == first
    assert FRESH.classify(Task(text)) == first


SHARED = Classifier.load()
FRESH = Classifier.load()


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "\x00\x01", "..."])
def test_nothing_said_is_small_talk(classifier: Classifier, text: str) -> None:
    assert classifier.classify(Task(text)).kind == "chat"


@pytest.mark.parametrize("kind", KINDS)
def test_a_system_prompt_is_short_and_silent_about_who_asks(classifier: Classifier, kind: str) -> None:
    prompt = classifier.system_prompt(kind)
    assert 20 < len(prompt) < 500
    for word in ("timmy", "you are a ", "player", "game", "evennia", "wizard", "assistant named"):
        assert word not in prompt.casefold()


def test_an_unknown_kinds_prompt_is_refused_by_name(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match=r"'poetry'.*allowed: read, write"):
        classifier.system_prompt("poetry")


def test_the_schema_knows_the_same_kinds_and_features_as_the_code() -> None:
    schema = json.loads((ROOT / "configs/kinds.schema.json").read_text("utf-8"))
    assert tuple(schema["properties"]["kinds"]["required"]) == KINDS
    assert tuple(schema["$defs"]["kind"]["properties"]["features"]["properties"]) == FEATURES


def broken(tmp_path: Path, text: str) -> str:
    """The message that a kinds file with this text is refused with."""
    path = tmp_path / "kinds.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        Classifier.load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_syntax_fault_names_its_line(tmp_path: Path) -> None:
    assert "kinds.yaml:2" in broken(tmp_path, "version: 1\nkinds: ]\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        Classifier.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("kinds", "read", "features", "smell"), 1.0, ("kinds.read.features", "smell", "question")),
        (("kinds", "chat", "phrases", 2), [True], ("kinds.chat.phrases.2[0]", "text")),
        (("kinds", "status", "prompt"), 7, ("kinds.status.prompt", "text")),
        (("kinds", "poetry"), {"prompt": "x"}, ("kinds", "poetry", "quick_answer")),
        (("kinds", "write", "bias"), "much", ("kinds.write.bias", "number")),
        (("version",), 2, ("version", "1")),
    ],
)
def test_a_fault_names_its_key_and_what_is_allowed(
    tmp_path: Path, path: tuple[str | int, ...], value: object, told: tuple[str, ...]
) -> None:
    data = yaml.load(KINDS_FILE.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    message = broken(tmp_path, json.dumps(data))
    assert all(word in message for word in (*told, "allowed"))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "version: 1\n"])
def test_a_file_of_the_wrong_shape_is_refused(tmp_path: Path, text: str) -> None:
    assert "allowed" in broken(tmp_path, text)
