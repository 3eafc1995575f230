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

from uniwizard.agent import Health, Router, Scenario
from uniwizard.world import routers
from uniwizard.world.ledger.storage import moment, zone

T = TypeVar("T")

SCENARIOS = ("real", *map(str, Scenario))


@dataclass(slots=True)
class QuotaBar:
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
    bars: list[QuotaBar] = field(default_factory=list)

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
    from uniwizard.world.reactor import reactor

    if not reactor.running:
        return None
    return blockingCallFromThread(reactor, function, *arguments)


def _script() -> Any:
    return routers.find()


def states() -> list[State]:
    """Every backend of the game's default BackendRouter; none where it is closed. In the reactor's thread."""
    script = _script()
    try:
        return [] if script is None else [_state(script.brain, health) for health in script.brain.states()]
    except routers.Closed:
        return []


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        # Its variables are not set.
        return ""


def _state(brain: Router, health: Health) -> State:
    key, real = health.backend.key, brain.configured(health.backend.key)
    obstacle = health.available()
    lamp = str(health.state) if health.state != "closed" else "ready"
    if health.backend.unconfigured:
        lamp = "asleep"
    elif health.disabled:
        lamp = "disabled"
    elif lamp == "ready" and health.reachable is False and not health.backend.practice:
        lamp = "unreachable"
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
        scene=brain.scenario(key),
        practice=health.backend.practice,
        until=moment(until) if health.state == "open" and 0 < until < 1e11 else None,
        willing=[(kind, health.willingness(kind)) for kind in sorted(health.by_kind)],
        bars=_bars(brain, key),
    )


def _bars(brain: Router, key: str) -> list[QuotaBar]:
    """The quota windows of a backend."""
    found = []
    for status in brain.quota_status(key):
        resets = moment(status.resets_at).astimezone(zone())
        words = f"{status.used:.6g} of {status.name}, resets {resets:%d %b %H:%M %Z}"
        found.append(QuotaBar(words, status.share, status.gone))
    return found


def act(key: str, action: str, scene: str = "") -> Any:
    """Do ``disable``, ``enable``, ``reset``, ``probe`` or ``practice`` to a backend; what was done, in words.

    Of ``probe`` it is a Deferred. In the reactor's thread. Raises KeyError, ValueError.
    """
    script = _script()
    if script is None:
        raise ValueError("there is no BackendRouter in this world")
    brain: Router = script.brain
    brain.state(key)
    match action:
        case "disable":
            brain.set_disabled(key, True)
            told = f"{key} is put away; nobody asks it."
        case "enable":
            brain.set_disabled(key, False)
            told = f"{key} is back on the shelf."
        case "reset":
            brain.reset(key)
            told = f"{key}'s breaker is closed."
        case "practice":
            script.stage(key, scene)
            told = f"The scene is over for {key}." if scene == "real" else f"A straw dummy plays {scene} for {key}."
        case "probe":
            probed = Deferred.fromCoroutine(brain.probe(key))
            return probed.addCallback(lambda wrong: f"{key}: {wrong}" if wrong else f"{key} is there.")
        case _:
            raise ValueError(f"there is no action {action!r}")
    script.persist()
    return told
