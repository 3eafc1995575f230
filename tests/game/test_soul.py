"""Timmy's voice has words for whatever he may have to tell of."""

from __future__ import annotations

import json

import pytest

from uniwizard.agent.config.kinds import FEATURES
from uniwizard.agent.config.yaml_files import CONFIGS
from uniwizard.world.soul import voice


def test_every_feature_of_a_task_has_words() -> None:
    schema = json.loads((CONFIGS / "voice.schema.json").read_text("utf-8"))
    assert schema["properties"]["features"]["required"] == list(FEATURES)
    for feature in FEATURES:
        assert voice.reason(f"{feature} +1.0") != f"{feature} +1.0"


@pytest.mark.parametrize(
    ("notation", "words"),
    [
        ('"hello" +2.0', '"hello" +2.0'),
        ('"^ review" +3.0', '"review" +3.0'),
        ('"review ~ diff" +2.0', '"review ... diff" +2.0'),
        ('"analy*" +2.0', '"analy..." +2.0'),
        ('"what is <n>" +3.0', '"what is (number)" +3.0'),
        ('"this <image>" +3.0', '"this (image)" +3.0'),
        ("words_3 -0.8", "three words at the most -0.8"),
        ("nothing speaks for another kind", "nothing speaks for another kind"),
    ],
)
def test_a_reason_is_told_in_words(notation: str, words: str) -> None:
    assert voice.reason(notation) == words
