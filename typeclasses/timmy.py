"""Timmy: somebody, in the Workshop. Who he is stands in SOUL.md; here is what he notices and does about it.

He answers what is said to him and nothing else, at his own pace, with a borrowed brain or without one. Only players are
answered, so that two characters of the game cannot talk each other to death.
"""

from __future__ import annotations

import random
import re
import time
from typing import Any

from django.conf import settings
from evennia.utils import delay, logger
from evennia.utils.utils import class_from_module

from uniwizard.agent import sum_in
from uniwizard.world import memories, routers, telling
from uniwizard.world.harmless import escape, line
from uniwizard.world.ledger.budgets import BudgetReached
from uniwizard.world.mark import said
from uniwizard.world.mood import Mood
from uniwizard.world.narrator import tell_room
from uniwizard.world.routers import Closed, GameRouter
from uniwizard.world.soul import the as soul
from uniwizard.world.soul import voice
from uniwizard.world.talk import addressed, meaning

#: Seconds that he takes to answer, and between two answers to the same player.
PACE = (0.8, 1.6)
AGAIN = 2.0
#: Sayings that wait for him at a time; he hears no more than that.
EARS = 5
#: Seconds without anybody doing anything, at the least and on average, before something stirs in the Workshop.
STILL, STIRS = 600.0, 1500.0
#: Days after which somebody who comes in has been away for long.
LONG_AWAY = 25.0
_DAY = 86_400.0
_SPOKEN = re.compile(r'"(?:\|n)?(.*?)(?:\|n)?"\s*$', re.DOTALL)

_Character: Any = class_from_module(settings.BASE_CHARACTER_TYPECLASS)


