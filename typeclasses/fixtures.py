"""The things in the Workshop: a jar for every backend, and the shelf, the bench and the lamp.

They can be looked at and felt, and cannot be taken. None of them is listed in the room, whose footer shows the shelf.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from evennia.utils.utils import class_from_module

from uniwizard.agent import Health, Router
from uniwizard.world import pictures, routers
from uniwizard.world.harmless import show
from uniwizard.world.routers import Closed
from uniwizard.world.soul import voice
from uniwizard.world.telling import counter_told, flowed, width_of

_Object: Any = class_from_module(settings.BASE_OBJECT_TYPECLASS)


class Fixture(_Object):
    """A part of the Workshop."""

    def get_display_desc(self, looker: Any, **kwargs: Any) -> str:
        return flowed(super().get_display_desc(looker, **kwargs), width_of(looker))

    def at_object_creation(self) -> None:
        super().at_object_creation()
        self.locks.add("get:false();drop:false();puppet:false()")

    def at_pre_get(self, getter: Any, **kwargs: Any) -> bool:
        return False

    def get_display_name(self, looker: Any = None, **kwargs: Any) -> str:
        # Not even a Builder needs the number of a jar in its name.
        return str(self.key)

    def taken_told(self, taker: Any) -> str:
        """What happens to somebody who tries to take it."""
        return voice.say("take_fixture", why=self.key, name=taker.key)

    def felt_told(self) -> str:
        """What it feels like."""
        return voice.say("feel_fixture", why=self.db.feel or f"It feels as a {self.key} should.")


class Jar(Fixture):
    """One backend's; its key is the backend's."""

    def get_display_desc(self, looker: Any, **kwargs: Any) -> str:
        found = self._found()
        if found is None:
            return "An empty jar. Whoever hummed in it has moved out."
        brain, health = found
        lines = [f"A glass jar, a lamp above it. {_lamp(health)}", *_told(brain, health)]
        return "\n".join(piece for told in lines for piece in show(told, width_of(looker)))

    def taken_told(self, taker: Any) -> str:
        return voice.say("take_jar", key=self.key, name=taker.key)

    def felt_told(self) -> str:
        found = self._found()
        if found is None or found[1].backend.unconfigured:
            felt = "cold and still"
        elif found[1].in_flight:
            felt = "hot"
        elif found[1].available():
            felt = "too hot to touch for long"
        else:
            felt = "warm"
        if felt in ("cold and still",):
            return f"The glass of {self.key}'s jar is {felt}."
        return voice.say("feel_jar", key=self.key, why=felt)

    def _found(self) -> tuple[Router, Health] | None:
        router = routers.find(self.location)
        try:
            return (router.brain, router.brain.state(self.key)) if router is not None else None
        except (Closed, KeyError):
            return None


class Bench(Fixture):
    """Where pictures are laid."""

    def get_display_desc(self, looker: Any, **kwargs: Any) -> str:
        told = self.db.desc or "A long bench, worn smooth by elbows."
        laid = pictures.on_bench(looker)
        if laid:
            size = max(1, round(len(laid[0].data) / 1024))
            told += f" Your picture lies on it ({size} kB), waiting for a question."
        else:
            told += " There is room for a picture: |wthink/see|n."
        return flowed(told, width_of(looker))


class Shelf(Fixture):
    """All the jars at a glance."""

    def get_display_desc(self, looker: Any, **kwargs: Any) -> str:
        router = routers.find(self.location)
        try:
            states = list(router.brain.states()) if router is not None else []
        except Closed:
            states = []
        lines = ["A shelf of glass jars, each with a borrowed brain in it and a lamp above."]
        lines += [f"- |w{health.backend.key}|n: {_lamp(health)}" for health in states]
        lines.append("Look at one of them for more, or try |wbackends|n.")
        return flowed("\n".join(lines), width_of(looker))


def _lamp(health: Health) -> str:
    if health.backend.unconfigured:
        return "It sleeps."
    if health.disabled:
        return "It is put away."
    if obstacle := health.available():
        return f"Its lamp is dark: it {voice.obstacle(obstacle)}."
    if health.state == "half-open":
        return "Its lamp flickers; the next question will tell."
    return "Its lamp burns, and it is busy." if health.in_flight else "Its lamp burns."


def _told(brain: Router, health: Health) -> list[str]:
    """State, headroom, mood and last deeds, in words."""
    real, told = brain.configured(health.backend.key), []
    if real.strengths:
        weak = f"; less so at {', '.join(real.weaknesses)}" if real.weaknesses else ""
        told.append(f"It is good at {', '.join(real.strengths)}{weak}.")
    quotas = [
        f"{max(0.0, 1.0 - status.share):.0%} of {status.name}" for status in brain.quota_status(health.backend.key)
    ]
    if quotas:
        told.append(f"It has left: {'; '.join(quotas)}.")
    told.append(_mood(health))
    if health.attempts:
        took = f", in about {health.latency_ms / 1000:.1f} s each" if health.latency_ms else ""
        told.append(f"It was asked {health.attempts} times{took}, for ${health.cost_usd:.4f} in all.")
    if health.fails and not health.available():
        told.append(counter_told(health))
    if health.backend.practice:
        told.append("A straw dummy stands in for it; whatever it says is simulated.")
    return told


def _mood(health: Health) -> str:
    unwilling = [kind for kind in sorted(health.by_kind) if health.willingness(kind) < 0.75]
    if unwilling:
        return f"It is in no mood for {', '.join(unwilling).replace('_', ' ')} today."
    if health.reliability() < 0.6:
        return "It has had a bad day."
    if health.failed_at and time.time() - health.failed_at < 600:
        return "It stumbled a moment ago."
    return "It hums contentedly." if health.attempts else "Nobody has asked it anything yet."
