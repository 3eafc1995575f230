"""Builds the world: the Workshop, Timmy, and the BackendRouter on the room. Safe to repeat; builds what is missing.

In a new game the room that everybody starts in becomes the Workshop. In a game that somebody has built already, nothing
of theirs is changed: the Workshop is a room of its own, with an exit from the starting place and one back.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.objects.models import ObjectDB
from evennia.server.models import ServerConfig
from evennia.utils.create import create_object, create_script

from uniwizard.world.soul import SOUL_NAMES

WORKSHOP = "uniwizard.typeclasses.workshop.Workshop"
ROUTER = "uniwizard.typeclasses.backend_router.BackendRouter"
TAG = "uniwizard"
#: The key of the room that Evennia makes for a new game.
STOCK_START = "Limbo"

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
    if start is not None and start.key == STOCK_START and start.typeclass_path == settings.BASE_ROOM_TYPECLASS:
        start.swap_typeclass(WORKSHOP, clean_attributes=False)
        workshop = start
        workshop.key = "Timmy's Workshop"
    else:
        workshop = create_object(WORKSHOP, key="Timmy's Workshop")
        if start is not None:
            exit_typeclass = settings.BASE_EXIT_TYPECLASS
            create_object(exit_typeclass, key="workshop", location=start, destination=workshop)
            create_object(exit_typeclass, key="out", aliases=["leave"], location=workshop, destination=start)
    workshop.db.desc = DESCRIPTION
    workshop.aliases.add("workshop")
    workshop.tags.add("workshop", category=TAG)
    timmy = create_object(settings.BASE_CHARACTER_TYPECLASS, key=SOUL_NAMES[0], location=workshop, home=workshop)
    timmy.db.desc = TIMMY
    timmy.locks.add("get:false();puppet:false()")
    timmy.db.get_err_msg = "Timmy looks up at you, kindly, and stays where he is."
    timmy.tags.add("timmy", category=TAG)
    return workshop
