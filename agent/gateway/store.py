"""Responses that are kept for the requests that go on from them: ``store`` and ``previous_response_id``.

    store.put("resp_1", Stored(caller.label, node, turns))
    store.get("resp_1", caller.label)         # None once it is forgotten, and for everybody else

In memory, for a limited time and up to a limited size; what is oldest goes first. Another caller's is not found.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..core.task import Message
from ..wire.body import Json, dump

#: Responses kept, and bytes of all of them.
MOST, MOST_BYTES = 5000, 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """One response: whose it is, its JSON, and the conversation up to and with it."""

    owner: str
    node: Json
    turns: tuple[Message, ...]


class ResponseStore(Protocol):
    """Keeps responses. ``hours`` is the config's, and may change while it runs."""

    def put(self, identifier: str, stored: Stored, hours: float) -> None: ...
    def get(self, identifier: str, owner: str) -> Stored | None: ...
    def delete(self, identifier: str, owner: str) -> bool: ...


class MemoryStore:
    """Keeps them in memory. ``now`` tells the time in seconds."""

    def __init__(self, now: Callable[[], float], most: int = MOST, most_bytes: int = MOST_BYTES):
        self._now = now
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[Stored, float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, identifier: str, stored: Stored, hours: float) -> None:
        size = len(dump(stored.node)) + sum(_size(turn) for turn in stored.turns)
        self._kept[identifier] = stored, self._now() + hours * 3600.0, size
        self._bytes += size
        while self._kept and (len(self._kept) > self._most or self._bytes > self._most_bytes):
            self._forget(next(iter(self._kept)))

    def get(self, identifier: str, owner: str) -> Stored | None:
        found = self._kept.get(identifier)
        if found is None:
            return None
        stored, until, _ = found
        if self._now() >= until:
            self._forget(identifier)
            return None
        return stored if stored.owner == owner else None

    def delete(self, identifier: str, owner: str) -> bool:
        if self.get(identifier, owner) is None:
            return False
        self._forget(identifier)
        return True

    def _forget(self, identifier: str) -> None:
        _, _, size = self._kept.pop(identifier)
        self._bytes -= size


def _size(turn: Message) -> int:
    held = len(turn.text) + sum(len(image.data) for image in turn.images)
    return held + sum(len(call.arguments) for call in turn.tool_calls) + sum(len(t.text) for t in turn.thoughts)
