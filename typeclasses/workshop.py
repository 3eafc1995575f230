"""The Workshop: a room whose appearance shows the shelf of borrowed brains and the state of each lamp."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.utils.utils import class_from_module

from uniwizard.world import routers

_LAMPS = {"closed": "|g{}|n", "half-open": "|y{} (flickering)|n", "open": "|r{} (dark)|n"}


_Room: Any = class_from_module(settings.BASE_ROOM_TYPECLASS)


class Workshop(_Room):
    """Where new players start. It builds on the game's own Room, so whatever that does, this does too."""

    def get_display_footer(self, looker: Any, **kwargs: Any) -> str:
        footer = super().get_display_footer(looker, **kwargs)
        return "\n".join(part for part in (self._shelf(), footer) if part)

    def _shelf(self) -> str:
        router = routers.of(self)
        if router is None:
            return "The shelf along the wall is empty."
        try:
            brain = router.brain
        except routers.Closed as why:
            return f"|rThe shelf is locked:|n {why}"
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
