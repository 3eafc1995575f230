"""Builds the world: the Workshop, Timmy, and the BackendRouter on the room. Safe to repeat; builds what is missing.

In a new game the room that everybody starts in becomes the Workshop. In a game that anybody has touched, nothing of
theirs is changed: the Workshop is a room of its own, with an exit from the starting place and one back. Everything that
is built has a tag of the category "uniwizard", by which it is found when Uniwizard is uninstalled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB
from evennia.server.initial_setup import LIMBO_DESC
from evennia.server.models import ServerConfig
from evennia.utils.create import create_object, create_script
from evennia.utils.dbserialize import deserialize

from uniwizard.world.soul import the as soul

WORKSHOP = "uniwizard.typeclasses.workshop.Workshop"
ROUTER = "uniwizard.typeclasses.backend_router.BackendRouter"
TAG = "uniwizard"
#: The key of the room that Evennia makes for a new game.
STOCK_START = "Limbo"
#: What becomes of that room is taken back when Uniwizard is uninstalled: these of its columns, and its description.
_KEPT = ("db_key", "db_typeclass_path", "db_lock_storage", "db_cmdset_storage")

KEEPER = "uniwizard.typeclasses.timmy.Timmy"

#: One line a paragraph: the room makes it as wide as the looker's screen.
DESCRIPTION = (
    "Lamplight, sawdust, and a long bench worn smooth by elbows. Along the back wall runs a shelf of glass jars, and "
    "in every jar a borrowed brain hums to itself under a little lamp of its own. |w{soul}|n keeps the place.\n\n"
    "Ask {him} anything: |wthink|n <task>. See whom {he} would ask, and why: |wroute|n <task>. Look along the shelf: "
    "|wbackends|n."
)
#: What is built of the furniture: typeclass, key, aliases, description, what it feels like.
FURNITURE = (
    ("Shelf", "shelf", ("jars",), "", "The wood is smooth, and it hums faintly, like a hive a long way off."),
    (
        "Bench",
        "bench",
        ("workbench",),
        "A long bench, worn smooth by elbows, with a vice at one end and a good lamp above the middle.",
        "Smooth, and a little warm where somebody has leaned.",
    ),
    (
        "Fixture",
        "lamp",
        ("lamps", "lamplight"),
        "A brass lamp on a chain above the bench. It burns whenever somebody thinks, and is never quite out.",
        "Warm brass. Your finger leaves a print on it.",
    ),
)


def ensure_workshop() -> Any:
    """The Workshop, built if it is not there yet. What somebody has deleted on purpose is not built again."""
    workshop = ObjectDB.objects.get_by_tag("workshop", category=TAG).first()
    if workshop is None:
        if ServerConfig.objects.conf("uniwizard_built"):
            return None
        workshop = _build()
        ServerConfig.objects.conf("uniwizard_built", True)
    if not workshop.scripts.get("backend_router"):
        create_script(ROUTER, obj=workshop)
    inhabit(workshop)
    return workshop


def inhabit(workshop: Any) -> None:
    """See that the keeper is who SOUL.md says, and that the furniture stands. What was deleted on purpose stays so."""
    keeper = ObjectDB.objects.get_by_tag("timmy", category=TAG).first()
    if keeper is not None:
        if keeper.typeclass_path == settings.BASE_CHARACTER_TYPECLASS:
            # Of a version in which he was a character like any other.
            keeper.swap_typeclass(KEEPER, clean_attributes=False)
            keeper.attributes.remove("desc")
        rename(keeper, workshop)
    if not workshop.attributes.get("furnished", category=TAG):
        for kind, key, aliases, desc, feel in FURNITURE:
            thing = _fixture(kind, key, workshop, aliases)
            thing.db.desc, thing.db.feel = desc, feel
        workshop.attributes.add("furnished", True, category=TAG)


def rename(keeper: Any, workshop: Any) -> None:
    """The keeper, and the room that is named for him, by the soul's present name."""
    former, name = keeper.key, soul().name
    keeper.db.get_err_msg = f"{name} looks up at you, kindly, and stays where {soul().pronouns[0]} is."
    if former == name:
        return
    keeper.key = name
    keeper.aliases.clear()
    he, him, his = soul().pronouns
    if workshop.key == f"{former}'s Workshop":
        workshop.key = f"{name}'s Workshop"
    if f"|w{former}|n" in (workshop.db.desc or ""):
        workshop.db.desc = DESCRIPTION.format(soul=name, he=he, him=him, his=his)


