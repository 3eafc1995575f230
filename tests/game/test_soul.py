"""Timmy's voice has words for whatever he may have to tell of."""

from __future__ import annotations

import json
from pathlib import Path

import alone  # noqa: F401 - Django's settings
import pytest

from uniwizard.agent import ConfigError
from uniwizard.agent.config.kinds import FEATURES
from uniwizard.agent.config.yaml_files import CONFIGS
from uniwizard.world import soul
from uniwizard.world.soul import voice


def test_every_feature_of_a_task_has_words() -> None:
    schema = json.loads((CONFIGS / "voice.schema.json").read_text("utf-8"))
    assert schema["properties"]["features"]["required"] == list(FEATURES)
    for feature in (*FEATURES, "wording"):
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


SOUL = """---
name: Brunhilde
aliases: [Hilde]
pronouns: {subject: she, object: her, possessive: her}
look: Tall.
secret: [Nibelheim]
voice:
  thinking: ["{soul} closes {his} eyes."]
  idle: ["{His} eyes are closed; wake {Him}."]
---
She is old.
"""


def test_another_soul_md_is_another_character(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "SOUL.md"
    file.write_text(SOUL)
    monkeypatch.setattr(soul, "path", lambda: file)
    monkeypatch.setattr(soul, "_in_force", soul._InForce())
    assert soul.the().names == ("Brunhilde", "Hilde")
    assert "Nibelheim" in soul.the().hidden
    assert voice.say("thinking") == "Brunhilde closes her eyes."
    assert voice.say("idle") == "Her eyes are closed; wake Her."
    assert "Brunhilde" in voice.say("stopped") and "Timmy" not in voice.say("stopped")
    assert not soul.refresh()
    file.write_text(SOUL.replace("Brunhilde", "Siegfried the Smith"))
    assert soul.refresh()
    assert voice.say("thinking") == "Siegfried the Smith closes her eyes."
    file.write_text("no front matter")
    with pytest.raises(ConfigError, match=r"SOUL\.md:1.*front matter"):
        soul.refresh()
    assert soul.the().name == "Siegfried the Smith", "a broken file changes nobody"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("name: Brunhilde|nome: x", "SOUL.md:1"),
        ("aliases: [Hilde]|aliases: Hilde", "SOUL.md:3"),
        ("{his} eyes|{hiss} eyes", "hiss"),
        ("look: Tall.|look: [", "not YAML"),
        ("thinking:|refused:|{his}|{time}", "voice.refused[0]: {time} is unknown; allowed: {key} {why} {soul}"),
        ("thinking:|unheard_of:", "voice.unheard_of: is no moment"),
        ("{his}|{his.__class__}", "{his.__class__} is unknown"),
    ],
)
def test_a_fault_in_a_soul_names_its_line(tmp_path: Path, changed: str, told: str) -> None:
    file = tmp_path / "SOUL.md"
    text, parts = SOUL, changed.split("|")
    for former, now in zip(parts[::2], parts[1::2], strict=True):
        text = text.replace(former, now)
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        soul.read(file)
    assert told in str(caught.value)


def test_no_phrase_asks_for_a_word_that_is_never_put_in() -> None:
    words = dict.fromkeys(("name", "key", "to", "why", "time", "count", "about"), "x")
    for moment in voice._moments:
        for _ in voice._moments[moment]:
            assert voice.say(moment, **words)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("asleep: ANTHROPIC_API_KEY is not set", "is asleep"),
        ("breaker open for 28 s more: overloaded: HTTP 503: UNAVAILABLE", "rests for 28 s more"),
        ("its provider asks to be left alone for 5 s more", "rests for 5 s more"),
        ("cannot take images", "cannot see pictures"),
        ("whatever else it may be", "cannot be asked now"),
    ],
)
def test_players_are_told_why_not_in_words(reason: str, words: str) -> None:
    assert voice.obstacle(reason) == words
