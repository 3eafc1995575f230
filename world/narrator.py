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
    Drifted,
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
from uniwizard.world.mark import said
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice
from uniwizard.world.telling import PROGRESS_CLASS, is_web, tell

#: Seconds in which bystanders are told the same thing once, however many thoughts it happens to. A line for everyone
#: in a crowd costs the square of the crowd; the thinkers themselves always hear of their own.
ONCE_IN = 2.0
#: Fallbacks of one thought of which bystanders hear each by itself.
ALONE = 1
#: And the thinker; a list of all of them comes with the end, and stands in think/why.
HEARD = 2


class Narrator:
    """A listener for one BackendRouter, and the voice of its room."""

    def __init__(self, script: GameRouter):
        self._script = script
        #: When bystanders were last told of (room, moment, backend).
        self._told: dict[tuple[int, str, str], float] = {}

    def tell(
        self,
        moment: str,
        thinker: Any,
        words: dict[str, Any],
        *,
        to_thinker: bool = True,
        to_room: bool = True,
        seen: str = "",
    ) -> None:
        """Show a moment of a thought to whoever thinks it and, now and then, to those around, who see ``seen`` of
        it."""
        room = thinker.location or self._script.obj
        text = voice.say(moment, **words)
        if to_thinker:
            _show(thinker, text)
        what, now = (room.id, moment, words.get("key", "")), time.monotonic()
        if to_room and now - self._told.get(what, -ONCE_IN) >= ONCE_IN:
            self._told[what] = now
            tell_room(room, voice.say(seen, **words) if seen else text, (thinker,))

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
                # What it said may repeat the question, which is nobody else's business.
                self.tell("refused", thinker, {"key": key, "why": line(why, 42)}, seen="refused_seen")
            case FellBack(backend=key, to=to, failure=failure, chars=chars):
                self._fell_back(thought, {"key": key, "to": to, "why": voice.failure(failure)}, in_the_middle=chars > 0)
            case Answered():
                self.tell("answered", thinker, {"name": line(thinker.key)}, to_thinker=False)
            case GaveUp():
                self.tell("gave_up", thinker, {})
            case Leaked(backend=key):
                self.tell("leaked", thinker, {"key": key})

    def _fell_back(self, thought: Any, words: dict[str, Any], *, in_the_middle: bool) -> None:
        """Tell of a fallback; of a whole row of them, bystanders hear in one line."""
        thought.fallbacks += 1
        moment, told = "broke_off" if in_the_middle else "fell_back", thought.fallbacks
        self.tell(moment, thought.thinker, words, to_thinker=told <= HEARD, to_room=told <= ALONE)
        if told == ALONE + 1:
            self.tell("fell_back_more", thought.thinker, {"count": told}, to_thinker=False)

    def _progress(self, thinker: Any, thought: Any, key: str, count: int) -> None:
        """Say once that words are coming, where they take their time; and go on saying it where that is no noise."""
        if thought.live is not None:
            # The words themselves are shown.
            return
        if not thought.heard:
            thought.heard = True
            if any(not is_web(session) for session in thinker.sessions.all()):
                _show(thinker, voice.say("words", key=key))
        for session in filter(is_web, thinker.sessions.all()):
            told = said(voice.say("progress", key=key, count=count))
            session.msg(text=(told, {"type": "uniwizard", "cls": PROGRESS_CLASS}))

    def _of_backend(self, event: Event) -> None:
        room = self._script.obj
        match event:
            case BreakerOpened(backend=key, reason=why, until=None):
                tell_room(room, voice.say("opened_for_good", key=key, why=_words(why)))
            case BreakerOpened(backend=key, reason=why, until=until, at=now) if until is not None:
                tell_room(room, voice.say("opened", key=key, why=_words(why), time=round(until - now)))
            case BreakerHalfOpened(backend=key):
                tell_room(room, voice.say("half_opened", key=key))
            case BreakerClosed(backend=key):
                tell_room(room, voice.say("closed", key=key))
            case Drifted(reason=why):
                tell_builders(room, voice.say("drifted", why=line(why, 70)))
            case PracticeBegan(reason=why):
                tell_room(room, voice.say("practice_began", why=line(why, 66)))
            case PracticeEnded(backend=key):
                tell_room(room, voice.say("practice_ended", key=key or "a brain"))


def _words(reason: str) -> str:
    """Why a breaker opened, in words: what stands before the colon is the failure's code, the rest is for Builders."""
    try:
        return voice.failure(reason.partition(":")[0])
    except KeyError:
        return "needs a rest"


def tell_room(room: Any, text: str, exclude: tuple[Any, ...] = (), *, marked: bool = True) -> None:
    """Show ``text`` to everyone in ``room``. Not ``msg_contents``, which would run inline functions in it.

    What somebody in the room says or does is no word of the game's own: it is not ``marked``.
    """
    for thing in room.contents if room is not None else ():
        if thing not in exclude and thing.has_account:
            if marked:
                _show(thing, text)
            else:
                tell(thing, text, "say")


def tell_builders(room: Any, text: str) -> None:
    """The same to those who may have to see to it."""
    for thing in room.contents if room is not None else ():
        if thing.has_account and thing.check_permstring("Builder"):
            _show(thing, text)


def _show(thing: Any, text: str) -> None:
    tell(thing, said(text))