def set_jars(workshop: Any, keys: Iterable[str]) -> None:
    """A jar for each backend in ``keys``, and no other."""
    keys = list(keys)
    jars = {thing.key: thing for thing in workshop.contents if thing.tags.has("jar", category=TAG)}
    for key in keys:
        if key not in jars:
            _fixture("Jar", key, workshop, (f"jar of {key}", f"{key}'s jar", f"{key} jar")).tags.add(
                "jar", category=TAG
            )
    for key, jar in jars.items():
        if key not in keys:
            jar.delete()


def _fixture(kind: str, key: str, workshop: Any, aliases: Iterable[str]) -> Any:
    path = f"uniwizard.typeclasses.fixtures.{kind}"
    return create_object(path, key=key, location=workshop, home=workshop, aliases=list(aliases))


def _build() -> Any:
    start = ObjectDB.objects.get_id(settings.START_LOCATION)
    if start is not None and _untouched(start):
        stored = {name: getattr(start, name) for name in _KEPT}
        before = {"desc": start.db.desc, "stored": stored}
        start.swap_typeclass(WORKSHOP, clean_attributes=False)
        workshop = start
        workshop.attributes.add("before", before, category=TAG)
        workshop.key = f"{soul().name}'s Workshop"
    else:
        workshop = create_object(WORKSHOP, key=f"{soul().name}'s Workshop")
        if start is not None:
            exit_typeclass = settings.BASE_EXIT_TYPECLASS
            leads_in = create_object(exit_typeclass, key="workshop", location=start, destination=workshop)
            out = create_object(exit_typeclass, key="out", aliases=["leave"], location=workshop, destination=start)
            for way in (leads_in, out):
                way.tags.add("exit", category=TAG)
    he, him, his = soul().pronouns
    workshop.db.desc = DESCRIPTION.format(soul=soul().name, he=he, him=him, his=his)
    workshop.aliases.add("workshop")
    workshop.tags.add("workshop", category=TAG)
    keeper = create_object(KEEPER, key=soul().name, location=workshop, home=workshop)
    keeper.locks.add("get:false();puppet:false()")
    keeper.tags.add("timmy", category=TAG)
    return workshop


def _untouched(start: Any) -> bool:
    """Whether ``start`` is Evennia's own Limbo, in a game in which nobody has built or played anything yet."""
    return (
        start.key == STOCK_START
        and start.typeclass_path == settings.BASE_ROOM_TYPECLASS
        and start.db.desc == str(LIMBO_DESC).strip()
        and not start.tags.all()
        and not start.aliases.all()
        and not start.scripts.all()
        and all(attribute.key == "desc" for attribute in start.attributes.all())
        # The owner's character is the one other object, and the one account is the owner's.
        and ObjectDB.objects.count() <= 2
        and AccountDB.objects.count() <= 1
    )


def note_former() -> None:
    """Note of the starting place that version 0.1 has made the Workshop what it was before: Evennia's own Limbo.

    That version looked at its key and typeclass alone and kept no copy, so a description of somebody's is lost.
    """
    start = ObjectDB.objects.get_id(settings.START_LOCATION)
    if start is None or not start.tags.has("workshop", category=TAG) or start.attributes.has("before", category=TAG):
        return
    stored = {name: getattr(start, name) for name in _KEPT}
    stored |= {"db_key": STOCK_START, "db_typeclass_path": settings.BASE_ROOM_TYPECLASS}
    start.attributes.add("before", {"desc": str(LIMBO_DESC).strip(), "stored": stored}, category=TAG)


def give_back(room: Any) -> None:
    """Make the Workshop again the room that it was before it was built. It is not to be used after that."""
    before = deserialize(room.attributes.get("before", category=TAG))
    room.attributes.remove("before", category=TAG)
    room.tags.clear(category=TAG)
    room.aliases.remove("workshop")
    room.db.desc = before["desc"]
    ObjectDB.objects.filter(id=room.id).update(**before["stored"])
