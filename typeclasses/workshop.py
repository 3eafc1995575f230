"""The Workshop: a room whose appearance shows the shelf of borrowed brains and the state of each lamp."""

from __future__ import annotations

from typing import Any

from typeclasses.rooms import Room
from uniwizard.typeclasses.backend_router import BackendRouter, Closed

_LAMPS = {"closed": "|g{}|n", "half-open": "|y{} (flickering)|n", "open": "|r{} (dark)|n"}


class Workshop(Room):
    """Where new players start. It builds on the game's own Room, so whatever that does, this does too."""

    def get_display_footer(self, looker: Any, **kwargs: Any) -> str:
        footer = super().get_display_footer(looker, **kwargs)
        return "\n".join(part for part in (self._shelf(), footer) if part)

    def _shelf(self) -> str:
        router = BackendRouter.of(self)
        if router is None:
            return "The shelf along the wall is empty."
        try:
            registry = router.brain.registry
        except Closed as why:
            return f"|rThe shelf is locked:|n {why}"
        jars = []
        for health in registry:
            if health.backend.unconfigured:
                jars.append(f"|x{health.backend.key} (asleep)|n")
            elif health.disabled:
                jars.append(f"|x{health.backend.key} (put away)|n")
            else:
                jars.append(_LAMPS[health.state].format(health.backend.key))
        shelf = f"|wOn the shelf:|n {', '.join(jars)}"
        if registry.practising:
            shelf += "\n|mPractice: straw dummies stand in for the brains; every answer is simulated.|n"
        return shelf
