"""Looks after the backends between tasks: free health checks on a timer, and practice when nobody real is left.

    watch = HealthChecker(registry, caller, clock, events)
    await watch.start()           # checks everyone once, then every probe_interval seconds
    await watch.probe("claude")   # "" when well, else what is wrong
    await watch.stop()

A check asks for a list of models or a version. It never costs a token.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.logger import Logger

from ..backend_registry import Registry
from ..cloud_caller import CloudCaller
from ..core.clock import Clock, DelayedCall
from ..core.events import Events, PracticeBegan, PracticeEnded
from ..core.failures import AttemptFailed, FailureCode
from ..practice import PracticeServer, Scenario

_log = Logger()


class HealthChecker:
    """Health checks and the practice backends of one registry."""

    def __init__(self, registry: Registry, caller: CloudCaller, clock: Clock, events: Events, practice_port: int = 0):
        self._registry = registry
        self._caller = caller
        self._clock = clock
        self._events = events
        self._practice_port = practice_port
        self._next: DelayedCall | None = None
        self._running = False
        self._round: Deferred[dict[str, str]] | None = None
        self._whole_practice = False
        self._staged: set[str] = set()
        self.practice: PracticeServer | None = None
        #: Where several processes check together: whether it is this one's turn, and whom to tell that it has.
        self.chosen: Callable[[], bool] = lambda: True
        self.checked: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Check everyone, take up practice if need be, and go on checking."""
        if self._running:
            return
        self._running = True
        await self._check_round()

    async def stop(self) -> None:
        """End the timer, the checks under way and the practice backends."""
        self._running = False
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        if self._round is not None:
            self._round.cancel()
        if self.practice is not None:
            server, self.practice = self.practice, None
            await server.stop()

    # -- checks --------------------------------------------------------------------------------------------------

    async def probe_all(self) -> dict[str, str]:
        """Check every real backend at once. By key: empty when well, else what is wrong."""
        keys = [health.backend.key for health in self._registry]
        told = await gatherResults([Deferred.fromCoroutine(self._check(key)) for key in keys], consumeErrors=True)
        self.consider_practice()
        self.checked()
        return dict(zip(keys, told, strict=True))

    async def probe(self, key: str) -> str:
        """Check one real backend now: empty when it is well, else what is wrong. Raises KeyError."""
        told = await self._check(key)
        self.consider_practice()
        return told

    async def _check(self, key: str) -> str:
        health, backend = self._registry[key], self._registry.real(key)
        if backend.unconfigured:
            return f"asleep: {backend.unconfigured}"
        try:
            await self._caller.probe(backend)
        except AttemptFailed as failed:
            health.reachable = failed.failure not in (FailureCode.NETWORK, FailureCode.TIMEOUT)
            if failed.failure is FailureCode.AUTH and not health.backend.practice:
                health.failed(failed.failure, failed.reason)
            return f"{failed.failure}: {failed.reason}"
        except CancelledError:
            raise
        except Exception:
            _log.failure("the health check of {key} failed", key=key)
            return "the check itself failed"
        health.reachable = True
        return ""

    async def _check_round(self) -> None:
        """Check everyone once; then set the timer for the next time."""
        self._round = Deferred.fromCoroutine(self.probe_all())
        try:
            await self._round
        except (CancelledError, FirstError):
            # Either we were stopped, which is an orderly end, or whoever waits for us has been cancelled.
            if self._running:
                raise
        finally:
            self._round = None
            if self._running:
                self._schedule()

    def _schedule(self) -> None:
        # A little jitter, so that many games do not knock at the same moment.
        delay = self._registry.config.probe_interval * random.uniform(0.9, 1.1)
        self._next = self._clock.callLater(delay, self._tick)

    def _tick(self) -> None:
        if not self.chosen():
            self._schedule()
            return
        checked = Deferred.fromCoroutine(self._check_round())
        checked.addErrback(lambda why: _log.failure("health checks failed", failure=why))

    # -- practice ------------------------------------------------------------------------------------------------

    def nobody_real(self) -> str:
        """Why no real backend can be asked at all; empty when one can, or may."""
        asleep, unreachable = 0, 0
        for health in self._registry:
            if self._registry.real(health.backend.key).unconfigured:
                asleep += 1
            elif health.reachable is False:
                unreachable += 1
            else:
                return ""
        words = [f"{asleep} asleep" if asleep else "", f"{unreachable} unreachable" if unreachable else ""]
        return "no real backend can be asked: " + ", ".join(word for word in words if word)

    def consider_practice(self) -> bool:
        """Begin or end practice as the state of the real backends asks for. True when it has just begun."""
        mode = self._registry.config.practice
        why = self.nobody_real() if mode == "auto" else "the config says so" if mode == "always" else ""
        wanted = bool(why) and self._running
        if wanted == self._whole_practice:
            return False
        self._whole_practice = wanted
        self._apply()
        if wanted:
            self._events.emit(PracticeBegan(self._clock.seconds(), why))
        else:
            awake = [h.backend.key for h in self._registry if not h.backend.unconfigured and h.reachable]
            self._events.emit(PracticeEnded(self._clock.seconds(), awake[0] if awake else ""))
        return wanted

    def stage(self, key: str, scenario: str) -> None:
        """Have a simulated backend play ``scenario`` in the place of ``key``; ``real`` ends it.

        Raises KeyError for an unknown backend and ValueError, naming the scenarios, for an unknown scenario.
        """
        self._registry[key]
        server = self._server()
        if scenario == "real":
            server.set_scenario(key, "answer")
            self._staged.discard(key)
        else:
            server.set_scenario(key, scenario)
            self._staged.add(key)
        self._apply()

    def scenario(self, key: str) -> str:
        """What a simulated backend plays in the place of ``key``; ``real`` where none stands in. Raises KeyError."""
        if self.practice is None or not self._registry[key].backend.practice:
            return "real"
        return str(self.practice.scenarios.get(key, Scenario.ANSWER))

    def _apply(self) -> None:
        keys = [h.backend.key for h in self._registry] if self._whole_practice else sorted(self._staged)
        if not keys:
            self._registry.stand_in({})
            return
        server = self._server()
        self._registry.stand_in({key: server.url_for(self._registry.real(key)) for key in keys})

    def _server(self) -> PracticeServer:
        if self.practice is None:
            self.practice = PracticeServer(self._clock, port=self._practice_port)
            self.practice.start()
        return self.practice
