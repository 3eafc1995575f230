"""What the processes of a :class:`~..state.cluster.Cluster` have in common in the engine, beside their limits.

    sharing = Sharing(cluster, registry, checker, learner, judge, events, clock)
    sharing.start()
    await sharing.ready("claude", plan, until)     # a part of its quotas, and one of its places. Raises NotAdmitted
    sharing.place_free("claude")

Breakers: whoever finds a backend broken or well again says so to all; it is kept in Redis for those who come later. In
a half-open breaker one attempt in the whole cluster is the probe. ``max_parallel`` holds for all processes together,
each of which has a part of the places. Health checks are made by one of them, which tells the others. What is learned
is gathered for :data:`GATHER` seconds and then told to the others, each lesson once.
"""

from __future__ import annotations

import math
import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from ..backend_registry import Registry
from ..core.clock import Clock, sleep
from ..core.events import AttemptEnded, BreakerClosed, BreakerOpened, Event, Events, Feedback, Learned
from ..core.failures import FailureCode
from ..health import Health
from ..health.breaker import State
from ..judge.calibrated import CalibratedJudge
from ..state.cluster import Cluster
from ..state.pool import Pool
from .health_checker import HealthChecker
from .learner import Learner

#: Seconds between two looks for a place, where all are taken.
LOOK = 0.03
#: Seconds after which the probe of a process that says nothing any more is given to another.
PROBE = 30.0
#: Seconds after which a place counts as free that a dead process had.
PLACE = 30.0
#: Seconds for which lessons are gathered, and how many at most.
GATHER, LESSONS = 3.0, 500
#: Seconds for which a breaker is kept that is open until it is reset.
UNTIL_RESET = 366 * 86_400.0


