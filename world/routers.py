"""The BackendRouters that are awake in this process, for whoever in the world needs one.

    router = routers.find(caller.location)      # the room's own, else the game's default one, else None
    router.brain.states()                       # raises Closed when there is no usable configuration

The Script itself is :mod:`uniwizard.typeclasses.backend_router`, a floor above: it enters itself here when it wakes.
"""

from __future__ import annotations

from typing import Any, Protocol

from evennia.scripts.models import ScriptDB
from twisted.internet.defer import Deferred

from uniwizard.agent import Decision, Plan, Router, RouteResult, Task

#: The key of every BackendRouter.
KEY = "backend_router"


class Closed(Exception):
    """There is no usable configuration; the message says why, one fault a line."""


class GameRouter(Protocol):
    """What the world sees of a BackendRouter."""

    id: int
    pk: Any
    #: The room that it is on; None for one that belongs to the whole game.
    obj: Any

    @property
    def brain(self) -> Router:
        """The Router in memory. Raises Closed."""

    @property
    def thoughts(self) -> Any:
        """The thoughts under way."""

    @property
    def narrator(self) -> Any:
        """Tells the rooms what happens."""

    def plan(self, task: Task | str, pin: str | None = None, *, alone: bool = False, memory: str = "use") -> Plan:
        """What is settled of a task before anybody is asked, in this room's way. Raises Closed, and KeyError."""

    def explain(self, task: Task | str) -> Decision:
        """Who would be asked, and why. Raises Closed."""

    def call_with_fallback(self, task: Task | str, pin: str | None = None, who: Any = None) -> Deferred[RouteResult]:
        """Have a task done, booked to ``who``; fires with a RouteResult, or fails with AllBackendsFailed."""

    def stage(self, key: str, scene: str) -> None:
        """Have ``key`` play a scene, over reloads too; ``real`` ends it. Raises KeyError and ValueError."""

    def scenes(self) -> dict[str, str]:
        """What Builders have staged, by backend."""

    def heed_edits(self) -> list[str]:
        """Take over what somebody has changed in the Attributes; what could not be used, one line each."""

    def latest_faults(self) -> list[str]:
        """What could not be used of an edit that was made just now, one line each."""

    def reload_config(self) -> list[str]:
        """Read the backends file anew; its faults, one line each."""

    def persist(self) -> None:
        """Write every backend's state that has changed since it was last written."""

    def wake(self) -> None:
        """Begin to look after the backends; does nothing when awake."""


#: Why the backends file cannot be used as it is now, one fault each; empty when it can be.
config_faults: list[str] = []

#: By the id of their room, oldest first; asked on every command, so not in the database.
_awake: dict[int, GameRouter] = {}
#: The oldest one, once it is known.
_kept_by: list[Any] = []


def enter(router: GameRouter) -> None:
    """``router`` is awake."""
    _awake[router.obj.id if router.obj else 0] = router


def leave(router: GameRouter) -> None:
    """``router`` is gone for good."""
    _awake.pop(router.obj.id if router.obj else 0, None)
    if _kept_by and _kept_by[0] == router:
        _kept_by.clear()


def of(room: Any) -> GameRouter | None:
    """The router on ``room`` itself."""
    return _awake.get(room.id) if room is not None else None


def find(room: Any = None) -> GameRouter | None:
    """The router of ``room``, else the game's default one: the oldest there is."""
    if not _awake:
        for script in ScriptDB.objects.filter(db_key=KEY).order_by("id"):
            script.wake()
    return of(room) or next(iter(_awake.values()), None)


def keeper() -> GameRouter | None:
    """The one that keeps what all of them share: the oldest there is, awake or not."""
    if _kept_by and _kept_by[0].pk is not None:
        return _kept_by[0]
    oldest = ScriptDB.objects.filter(db_key=KEY).order_by("id").first()
    _kept_by[:] = [oldest] if oldest is not None else []
    return oldest


def all_awake() -> list[GameRouter]:
    """Every one that is awake."""
    return list(_awake.values())


def inherit(heir: GameRouter) -> None:
    """The oldest one is being deleted: ``heir`` keeps from now on what all of them share."""
    _kept_by[:] = [heir]
