"""Responses that are kept: whose they are, how many, how long, and over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from uniwizard.agent.core.task import Image, Message, Thought, ToolCall
from uniwizard.agent.gateway import store as limits
from uniwizard.agent.gateway.response_file import ResponseFile
from uniwizard.agent.gateway.store import Record, ResponseStore, Stored, _read, _written

TURNS = (
    Message("user", "Look.", (Image("image/png", b"\x89\0", name="a.png"),), cache="5m"),
    Message("assistant", "", (), (ToolCall("c1", "look", '{"at":"x"}', "sig"),), None, (Thought("hm", "openai"),)),
    Message("tool", "nothing", tool_call_id="c1"),
)


def stored(owner: str = "anna", size: int = 0) -> Stored:
    return Stored(owner, {"id": "r", "output": ["x" * size]}, TURNS)


def got(found: Any) -> Any:
    """What a coroutine brings that waits for nobody."""
    results: list[Any] = []
    ensureDeferred(found).addCallback(results.append)
    return results[0]


def test_nobody_gets_what_is_anothers_even_under_the_same_label() -> None:
    store = ResponseStore(Clock().seconds)
    store.put("r", stored("anna"), 1)
    assert got(store.get("r", "anna")) == stored("anna")
    assert got(store.get("r", "bert")) is None
    assert got(store.delete("r", "bert")) is False
    assert got(store.delete("r", "anna")) is True
    assert got(store.get("r", "anna")) is None


def test_its_time_ends() -> None:
    clock = Clock()
    store = ResponseStore(clock.seconds)
    store.put("r", stored(), 2)
    clock.advance(7199)
    assert got(store.get("r", "anna")) is not None
    clock.advance(1)
    assert got(store.get("r", "anna")) is None
    assert len(store) == 0


def test_a_key_pushes_out_its_own_oldest_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OF_ONE", 3)
    monkeypatch.setattr(limits, "BYTES_OF_ONE", 3000)
    store = ResponseStore(Clock().seconds)
    store.put("bert's", stored("bert"), 1)
    for number in range(5):
        store.put(f"r{number}", stored(), 1)
    there = [number for number in range(5) if got(store.get(f"r{number}", "anna"))]
    assert there == [2, 3, 4]
    store.put("large", stored(size=2300), 1)
    assert got(store.get("r4", "anna")) and not got(store.get("r3", "anna"))
    # What is larger than all of a key's room takes nobody's place.
    store.put("too large", stored(size=5000), 1)
    assert got(store.get("large", "anna")) and not got(store.get("too large", "anna"))
    assert got(store.get("bert's", "bert"))


def test_all_keys_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST", 3)
    store = ResponseStore(Clock().seconds)
    for number in range(5):
        store.put(f"r{number}", stored(f"key {number}"), 1)
    assert [number for number in range(5) if got(store.get(f"r{number}", f"key {number}"))] == [2, 3, 4]


@given(st.text(max_size=50), st.binary(max_size=20), st.text(max_size=10))
def test_a_conversation_comes_back_as_it_went(text: str, data: bytes, name: str) -> None:
    turn = Message("user", text, (Image("image/png", data, name=name),), thoughts=(Thought(text, name),))
    whole = Stored("anna", {"id": name, "said": text}, (turn, *TURNS))
    assert _read(Record("r", "anna", 0.0, 1.0, _written(whole))) == whole


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"node": {}, "turns": [{}]}', '{"node": {}, "turns": [{"role": 1, "images": [[1]]}]}']
)
def test_what_something_else_has_written_is_not_there(text: str) -> None:
    assert _read(Record("r", "anna", 0.0, 1.0, text)) is None


class FileTest(TestCase):
    timeout = 20

    def opened(self, name: str = "r.db3") -> tuple[ResponseFile, ResponseStore, Clock]:
        clock = Clock()
        shelf = ResponseFile(Path(self.folder) / name, reactor)
        self.addCleanup(shelf.close)
        return shelf, ResponseStore(clock.seconds, shelf), clock

    def setUp(self) -> None:
        self.folder = self.mktemp()

    async def test_a_restart_forgets_none(self) -> None:
        shelf, store, _ = self.opened()
        store.put("r", stored(), 1)
        store.put("gone", stored(), 1)
        assert await store.delete("gone", "anna")
        await shelf.close()
        assert (shelf.path.stat().st_mode & 0o777) == 0o600
        _, again, clock = self.opened()
        assert await again.get("r", "anna") == stored()
        assert await again.get("r", "bert") is None
        assert await again.get("gone", "anna") is None
        clock.advance(3600)
        assert await again.get("r", "anna") is None

    async def test_the_file_keeps_to_a_keys_room_and_lets_go_of_what_is_over(self) -> None:
        self.patch(limits, "OF_ONE", 1000)
        shelf, store, clock = self.opened()
        store.put("old", stored("bert"), 1)
        clock.advance(4000)
        large = 4 * 1024 * 1024
        for number in range(6):
            clock.advance(1)
            store.put(f"r{number}", stored(size=large), 1)
        await shelf.close()
        import sqlite3

        with sqlite3.connect(shelf.path) as database:
            there = [row[0] for row in database.execute("SELECT id FROM responses ORDER BY id")]
        assert there == ["r3", "r4", "r5"]

    async def test_a_file_that_cannot_be_opened_keeps_the_door_open(self) -> None:
        Path(self.folder).mkdir()
        (Path(self.folder) / "taken").mkdir()
        _, store, _ = self.opened("taken")
        store.put("r", stored(), 1)
        assert await store.get("r", "anna") == stored()
        assert await store.get("unknown", "anna") is None
        done: Deferred[None] = Deferred()
        reactor.callLater(0.05, done.callback, None)  # type: ignore[attr-defined]
        await done
        assert len(self.flushLoggedErrors()) == 0
