"""What Timmy can do in the world for a goal, besides asking: look, go, say, build; with its owner's rights.

    deeds.register_all()          # as the game's desk is opened; UNIWIZARD_GOAL_ACTIONS names those that a game wants
    await goals.the().add(Goal("describe the yard anew", wants=frozenset({"built"})), str(character.id))

===========  ===========  ===========  =================================================================================
action       needs        makes        what happens
===========  ===========  ===========  =================================================================================
``look``                  seen         what the owner would see in the place, as text
``go``                    there        the way to the place is gone, exit by exit: what is on it, and who is there
``describe``  seen        described    a brain writes what was wanted, from what was seen
``say``      answered     said         Timmy says the answer in the place, in the owner's name
``build``    described    built        the place, or the option ``thing`` in it, gets the text as its description
===========  ===========  ===========  =================================================================================

The place is where the owner is, or, with the option ``where`` (``north, gate``), behind those exits, which the owner
must be able to traverse; nobody's body moves. Locks are asked when something is done, not when it is planned: to be
seen (``view``), walked (``traverse``), changed (``edit``). To say something elsewhere than one stands takes a Builder.
What was there before a description is kept in ``desc_before``. A deed that may not be done ends in a fact that
cannot be made true, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from evennia.objects.models import ObjectDB
from evennia.utils.ansi import strip_ansi

from uniwizard.agent.goals import Action, Doing, StepFailed, register
from uniwizard.world.harmless import escape, line, plain
from uniwizard.world.narrator import tell_room
from uniwizard.world.soul import voice

#: Exits of one way; characters of what is seen, of what is said, and of a description.
MOST_EXITS, MOST_SEEN, MOST_SAID, MOST_BUILT = 8, 4000, 600, 2000


def register_all() -> None:
    """Let goals do what the game wants done."""
    for action in ACTIONS:
        if action.name in settings.UNIWIZARD_GOAL_ACTIONS:
            register(action)


def _owner(doing: Doing) -> Any:
    """The character whose goal it is. Raises StepFailed."""
    who = ObjectDB.objects.filter(id=int(doing.owner)).first() if doing.owner.isdecimal() else None
    if who is None:
        raise StepFailed("only a character's goal can do something in the world")
    return who


def _place(doing: Doing, who: Any) -> Any:
    """Where it is to be done. Raises StepFailed."""
    # Whoever is offline is nowhere; they left from somewhere.
    room = who.location or who.db.prelogout_location
    if room is None:
        raise StepFailed(f"{line(who.key, 40)} is nowhere")
    for name in _way(doing):
        found = next((way for way in room.exits if name in _names(way) and way.access(who, "view")), None)
        if found is None or found.destination is None:
            raise StepFailed(f"there is no way {name} from {line(room.key, 40)}")
        if not found.access(who, "traverse"):
            raise StepFailed(f"the way {name} from {line(room.key, 40)} is closed to {line(who.key, 40)}")
        room = found.destination
    return room


def _way(doing: Doing) -> list[str]:
    names = [name.strip().lower()[:60] for name in doing.options.get("where", "").split(",") if name.strip()]
    if len(names) > MOST_EXITS:
        raise StepFailed(f"a way has {MOST_EXITS} exits at the most")
    return names


def _names(thing: Any) -> set[str]:
    return {thing.key.lower(), *(alias.lower() for alias in thing.aliases.all())}


def look(doing: Doing) -> str:
    """What the owner would see. Raises StepFailed."""
    who = _owner(doing)
    room = _place(doing, who)
    if not room.access(who, "view"):
        raise StepFailed(f"{line(room.key, 40)} cannot be seen by {line(who.key, 40)}")
    return plain(strip_ansi(str(room.return_appearance(who) or room.key)), MOST_SEEN).strip()


def go(doing: Doing) -> str:
    """The way there, and who is there. Raises StepFailed."""
    who = _owner(doing)
    room = _place(doing, who)
    there = [thing.get_display_name(who) for thing in room.contents if thing.has_account and thing.access(who, "view")]
    told = f"{' - '.join([*_way(doing), ''])}{room.get_display_name(who)}; there: {', '.join(there) or 'nobody'}"
    return plain(strip_ansi(told), MOST_SEEN)


def say(doing: Doing) -> str:
    """Timmy says it. Raises StepFailed."""
    who = _owner(doing)
    room = _place(doing, who)
    if room != who.location and not who.check_permstring("Builder"):
        raise StepFailed("to have something said elsewhere takes a Builder")
    text = line(doing.texts["answered"], MOST_SAID)
    tell_room(room, voice.say("goal_said", name=line(who.key, 40), why=text))
    return plain(doing.texts["answered"], MOST_SAID)


def build(doing: Doing) -> str:
    """The description is changed. Raises StepFailed."""
    who = _owner(doing)
    room = _place(doing, who)
    name = doing.options.get("thing", "").strip().lower()
    target = next((each for each in room.contents if name in _names(each) and each.access(who, "view")), None)
    target = target if name else room
    if target is None:
        raise StepFailed(f"there is no {line(name, 40)} in {line(room.key, 40)}")
    # Whoever is played says themselves what they look like.
    if not target.access(who, "edit") or (target.has_account and target != who):
        raise StepFailed(f"{line(who.key, 40)} may not change {line(target.key, 40)}")
    text = plain(doing.texts["described"], MOST_BUILT).strip()
    if not text:
        raise StepFailed("there is nothing to build from")
    target.db.desc_before, target.db.desc = target.db.desc, escape(text)
    return text


def _deed(name: str, makes: str, run: Callable[[Doing], str], why: str, *needs: str, seconds: float = 1.0) -> Action:
    return Action(name, frozenset(needs), frozenset({makes}), seconds=seconds, run=run, why=why)


ACTIONS = (
    _deed("look", "seen", look, "see what is there"),
    _deed("go", "there", go, "find the way, and who is there", seconds=2.0),
    Action(
        "describe",
        frozenset({"seen"}),
        frozenset({"described"}),
        "{goal}\n\nThis can be seen there now:\n\n{seen}\n\nGive the new description alone, in a few sentences.",
        kind="write",
        tries=2,
        why="say it in words, from what was seen",
    ),
    _deed("say", "said", say, "have it heard", "answered"),
    _deed("build", "built", build, "change what is there", "described"),
)
