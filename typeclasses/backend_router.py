"""The BackendRouter: a persistent Script that gives a room, and the game, a brain to borrow.

However many there are, they share one Router: what is spent, what is broken and what is left of a quota is the game's.
The oldest of them keeps it; the others differ in what their rooms prefer (Attributes ``prefer`` and ``prompts``).

    router = BackendRouter.find(caller.location)      # the room's own, else the game's default one
    router.route(Task("review this diff"))            # "claude"
    deferred = router.call_with_fallback(task)        # fires with a RouteResult
    deferred = router.call("claude", "hello")         # fires with a str

Health as Attributes
    Every backend's state is kept as an Attribute of category ``health`` with the backend's key: a dict an admin can
    read and edit in the admin panel; what is used of its quota likewise, in the category ``quota``. An edit takes
    effect within :data:`INTERVAL` seconds, or with the next command. The hot state lives in memory. It is written when
    a breaker opens or closes, every :data:`INTERVAL` seconds where something changed, and at reload and shutdown; so it
    survives each of those, and a kill.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from django.conf import settings
from evennia.scripts.models import ScriptDB
from evennia.scripts.scripts import DefaultScript
from evennia.utils import logger
from evennia.utils.dbserialize import deserialize
from twisted.internet.defer import Deferred

from uniwizard.agent import AllBackendsFailed, ConfigError, Decision, Plan, Router, RouteResult, Task
from uniwizard.agent.core.events import Event
from uniwizard.world import backends_file, build, cluster, goals, identity, listeners, routers, soul, thinker, watching
from uniwizard.world.kept_state import INHERITED, KeptState
from uniwizard.world.ledger import recorder, upkeep
from uniwizard.world.ledger.memory import DatabaseStore
from uniwizard.world.mood import Mood
from uniwizard.world.narrator import Narrator
from uniwizard.world.reactor import reactor
from uniwizard.world.routers import Closed, GameRouter
from uniwizard.world.thoughts import Thoughts

__all__ = ["BackendRouter", "Closed"]

#: Seconds between two looks at what changed, in memory and in the Attributes.
INTERVAL = 5


class BackendRouter(DefaultScript):
    """One brain for one room, or for the whole game where it is the only one."""

    def at_script_creation(self) -> None:
        self.key = routers.KEY
        self.desc = "Chooses, asks and judges the brains that Timmy borrows. Health is in its Attributes."
        self.interval = INTERVAL
        self.start_delay = True
        self.persistent = True

    # -- finding one ---------------------------------------------------------------------------------------------

    @classmethod
    def of(cls, room: Any) -> GameRouter | None:
        """The router on ``room`` itself."""
        return routers.of(room)

    @classmethod
    def find(cls, room: Any = None) -> GameRouter | None:
        """The router of ``room``, else the game's default one: the oldest there is."""
        return routers.find(room)

    # -- the three doors -----------------------------------------------------------------------------------------

    def route(self, task: Task | str) -> str:
        """The key of the backend that would be asked. Raises AllBackendsFailed, or Closed."""
        decision = self.explain(task)
        if not decision.backend:
            raise AllBackendsFailed((), decision.skipped, "nobody can be asked")
        return decision.backend

    def explain(self, task: Task | str) -> Decision:
        """The same with every reason. Raises Closed."""
        return self.plan(task).decision

    def plan(self, task: Task | str, pin: str | None = None, *, alone: bool = False, memory: str = "use") -> Plan:
        """What is settled of a task before anybody is asked, in this room's way. Raises Closed, and KeyError.

        The room's way are two Attributes: ``prefer``, keys of backends that it would rather ask, and ``prompts``, a
        dict of system prompts by kind that stand in for the usual ones.
        """
        task = Task(task) if isinstance(task, str) else task
        prefer, prompts = deserialize(self.db.prefer), deserialize(self.db.prompts)
        if isinstance(prefer, list | tuple) and not task.prefer:
            task = replace(task, prefer=tuple(map(str, prefer)))
        prompts = prompts if isinstance(prompts, dict) else None
        return self.brain.plan(task, pin, alone=alone, memory=memory, prompts=prompts)

    def call(self, key: str, prompt: Task | str, who: Any = None) -> Deferred[str]:
        """Ask one backend and nobody else; fires with its answer, or fails with AllBackendsFailed.

        It is booked to ``who``, a character or an account, and otherwise to the game.
        """
        asked = thinker.run(self, _task(prompt), thinker.payer(who, "game code"), key, alone=True)
        return asked.addCallback(lambda result: result.text)

    def call_with_fallback(self, task: Task | str, pin: str | None = None, who: Any = None) -> Deferred[RouteResult]:
        """Have a task done; fires with a RouteResult, or fails with AllBackendsFailed. Cancel it to stop.

        It is booked to ``who``, a character or an account, and otherwise to the game.
        """
        return thinker.run(self, _task(task), thinker.payer(who, "game code"), pin)

    # -- listening -----------------------------------------------------------------------------------------------

    def subscribe(
        self, listener: str | Callable[[Event], None], events: Iterable[str] = (), backends: Iterable[str] = ()
    ) -> str:
        """Have ``listener(event)`` called for what happens to the brains, over reloads too; its dotted path.

        listener  a function of a module, or its path
        events    names of :mod:`agent.core.events`, such as ``"Refused"``; none means all of them
        backends  keys of backends; none means all of them

        Raises ValueError for a function that has no path, or an event that there is not.
        """
        path, wanted = listeners.described(listener, events, backends)
        kept = deserialize(self.attributes.get("listeners", category="uniwizard")) or {}
        self.attributes.add("listeners", {**kept, path: wanted}, category="uniwizard")
        self._listen()
        return path

    def unsubscribe(self, listener: str | Callable[[Event], None]) -> None:
        """Call ``listener`` no more."""
        path, _ = listeners.described(listener)
        kept = deserialize(self.attributes.get("listeners", category="uniwizard")) or {}
        kept.pop(path, None)
        self.attributes.add("listeners", kept, category="uniwizard")
        self._listen()

    def _listen(self) -> None:
        """Let those that are subscribed hear the brain, and nobody else."""
        events = self.brain.events
        for heard in self.ndb.heard or ():
            events.unsubscribe(heard)
        kept = deserialize(self.attributes.get("listeners", category="uniwizard")) or {}
        self.ndb.heard = list(listeners.made(kept))
        for heard in self.ndb.heard:
            events.subscribe(heard)

    # -- waking and sleeping -------------------------------------------------------------------------------------

    @property
    def keeper(self) -> Any:
        """The BackendRouter that keeps what all rooms of the game share: one Router, its health, quotas and scenes."""
        return routers.keeper() or self

    @property
    def brain(self) -> Router:
        """The game's Router in memory, woken if need be. Raises Closed when there is no usable configuration."""
        self.wake()
        keeper = self.keeper
        if keeper.ndb.brain is None:
            raise Closed(keeper.ndb.closed or "it is going to sleep")
        return keeper.ndb.brain

    @property
    def thoughts(self) -> Thoughts:
        """The thoughts under way."""
        if self.ndb.thoughts is None:
            self.ndb.thoughts = Thoughts(self)
        return self.ndb.thoughts

    @property
    def narrator(self) -> Narrator:
        """Tells the rooms what happens."""
        if self.ndb.narrator is None:
            self.ndb.narrator = Narrator(self)
        return self.ndb.narrator

    @property
    def mood(self) -> Mood:
        """The keeper's mood, by what has happened on this shelf."""
        if self.ndb.mood is None:
            self.ndb.mood = Mood(time.monotonic)
        return self.ndb.mood

    def wake(self) -> None:
        """Begin to look after the backends; does nothing when awake. Called at every server start.

        In a game that Uniwizard was taken out of, it sleeps on.
        """
        if self.ndb.awake or not hasattr(settings, "UNIWIZARD_CONFIG"):
            return
        routers.enter(self)
        keeper = self.keeper
        if keeper is self:
            if not self._open():
                return
        else:
            keeper.wake()
            if keeper.ndb.brain is None:
                return
        self.ndb.awake = True
        if self.obj is not None:
            # Evennia flushes no object with something of this kind from its cache. Of a flushed room, players would
            # see a new copy, and what is changed and told here would happen in the old one.
            self.obj.ndb.backend_router = self
        self.thoughts.wake()
        keeper.ndb.brain.events.subscribe(self.narrator)
        keeper.ndb.brain.events.subscribe(self.mood)
        self._listen()
        self._set_jars()
        # Whoever can be asked is known then, practice included; before that, a thought would find half of the shelf.
        keeper.ndb.started.addCallback(self._ready)

    def _ready(self, _: Any) -> None:
        """It is known who can be asked."""
        self.thoughts.ready()
        if self.keeper is self:
            goals.wake(self)
        thinker.take_up(self)

    def _open(self) -> bool:
        """Make the game's one Router and take up what is known of it; False where there is no usable configuration."""
        if self.ndb.brain is not None:
            return True
        config, faults = backends_file.read_or_last_good()
        routers.config_faults[:] = faults
        for fault in faults:
            logger.log_err(f"Uniwizard: {fault}")
        if config is None:
            self.ndb.closed = "\n".join(faults)
            return False
        recorder.the().open()
        brain = Router(config, reactor, practice_port=settings.UNIWIZARD_PRACTICE_PORT)
        self.ndb.brain, self.ndb.kept = brain, KeptState(self.attributes, brain)
        brain.hide(identity.of_game(), soul.the().hidden)
        self.ndb.kept.take_up()
        self._remember(brain)
        # First of all: what a player is told is in the ledger's hands by then.
        brain.events.subscribe(recorder.the())
        brain.keep_account(recorder.the(), recorder.the())
        cluster.join(brain)
        brain.events.subscribe(self.ndb.kept)
        if (channel := listeners.channel(settings.UNIWIZARD_CHANNEL)) is not None:
            brain.events.subscribe(channel)
        for key, scene in self.scenes().items():
            if key in brain.backend_keys():
                brain.stage(key, scene)
        self.ndb.telemetry = watching.begin(brain)
        self.ndb.started = Deferred.fromCoroutine(brain.start())
        self.ndb.started.addErrback(lambda why: logger.log_err(f"Uniwizard: health checks did not start: {why}"))
        return True

    def at_start(self, **kwargs: Any) -> None:
        self.wake()

    def at_server_start(self) -> None:
        # Evennia takes up the timers that it paused; a kill pauses nothing, so after one this stands still.
        if self.ndb._task is None:
            self.start()

    def at_server_reload(self) -> None:
        self._sleep()

    def at_server_shutdown(self) -> None:
        self._sleep()

    def at_script_delete(self) -> bool:
        last_keeper = self.keeper is self
        self._sleep()
        routers.leave(self)
        heir = ScriptDB.objects.filter(db_key=routers.KEY).exclude(id=self.id).order_by("id").first()
        if last_keeper and heir is not None:
            self._hand_over(heir)
        return True

    def _hand_over(self, heir: Any) -> None:
        """Leave to the next oldest BackendRouter what is known of the backends; every other takes to it."""
        for attribute in self.attributes.all():
            if attribute.category in INHERITED:
                heir.attributes.add(attribute.key, attribute.value, category=attribute.category)
        routers.inherit(heir)
        for router in (heir, *routers.all_awake()):
            # They listened to a Router that is no more.
            router.ndb.awake = None
            router.wake()

    def _sleep(self) -> None:
        """Write down everything that must not be forgotten, and let go of the sockets."""
        if self.ndb.thoughts is not None:
            self.ndb.thoughts.sleep()
        self.ndb.awake = None
        if self.ndb.brain is not None:
            thinker.sleep()
            goals.sleep()
            self.persist()
            brain, self.ndb.brain = self.ndb.brain, None
            telemetry = Deferred.fromCoroutine(self.ndb.telemetry.stop())
            telemetry.addErrback(lambda why: logger.log_err(f"Uniwizard: {why}"))
            Deferred.fromCoroutine(brain.stop()).addErrback(lambda why: logger.log_err(f"Uniwizard: {why}"))

    def at_repeat(self, **kwargs: Any) -> None:
        if not self.ndb.awake:
            self.wake()
            return
        self._heed_soul()
        self.thoughts.take_up()
        if self.keeper is not self or self.ndb.brain is None:
            return
        self.heed_edits()
        self.persist()
        goals.take_up()
        upkeep.consider(recorder.the().writer)

    # -- configuration -------------------------------------------------------------------------------------------

    def reload_config(self) -> list[str]:
        """Read the backends file anew. Returns its faults, one line each; with any, the old one stays in force."""
        if self.keeper is not self:
            return self.keeper.reload_config()
        try:
            config = backends_file.read()
        except ConfigError as error:
            return [str(fault) for fault in error.faults]
        routers.config_faults.clear()
        if self.ndb.brain is None:
            self.wake()
        else:
            self.ndb.brain.reload(config)
            self.ndb.telemetry.reload()
            self._remember(self.ndb.brain)
            self.ndb.brain.hide(identity.of_game(), soul.the().hidden)
            self._set_jars()
        self._heed_soul()
        return []

    def _set_jars(self) -> None:
        """A jar for each backend, where there is a Workshop around this router."""
        if self.obj is not None and self.obj.tags.has("workshop", category=build.TAG):
            build.set_jars(self.obj, self.brain.backend_keys())

    def _heed_soul(self) -> None:
        """Take up a SOUL.md that has changed; whoever keeps the Workshop breathes."""
        try:
            if soul.refresh():
                self.brain.hide(identity.of_game(), soul.the().hidden)
                if self.obj is not None:
                    build.inhabit(self.obj)
        except ConfigError as error:
            for fault in error.faults:
                logger.log_err(f"Uniwizard: {fault}; the soul stays as it was")
        for thing in self.obj.contents if self.obj is not None else ():
            if hasattr(thing, "breathe"):
                thing.breathe()

    # -- health as Attributes ------------------------------------------------------------------------------------

    def heed_edits(self) -> list[str]:
        """Take over what somebody has changed in the Attributes. Returns what could not be used, one line each.

        Of an edit that is right in part, that part is taken over; the rest stays as it was.
        """
        if self.keeper is not self:
            return self.keeper.heed_edits()
        self.wake()
        if self.ndb.brain is None:
            raise Closed(self.ndb.closed or "it is going to sleep")
        faults: list[str] = self.ndb.kept.heed_edits()
        if faults:
            self.ndb.faults = (time.monotonic(), faults)
        return faults

    def latest_faults(self) -> list[str]:
        """What could not be used of an edit that was made just now, whoever has come upon it first."""
        keeper = self.keeper
        keeper.heed_edits()
        found, faults = keeper.ndb.faults or (0.0, [])
        keeper.ndb.faults = None
        return faults if time.monotonic() - found < INTERVAL else []

    def persist(self) -> None:
        """Write every backend's state that has changed since it was last written."""
        if self.keeper is not self:
            self.keeper.persist()
            return
        if self.ndb.brain is not None:
            self.ndb.kept.persist()

    def _remember(self, brain: Router) -> None:
        """Give the brain's memory its table, where the config wants one."""
        if brain.remembers_in == "database":
            brain.remember_in(DatabaseStore(recorder.the().writer))

    # -- practice ------------------------------------------------------------------------------------------------

    def stage(self, key: str, scene: str) -> None:
        """Have ``key`` play a scene, over reloads too; ``real`` ends it. Raises KeyError and ValueError.

        What an earlier scene did to the breaker is over with it, or the new one would not be seen.
        """
        if self.keeper is not self:
            self.keeper.stage(key, scene)
            return
        self.brain.stage(key, scene)
        self.brain.reset(key)
        scenes = self.scenes()
        if scene == "real":
            scenes.pop(key, None)
        else:
            scenes[key] = scene
        self.attributes.add("scenes", scenes, category="practice")

    def scenes(self) -> dict[str, str]:
        """What Builders have staged, by backend."""
        return dict(deserialize(self.keeper.attributes.get("scenes", category="practice")) or {})


def _task(task: Task | str) -> Task:
    return Task(task) if isinstance(task, str) else task
