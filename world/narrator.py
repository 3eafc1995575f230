"""Turns the router's events into messages: what happens to a thought is seen where the thinker stands, what happens to
a backend is seen in the Workshop.
"""

from __future__ import annotations

import time
from typing import Any

from uniwizard.agent.core.events import (
    Answered,
    AttemptStarted,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    Event,
    FellBack,
    GaveUp,
    Leaked,
    PracticeBegan,
    PracticeEnded,
    Refused,
    TaskEvent,
    WordsCame,
)
from uniwizard.world.harmless import line
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice

#: Seconds in which bystanders are told the same thing once, however many thoughts it happens to. A line for everyone
#: in a crowd costs the square of the crowd; the thinkers themselves always hear of their own.
ONCE_IN = 2.0


def web_clients(thing: Any) -> list[Any]:
    """The sessions of ``thing`` whose prompt is a line of its own, which can be replaced; telnet would add new ones."""
    return [session for session in thing.sessions.all() if str(session.protocol_key).startswith(("web", "ajax"))]


class Narrator:
    """A listener for one BackendRouter, and the voice of its room."""

    def __init__(self, script: GameRouter):
        self._script = script
        #: When bystanders were last told of (room, moment, backend).
        self._told: dict[tuple[int, str, str], float] = {}

    def tell(self, moment: str, thinker: Any, words: dict[str, Any], *, to_thinker: bool = True) -> None:
        """Show a moment of a thought to whoever thinks it and, now and then, to those around."""
        room = thinker.location or self._script.obj
        text = voice.say(moment, **words)
        if to_thinker:
            _show(thinker, text)
        what, now = (room.id, moment, words.get("key", "")), time.monotonic()
        if now - self._told.get(what, -ONCE_IN) >= ONCE_IN:
            self._told[what] = now
            tell_room(room, text, (thinker,))

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskEvent):
            thought = self._script.thoughts.by_task(event.task_id)
            if thought is not None:
                self._of_thought(event, thought.thinker, thought)
        else:
            self._of_backend(event)

    def _of_thought(self, event: TaskEvent, thinker: Any, thought: Any) -> None:
        match event:
            case AttemptStarted(backend=key):
                thought.asked = key
            case WordsCame(backend=key, chars=count):
                self._progress(thinker, thought, key, count)
            case Refused(backend=key, evidence=why):
                self.tell("refused", thinker, {"key": key, "why": line(why, 42)})
            case FellBack(backend=key, to=to, failure=failure, chars=chars) if chars:
                self.tell("broke_off", thinker, {"key": key, "to": to, "why": voice.failure(failure)})
            case FellBack(backend=key, to=to, failure=failure):
                self.tell("fell_back", thinker, {"key": key, "to": to, "why": voice.failure(failure)})
            case Answered():
                self.tell("answered", thinker, {"name": line(thinker.key)}, to_thinker=False)
            case GaveUp():
                self.tell("gave_up", thinker, {})
            case Leaked(backend=key):
                self.tell("leaked", thinker, {"key": key})

    def _progress(self, thinker: Any, thought: Any, key: str, count: int) -> None:
        """Say once that words are coming, where they take their time; and go on saying it where that is no noise."""
        if not thought.heard:
            thought.heard = True
            thinker.msg(text=(voice.say("words", key=key), {"type": "uniwizard"}))
        for session in web_clients(thinker):
            session.msg(prompt=voice.say("progress", key=key, count=count))

    def _of_backend(self, event: Event) -> None:
        room = self._script.obj
        match event:
            case BreakerOpened(backend=key, reason=why, until=None):
                tell_room(room, voice.say("opened_for_good", key=key, why=line(why, 72)))
            case BreakerOpened(backend=key, reason=why, until=until, at=now) if until is not None:
                tell_room(room, voice.say("opened", key=key, why=line(why, 72), time=round(until - now)))
            case BreakerHalfOpened(backend=key):
                tell_room(room, voice.say("half_opened", key=key))
            case BreakerClosed(backend=key):
                tell_room(room, voice.say("closed", key=key))
            case PracticeBegan(reason=why):
                tell_room(room, voice.say("practice_began", why=line(why, 66)))
            case PracticeEnded(backend=key):
                tell_room(room, voice.say("practice_ended", key=key or "a brain"))


def tell_room(room: Any, text: str, exclude: tuple[Any, ...] = ()) -> None:
    """Show ``text`` to everyone in ``room``. Not ``msg_contents``, which would run inline functions in it."""
    for thing in room.contents if room is not None else ():
        if thing not in exclude and thing.has_account:
            _show(thing, text)


def _show(thing: Any, text: str) -> None:
    thing.msg(text=(text, {"type": "uniwizard"}))
