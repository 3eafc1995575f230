"""The blindfold: what keeps identity out of every outbound byte.

It works in two independent steps. ``redact`` puts a placeholder for every name in a task's words, and ``restore`` puts
the names back into the answer. ``scan`` is the last step before the socket: it looks for the names in what the encoded
bytes say, so that a mistake anywhere above it is caught rather than sent::

    blindfold = Blindfold(["Timmy", "Anna Kowalska", "10.0.0.7"])
    redacted = blindfold.redact(task)            # "ask Person1Q about tides"
    blindfold.scan(body)                         # the names that were found; () is what is wanted
    redacted.restore("Person1Q says: the moon")  # "Anna Kowalska says: the moon"

Long texts take their time: ``redact_in_slices`` and ``scan_in_slices`` do the same and let the reactor go round between
two pieces. What a blindfold knows when a task is planned is what holds for the task: somebody who is created, or
renamed to a word of it, while it is under way does not stop it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..core.clock import Clock, sleep
from ..core.task import Task, ToolCall
from .letters import unescaped_json
from .names import IDENTIFIER, JSON, Hit, Names, find_everywhere
from .placeholders import Placeholders, in_placeholder, restore, taken_in
from .rewording import LONGEST_IDENTIFIER, finished, map_strings, rewording, wording
from .vocabulary import used_as_name, vocabulary

#: Characters of a text that are searched in one go, and how far one looks past their end for the rest of a name.
PIECE, BEYOND = 2_000, 300
#: The same where there is little to do with each.
FEW = 100_000
#: Seconds of work after which the reactor gets its turn.
SLICE = 0.004
#: Characters of a task, or bytes of a body, up to which it is not worth it.
SHORT = 20_000

#: Sets of a task's own terms that are kept, ready to be searched for.
MOST_ASKERS = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A task without its names, and the names to put back, by number and letter of their placeholders."""

    task: Task
    names: Mapping[str, str]
    _inner: bool = field(default=False, repr=False)

    def explained(self, system: str) -> str:
        """A system prompt with a word on what the placeholders are, where there are any."""
        return f"{system}\n\n{vocabulary().note}".lstrip() if self.names else system

    def restore(self, text: str) -> str:
        """``text`` with every placeholder turned into the words it stood for; unknown ones stay."""
        if not self.names:
            return text
        if self._inner and self.task.schema is not None:
            return _in_json(text, self._put_back)
        return self._put_back(text)

    def restore_content(self, content: object) -> object:
        """The same for parsed JSON, in every string of it and every key."""
        if not self.names:
            return content
        return map_strings(content, lambda _, text: self._put_back(text))

    def restore_calls(self, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
        """The same for what a model wants to hand to a tool, and for the tool's name."""
        if not self.names:
            return calls
        return tuple(
            ToolCall(self._put_back(call.id), self._put_back(call.name), _in_json(call.arguments, self._put_back))
            for call in calls
        )

    def _put_back(self, text: str) -> str:
        return restore(text, self.names)


class Blindfold:
    """Knows the names that must not leave.

    ``soul`` are those that have no place even in a prompt of our own; a player may well be called like a word of one.
    Where ``terms`` are :class:`Names`, these are used as they are, with what is added to them later.
    """

    __slots__ = ("_askers", "_own", "_soul", "_tables", "_until", "own", "soul")

    def __init__(self, terms: Iterable[str] | Names = (), soul: Iterable[str] = ()):
        shared = terms if isinstance(terms, Names) else Names(terms)
        self._soul = Names((), soul)
        self._own: Names | None = None
        self._askers: dict[frozenset[str], Names] = {}
        self._tables: tuple[Names, ...] = tuple(table for table in (self._soul, shared) if len(table) or table is terms)
        self._until: tuple[float, ...] = (float("inf"),) * len(self._tables)
        #: The soul's names, and a task's own, as :meth:`scan` tells them.
        self.soul = self._soul.soul
        self.own: frozenset[str] = frozenset()

    def plus(self, terms: Iterable[str]) -> Blindfold:
        """A blindfold for one task: it knows these names too, and nobody who comes later."""
        both = Blindfold.__new__(Blindfold)
        both._soul, both.soul = self._soul, self.soul
        both._askers = self._askers
        both._own = self._names_of(frozenset(terms)) if terms else None
        both._tables = self._tables if both._own is None else (*self._tables, both._own)
        both._until = tuple(table.serial for table in both._tables)
        both.own = frozenset(terms) if terms else frozenset()
        return both

    def _names_of(self, terms: frozenset[str]) -> Names | None:
        """Those of one task's terms that are not known anyway. Who asks once asks again: they are kept for a while."""
        unknown = frozenset(term for term in terms if not any(term in table for table in self._tables))
        if not unknown:
            return None
        own = self._askers.get(unknown)
        if own is None:
            if len(self._askers) >= MOST_ASKERS:
                self._askers.clear()
            own = self._askers[unknown] = Names(unknown)
        return own

    @property
    def empty(self) -> bool:
        """Whether it knows no name at all."""
        return not any(map(len, self._tables))

    # -- out -----------------------------------------------------------------------------------------------------

    def redact(self, task: Task) -> Redacted:
        """The task with placeholders for every name in its messages, its tools and its schemas."""
        return Redacted(task, {}) if self.empty else finished(self._redacting(task))

    async def redact_in_slices(self, task: Task, clock: Clock) -> Redacted:
        """The same, in turns with the reactor where the task is long."""
        return Redacted(task, {}) if self.empty else await _in_turns(self._redacting(task), clock)

    def _redacting(self, task: Task) -> Generator[None, None, Redacted]:
        texts = yield from wording(task)
        placeholders: Placeholders | None = None
        changed: dict[tuple[str, str], str] = {}
        for mode, text in texts:
            told: list[str] = []
            shown = 0
            for hits in self._hits(text, mode):
                if hits:
                    placeholders = placeholders or Placeholders((yield from _taken(texts)))
                    told.append(_replaced(mode, text, shown, hits, placeholders))
                    shown = hits[-1].end
                if len(text) > PIECE + BEYOND:
                    yield
            if told and placeholders is not None:
                changed[mode, text] = _short(mode, text, "".join((*told, text[shown:])), placeholders)
        if placeholders is None:
            return Redacted(task, {})
        yield
        veiled = yield from rewording(task, lambda mode, text: changed.get((mode, text), text))
        special = any('"' in name or "\\" in name or not name.isprintable() for name in placeholders.names.values())
        return Redacted(veiled, placeholders.names, special)

    def _hits(self, text: str, mode: str) -> Iterator[list[Hit]]:
        """Where ``text`` names somebody, piece by piece, in order and apart."""
        if len(text) <= PIECE + BEYOND:
            yield find_everywhere(self._tables, text, mode, json=mode == JSON)
            return
        last = 0
        for start, end in _pieces(text):
            hits: list[Hit] = []
            before = max(0, start - BEYOND)
            for hit in find_everywhere(self._tables, text[before : end + BEYOND], mode, json=mode == JSON):
                at = hit.start + before
                if at < end and hit.end + before > start and at >= last:
                    last = hit.end + before
                    hits.append(hit._replace(start=at, end=last))
            yield hits

    # -- the last look -------------------------------------------------------------------------------------------

    def scan(self, outbound: str) -> tuple[str, ...]:
        """The names in ``outbound`` that are found wherever they stand, folded and sorted; () when there are none.

        ``outbound`` is JSON, or text; what is said in it is searched, not how it is written down. A placeholder names
        nobody, whoever is called like one.
        """
        return () if self.empty else finished(self._scanning(outbound))

    async def scan_in_slices(self, outbound: str, clock: Clock) -> tuple[str, ...]:
        """The same, in turns with the reactor where there is much of it."""
        return () if self.empty else await _in_turns(self._scanning(outbound), clock)

    def asker_in(self, texts: Iterable[str]) -> bool:
        """Whether texts of our own name a task's own people or places; a word of a prompt written small does not."""
        own = Names(self.own)
        return any(hit.certain and _is_named(text, hit) for text in texts for hit in find_everywhere((own,), text))

    def _scanning(self, outbound: str) -> Generator[None, None, tuple[str, ...]]:
        found: set[str] = set()
        for start, end in _pieces(outbound):
            found |= self._named(outbound[start : end + BEYOND])
            if end < len(outbound):
                yield
        return tuple(sorted(found))

    def _named(self, outbound: str) -> set[str]:
        said = unescaped_json(outbound)
        return {
            " ".join(hit.words)
            for table, until in zip(self._tables, self._until, strict=True)
            for hit in find_everywhere((table,), said, IDENTIFIER)
            if hit.certain and hit.serial <= until and not in_placeholder(said, hit.start, hit.end)
        }


def _is_named(text: str, hit: Hit) -> bool:
    whole = text.strip() == text[hit.start : hit.end]
    return not text[hit.start].islower() and (whole or used_as_name(text, hit.start, hit.end))


def _pieces(text: str) -> Iterable[tuple[int, int]]:
    """Where ``text`` is cut: at blanks where there are any, which no escape has inside."""
    start = 0
    while start < len(text):
        end = min(len(text), start + PIECE)
        if end < len(text):
            end = max(text.rfind(" ", start + PIECE // 2, end), text.rfind("\n", start + PIECE // 2, end)) + 1 or end
        yield start, end
        start = end


def _taken(texts: list[tuple[str, str]]) -> Generator[None, None, set[int]]:
    """The numbers that the texts have in something like a placeholder."""
    taken: set[int] = set()
    for _, text in texts:
        for start in range(0, len(text), FEW):
            taken |= taken_in(text[start : start + FEW + BEYOND])
            if len(text) > FEW:
                yield
    return taken


def _replaced(mode: str, text: str, shown: int, hits: list[Hit], placeholders: Placeholders) -> str:
    """``text`` from ``shown`` to the last of ``hits``, with placeholders in their places."""
    told: list[str] = []
    for hit in hits:
        written = text[hit.start : hit.end]
        if mode == JSON and "\\" in written:
            written = unescaped_json(written)
        told += (text[shown : hit.start], placeholders.for_name(hit.words, hit.kind, written))
        shown = hit.end
    return "".join(told)


def _short(mode: str, text: str, changed: str, placeholders: Placeholders) -> str:
    """``changed``; for an identifier that has become longer than providers take, a placeholder for all of it."""
    if mode == IDENTIFIER and len(changed) > LONGEST_IDENTIFIER >= len(text):
        return placeholders.for_name((text,), "person", text)
    return changed


def _in_json(text: str, change: Callable[[str], str]) -> str:
    """JSON text with its strings changed, so that a quotation mark in a name breaks nothing; other text as it is."""
    try:
        value = json.loads(text)
        changed = map_strings(value, lambda _, said: change(said))
    except (ValueError, RecursionError):
        return change(text)
    return text if changed == value else json.dumps(changed, ensure_ascii=False)


# -- taking turns ------------------------------------------------------------------------------------------------


async def _in_turns(steps: Generator[None, None, T], clock: Clock) -> T:
    """Go through ``steps``; whoever else has something to do gets a turn every :data:`SLICE` seconds."""
    until = time.perf_counter() + SLICE
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        if time.perf_counter() > until:
            await sleep(clock, 0.0)
            until = time.perf_counter() + SLICE