class Sharing:
    """This process's part. Everything belongs to the reactor's thread."""

    def __init__(
        self,
        cluster: Cluster,
        registry: Registry,
        checker: HealthChecker,
        learner: Learner,
        judge: CalibratedJudge,
        events: Events,
        clock: Clock,
    ):
        self.cluster = cluster
        self._registry = registry
        self._checker = checker
        self._learner = learner
        self._judge = judge
        self._events = events
        self._clock = clock
        self._places: dict[str, Pool] = {}
        #: Until when this process alone may probe, by backend; the clock's seconds.
        self._probing: dict[str, float] = {}
        #: What another process has told is being taken up, and is not to be told again.
        self._hearing = False
        self._lessons: dict[str, list[list[Any]]] = {}
        self._telling = LoopingCall(self._tell_lessons)
        self._telling.clock = clock  # type: ignore[assignment]

    def start(self) -> None:
        """Take part from now on."""
        self._checker.chosen = lambda: self.cluster.runs
        self._checker.checked = self._tell_checks
        self.reload()
        self._events.subscribe(self._happened)
        self.cluster.on("breaker", self._heard_breaker)
        self.cluster.on("lessons", self._heard_lessons)
        self.cluster.on("checked", self._heard_checks)
        self.cluster.on_join(self._join)
        self._telling.start(GATHER, now=False)

    def stop(self) -> None:
        """Tell what is still to be told."""
        if self._telling.running:
            self._telling.stop()
            self._tell_lessons()
        self._events.unsubscribe(self._happened)

    def reload(self) -> None:
        """The config may be another."""
        now = self._clock.seconds()
        for tracker in self._registry.quotas:
            tracker.share(self.cluster, now)
        for key, pool in list(self._places.items()):
            if key not in self._registry or self._registry.real(key).max_parallel != pool.limit:
                self.cluster.drop(self._places.pop(key))

    # -- limits --------------------------------------------------------------------------------------------------

    async def ready(self, health: Health, plan: Any, until: float) -> str:
        """Have a place at a backend and enough of its quotas. Why it cannot be asked, or empty.

        Waits for a place until then, in the clock's seconds.
        """
        key = health.backend.key
        if health.backend.practice:
            return ""
        health.available()
        if health.state is State.HALF_OPEN and self._probing.get(key, 0.0) < self._clock.seconds():
            if not await self.cluster.claim(f"probe:{key}", PROBE):
                return "breaker half-open: another process's probe is under way"
            self._probing[key] = self._clock.seconds() + PROBE - 1.0
        await self._registry.quota(key).ready(self._clock.seconds(), plan.work)
        while not self.place_free(health):
            if self._clock.seconds() >= until:
                break
            await self._place(health).ready(1.0)
            if not self.place_free(health):
                await sleep(self._clock, LOOK * random.uniform(0.5, 1.5))
        return ""

    def place_free(self, health: Health) -> bool:
        """Whether one more attempt may be under way at this backend, as far as all processes are concerned."""
        if health.backend.practice:
            return True
        pool = self._place(health)
        # Without Redis each has its part, and nobody none.
        alone = max(1, int(pool.limit // self.cluster.processes))
        return pool.left() >= 1.0 or ((self.cluster.away or pool.settling) and health.in_flight < alone)

    def moved(self, health: Health) -> None:
        """An attempt has begun or ended there."""
        if not health.backend.practice:
            self._place(health).touched()
            key = health.backend.key
            if health.state is not State.HALF_OPEN or not health.in_flight:
                self._release_probe(key)

    def _release_probe(self, key: str) -> None:
        if self._probing.pop(key, 0.0):
            self.cluster.release(f"probe:{key}")

    def _place(self, health: Health) -> Pool:
        key = health.backend.key
        pool = self._places.get(key)
        if pool is None:
            most = float(health.backend.max_parallel)
            used = _in_flight(self._registry, key)
            options = {"rolling": PLACE, "whole": True, "promised": False}
            pool = self._places[key] = self.cluster.pool(f"places:{key}", most, used, **options)
        return pool

    # -- breakers ------------------------------------------------------------------------------------------------

    def _happened(self, event: Event) -> None:
        if isinstance(event, BreakerOpened | BreakerClosed):
            self._tell_breaker(event)
        elif self._registry.practising:
            return
        elif isinstance(event, Learned):
            self._note("learned", [event.kind, event.backend, event.score, event.weight])
        elif isinstance(event, Feedback):
            verdict = event.attempt.verdict
            if verdict is not None and verdict.sure is not None:
                self._note("sure", [event.attempt.backend, verdict.sure, event.good])
        elif isinstance(event, AttemptEnded) and event.attempt.failure in (None, FailureCode.REFUSED):
            attempt = event.attempt
            if not attempt.practice:
                self._note("judged", [attempt.backend, attempt.kind, attempt.failure is not None])

    def _tell_breaker(self, event: BreakerOpened | BreakerClosed) -> None:
        key = event.backend
        if self._hearing or key not in self._registry or self._registry[key].backend.practice:
            return
        if isinstance(event, BreakerOpened):
            said = {"reason": event.reason, "until": event.until}
            lasts = UNTIL_RESET if event.until is None else max(1.0, event.until - self._clock.seconds())
            self.cluster.tell("breaker", key=key, open=True, **said)
            self.cluster.keep(f"breaker:{key}", said, lasts)
        else:
            self.cluster.tell("breaker", key=key, open=False)
            self.cluster.keep(f"breaker:{key}", None)
        self._release_probe(key)

    def _heard_breaker(self, said: dict[str, Any]) -> None:
        key = str(said.get("key"))
        if key not in self._registry:
            return
        health = self._registry[key]
        self._hearing = True
        try:
            if not said.get("open"):
                if not health.backend.practice:
                    health.close()
            else:
                until = said.get("until")
                health.opened_elsewhere(str(said.get("reason")), math.inf if until is None else float(until))
        finally:
            self._hearing = False

    def _join(self) -> None:
        """Take up the breakers that were opened before this process could hear of it."""

        def found(kept: list[dict[str, Any] | None]) -> None:
            for key, said in zip(keys, kept, strict=True):
                if said is not None:
                    self._heard_breaker({**said, "key": key, "open": True})

        keys = [health.backend.key for health in self._registry]
        Deferred.fromCoroutine(self.cluster.kept([f"breaker:{key}" for key in keys])).addCallback(found)

    # -- health checks -------------------------------------------------------------------------------------------

    def _tell_checks(self) -> None:
        reached = {health.backend.key: health.reachable for health in self._registry if not health.backend.practice}
        self.cluster.tell("checked", reached=reached)

    def _heard_checks(self, said: dict[str, Any]) -> None:
        reached = said.get("reached")
        for key, reachable in reached.items() if isinstance(reached, dict) else ():
            if key in self._registry and isinstance(reachable, bool) and not self._registry[key].backend.practice:
                self._registry[key].reachable = reachable
        self._checker.consider_practice()

    # -- what is learned -----------------------------------------------------------------------------------------

    def _note(self, what: str, lesson: list[Any]) -> None:
        gathered = self._lessons.setdefault(what, [])
        if len(gathered) < LESSONS:
            gathered.append(lesson)

    def _tell_lessons(self) -> None:
        if self._lessons:
            lessons, self._lessons = self._lessons, {}
            self.cluster.tell("lessons", **lessons)

    def _heard_lessons(self, said: dict[str, Any]) -> None:
        for kind, backend, score, weight in said.get("learned", ()):
            self._learner.told(str(kind), str(backend), float(score), float(weight))
        for backend, sure, good in said.get("sure", ()):
            self._judge.told(str(backend), float(sure), good=bool(good))
        for backend, kind, declined in said.get("judged", ()):
            if backend in self._registry and not self._registry[backend].backend.practice:
                self._registry[backend].judged(str(kind), declined=bool(declined))


def _in_flight(registry: Registry, key: str) -> Any:
    return lambda: float(registry[key].in_flight) if key in registry else 0.0
