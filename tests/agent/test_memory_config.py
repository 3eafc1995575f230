"""The ``memory`` of a backends file: what it comes to, and a line for every fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.agent import CONFIGS, ConfigError, load, read_checked
from uniwizard.agent.config.settings import MemoryRule, MemorySettings
from uniwizard.agent.memory import Entry
from uniwizard.agent.memory.vocabulary import expanded

HEAD = """version: 1
backends:
  a: {api: openai, url: "http://127.0.0.1:1/v1", model: m}
"""


def settings(tmp_path: Path, text: str, **env: str) -> MemorySettings | None:
    file = tmp_path / "backends.yaml"
    file.write_text(HEAD + text)
    return load(file, env).memory


def faults(tmp_path: Path, text: str, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as failed:
        settings(tmp_path, text, **env)
    return [f"{fault.line} {fault.where}: {fault.what}; {fault.allowed}" for fault in failed.value.faults]


def test_absent_is_off_and_empty_is_the_usual(tmp_path: Path) -> None:
    assert settings(tmp_path, "") is None
    assert settings(tmp_path, "memory: {}") == MemorySettings()
    assert load(CONFIGS / "backends.yaml", {}).memory is None


def test_every_setting_is_heeded(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "memory: {match: exact, max_entries: 500, keep: 12h, store: redis, redis: '${REDIS_URL}', kinds: {"
        "knowledge: {match: similar, above: 0.99, keep: 30d, max_entries: 100}, "
        "chat: {match: never}, quick_answer: {keep: 5m}}}",
        REDIS_URL="redis://:secret@db:6380/2",
    )
    assert found is not None
    assert (found.max_entries, found.store, found.redis) == (500, "redis", "redis://:secret@db:6380/2")
    assert found.rule("reasoning") == MemoryRule("exact", 43_200.0, 500, 0.97)
    assert found.rule("knowledge") == MemoryRule("similar", 30 * 86_400.0, 100, 0.99)
    assert found.rule("chat").match == "never"
    assert found.rule("quick_answer").keep == 300.0
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("memory:\n  match: similar", '5 memory.match: "similar" is unknown; exact'),
        ("memory:\n  keep: 7w", "5 memory.keep: \"7w\" does not fit; minutes, hours or days, such as 30m, 12h or 7d"),
        ("memory:\n  keep: 0d", "5 memory.keep"),
        ("memory:\n  max_entries: 0", "5 memory.max_entries: 0 is too small; 1 or more"),
        ("memory:\n  store: shelf", '5 memory.store: "shelf" is unknown; process, database, redis'),
        ("memory:\n  store: redis", "4 memory.redis: is missing"),
        ("memory:\n  redis: redis://h", "5 memory.redis: is not used by store: process; store: redis"),
        ("memory:\n  store: redis\n  redis: ${GONE}", "6 memory.redis: GONE is not set"),
        ("memory:\n  kinds:\n    status: {keep: 1d}", '6 memory.kinds.status.match: "exact" is not for status'),
        ("memory:\n  kinds:\n    poems: {keep: 1d}", '6 memory.kinds.poems: "poems" is unknown'),
        ("memory:\n  kinds:\n    chat: {match: similar, above: 0.95}", "6 memory.kinds.chat.above: 0.95 is too small"),
        ("memory:\n  kinds:\n    chat: {above: 0.98}", "6 memory.kinds.chat.above: nothing similar is matched"),
        ("memory:\n  max_entries: 5\n  kinds:\n    chat: {max_entries: 6}", "7 memory.kinds.chat.max_entries: 6 is"),
    ],
)  # fmt: skip
def test_every_fault_names_its_line_and_what_is_allowed(tmp_path: Path, text: str, told: str) -> None:
    assert any(fault.startswith(told) for fault in faults(tmp_path, text)), faults(tmp_path, text)


def test_a_password_in_the_address_is_told_to_nobody(tmp_path: Path) -> None:
    told = faults(tmp_path, "memory:\n  redis: ${REDIS_URL}", REDIS_URL="redis://:hunter2@h")
    assert told and not any("hunter2" in fault for fault in told)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_a_store_gives_back_is_an_entry_or_none(data: bytes) -> None:
    assert Entry.from_json(data) is None


def test_the_words_of_every_language_are_there_and_expand() -> None:
    for language in ("en", "de", "fr", "es", "it", "pl"):
        assert read_checked(CONFIGS / "memory" / f"{language}.yaml", "memory/words")["version"] == 1
    assert expanded("(a|b|) c (d|)") == [("a", "c", "d"), ("a", "c"), ("b", "c", "d"), ("b", "c"), ("c", "d"), ("c",)]
