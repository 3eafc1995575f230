"""The running brain, as the admin's pages see it: they run in threads of the server, the brain in the reactor's.

shelf = ask(states)               # [State(...), ...], or None where no game runs in this process
ask(act, "claude", "disable")     # a line that says what was done
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from uniwizard.agent.practice import Scenario
from uniwizard.world.ledger.storage import moment, zone

T = TypeVar("T")

SCENARIOS = ("real", *map(str, Scenario))


@dataclass(slots=True)
class Gauge:
    """A quota window: shares of it that are used, and of its time that has gone; 0 to 1."""

    words: str
    used: float
    gone: float | None


@dataclass(slots=True)
class State:
    """One backend as it is now. ``lamp`` is ready, open, half-open, disabled, asleep or unreachable."""

    key: str
    lamp: str
    obstacle: str
    model: str
    api: str
    host: str
    attempts: int
    success: float
    latency_ms: float
    cost_usd: float
    in_flight: int
    max_parallel: int
    fails: int
    allowed_fails: int
    scene: str
    practice: bool
    until: datetime | None = None
    willing: list[tuple[str, float]] = field(default_factory=list)
    gauges: list[Gauge] = field(default_factory=list)

    @property
    def success_percent(self) -> str:
        return f"{self.success:.0%}"

    @property
    def latency_told(self) -> str:
        return f"{self.latency_ms / 1000:.2f} s" if self.latency_ms else "-"

    @property
    def willing_told(self) -> list[tuple[str, str]]:
        return [(kind, f"{share:.0%}") for kind, share in self.willing]


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function`` in the reactor's thread and wait for what it, or its Deferred, brings."""
    from twisted.internet import reactor

    if not reactor.running:
        return None
    return blockingCallFromThread(reactor, function, *arguments)


def _script() -> Any:
    from uniwizard.typeclasses.backend_router import BackendRouter

    return BackendRouter.find(None)


def states() -> list[State]:
    """Every backend of the game's default BackendRouter; none where it is closed. In the reactor's thread."""
    from uniwizard.typeclasses.backend_router import Closed

    script = _script()
    try:
        return [] if script is None else [_state(script.brain, health) for health in script.brain.registry]
    except Closed:
        return []


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        # Its variables are not set.
        return ""


def _state(brain: Any, health: Any) -> State:
    key, real = health.backend.key, brain.registry.real(health.backend.key)
    obstacle = health.available()
    lamp = str(health.state) if health.state != "closed" else "ready"
    if health.backend.unconfigured:
        lamp = "asleep"
    elif health.disabled:
        lamp = "disabled"
    elif lamp == "ready" and health.reachable is False and not health.backend.practice:
        lamp = "unreachable"
    server = brain.watch.practice
    playing = server is not None and health.backend.practice
    until = health.cooldown_until
    return State(
        key=key,
        lamp=lamp,
        obstacle=obstacle,
        model=real.model,
        api=real.api,
        host=_host(real.url),
        attempts=health.attempts,
        success=health.reliability(),
        latency_ms=health.latency_ms,
        cost_usd=health.cost_usd,
        in_flight=health.in_flight,
        max_parallel=real.max_parallel,
        fails=health.fails,
        allowed_fails=real.allowed_fails,
        scene=str(server.scenes.get(key, "answer")) if playing else "real",
        practice=health.backend.practice,
        until=moment(until) if health.state == "open" and 0 < until < 1e11 else None,
        willing=[(kind, health.willingness(kind)) for kind in sorted(health.by_kind)],
        gauges=_gauges(brain, key),
    )


def _gauges(brain: Any, key: str) -> list[Gauge]:
    """The quota windows of a backend, where the brain counts quotas."""
    quotas = getattr(brain.registry, "quotas", None)
    counted = quotas.get(key) if quotas is not None else None
    found = []
    now = brain.clock.seconds()
    for gauge in counted.gauges if counted is not None else ():
        window = gauge.window
        window.advance(now)
        resets = moment(window.resets_at(now)).astimezone(zone())
        words = f"{window.used:.6g} of {window.quota}, resets {resets:%d %b %H:%M %Z}"
        gone = None if getattr(window.quota, "rolling", False) else 1.0 - window.time_left(now)
        found.append(Gauge(words, window.used / window.quota.limit if window.quota.limit else 1.0, gone))
    return found


def act(key: str, action: str, scene: str = "") -> Any:
    """Do ``disable``, ``enable``, ``reset``, ``probe`` or ``practice`` to a backend; what was done, in words.

    Of ``probe`` it is a Deferred. In the reactor's thread. Raises KeyError, ValueError.
    """
    script = _script()
    if script is None:
        raise ValueError("there is no BackendRouter in this world")
    health = script.brain.registry[key]
    match action:
        case "disable":
            health.disabled = True
            told = f"{key} is put away; nobody asks it."
        case "enable":
            health.disabled = False
            told = f"{key} is back on the shelf."
        case "reset":
            script.brain.registry.reset(key)
            told = f"{key}'s breaker is closed."
        case "practice":
            script.stage(key, scene)
            told = f"The scene is over for {key}." if scene == "real" else f"A straw dummy plays {scene} for {key}."
        case "probe":
            probed = Deferred.fromCoroutine(script.brain.watch.probe(key))
            return probed.addCallback(lambda wrong: f"{key}: {wrong}" if wrong else f"{key} is there.")
        case _:
            raise ValueError(f"there is no action {action!r}")
    script.persist()
    return told