class Timmy(_Character):
    """The Workshop's keeper; nobody's puppet."""

    # -- how he looks ------------------------------------------------------------------------------------------------

    def get_display_desc(self, looker: Any, **kwargs: Any) -> str:
        look = self.db.desc or soul().look
        return telling.flowed(f"{look} {self._mood_told()}", telling.width_of(looker))

    def _mood_told(self) -> str:
        router = routers.find(self.location)
        if router is not None and len(router.thoughts):
            return voice.say("mood_busy")
        mood: Mood | None = getattr(router, "mood", None)
        return voice.say(f"mood_{mood.now() if mood is not None else 'content'}")

    # -- what he notices ---------------------------------------------------------------------------------------------

    def at_msg_receive(self, text: Any = None, from_obj: Any = None, **kwargs: Any) -> bool:
        """He hears what is said, whispered and done around him. Nothing of it is passed on: nobody plays him."""
        try:
            told, options = text if isinstance(text, tuple) else (text, {})
            speaker = from_obj[0] if isinstance(from_obj, list | tuple) and from_obj else from_obj
            kind = options.get("type", "") if isinstance(options, dict) else ""
            if speaker is not None and speaker != self and getattr(speaker, "has_account", False):
                self._notice(speaker, str(told or ""), kind)
        except Exception:
            # What he cannot make sense of must not cost a player their words.
            logger.log_trace("Uniwizard: the soul could not make sense of something.")
        return False

    def _notice(self, speaker: Any, told: str, kind: str) -> None:
        self.ndb.last_stir = time.monotonic()
        if kind in ("say", "whisper"):
            spoken = _SPOKEN.search(told)
            words = spoken[1] if spoken else ""
            heard = words if kind == "whisper" else addressed(words, soul().names)
            if heard:
                self.hear(speaker, heard, aloud=kind == "say")
        elif kind == "pose" and any(re.search(rf"\b{re.escape(name)}\b", told, re.I) for name in soul().names):
            deed = meaning(told)
            if deed in ("wave", "hug", "poke"):
                self._soon(speaker, lambda: self._act(deed, speaker))

    def hear(self, speaker: Any, words: str, *, aloud: bool = True) -> None:
        """Something is said to him; he answers in his own time, unless too many talk at once."""
        self._soon(speaker, lambda: self._answer(speaker, words, aloud))

    def at_object_receive(self, moved_obj: Any, source_location: Any, move_type: str = "move", **kwargs: Any) -> None:
        """A gift, which he keeps if it is small and the shelf is not full of them."""
        super().at_object_receive(moved_obj, source_location, move_type=move_type, **kwargs)
        if move_type != "give" or source_location is None:
            return
        if len(self.contents) > 12:
            moved_obj.move_to(self.location, quiet=True)
            self._soon(
                source_location, lambda: self._say_to_room("gift_back", source_location, why=line(moved_obj.key, 40))
            )
        else:
            self._soon(source_location, lambda: self._say_to_room("gift", source_location, why=line(moved_obj.key, 40)))

    def sees_arrive(self, player: Any) -> None:
        """Somebody has come in, or back to life: he greets whoever was away for long, and nods to a stranger."""
        seen: dict[int, float] = dict(self.attributes.get("seen", category="uniwizard") or {})
        last, now = seen.get(player.id), time.time()
        seen[player.id] = now
        self.attributes.add("seen", seen, category="uniwizard")
        if last is not None and now - last > LONG_AWAY * _DAY:
            days = round((now - last) / _DAY)
            away = f"{days} days" if days < 60 else f"{round(days / 30)} months"
            self._soon(player, lambda: self._say_to_room("back_after_long", player, name=line(player.key), why=away))

    def breathe(self) -> None:
        """Called every few seconds: once in a long while, where somebody is there to see it, something stirs."""
        now = time.monotonic()
        if self.ndb.last_stir is None:
            self.ndb.last_stir = now
        quiet = now - self.ndb.last_stir
        watched = self.location is not None and any(thing.has_account for thing in self.location.contents)
        if watched and quiet > STILL and random.random() < 5.0 / STIRS:
            self.ndb.last_stir = now
            tell_room(self.location, voice.say("idle"), marked=False)

    # -- what he does about it ---------------------------------------------------------------------------------------

    def _soon(self, speaker: Any, act: Any) -> None:
        """Do it in a moment; at his own pace, whatever the others' is."""
        waiting: dict[int, float] = self.ndb.waiting if self.ndb.waiting is not None else {}
        now = time.monotonic()
        waiting = {who: until for who, until in waiting.items() if until > now}
        self.ndb.waiting = waiting
        if speaker.id in waiting or len(waiting) >= EARS:
            return
        wait = random.uniform(*PACE)
        waiting[speaker.id] = now + wait + AGAIN / 2
        delay(wait, self._try, act)

    def _try(self, act: Any) -> None:
        try:
            act()
        except Exception:
            logger.log_trace("Uniwizard: the soul could not answer.")

    def _act(self, deed: str, speaker: Any) -> None:
        self._say_to_room(deed, speaker, name=line(speaker.key))

    def _answer(self, speaker: Any, words: str, aloud: bool) -> None:
        """Answer what ``speaker`` said, to the room or to them alone, as it was said."""
        # Equal, not identical: Evennia may have flushed its cache of objects meanwhile.
        if speaker.location != self.location:
            return
        heard = meaning(words)
        name = line(speaker.key)
        if heard == "question":
            self._think(speaker, words, aloud)
            return
        why = ""
        if heard == "how":
            why = _first_sentence(self._mood_told())
        elif heard == "brains":
            why = self._shelf_told()
        elif heard == "remember":
            kept = [memory.told() for memory in memories.of(speaker)[-3:]]
            why = " ".join(kept) if kept else "Nothing yet. Ask me something."
            aloud = False
        elif heard == "forget":
            memories.forget(speaker)
            aloud = False
        moment = heard if heard in ("wave", "hug", "poke") else f"talk_{heard}"
        self._say(moment, speaker, aloud, name=name, why=why)

    def _think(self, speaker: Any, words: str, aloud: bool) -> None:
        """A question: think about it for ``speaker`` with a borrowed brain; without one, do what fingers can do."""
        name = line(speaker.key)
        router = routers.find(self.location)
        why_not = self._no_brain(router, words)
        if why_not is None and router is not None:
            if router.thoughts.of(speaker) is not None:
                self._say("talk_busy", speaker, False, name=name)
                return
            known = memories.alike(speaker, words)
            if known is not None and known.gist:
                self._say("talk_again", speaker, False, name=name, why=known.told())
            self._say("talk_question", speaker, aloud, name=name)
            try:
                router.thoughts.begin(speaker, words, aloud=True)
                return
            except (BudgetReached, Closed) as reached:
                why_not = line(str(reached).partition("\n")[0], 160)
        if worked := sum_in(words):
            self._say("talk_fingers", speaker, aloud, name=name, why=worked)
        elif (known := memories.alike(speaker, words)) is not None and known.gist:
            self._say("talk_again", speaker, False, name=name, why=known.told())
        else:
            self._say("talk_no_brain", speaker, aloud, name=name, why=why_not or "")

    def _no_brain(self, router: GameRouter | None, words: str) -> str | None:
        """Why no brain can be asked, for players; None where one can."""
        if router is None:
            return "There is no shelf here."
        try:
            brain = router.brain
            if router.explain(words).backend:
                return None
        except Closed:
            return "Somebody must mend the shelf first."
        return telling.what_now(brain.states(), brain.clock.seconds())

    def _shelf_told(self) -> str:
        router = routers.find(self.location)
        try:
            states = list(router.brain.states()) if router is not None else []
        except Closed:
            states = []
        awake = [health.backend.key for health in states if not health.available()]
        if not awake:
            return "All dark, just now."
        others = len(states) - len(awake)
        rest = f"; {others} of the others sleep" if others else ""
        return f"{', '.join(awake)} {'is' if len(awake) == 1 else 'are'} awake{rest}. Look at the shelf."

    def _say(self, moment: str, speaker: Any, aloud: bool, **words: Any) -> None:
        text = voice.say(moment, **words)
        if aloud and speaker.location is not None:
            # The speaker's idea of the room is fresh; his own may be of before a flush of the cache.
            tell_room(speaker.location, text, marked=False)
        else:
            telling.tell(speaker, text, "say")

    def _say_to_room(self, moment: str, speaker: Any, **words: Any) -> None:
        tell_room(speaker.location, voice.say(moment, **words), marked=False)


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".") + "."


def welcome(player: Any) -> list[str]:
    """What a newcomer is told: what can be done here, in a minute."""
    name = soul().name
    return [
        said(f"|w{name}|n leans over and shows you around, {escape(player.key)}:"),
        "  |wthink|n What is 17*23? - it is thought about",
        f"  |wroute|n review this diff - whom {soul().pronouns[0]} would ask",
        "  |wlook shelf|n, |wlook claude|n - the borrowed brains",
        f"  |wsay|n hello {name} - {soul().pronouns[0]} hears you",
        f"  |whelp {name.lower()}|n, |whelp privacy|n, |whelp brains|n",
    ]
