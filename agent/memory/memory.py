"""The memory itself: what is known, kept, found, forgotten.

    memory = Memory(settings, clock)
    memory.keep_in(store)                        # optional: what a restart forgets otherwise
    question = memory.question(redacted, "knowledge")
    memory.peek(question)                        # (Entry, similarity) or None, at once: for explaining
    await memory.find(question, task_id)         # the same, and a shared store is asked
    memory.keep(question, entry)
    memory.forget_task(task_id)

Deciding never waits: ``peek`` looks at the process's own shelf alone. ``find`` asks a shared store and gives it
:data:`PATIENCE` seconds; a store that fails costs its help and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.logger import Logger

from ..config.settings import MemorySettings
from ..core.clock import Clock, within
from ..core.task import Task
from .entry import Entry
from .question import Question, question_of
from .shelf import Shelf
from .similar import SimilarIndex
from .single_flight import SingleFlight
from .store import Store, StoreUnavailable

_log = Logger()

#: Seconds that a shared store has to answer before the task goes on without it.
PATIENCE = 0.05
#: Seconds for which a store that did not answer is left alone.
REST = 5.0
#: Tasks whose question is remembered, for those who say later that its answer was bad.
TASKS = 10_000
#: Characters of the longest answer that is kept.
MAX_CHARS = 50_000

#: An entry, and how similar its question is: 1 where it is the same.
Found = tuple[Entry, float]


class Memory:
    """Everything belongs to the reactor's thread."""

    def __init__(self, settings: MemorySettings, clock: Clock):
        self.settings = settings
        self.flights = SingleFlight(clock)
        self._clock = clock
        self._shelf = Shelf(settings)
        self._similar = SimilarIndex()
        self._store: Store | None = None
        self._rests_until = 0.0
        #: The keys of the entries that answered a task or came of it.
        self._of_task: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def __len__(self) -> int:
        """How many answers the process knows."""
        return len(self._shelf)

    def reload(self, settings: MemorySettings) -> None:
        """Go by other settings from now on; what they have no room for is let go of."""
        self.settings = self._shelf.settings = settings
        for entry in self._shelf:
            if settings.rule(entry.kind).match == "never":
                self._drop(entry.key)
            else:
                self._gone(self._shelf.trim(entry.kind))

    def keep_in(self, store: Store | None) -> None:
        """Keep what is learned in ``store`` as well, and begin with what is in it."""
        if self._store is not None:
            self._store.close()
        self._store = store
        if store is not None:
            loading = store.load(self.settings.max_entries)
            loading.addCallbacks(self._loaded, lambda why: _log.failure("the memory cannot be loaded", failure=why))

    def _loaded(self, entries: list[Entry]) -> None:
        now = self._clock.seconds()
        for entry in entries:
            # What was learned meanwhile is newer.
            if entry.until > now and self._shelf.peek(entry.key, now) is None:
                self._put(entry)

    def close(self) -> None:
        """Nothing more is asked."""
        if self._store is not None:
            self._store.close()
            self._store = None

    # -- asking --------------------------------------------------------------------------------------------------

    def question(
        self, task: Task, kind: str, *, practice: bool = False, fresh: bool = False, pin: str | None = None
    ) -> Question:
        """The question that ``task``, without names, asks. ``why_not`` says why it is never answered from memory."""
        if self.settings.rule(kind).match == "never":
            return Question("", kind, why_not=f"{kind} is not remembered here")
        return question_of(task, kind, practice=practice, fresh=fresh, pin=pin)

    def peek(self, question: Question) -> Found | None:
        """What this process knows of ``question``."""
        if not question.key or question.fresh:
            return None
        now = self._clock.seconds()
        entry = self._shelf.peek(question.key, now)
        if entry is not None:
            return (entry, 1.0) if _fits(entry, question) else None
        rule = self.settings.rule(question.kind)
        if rule.match == "similar":
            for key, likeness in self._similar.find(question.kind, _scope(question), question.text, rule.above):
                other = self._shelf.peek(key, now)
                if other is not None and _fits(other, question):
                    return other, likeness
        return None

    async def find(self, question: Question, task_id: str = "") -> Found | None:
        """The same, a shared store's word first. ``task_id`` is remembered, for :meth:`forget_task`."""
        if not question.key or question.fresh:
            return None
        if self._store is not None and self._store.shared and self._clock.seconds() >= self._rests_until:
            await self._ask_store(self._store, question)
        found = self.peek(question)
        if found is not None:
            self._shelf.get(found[0].key, self._clock.seconds())
            self.note(task_id, question.key, found[0].key)
        return found

    async def _ask_store(self, store: Store, question: Question) -> None:
        """Have the shelf know what the store knows of ``question``."""
        try:
            entry = await within(store.get(question.key), PATIENCE, self._clock)
        except (OutOfTime, StoreUnavailable):
            self._rests_until = self._clock.seconds() + REST
            return
        if entry is None or entry.key != question.key:
            self._drop(question.key, everywhere=False)
        elif entry.until > self._clock.seconds():
            self._put(entry)

    # -- learning ------------------------------------------------------------------------------------------------

    def keep(self, question: Question, entry: Entry, task_id: str = "") -> Entry | None:
        """Keep the accepted answer to ``question``, which came of a task; as it is kept, or None."""
        self.note(task_id, question.key)
        if not question.key or len(entry.text) > MAX_CHARS or entry.practice != question.practice:
            return None
        rule = self.settings.rule(question.kind)
        if rule.match == "never":
            return None
        similar = rule.match == "similar"
        entry = replace(
            entry,
            key=question.key,
            kind=question.kind,
            question=question.text if similar else "",
            settings=_scope(question) if similar else "",
            until=self._clock.seconds() + rule.keep,
        )
        self._put(entry)
        if self._store is not None:
            self._store.put(entry)
        return entry

    def forget_task(self, task_id: str) -> bool:
        """The answer of a task was bad: let go of it. Whether anything was known of it."""
        known = [key for key in self._of_task.pop(task_id, ()) if self._drop(key)]
        return bool(known)

    def _put(self, entry: Entry) -> None:
        gone = self._shelf.put(entry)
        if entry.question:
            self._similar.add(entry.key, entry.kind, entry.settings, entry.question)
        self._gone(gone)

    def _drop(self, key: str, *, everywhere: bool = True) -> bool:
        known = self._shelf.forget(key) is not None
        self._similar.discard(key)
        if everywhere and self._store is not None:
            self._store.forget([key])
        return known

    def _gone(self, entries: list[Entry]) -> None:
        """There was no room for them."""
        for entry in entries:
            self._similar.discard(entry.key)
        if entries and self._store is not None and not self._store.shared:
            self._store.forget([entry.key for entry in entries])

    def note(self, task_id: str, *keys: str) -> None:
        """The task was answered by the entries of ``keys``, or they came of it."""
        if task_id:
            self._of_task[task_id] = tuple(dict.fromkeys(key for key in keys if key))
            if len(self._of_task) > TASKS:
                self._of_task.popitem(last=False)


def _fits(entry: Entry, question: Question) -> bool:
    """Whether the entry may answer: a practice answer only in practice, for a pinned backend only its own."""
    return entry.practice == question.practice and question.pin in (None, entry.backend)


def _scope(question: Question) -> str:
    """What similar questions must agree in beside their words."""
    return f"{int(question.practice)}{question.settings}"
