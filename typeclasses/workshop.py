"""The Workshop: a room whose appearance shows the shelf of borrowed brains and the state of each lamp."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.utils import delay
from evennia.utils.utils import class_from_module

from uniwizard.typeclasses.fixtures import Fixture
from uniwizard.typeclasses.timmy import Timmy, welcome
from uniwizard.world import routers
from uniwizard.world.telling import flowed, width_of

_LAMPS = {"closed": "|g{}|n", "half-open": "|y{} (flickering)|n", "open": "|r{} (dark)|n"}
#: Seconds after a player's coming in at which Timmy has seen them.
NOTICED = 0.5


_Room: Any = class_from_module(settings.BASE_ROOM_TYPECLASS)


class Workshop(_Room):
    """Where new players start. It builds on the game's own Room, so whatever that does, this does too."""

    def get_display_desc(self, looker: Any, **kwargs: Any) -> str:
        """The description, as wide as the looker's screen."""
        return flowed(super().get_display_desc(looker, **kwargs), width_of(looker))

    def at_init(self) -> None:
        super().at_init()
        # By its path: the commands are a floor above. Not persistent, so that nothing of it is stored.
        self.cmdset.add("uniwizard.commands.cmdsets.WorkshopCmdSet", persistent=False)

    def get_display_footer(self, looker: Any, **kwargs: Any) -> str:
        footer = super().get_display_footer(looker, **kwargs)
        return "\n".join(part for part in (flowed(self._shelf(), width_of(looker)), footer) if part)

    def filter_visible(self, obj_list: Any, looker: Any, **kwargs: Any) -> Any:
        """The jars and the furniture are in the description; a list of them would bury it."""
        return [thing for thing in super().filter_visible(obj_list, looker, **kwargs) if not isinstance(thing, Fixture)]

    def at_object_receive(self, moved_obj: Any, source_location: Any, move_type: str = "move", **kwargs: Any) -> None:
        super().at_object_receive(moved_obj, source_location, move_type=move_type, **kwargs)
        # A character that is logged in to comes from nowhere, before its player can hear anything.
        delay(NOTICED, self._notice, moved_obj)

    def _notice(self, arrived: Any) -> None:
        if arrived.pk is None or arrived.location != self or not arrived.has_account:
            return
        if not arrived.attributes.get("welcomed", category="uniwizard"):
            arrived.attributes.add("welcomed", True, category="uniwizard")
            arrived.msg(text=("\n".join(welcome(arrived)), {"type": "uniwizard"}))
        for keeper in self.contents:
            if isinstance(keeper, Timmy):
                keeper.sees_arrive(arrived)

    def _shelf(self) -> str:
        router = routers.of(self)
        if router is None:
            return "The shelf along the wall is empty."
        try:
            brain = router.brain
        except routers.Closed:
            return "|rThe shelf is locked:|n its configuration has faults; a Builder sees them with |wbackends|n."
        jars = []
        for health in brain.states():
            if health.backend.unconfigured:
                jars.append(f"|x{health.backend.key} (asleep)|n")
            elif health.disabled:
                jars.append(f"|x{health.backend.key} (put away)|n")
            else:
                jars.append(_LAMPS[health.state].format(health.backend.key))
        shelf = f"|wOn the shelf:|n {', '.join(jars)}"
        if brain.practising:
            shelf += "\n|mPractice: straw dummies stand in for the brains; every answer is simulated.|n"
        return shelf
