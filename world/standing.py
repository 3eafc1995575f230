"""The game's standing goals: a summary of the board, fresh descriptions of rooms, an FAQ; with quota that would expire.

    standing.look(desk)           # now and then: begins what is due
    standing.deliver(record)      # a standing goal has come to its end

``configs/goals.yaml`` in the game directory names them (``UNIWIZARD_STANDING_GOALS`` another file). What they work on:
``board``, the channel ``UNIWIZARD_BOARD``; ``room``, the rooms that a Builder has tagged ``fresh`` (category
``uniwizard``), one after the other; ``questions``, what players asked, where ``UNIWIZARD_LEDGER_TEXTS`` keeps it.
Where the result goes: ``board`` posts it there, ``room`` makes it the description (the former is kept in
``desc_before``), ``help`` makes it the help entry ``faq``.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from evennia.comms.models import ChannelDB
from evennia.help.models import HelpEntry
from evennia.objects.models import ObjectDB
from evennia.utils import create, logger
from twisted.internet.defer import Deferred

from uniwizard.agent import ConfigError
from uniwizard.agent.goals import REACHED, STANDING, Desk, Material, Record, Standing, read_standing, tend
from uniwizard.world.harmless import escape, plain
from uniwizard.world.ledger.models import Attempt
from uniwizard.world.ledger.storage import moment

#: Seconds between two looks, and of a board or a ledger that are looked at.
LOOK, LATELY = 60.0, 7 * 86_400.0
#: Characters of material; questions of an FAQ.
MOST_CHARS, MOST_QUESTIONS = 20_000, 100
_TAG, _CATEGORY = "fresh", "uniwizard"

_looked = 0.0
_known: tuple[float, list[Standing]] = (-1.0, [])


def look(desk: Desk) -> None:
    """Begin what is due, at most once in :data:`LOOK` seconds."""
    global _looked
    if time.monotonic() - _looked < LOOK and _looked:
        return
    _looked = time.monotonic()
    if wanted := read():
        begun = Deferred.fromCoroutine(tend(wanted, desk, SOURCES))
        begun.addErrback(lambda why: logger.log_err(f"Uniwizard: standing goals: {why.getErrorMessage()}"))


def read() -> list[Standing]:
    """The standing goals of the game's file; with faults in it, those that held before."""
    global _known
    path = Path(settings.GAME_DIR) / (settings.UNIWIZARD_STANDING_GOALS or "configs/goals.yaml")
    try:
        changed = path.stat().st_mtime
    except OSError:
        return []
    if changed != _known[0]:
        try:
            _known = changed, read_standing(path, tuple(SOURCES))
        except ConfigError as error:
            for fault in error.faults:
                logger.log_err(f"Uniwizard: {fault}")
            _known = changed, _known[1]
    return _known[1]


def deliver(record: Record) -> None:
    """Take the result of a standing goal where it belongs."""
    name = record.owner.removeprefix(STANDING)
    one = next((one for one in read() if one.name == name), None)
    if record.state != REACHED or one is None:
        return
    text = escape(plain(record.result, MOST_CHARS))
    match one.to:
        case "board" if (board := _board()) is not None:
            board.msg(text)
        case "room":
            room = ObjectDB.objects.filter(id=int(record.goal.options.get("room", "0"))).first()
            if room is not None and room.tags.has(_TAG, category=_CATEGORY):
                room.db.desc_before, room.db.desc = room.db.desc, text
                room.attributes.add("described", time.time(), category=_CATEGORY)
        case "help":
            entry = HelpEntry.objects.filter(db_key__iexact="faq").first()
            if entry is None:
                create.create_help_entry("faq", text, category="Workshop", locks="view:all();read:all()")
            else:
                entry.entrytext = text


def _board() -> Any:
    return ChannelDB.objects.filter(db_key__iexact=settings.UNIWIZARD_BOARD).first()


def _of_board() -> Material | None:
    """What was said on the board lately, by its log."""
    board = _board()
    path = Path(settings.CHANNEL_LOG_DIR if hasattr(settings, "CHANNEL_LOG_DIR") else settings.LOG_DIR)
    file = path / board.get_log_filename() if board is not None else None
    if file is None or not file.exists() or file.stat().st_mtime < time.time() - LATELY:
        return None
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - MOST_CHARS))
        text = log.read().decode("utf-8", "replace")
    return Material({"board": plain(text, MOST_CHARS)}) if text.strip() else None


def _of_room() -> Material | None:
    """The description of the room that has waited longest for a fresh one."""
    rooms = list(ObjectDB.objects.get_by_tag(_TAG, category=_CATEGORY))
    rooms = [room for room in rooms if room.db.desc]
    if not rooms:
        return None
    room = min(rooms, key=lambda one: one.attributes.get("described", default=0.0, category=_CATEGORY))
    return Material({"place": str(room.db.desc)[:MOST_CHARS]}, {"room": str(room.id)})


def _of_questions() -> Material | None:
    """What players asked lately, the most frequent first."""
    rows = Attempt.objects.filter(started__gte=moment(time.time() - LATELY), number=1, label="").exclude(prompt="")
    asked = Counter(plain(prompt, 300) for prompt in rows.values_list("prompt", flat=True)[:5000])
    told = "\n".join(f"- {question}" for question, _ in asked.most_common(MOST_QUESTIONS))
    return Material({"questions": told[:MOST_CHARS]}) if told else None


SOURCES = {"board": _of_board, "room": _of_room, "questions": _of_questions}
