"""Who else hears what happens to the brains: functions of a game's own code, and a channel for Builders.

    router.subscribe("world.watch.on_refusal", events=["Refused"])      # of the BackendRouter; over reloads too
    UNIWIZARD_CHANNEL = "brains"                                          # in the settings

Events are those of :mod:`agent.core.events`. A listener that raises is logged, and never stops a thought.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from evennia.comms.models import ChannelDB
from evennia.utils import logger
from evennia.utils.create import create_channel

from uniwizard.agent.core import events as brain_events
from uniwizard.agent.core.events import Event
from uniwizard.world.harmless import line

#: Every kind of event, by its name.
EVENTS: dict[str, type[Event]] = {
    name: kind for name, kind in vars(brain_events).items() if isinstance(kind, type) and issubclass(kind, Event)
}
#: What a channel tells unless it is told otherwise: what a Builder may have to see to.
TOLD = ("Refused", "FellBack", "GaveUp", "Leaked", "BreakerOpened", "BreakerClosed", "PracticeBegan", "PracticeEnded")
#: Events of which a channel tells nothing: they come several times a second, or name nobody.
_UNTOLD = ("at", "task_id", "attempt", "veiled")


def described(
    listener: str | Callable[[Event], None], events: Iterable[str] = (), backends: Iterable[str] = ()
) -> tuple[str, dict[str, list[str]]]:
    """The path of a listener, and what it wants to hear, as plain data. Raises ValueError."""
    if isinstance(listener, str):
        path = listener
    else:
        path = f"{listener.__module__}.{listener.__qualname__}"
        if "<" in path:
            raise ValueError(f"{path} would not be found after a reload; give a function of a module")
    wanted = list(events)
    if unknown := [name for name in wanted if name not in EVENTS]:
        raise ValueError(f"no event {unknown[0]!r}; there are: {', '.join(EVENTS)}")
    _found(path)
    return path, {"events": wanted, "backends": list(backends)}


def made(kept: Mapping[str, Mapping[str, list[str]]]) -> Iterator[Callable[[Event], None]]:
    """The listeners that were kept; one that is gone is logged, in one line, and left out."""
    for path, wanted in kept.items():
        try:
            yield _Filtered(_found(path), wanted)
        except ValueError as error:
            logger.log_err(f"Uniwizard: a listener cannot be called: {error}")


def _found(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


class _Filtered:
    """Passes on what a listener wants to hear."""

    def __init__(self, listener: Callable[[Event], None], wanted: Mapping[str, list[str]]):
        self._listener = listener
        self._events = tuple(EVENTS[name] for name in wanted.get("events", ()) if name in EVENTS)
        self._backends = frozenset(wanted.get("backends", ()))

    def __call__(self, event: Event) -> None:
        if self._events and not isinstance(event, self._events):
            return
        if not self._backends or _backend(event) in self._backends:
            self._listener(event)


def _backend(event: Event) -> str:
    found = getattr(event, "backend", None) or getattr(getattr(event, "attempt", None), "backend", None)
    return str(found or "")


def channel(wanted: Any) -> Callable[[Event], None] | None:
    """What tells an Evennia channel, made if it is missing; ``wanted`` is the setting UNIWIZARD_CHANNEL."""
    if not wanted:
        return None
    said = {"name": wanted} if isinstance(wanted, str) else dict(wanted)
    name, told = said.get("name"), tuple(said.get("events") or TOLD)
    unknown = [event for event in told if event not in EVENTS]
    if not isinstance(name, str) or unknown:
        what = f"no event {unknown[0]!r}; there are: {', '.join(EVENTS)}" if unknown else "a channel needs a name"
        logger.log_err(f"Uniwizard: UNIWIZARD_CHANNEL: {what}")
        return None
    return _Told(_channel(name), tuple(EVENTS[event] for event in told))


def _channel(name: str) -> Any:
    for found in ChannelDB.objects.filter(db_key__iexact=name):
        return found
    locks = "control:perm(Admin);listen:perm(Builder);send:perm(Admin)"
    tags = [("channel", "uniwizard")]
    return create_channel(name, desc="What happens to the borrowed brains.", locks=locks, tags=tags)


class _Told:
    """Tells a channel, a line an event."""

    def __init__(self, told: Any, events: tuple[type[Event], ...]):
        self._channel = told
        self._events = events

    def __call__(self, event: Event) -> None:
        if isinstance(event, self._events):
            parts = ((each.name, getattr(event, each.name)) for each in fields(event) if each.name not in _UNTOLD)
            words = ", ".join(f"{name} {line(str(value), 60)}" for name, value in parts if value not in ("", None))
            self._channel.msg(f"{type(event).__name__}: {words}")
