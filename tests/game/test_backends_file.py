"""A fault in one file of a game's leaves that file out, and is told in one line; nothing else is lost with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import alone  # noqa: F401 - Django's settings
import pytest
from django.test.utils import override_settings

from uniwizard.agent import ConfigError, known_kinds, leave_out, phrase_book, read_voice
from uniwizard.world import backends_file

BACKENDS = """\
version: 1
extensions: [kinds.yaml]
backends:
  one: {api: openai, url: "http://127.0.0.1:9/v1", model: m, cost_per_1k: 0}
rules:
  - {kinds: [haggle], prefer: [one]}
"""
FILES = {
    "backends.yaml": BACKENDS,
    "kinds.yaml": "kinds: {haggle: {prompt: You haggle., phrases: {6: [how much for]}}}\n",
    "voice.yaml": 'moments: {refused: ["{nope}"]}\n',
    "phrases.yaml": "language: en\nphrases: {no_such_signal: [a]}\n",
    "more_phrases.yaml": "language: en\nphrases: {nor_this: [a]}\n",
    "own_api.py": "API = 'plain'\n",
}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A game directory with one extension that is right, and four that are not."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    wrong = [name for name in FILES if name not in ("backends.yaml", "kinds.yaml")]
    phrase_book.cache_clear()
    with override_settings(
        GAME_DIR=str(tmp_path), UNIWIZARD_CONFIG=str(tmp_path / "backends.yaml"), UNIWIZARD_EXTENSIONS=wrong
    ):
        yield tmp_path
    leave_out(tmp_path / name for name in FILES)
    phrase_book.cache_clear()


def test_what_has_a_fault_is_left_out_and_every_fault_is_told(directory: Path) -> None:
    config, told = backends_file.read_or_last_good()
    assert config is not None and "haggle" in known_kinds()
    assert told[-1] == "the game goes on without what has a fault"
    for name, fault in (
        ("voice.yaml", "moments.refused[0]: {nope} is unknown; allowed: {key} {why}"),
        ("phrases.yaml:2", 'phrases.no_such_signal: "no_such_signal" is unknown'),
        ("more_phrases.yaml:2", 'phrases.nor_this: "nor_this" is unknown'),
        ("own_api.py", "API plain: lacks PROBE"),
    ):
        assert [line for line in told if line.startswith(f"{directory / name}: {fault}")], (name, told)
    assert len(told) == 5
    # Nobody comes upon them later.
    assert "{nope}" not in str(read_voice()["moments"]["refused"])
    assert phrase_book()


def test_a_mended_file_counts_at_the_next_reading(directory: Path) -> None:
    backends_file.read_or_last_good()
    (directory / "voice.yaml").write_text('moments: {refused: ["{key} will not."]}\n')
    with pytest.raises(ConfigError) as caught:
        backends_file.read()
    assert "voice.yaml" not in str(caught.value)
    assert read_voice()["moments"]["refused"] == ["{key} will not."]


def test_the_last_good_file_finds_the_extensions_of_the_one_it_is_a_copy_of(directory: Path) -> None:
    with override_settings(UNIWIZARD_EXTENSIONS=[]):
        assert backends_file.read_or_last_good()[1] == []
        (directory / "backends.yaml").write_text(BACKENDS.replace("model: m", "modell: m"))
        config, told = backends_file.read_or_last_good()
    assert config is not None, told
    assert told[-1] == "the last good configuration stays in force"
