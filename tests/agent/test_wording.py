"""What was learned of wordings helps where no rule was written, and says nothing where nothing is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_classify import ROOT, RULES

from uniwizard.agent import ConfigError
from uniwizard.agent.classify.classifier import Classifier
from uniwizard.agent.classify.wording import CUT, FILE, HEAD, TAIL, Wording, pairs, pieces, symbol_of
from uniwizard.agent.config.kinds import read_kinds
from uniwizard.agent.core.task import Image, Task

ROWS = [json.loads(line) for line in (ROOT / "tests/data/routing_unseen.jsonl").read_text("utf-8").splitlines()]
KINDS = read_kinds()

#: The share of unseen wordings that must reach the backend of their rule: 90% of the half that is held out did.
AT_LEAST = 0.88


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


@pytest.fixture(scope="module")
def wording() -> Wording:
    return Wording.load(KINDS.extensions)


def share(classifier: Classifier, part: str) -> float:
    rows = [row for row in ROWS if row["part"] == part]
    right = [RULES[classifier.classify(Task(row["task"])).kind] == RULES[row["kind"]] for row in rows]
    return sum(right) / len(right)


@pytest.mark.parametrize("part", ["development", "held out"])
def test_wordings_that_neither_rules_nor_training_saw_reach_their_backend(classifier: Classifier, part: str) -> None:
    assert share(classifier, part) >= AT_LEAST
    assert share(Classifier(KINDS), part) < 0.7


def test_no_unseen_wording_is_in_the_rows_that_are_trained_on() -> None:
    trained = (ROOT / "tests/data/routing_tasks.jsonl").read_text("utf-8").splitlines()
    assert {row["task"].casefold() for row in ROWS}.isdisjoint(json.loads(line)["task"].casefold() for line in trained)


def test_where_nothing_is_known_the_rules_decide_alone(classifier: Classifier, wording: Wording) -> None:
    assert wording.points(["ξ", "潮", "。"]) is None
    text = "潮汐是什么"
    assert classifier.classify(Task(text)) == Classifier(KINDS).classify(Task(text))


def test_how_it_is_put_is_a_reason_without_the_tasks_words(classifier: Classifier) -> None:
    found = classifier.classify(Task("how come ice floats"))
    assert found.kind == "knowledge"
    assert found.reasons[-1].startswith("wording +")


def test_a_tasks_shape_is_not_argued_with(classifier: Classifier) -> None:
    picture = Task("how come ice floats", images=(Image("image/png", b"x"),))
    assert classifier.classify(picture) == Classifier(KINDS).classify(picture)


def test_a_kind_that_a_rule_alone_knows_keeps_its_tasks(classifier: Classifier) -> None:
    assert classifier.classify(Task("Pretend that you are a pirate and stay in character")).kind == "roleplay"


def test_only_the_ends_of_a_long_text_are_read(wording: Wording) -> None:
    ends = ["summarise", *["x"] * (HEAD - 1), *["y"] * (TAIL - 1), "please"]
    whole = wording.points(ends)
    assert whole is not None
    cut = wording.points([*ends[:HEAD], *["photo"] * 500, *ends[HEAD:]])
    assert cut == pytest.approx([points * CUT for points in whole])


def test_the_sum_is_that_of_the_pieces_and_pairs(wording: Wording) -> None:
    data = json.loads(FILE.read_text("utf-8"))
    width = len(data["kinds"])
    place = {feature: number * width for number, feature in enumerate(data["features"])}
    words = ["Übersetze".casefold(), "foto.png", "25", "?"]
    symbols = [symbol_of(word, KINDS.extensions) for word in words]
    assert symbols == ["ubersetze", "<image>", "#many", "?"]
    known = [f for f in [*(p for s in symbols for p in pieces(s)), *pairs(symbols)] if f in place]
    sums = [sum(ord(data["weights"][place[f] + kind]) - ord("O") for f in known) for kind in range(width)]
    assert wording.points(words) == pytest.approx([total * data["step"] / (4 + 3) ** 0.5 for total in sums])
    assert wording.points(words) == wording.points(words)


def test_a_file_whose_weights_do_not_match_is_refused(tmp_path: Path) -> None:
    data = json.loads(FILE.read_text("utf-8"))
    path = tmp_path / "wording.json"
    path.write_text(json.dumps(data | {"weights": data["weights"][:-1]}), "utf-8")
    with pytest.raises(ConfigError, match="one character for each kind and feature"):
        Wording.load(KINDS.extensions, path)
