"""The Workshop: a room whose appearance shows the shelf of borrowed brains and the state of each lamp."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.utils import delay
from evennia.utils.utils import class_from_module

from uniwizard.typeclasses.fixtures import Fixture
from uniwizard.typeclasses.timmy import Timmy, welcome
from uniwizard.world import routers
from uniwizard.world.telling import screen_of

_LAMPS = {"closed": "|g{}|n", "half-open": "|y{} (flickering)|n", "open": "|r{} (dark)|n"}
#: Seconds after a player's coming in at which Timmy has seen them.
NOTICED = 0.5


_Room: Any = class_from_module(settings.BASE_ROOM_TYPECLASS)


class Workshop(_Room):
    """Where new players start. It builds on the game's own Room, so whatever that does, this does too."""

    def get_display_desc(self, looker: Any, **kwargs: Any) -> str:
        """The description, as wide as the looker's screen; what the builder broke in two by hand stays so."""
        width = screen_of(looker).width if hasattr(looker, "sessions") else 78
        return _flowed(super().get_display_desc(looker, **kwargs), width)

    def get_display_footer(self, looker: Any, **kwargs: Any) -> str:
        footer = super().get_display_footer(looker, **kwargs)
        width = screen_of(looker).width if hasattr(looker, "sessions") else 78
        return "\n".join(part for part in (_flowed(self._shelf(), width), footer) if part)

    def filter_visible(self, obj_list: Any, looker: Any, **kwargs: Any) -> Any:
        """The jars and the furniture are in the description; a list of them would bury it."""
        return [thing for thing in super().filter_visible(obj_list, looker, **kwargs) if not isinstance(thing, Fixture)]

    def at_object_receive(self, moved_obj: Any, source_location: Any, move_type: str = "move", **kwargs: Any) -> None:
        super().at_object_receive(moved_obj, source_location, move_type=move_type, **kwargs)
        # A character that is logged in to comes from nowhere, before its player can hear anything.
        delay(NOTICED, self._notice, moved_obj)

    def _notice(self, arrived: Any) -> None:
        if arrived.pk is None or arrived.location is not self or not arrived.has_account:
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


def _flowed(text: str, width: int) -> str:
    """``text`` with lines of at most ``width`` columns, broken at blanks; colours take none."""
    lines = []
    for whole in text.split("\n"):
        line, used = "", 0
        for word in whole.split(" "):
            size = len(_plain(word))
            if used and used + 1 + size > width:
                lines.append(line)
                line, used = "", 0
            line, used = (f"{line} {word}", used + 1 + size) if used else (word, size)
        lines.append(line)
    return "\n".join(lines)


def _plain(word: str) -> str:
    from evennia.utils.ansi import strip_ansi

    return str(strip_ansi(word))
