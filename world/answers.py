"""The answers that a character has had lately, with their questions: for ``think/again``, ``/history`` and ``/more``.

They are Attributes of the character, one an answer, so that a new one costs one row however long the others are, and
survive whatever the game survives. ``thread`` holds a conversation together: every ``think`` begins one, and
``think/more`` goes on with the last. Plain texts: what is shown is made harmless when it is shown.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evennia.utils.dbserialize import deserialize

from uniwizard.agent import Message

#: Answers that are kept of one character.
KEPT = 20
#: Characters of a conversation that go along with its next question; what is older is summarised.
CONTEXT = 24_000
#: The latest exchanges, which always go along, cut if they must be.
VERBATIM = 4
_CATEGORY = "uniwizard_answers"


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer. ``closing`` is its last line, ``at`` seconds since the epoch, ``thread`` its conversation."""

    number: int
    thread: int
    asked: str
    text: str
    backend: str
    closing: str
    at: float
    summary: str = ""


def of(who: Any) -> list[Kept]:
    """The answers of ``who``, oldest first."""
    rows = [
        deserialize(row.value)
        for row in who.attributes.get(category=_CATEGORY, return_obj=True, return_list=True)
        if row
    ]
    return sorted((Kept(**row) for row in rows if isinstance(row, dict)), key=lambda kept: kept.number)


def last(who: Any) -> Kept | None:
    """The latest answer of ``who``."""
    kept = of(who)
    return kept[-1] if kept else None


def keep(who: Any, asked: str, text: str, backend: str, closing: str, *, follows: bool) -> Kept:
    """Keep an answer; it goes on with the last one's conversation where it ``follows``."""
    kept = of(who)
    number = kept[-1].number + 1 if kept else 1
    thread = kept[-1].thread if kept and follows else number
    summary = kept[-1].summary if kept and follows else ""
    entry = Kept(number, thread, asked, text, backend, closing, time.time(), summary)
    who.attributes.add(str(number), asdict(entry), category=_CATEGORY)
    for old in kept[: max(0, len(kept) + 1 - KEPT)]:
        who.attributes.remove(str(old.number), category=_CATEGORY)
    return entry


def forget(who: Any) -> bool:
    """Forget every answer; whether there were any."""
    had = bool(of(who))
    who.attributes.clear(category=_CATEGORY)
    return had


# -- conversations -----------------------------------------------------------------------------------------------------


def conversation(kept: Sequence[Kept]) -> list[Kept]:
    """The exchanges of the last answer's conversation, oldest first."""
    return [entry for entry in kept if kept and entry.thread == kept[-1].thread]


def turns(exchanges: Sequence[Kept]) -> tuple[Message, ...]:
    """A conversation as the turns that go along with its next question, at most :data:`CONTEXT` characters or so."""
    fitting = fits(exchanges)
    before: list[Message] = []
    if exchanges and exchanges[-1].summary and len(fitting) < len(exchanges):
        before = [
            Message("user", "What was said before, in short:\n" + exchanges[-1].summary),
            Message("assistant", "Understood."),
        ]
    share = CONTEXT // max(1, 2 * len(fitting))
    for entry in fitting:
        long = len(entry.asked) + len(entry.text) > 2 * share
        before.append(Message("user", _cut(entry.asked, share) if long else entry.asked))
        before.append(Message("assistant", _cut(entry.text, share) if long else entry.text))
    return tuple(before)


def fits(exchanges: Sequence[Kept]) -> list[Kept]:
    """The latest exchanges that fit; the last :data:`VERBATIM` in any case."""
    taken: list[Kept] = []
    used = 0
    for entry in reversed(exchanges):
        used += len(entry.asked) + len(entry.text)
        if used > CONTEXT and len(taken) >= VERBATIM:
            break
        taken.append(entry)
    return taken[::-1]


def too_long(exchanges: Sequence[Kept]) -> str:
    """What of a conversation no longer fits and has not been summarised yet, as one text; empty where all is well."""
    older = exchanges[: len(exchanges) - len(fits(exchanges))]
    if not older or not exchanges or (exchanges[-1].summary and len(older) < 2):
        return ""
    told = "\n\n".join(f"Q: {_cut(entry.asked, 2000)}\nA: {_cut(entry.text, 4000)}" for entry in older)
    return f"{exchanges[-1].summary}\n\n{told}".strip()


def summarised(who: Any, entry: Kept, summary: str) -> None:
    """Keep the summary of what was said before ``entry`` and does not fit."""
    who.attributes.add(str(entry.number), {**asdict(entry), "summary": summary[:4000]}, category=_CATEGORY)


def _cut(text: str, limit: int) -> str:
    """``text`` with its middle left out where it is longer than ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit * 2 // 3]}\n[...]\n{text[-limit // 3 :]}"
