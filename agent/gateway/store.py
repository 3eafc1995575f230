"""Responses that are kept for the requests that go on from them: ``store`` and ``previous_response_id``.

    store = ResponseStore(clock.seconds, shelf)
    store.put("resp_1", Stored(caller.id, node, turns), hours=24)
    await store.get("resp_1", caller.id)         # None once it is forgotten, and for everybody else

Each key has a room of its own, limited in time, number and bytes, so that nobody pushes another's out; what is oldest
goes first. In memory, and with a :class:`Shelf` also where a restart finds it.
"""

from __future__ import annotations

from base64 import b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.task import Image, Message, Thought, ToolCall
from ..wire.body import Json, Malformed, base64_of, dumps, parse

#: Responses kept of one key, and bytes of all of them as JSON.
OF_ONE, BYTES_OF_ONE = 1000, 16 * 1024 * 1024
#: The same of all keys together.
MOST, MOST_BYTES = 5000, 64 * 1024 * 1024

#: Deletes from the table of a shelf what a key has beyond its room, and what there is beyond everybody's: the oldest.
#: A table has the columns id, owner, until, made and size. Window functions are SQLite's (3.25) and PostgreSQL's.
SURPLUS = (
    "DELETE FROM {table} WHERE id IN (SELECT id FROM (SELECT id, "
    "SUM(size) OVER (PARTITION BY owner ORDER BY made DESC, id) AS own, "
    "ROW_NUMBER() OVER (PARTITION BY owner ORDER BY made DESC, id) AS nth, "
    "SUM(size) OVER (ORDER BY made DESC, id) AS everything, "
    "ROW_NUMBER() OVER (ORDER BY made DESC, id) AS place FROM {table}) AS kept "
    f"WHERE own > {BYTES_OF_ONE} OR nth > {OF_ONE} OR everything > {MOST_BYTES} OR place > {MOST})"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """One response: whose it is, its JSON, and the conversation up to and with it."""

    owner: str
    node: Json
    turns: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A response as a shelf has it; times in seconds since the epoch. ``text`` is its JSON and its turns, as JSON."""

    id: str
    owner: str
    made: float
    until: float
    text: str

    @property
    def size(self) -> int:
        """Bytes, as they are counted."""
        return len(self.text)


class Shelf(Protocol):
    """Where records outlive the process. What cannot be read or written is said in the log, and is not there."""

    def put(self, record: Record) -> None: ...
    def get(self, identifier: str) -> Awaitable[Record | None]: ...
    def forget(self, identifier: str) -> None: ...


class ResponseStore:
    """Keeps responses. ``now`` tells the time in seconds since the epoch."""

    def __init__(self, now: Callable[[], float], shelf: Shelf | None = None):
        self._now = now
        self._shelf = shelf
        #: By id, oldest first: the response, until when, and its bytes.
        self._kept: OrderedDict[str, tuple[Stored, float, int]] = OrderedDict()
        #: By owner, the ids of theirs, oldest first, and the bytes of all of them.
        self._own: dict[str, tuple[OrderedDict[str, None], int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, identifier: str, stored: Stored, hours: float) -> None:
        """Keep a response for so long. One that is larger than a key's whole room is not kept."""
        now = self._now()
        record = Record(identifier, stored.owner, now, now + hours * 3600.0, _written(stored))
        if record.size > BYTES_OF_ONE:
            return
        if self._shelf is not None:
            self._shelf.put(record)
        self._hold(stored, record)

    async def get(self, identifier: str, owner: str) -> Stored | None:
        """The response of that id, if it is this owner's."""
        found = self._kept.get(identifier)
        if found is None:
            return await self._fetched(identifier, owner)
        stored, until, _ = found
        if self._now() >= until:
            self._drop(identifier)
            return None
        return stored if stored.owner == owner else None

    async def delete(self, identifier: str, owner: str) -> bool:
        """Forget it; False where there is none of this owner's."""
        if await self.get(identifier, owner) is None:
            return False
        if identifier in self._kept:
            self._drop(identifier)
        if self._shelf is not None:
            self._shelf.forget(identifier)
        return True

    async def _fetched(self, identifier: str, owner: str) -> Stored | None:
        record = await self._shelf.get(identifier) if self._shelf is not None else None
        if record is None or record.owner != owner or self._now() >= record.until:
            return None
        return _read(record)

    def _hold(self, stored: Stored, record: Record) -> None:
        own, own_bytes = self._own.get(record.owner, (OrderedDict(), 0))
        own[record.id] = None
        self._own[record.owner] = own, own_bytes + record.size
        self._kept[record.id] = stored, record.until, record.size
        self._bytes += record.size
        while len(own) > OF_ONE or self._own[record.owner][1] > BYTES_OF_ONE:
            self._drop(next(iter(own)))
        while len(self._kept) > MOST or self._bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, identifier: str) -> None:
        stored, _, size = self._kept.pop(identifier)
        self._bytes -= size
        own, own_bytes = self._own[stored.owner]
        del own[identifier]
        if own:
            self._own[stored.owner] = own, own_bytes - size
        else:
            del self._own[stored.owner]


# -- as JSON, and back -------------------------------------------------------------------------------------------


def _written(stored: Stored) -> str:
    text = dumps({"node": stored.node, "turns": [_turn(turn) for turn in stored.turns]})
    # A lone surrogate is nothing that UTF-8 can carry.
    return text.encode("utf-8", "replace").decode()


def _turn(turn: Message) -> Json:
    whole = {
        "role": turn.role,
        "text": turn.text,
        "images": [[i.media_type, base64_of(i.data), i.url, i.name] for i in turn.images],
        "tool_calls": [[c.id, c.name, c.arguments, c.signature] for c in turn.tool_calls],
        "tool_call_id": turn.tool_call_id,
        "thoughts": [[t.text, t.api, t.signature, t.sealed] for t in turn.thoughts],
        "cache": turn.cache,
    }
    return {name: value for name, value in whole.items() if value}


def _read(record: Record) -> Stored | None:
    """What a record says; None where something else has written it."""
    try:
        node = parse(record.text.encode())
        return Stored(record.owner, node["node"], tuple(_message(turn) for turn in node["turns"]))
    except (Malformed, ValueError, TypeError, KeyError):
        return None


def _message(turn: Json) -> Message:
    images = ((kind, b64decode(data), url, name) for kind, data, url, name in turn.get("images", ()))
    calls: list[Any] = turn.get("tool_calls", [])
    return Message(
        turn["role"],
        turn.get("text", ""),
        tuple(Image(*image) for image in images),
        tuple(ToolCall(*call) for call in calls),
        turn.get("tool_call_id"),
        tuple(Thought(*thought) for thought in turn.get("thoughts", ())),
        turn.get("cache", ""),
    )
