"""Builds the world: the Workshop, Timmy, and the BackendRouter on the room. Safe to repeat; builds what is missing.

In a new game the room that everybody starts in becomes the Workshop. In a game that anybody has touched, nothing of
theirs is changed: the Workshop is a room of its own, with an exit from the starting place and one back. Everything that
is built has a tag of the category "uniwizard", by which it is found when Uniwizard is uninstalled.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB
from evennia.server.initial_setup import LIMBO_DESC
from evennia.server.models import ServerConfig
from evennia.utils.create import create_object, create_script
from evennia.utils.dbserialize import deserialize

from uniwizard.world.soul import SOUL_NAMES

WORKSHOP = "uniwizard.typeclasses.workshop.Workshop"
ROUTER = "uniwizard.typeclasses.backend_router.BackendRouter"
TAG = "uniwizard"
#: The key of the room that Evennia makes for a new game.
STOCK_START = "Limbo"
#: What becomes of that room is taken back when Uniwizard is uninstalled: these of its columns, and its description.
_KEPT = ("db_key", "db_typeclass_path", "db_lock_storage", "db_cmdset_storage")

DESCRIPTION = """\
Lamplight, sawdust, and a long bench worn smooth by elbows. Along the back
wall runs a shelf of glass jars, and in every jar a borrowed brain hums to
itself under a little lamp of its own. |wTimmy|n keeps the place.

Ask him anything: |wthink|n <task>. See whom he would ask, and why:
|wroute|n <task>. Look along the shelf: |wbackends|n."""

TIMMY = """\
Small, patient, sawdust in his hair. He borrows other people's brains and
gives them back in good order; what is said at his bench stays at his bench.
Ask him something: |wthink|n <task>."""


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
    return workshop


def _build() -> Any:
    start = ObjectDB.objects.get_id(settings.START_LOCATION)
    if start is not None and _untouched(start):
        stored = {name: getattr(start, name) for name in _KEPT}
        before = {"desc": start.db.desc, "stored": stored}
        start.swap_typeclass(WORKSHOP, clean_attributes=False)
        workshop = start
        workshop.attributes.add("before", before, category=TAG)
        workshop.key = "Timmy's Workshop"
    else:
        workshop = create_object(WORKSHOP, key="Timmy's Workshop")
        if start is not None:
            exit_typeclass = settings.BASE_EXIT_TYPECLASS
            leads_in = create_object(exit_typeclass, key="workshop", location=start, destination=workshop)
            out = create_object(exit_typeclass, key="out", aliases=["leave"], location=workshop, destination=start)
            for way in (leads_in, out):
                way.tags.add("exit", category=TAG)
    workshop.db.desc = DESCRIPTION
    workshop.aliases.add("workshop")
    workshop.tags.add("workshop", category=TAG)
    timmy = create_object(settings.BASE_CHARACTER_TYPECLASS, key=SOUL_NAMES[0], location=workshop, home=workshop)
    timmy.db.desc = TIMMY
    timmy.locks.add("get:false();puppet:false()")
    timmy.db.get_err_msg = "Timmy looks up at you, kindly, and stays where he is."
    timmy.tags.add("timmy", category=TAG)
    return workshop


def _untouched(start: Any) -> bool:
    """Whether ``start`` is Evennia's own Limbo, in a game in which nobody has built or played anything yet."""
    return (
        start.key == STOCK_START
        and start.typeclass_path == settings.BASE_ROOM_TYPECLASS
        and start.db.desc == str(LIMBO_DESC).strip()
        and not start.tags.all()
        and not start.aliases.all()
        # The owner's character is the one other object, and the one account is the owner's.
        and ObjectDB.objects.count() <= 2
        and AccountDB.objects.count() <= 1
    )


def give_back(room: Any) -> None:
    """Make the Workshop again the room that it was before it was built. It is not to be used after that."""
    before = deserialize(room.attributes.get("before", category=TAG))
    room.attributes.remove("before", category=TAG)
    room.tags.clear(category=TAG)
    room.aliases.remove("workshop")
    room.db.desc = before["desc"]
    ObjectDB.objects.filter(id=room.id).update(**before["stored"])
