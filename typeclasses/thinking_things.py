"""Rooms, objects and characters that do a little thinking of their own; each is a mixin for a game's typeclass.

    class Cellar(SelfDescribing, Room): ...          # describes itself, anew when something in it has changed
    class Sword(Opinionated, Object): ...            # says what it thinks of whoever looks at it
    class Elder(QuestGiver, Character): ...          # thinks up quests that the game can count
    converse(mira, tom, "the price of ale", turns=4, budget={"usd": 0.05, "per": "day"})

All of them show what comes back harmlessly, cost nothing while nobody looks, and say their usual words where nobody can
be asked.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from evennia.typeclasses.attributes import AttributeProperty
from evennia.utils import logger
from evennia.utils.ansi import strip_ansi
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from uniwizard.agent import RouteResult
from uniwizard.typeclasses.thinking_npc import ThinkingMixin
from uniwizard.world import thinker
from uniwizard.world.harmless import escape, plain
from uniwizard.world.reactor import reactor

#: States of a room whose descriptions are kept.
KEPT_STATES = 8


# A mixin sees everything that an object has.
_Object: Any = object


class SelfDescribing(_Object):
    """A room that is described by a brain, from what its builder wrote and from what lies in it.

    The description of one state of the room is asked for once and kept. Who looks before it is there sees the builder's
    own, ``db.desc``. Where the last player has left, what is older than ``description_lasts`` is thought of anew.
    """

    description_lasts = 7 * 86_400.0
    #: Seconds of quiet after which a description is refreshed.
    quiet = 30.0
    description_budget = AttributeProperty(None, autocreate=False)
    descriptions = AttributeProperty({}, autocreate=False)

    def describe_from(self) -> str:
        """What the description is made of: a text that changes when the room should be described anew."""
        things = [
            strip_ansi(thing.key) for thing in self.contents if not thinker.is_person(thing) and not thing.destination
        ]
        exits = [strip_ansi(way.key) for way in self.exits]
        parts = (f"A place called {self.key}.", self.db.desc, f"There is: {', '.join(sorted(things)) or 'nothing'}.")
        return "\n".join(filter(None, (*parts, f"Ways out: {', '.join(sorted(exits)) or 'none'}.")))

    def get_display_desc(self, looker: Any, **kwargs: Any) -> str:
        """The description of the room as it is now, or the builder's until there is one."""
        known = self.descriptions.get(self._condition())
        if known is None:
            self.describe()
            return super().get_display_desc(looker, **kwargs)
        return known[0]

    def describe(self) -> Deferred[Any] | None:
        """Have the room described as it is now; None where that is under way."""
        state = self._condition()
        if self.ndb.described == state:
            return None
        self.ndb.described = state
        asked: Any = thinker.ask(
            None, self.describe_from(), kind="describe", label=f"room #{self.id}", budget=self.description_budget
        )
        asked.addCallback(lambda result: self._described(state, result.text))
        asked.addErrback(
            lambda why: logger.log_info(f"Uniwizard: {self.key} is not described: {why.getErrorMessage()}")
        )
        return asked.addBoth(lambda _: setattr(self.ndb, "described", None))

    def _described(self, state: str, text: str) -> None:
        kept = {**dict(self.descriptions), state: (escape(plain(text, 4_000)), time.time())}
        self.descriptions = dict(sorted(kept.items(), key=lambda entry: entry[1][1])[-KEPT_STATES:])

    def _condition(self) -> str:
        return hashlib.sha256(self.describe_from().encode()).hexdigest()[:16]

    def at_object_leave(self, moved_obj: Any, target_location: Any, **kwargs: Any) -> None:
        super().at_object_leave(moved_obj, target_location, **kwargs)
        reactor.callLater(self.quiet, self._refresh)

    def _refresh(self) -> None:
        if self.pk is None or any(thing.has_account for thing in self.contents):
            return
        _, since = self.descriptions.get(self._condition(), ("", 0.0))
        if time.time() - since > self.description_lasts:
            self.describe()


