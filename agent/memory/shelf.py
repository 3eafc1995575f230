"""The process's own memory: a bounded mapping, the least recently used goes first.

shelf = Shelf(settings)
shelf.put(entry)             # the entries that had to go for it
shelf.get(key, now)          # None where there is none, or its time is over
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from ..config.settings import MemorySettings
from .entry import Entry


class Shelf:
    """At most ``max_entries`` in all, and per kind as many as its rule says."""

    def __init__(self, settings: MemorySettings):
        self.settings = settings
        #: The least recently used first.
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        #: The keys of a kind, in the same order.
        self._kinds: dict[str, OrderedDict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def get(self, key: str, now: float) -> Entry | None:
        """The entry, which now counts as just used."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.until <= now:
            self.forget(key)
            return None
        self._entries.move_to_end(key)
        self._kinds[entry.kind].move_to_end(key)
        return entry

    def peek(self, key: str, now: float) -> Entry | None:
        """The same without using it."""
        entry = self._entries.get(key)
        return entry if entry is not None and entry.until > now else None

    def put(self, entry: Entry) -> list[Entry]:
        """Keep ``entry`` in place of what its key had; those that have to go for it."""
        self.forget(entry.key)
        self._entries[entry.key] = entry
        self._kinds.setdefault(entry.kind, OrderedDict())[entry.key] = None
        return self.trim(entry.kind)

    def trim(self, kind: str) -> list[Entry]:
        """Let go of the least recently used until both limits hold."""
        gone = []
        keys = self._kinds.get(kind, OrderedDict())
        while len(keys) > self.settings.rule(kind).max_entries:
            gone.append(self.forget(next(iter(keys))))
        while len(self._entries) > self.settings.max_entries:
            gone.append(self.forget(next(iter(self._entries))))
        return [entry for entry in gone if entry is not None]

    def forget(self, key: str) -> Entry | None:
        """Let go of one entry; which that was."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            del self._kinds[entry.kind][key]
        return entry
