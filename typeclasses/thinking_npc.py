"""Characters that talk, with borrowed brains.

    class Innkeeper(ThinkingNPC):
        prompt_prefix = "You are {name}, who keeps an inn in {location}. You talk with {character}. Be short."

    mira = create_object(Innkeeper, key="Mira", location=here)
    talk Mira What is there to eat?                       # a player does

Everything that Evennia's LLM contrib has, it has under the same names: ``prompt_prefix`` (Attribute, then the setting
LLM_PROMPT_PREFIX, then the class), ``response_template``, ``thinking_timeout``, ``thinking_messages``, ``chat_memory``
with ``max_chat_memory_size``, ``build_prompt``, ``at_talked_to``, and an ``llm_client`` of one's own, which is then
asked. Without one the game's brains are: routed, judged, falling back, and none of them learns who speaks.

:class:`ThinkingMixin` is for a typeclass of the game's own, :class:`ThinkingNPC` is ready to use.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import choice
from typing import Any

from django.conf import settings
from evennia.objects.objects import DefaultCharacter
from evennia.typeclasses.attributes import AttributeProperty
from evennia.utils import logger
from evennia.utils.ansi import strip_ansi
from evennia.utils.utils import make_iter
from twisted.internet import task
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from uniwizard.agent import RouteResult
from uniwizard.world import thinker
from uniwizard.world.harmless import escape, plain
from uniwizard.world.reactor import reactor

#: What a character is told of itself where nothing else is said. The same as the contrib's.
DEFAULT_PROMPT_PREFIX = (
    "You are roleplaying as {name}, a {desc} existing in {location}. "
    "Answer with short sentences. Only respond as {name} would. "
    "From here on, the conversation between {name} and {character} begins."
)
#: What is asked for when the talk with somebody is summed up.
_SUM_UP = (
    "Sum up this conversation in at most five sentences, as one who takes part in it would remember it: who wants "
    "what, what was promised, what is known of the other. Give the summary alone."
)
#: Characters of an answer that are heard, and of what is remembered beyond the lines themselves.
LONGEST_ANSWER, LONGEST_SUMMARY = 4_000, 2_000


# A mixin sees everything that an object has.
_Object: Any = object


class ThinkingMixin(_Object):
    """What makes a character talk; for any typeclass of objects.

    ``persona`` is the text of the character, or the path of a file with it (``world/personas/mira.md``, relative to the
    game directory); it takes the place of ``prompt_prefix``, and the same words in braces are filled in. ``budget`` and
    ``listener_budget`` are what the character may cost in all and with each one who talks to it, such as
    ``{"usd": 0.5, "per": "day"}``. The lock ``hear`` says who may hear it; nobody else does.
    """

    prompt_prefix: str | None = None
    kind = "roleplay"

    persona = AttributeProperty(None, autocreate=False)
    response_template = AttributeProperty("$You() $conj(say) (to $You(character)): {response}", autocreate=False)
    thinking_timeout = AttributeProperty(2, autocreate=False)
    thinking_messages = AttributeProperty(
        ["{name} thinks about what you said ...", "{name} ponders your words ...", "{name} ponders ..."],
        autocreate=False,
    )
    #: Said where nobody had an answer.
    failure_lines = AttributeProperty(["... I'm sorry, I was distracted. Can you repeat?"], autocreate=False)
    #: Lines of talk with one character that are remembered word for word; older ones are summed up.
    max_chat_memory_size = AttributeProperty(25, autocreate=False)
    #: By character, what was said, and what is remembered of what was said before that.
    chat_memory = AttributeProperty(defaultdict(list))
    chat_summaries = AttributeProperty({}, autocreate=False)
    budget = AttributeProperty(None, autocreate=False)
    listener_budget = AttributeProperty(None, autocreate=False)

    # -- for a game to change ------------------------------------------------------------------------------------

    def at_pre_think(self, speech: str, character: Any) -> bool | None:
        """Called before anything is thought of what ``character`` said; False keeps the character silent."""
        return None

    def at_thought(self, response: str, character: Any) -> None:
        """Called when an answer has been said."""

    def at_thought_failed(self, why: Failure, character: Any) -> None:
        """Called when nobody had a usable answer; one of ``failure_lines`` has been said."""

    def get_hearers(self, character: Any) -> list[Any]:
        """Who hears it talk with ``character``: everyone where both are who passes the lock ``hear``."""
        place = character.location
        if place is None or place != self.location:
            return [character]
        return [thing for thing in place.contents if thing == character or self.access(thing, "hear", default=True)]

    # -- what it is told -----------------------------------------------------------------------------------------

    @property
    def llm_client(self) -> Any:
        """A client with a ``get_response(prompt)``, asked in the place of the game's brains; None for those."""
        return self.ndb.llm_client

    @property
    def llm_prompt_prefix(self) -> str:
        """The persona, or else the prefix of this object, of the settings, of the class, in this order."""
        if said := self.persona:
            return _file(said) if said.endswith(".md") and "\n" not in said else said
        of_class = self.prompt_prefix or DEFAULT_PROMPT_PREFIX
        return self.attributes.get("prompt_prefix", default=getattr(settings, "LLM_PROMPT_PREFIX", of_class))

    def _prefix(self, character: Any) -> str:
        words = {
            "name": self.get_display_name(character),
            "desc": self.db.desc or "someone",
            "location": self.location.key if self.location else "the void",
            "character": character.get_display_name(self),
        }
        return strip_ansi(self.llm_prompt_prefix.format_map(defaultdict(str, words)))

    def build_prompt(self, character: Any, speech: str) -> str:
        """The whole prompt in one text, as a client of the contrib's kind takes it."""
        return "\n".join((self._prefix(character), *self.chat_memory[character]))

    def _turns(self, character: Any) -> tuple[str, list[tuple[str, str]]]:
        """The persona with what it remembers, and the talk so far as turns."""
        persona = self._prefix(character)
        if summary := self.chat_summaries.get(character):
            persona += f"\nWhat you remember of earlier talk: {summary}"
        own = f"{strip_ansi(self.get_display_name(self))}: "
        turns = []
        for said in self.chat_memory[character]:
            role, text = ("assistant", said[len(own) :]) if said.startswith(own) else ("user", said.partition(": ")[2])
            turns.append((role, text))
        return persona, turns

    # -- talking -------------------------------------------------------------------------------------------------

    def at_talked_to(self, speech: str, character: Any) -> Any:
        """``character`` says ``speech`` to this one; a Deferred that fires when it has been answered.

        One is answered after the other to the same character; to several at once.
        """
        if self.at_pre_think(speech, character) is False:
            return None
        if self.ndb.talks is None:
            self.ndb.talks = {}
        before = self.ndb.talks.get(character.id)
        if before is not None and not getattr(before, "called", True):
            answered: Any = Deferred()
            before.addBoth(self._next, answered, speech, character)
        else:
            answered = self._answer(speech, character)
        self.ndb.talks[character.id] = answered
        return answered

    def _next(self, before: Any, answered: Any, speech: str, character: Any) -> Any:
        self._answer(speech, character).addBoth(answered.callback)
        return before

    def _answer(self, speech: str, character: Any) -> Any:
        waiting = task.deferLater(reactor, self.thinking_timeout, lambda: self._echo_thinking(character))
        waiting.addErrback(lambda why: why.trap(CancelledError) and None)
        self._add_to_memory(character, character, speech)
        client = self.llm_client
        prompt = self.build_prompt(character, speech) if client is not None else ""
        asked = client.get_response(prompt) if client is not None else self.ask(character)

        def heard(outcome: Any) -> None:
            if not waiting.called:
                waiting.cancel()
            if isinstance(outcome, Failure):
                self._failed(outcome, character)
            else:
                self._respond(outcome.text if isinstance(outcome, RouteResult) else outcome, character)

        answered = asked.addCallbacks(heard, heard)
        return answered.addErrback(lambda why: logger.log_err(f"Uniwizard: {self.key} could not talk: {why}"))

    def ask(self, character: Any) -> Deferred[RouteResult]:
        """Have the next line of the talk with ``character`` thought of by the game's brains."""
        persona, turns = self._turns(character)
        *messages, (_, said) = turns
        return thinker.ask(
            character,
            said,
            kind=self.kind,
            persona=persona,
            messages=messages,
            hearers=self.get_hearers(character),
            label=self.key,
            budget=self._budgets(),
        )

    def _budgets(self) -> list[dict[str, Any]]:
        budgets = [dict(self.budget)] if self.budget else []
        return [*budgets, {**self.listener_budget, "each": True}] if self.listener_budget else budgets

    def _respond(self, response: str, character: Any) -> None:
        if not (response or "").strip():
            self._failed(Failure(ValueError("an empty answer")), character)
            return
        response = _spoken(response, strip_ansi(self.get_display_name(self)))
        self._add_to_memory(character, self, response)
        self._say(response, character)
        self.at_thought(response, character)

    def _failed(self, why: Failure, character: Any) -> None:
        if why.check(CancelledError):
            return
        logger.log_info(f"Uniwizard: {self.key} has no answer: {why.getErrorMessage()}")
        self._say(choice(make_iter(self.failure_lines)), character)
        self.at_thought_failed(why, character)

    def _say(self, response: str, character: Any) -> None:
        """Have it heard. The words are put in last, so that nothing in them is taken for markup or a function."""
        safe = escape(plain(response, LONGEST_ANSWER))
        said = self.response_template.format(name=self.get_display_name(character), response="{response}")
        self._tell(said, character, {"response": safe}, f"{self.get_display_name(character)} says, {safe}")

    def _echo_thinking(self, character: Any) -> None:
        said = choice(make_iter(self.thinking_messages))
        self._tell(said.format(name="$You()"), character, {}, said.format(name=self.get_display_name(character)))

    def _tell(self, text: str, character: Any, words: dict[str, str], alone: str) -> None:
        """To whoever may hear it where both are; otherwise to the one who talks alone, in other words."""
        hearers = self.get_hearers(character)
        place = character.location
        if place is None or place != self.location:
            character.msg(alone)
            return
        deaf = [thing for thing in place.contents if thing not in hearers]
        place.msg_contents(text, mapping={"character": character, **words}, from_obj=self, exclude=deaf)

    # -- memory --------------------------------------------------------------------------------------------------

    def _add_to_memory(self, character: Any, who_talked: Any, speech: str) -> None:
        memory = list(self.chat_memory[character])
        memory.append(f"{strip_ansi(who_talked.get_display_name(self))}: {speech}")
        most = max(2, self.max_chat_memory_size)
        if len(memory) > most:
            older, memory = memory[: -(most // 2)], memory[-(most // 2) :]
            self._sum_up(character, older)
        self.chat_memory[character] = memory

    def _sum_up(self, character: Any, older: list[str]) -> None:
        """Keep the end of what is forgotten word for word, until it has been summed up."""
        text = "\n".join(filter(None, (self.chat_summaries.get(character), *older)))
        self._remember(character, text[-LONGEST_SUMMARY:])
        if self.llm_client is not None:
            return
        asked = thinker.ask(
            character, text, kind="summarize", persona=_SUM_UP, label=self.key, budget=self._budgets(), hearers=[self]
        )
        asked.addCallback(lambda result: self._remember(character, result.text[:LONGEST_SUMMARY]))
        asked.addErrback(lambda why: logger.log_info(f"Uniwizard: {self.key} sums nothing up: {why.getErrorMessage()}"))

    def _remember(self, character: Any, text: str) -> None:
        self.chat_summaries = {**dict(self.chat_summaries), character: text}

    def memory_of(self, character: Any) -> str:
        """What it remembers of the talk with ``character``, harmless to show; empty where that is nothing."""
        lines = [self.chat_summaries.get(character, ""), *self.chat_memory.get(character, ())]
        return escape(plain("\n".join(filter(None, lines))))

    def forget(self, character: Any = None) -> None:
        """Forget the talk with ``character``, or with everybody."""
        if character is None:
            self.chat_memory, self.chat_summaries = defaultdict(list), {}
            return
        memory, summaries = dict(self.chat_memory), dict(self.chat_summaries)
        memory.pop(character, None)
        summaries.pop(character, None)
        self.chat_memory, self.chat_summaries = defaultdict(list, memory), summaries


class ThinkingNPC(ThinkingMixin, DefaultCharacter):
    """A character that nobody plays, and that talks."""


def _file(path: str) -> str:
    """The text of a persona's file; a game without it plays on with the usual one."""
    try:
        return (Path(settings.GAME_DIR) / path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        logger.log_err(f"Uniwizard: the persona {path} cannot be read: {error}")
        return DEFAULT_PROMPT_PREFIX


def _spoken(response: str, name: str) -> str:
    """The words alone, where a brain has put the speaker before them, or quotation marks around."""
    response = response.strip()
    if response.lower().startswith(f"{name.lower()}:"):
        response = response[len(name) + 1 :].strip()
    if len(response) > 1 and response[0] == response[-1] == '"' and '"' not in response[1:-1]:
        response = response[1:-1]
    return response