class Opinionated(_Object):
    """An object that says what it thinks of whoever looks at it; of the same one not twice in ``opinion_lasts``."""

    #: Filled in are the object's and the looker's name.
    opinion_persona = "You are {name}, a thing that can speak. In one sentence, say what you think of {looker}."
    opinion_template = "{name} mutters: {opinion}"
    opinion_lasts = 3600.0
    opinion_budget = AttributeProperty(None, autocreate=False)

    def at_desc(self, looker: Any = None, **kwargs: Any) -> None:
        super().at_desc(looker=looker, **kwargs)
        if looker is not None and thinker.is_person(looker):
            self.opine(looker)

    def opine(self, looker: Any) -> Deferred[Any]:
        """Have an opinion of ``looker``, who is told when it comes."""
        persona = self.opinion_persona.format(name=self.key, looker=looker.key)
        asked: Any = thinker.ask(
            looker,
            f"{looker.key} looks at you. {looker.db.desc or ''}".strip(),
            kind="roleplay",
            persona=persona,
            label=self.key,
            budget=self.opinion_budget,
            keep=self.opinion_lasts,
        )
        asked.addCallback(lambda result: self._mutter(result.text, looker))
        return asked.addErrback(
            lambda why: logger.log_info(f"Uniwizard: {self.key} is silent: {why.getErrorMessage()}")
        )

    def _mutter(self, text: str, looker: Any) -> None:
        if looker.location in (self.location, self):
            name = self.get_display_name(looker)
            looker.msg(self.opinion_template.format(name=name, opinion=escape(plain(text, 500))))


class QuestGiver(ThinkingMixin):
    """A character that thinks up quests of a shape that the game can count: what, how many, for what reward.

    ``quest_targets`` is what there is to be brought; a quest for anything else is not given.
    """

    quest_targets: tuple[str, ...] = ("wolf pelt", "river pearl", "iron nail")
    most_wanted, most_reward = 10, 100

    @property
    def quest_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of a quest; no answer that does not satisfy it is taken."""
        number = {"type": "integer", "minimum": 1}
        return {
            "type": "object",
            "additionalProperties": False,
            "required": ["title", "story", "bring", "count", "reward"],
            "properties": {
                "title": {"type": "string", "minLength": 1, "maxLength": 60},
                "story": {"type": "string", "minLength": 1, "maxLength": 500},
                "bring": {"enum": list(self.quest_targets)},
                "count": {**number, "maximum": self.most_wanted},
                "reward": {**number, "maximum": self.most_reward},
            },
        }

    def offer_quest(self, character: Any) -> Deferred[Any]:
        """Think up a quest for ``character``; fires with it as a dict, or with None where nobody had one."""
        persona, turns = self._turns(character)
        asked = thinker.ask(
            character,
            "Give the one you talk with a small errand that fits you.",
            kind="story",
            persona=persona,
            messages=turns,
            schema=self.quest_schema,
            hearers=self.get_hearers(character),
            label=self.key,
            budget=self._budgets(),
        )
        return asked.addCallbacks(
            lambda result: self._offer(result, character), lambda why: self._no_quest(why, character)
        )

    def _offer(self, result: RouteResult, character: Any) -> dict[str, Any]:
        quest: dict[str, Any] = dict(result.content)  # type: ignore[call-overload]
        self._add_to_memory(character, self, quest["story"])
        self._say(quest["story"], character)
        self.at_quest_offered(quest, character)
        return quest

    def _no_quest(self, why: Failure, character: Any) -> None:
        self._failed(why, character)

    def at_quest_offered(self, quest: dict[str, Any], character: Any) -> None:
        """Called with a quest that has been told; a game writes it down here."""


def converse(
    one: Any, other: Any, topic: str, *, turns: int = 4, budget: Mapping[str, Any] | None = None
) -> Deferred[list[str]]:
    """Have two characters that think talk with each other about ``topic``; fires with what was said.

    It ends after ``turns`` lines, when nobody can be asked, or when the ``budget`` of their talk is spent. Whoever is
    where they are hears it.
    """
    return Deferred.fromCoroutine(_converse(one, other, topic, turns, budget))


async def _converse(one: Any, other: Any, topic: str, turns: int, budget: Mapping[str, Any] | None) -> list[str]:
    said: list[str] = []
    speaker, listener = one, other
    label = f"{one.key} and {other.key}"
    for _ in range(turns):
        messages = [
            ("assistant" if (len(said) - number) % 2 == 0 else "user", text) for number, text in enumerate(said)
        ]
        last = messages.pop()[1] if messages else f"Begin a talk about {topic}."
        try:
            result = await thinker.ask(
                None,
                last,
                kind="dialogue",
                persona=speaker._prefix(listener),
                messages=messages,
                hearers=speaker.get_hearers(listener),
                label=label,
                budget=budget,
            )
        except Exception as error:
            logger.log_info(f"Uniwizard: {label} fall silent: {error}")
            break
        said.append(result.text.strip())
        speaker._say(said[-1], listener)
        speaker, listener = listener, speaker
    return said
