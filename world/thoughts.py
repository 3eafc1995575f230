"""The thoughts under way in one BackendRouter: who asked, what, and how to bring the answer back to them.

One thought at a time per character. What is under way stands in the ledger from before its player is told that Timmy
thinks until after they are told how it ended, so a reload, a restart or a kill loses nothing: as soon as its thinker is
there to hear the answer, it is taken up again, or, where the answer had come already, told. No answer is shown before
the ledger has it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

from evennia.objects.models import ObjectDB
from evennia.utils import logger
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure as TwistedFailure

from uniwizard.agent import AllBackendsFailed, Attempt, Decision, Image, Message, Plan, RouteResult, Task
from uniwizard.world import answers, identity, memories, pictures, telling
from uniwizard.world.harmless import line
from uniwizard.world.heeding import heeded
from uniwizard.world.ledger import history, recorder
from uniwizard.world.ledger.budgets import BudgetReached, Who
from uniwizard.world.ledger.models import Pending
from uniwizard.world.live import LiveAnswer
from uniwizard.world.mark import said
from uniwizard.world.pacing import Pace
from uniwizard.world.reactor import reactor
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice
from uniwizard.world.told import Told

#: Seconds after which, and then again and again, a waiting player is told that the thought goes on.
STILL = 10.0
#: Seconds after a start at which the first look is taken for thoughts to take up.
FIRST_LOOK = 1.0
#: Roads of past thoughts that are remembered, one per character.
REMEMBERED = 1000
#: Characters of an answer from which on a thread lays it out, so that a hostile one does not hold up the game.
SHORT = 1500
#: The Attribute in which a character says that answers should be shown as they come, and its category.
LIVE = "live_answers", "uniwizard"
#: The Attribute that says of a thought under way what its row cannot, and its category.
_DETAILS = "under_way", "uniwizard"


@dataclass(slots=True)
class Thought:
    """One player's task on its way, and afterwards the road it took."""

    thinker: Any
    text: str
    pin: str | None
    plan: Plan
    started: float
    #: Whether a player listens; a character that the game itself plays is told all the same.
    present: bool
    #: The backend that has it now.
    asked: str = ""
    #: Whether the thinker has been told that words are coming, and sees how many.
    heard: bool = False
    under_way: Deferred[RouteResult] | None = field(default=None, repr=False)
    still: Any = field(default=None, repr=False)
    result: RouteResult | None = None
    attempts: tuple[Attempt, ...] = ()
    ended: float = 0.0
    why_not: str = ""
    #: What the player said of the answer; None while nothing.
    judged: bool | None = None
    #: Whether it goes on with the last answer's conversation.
    follows: bool = False
    #: Shows the answer as it comes; None where it is shown whole.
    live: LiveAnswer | None = None
    #: Backends that had it, and from which it was taken for being slow.
    passed: tuple[str, ...] = ()
    #: Whom it is being passed on to, while it is; and how many backends failed it so far, for bystanders.
    turning: str = ""
    fallbacks: int = 0
    #: What the answer does not heed of what was asked.
    short: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        return self.plan.task

    @property
    def decision(self) -> Decision:
        return self.plan.decision


class Thoughts:
    """Keeps, ends and remembers the thoughts of one BackendRouter."""

    def __init__(self, script: GameRouter):
        self._script = script
        self._by_thinker: dict[int, Thought] = {}
        self._by_task: dict[str, Thought] = {}
        self._past: dict[int, Thought] = {}
        #: Written down by an earlier run of the server, and not taken up yet.
        self._held: list[Pending] = []
        self._told = Told()
        self._asleep = self._ready = False
        self._pace = Pace(reactor)

    # -- asking --------------------------------------------------------------------------------------------------

    def begin(
        self,
        thinker: Any,
        text: str,
        pin: str | None = None,
        *,
        aloud: bool = False,
        fresh: bool = False,
        follows: bool = False,
        images: tuple[Image, ...] = (),
    ) -> Thought:
        """Start thinking about ``text`` for ``thinker``, who hears the answer when it comes.

        ``aloud`` says that Timmy thinks, once the thought is written down and can vanish no more; only then is anybody
        asked. ``fresh``: whatever is remembered, somebody is asked. ``follows`` goes on with the conversation of the
        last answer. Raises Closed, and BudgetReached.
        """
        if aloud:
            self._told.seen_by(thinker)
        remembered = "fresh" if fresh else "use"
        plan = self._script.plan(self._task(thinker, text, follows, images), pin, memory=remembered)
        task = plan.task
        self._account(plan, thinker, text)
        thought = Thought(thinker, text, pin, plan, time.time(), thinker.sessions.count() > 0, follows=follows)
        if thinker.attributes.get(LIVE[0], category=LIVE[1]):
            thought.live = LiveAnswer(thinker, ["", said(voice.say("opening"))])
        self._by_thinker[thinker.id] = self._by_task[task.id] = thought
        if follows or images:
            pictures.keep(task.id, images)
            thinker.attributes.add(_DETAILS[0], {"task": task.id, "follows": follows}, category=_DETAILS[1])
        held = recorder.the().hold(task.id, self._script.id, thinker.id, text, pin)
        self._set_out(thought, self._think(thought, held, aloud))
        thought.still = reactor.callLater(STILL, self._still, thought)
        return thought

    def _task(
        self, thinker: Any, text: str, follows: bool, images: tuple[Image, ...] = (), task_id: str | None = None
    ) -> Task:
        """What is asked of a brain: the question as the soul frames it, and what was said before where it follows."""
        turns: tuple[Message, ...] = ()
        if follows:
            turns = answers.turns(answers.conversation(answers.of(thinker)))
        everything = "\n".join((text, *(turn.text for turn in turns)))
        hidden = identity.of_thinker(thinker, everything)
        # A number in a database, so that whoever asks is always the same to strategies, and is named to nobody.
        task = Task(text, messages=turns, images=images, identity=hidden, asker=f"thinker-{thinker.id}")
        return task if task_id is None else replace(task, id=task_id)

    def _account(self, plan: Plan, thinker: Any, text: str) -> None:
        """Let the ledger know who asks, before anybody is asked. Raises BudgetReached."""
        usd = self._script.brain.most_usd(plan)
        recorder.the().ask(plan.task.id, Who.of(thinker), plan.decision.kind, usd, text)

    def _set_out(self, thought: Thought, thinking: Any) -> None:
        thought.under_way = Deferred.fromCoroutine(thinking)
        thought.under_way.addCallbacks(self._answered, self._failed, (thought,), {}, (thought,))
        thought.under_way.addErrback(lambda why: logger.log_err(f"Uniwizard: an answer was lost: {why}"))

    async def _think(self, thought: Thought, held: Deferred[None], aloud: bool) -> RouteResult:
        await held
        if aloud:
            known = thought.decision.memory
            begins = voice.say("recalls", key=known.backend) if known else voice.say("thinking")
            telling.tell(thought.thinker, said(begins))
            self._script.narrator.tell("asks", thought.thinker, {"name": line(thought.thinker.key)}, to_thinker=False)
        if thought.follows:
            await self._shorten(thought)
        return await heeded(self._script, thought)

    async def _shorten(self, thought: Thought) -> None:
        """Have the part of a long conversation that no longer goes along summarised, by whoever does that best."""
        kept = answers.conversation(answers.of(thought.thinker))
        older = answers.too_long(kept)
        if not older:
            return
        telling.tell(thought.thinker, said(voice.say("conversation_shortened")))
        words = "Summarize this conversation in at most 200 words, keeping every name, number and decision.\n\n" + older
        task = Task(words, kind="summarize", identity=identity.of_thinker(thought.thinker, words))
        brain, ledger = self._script.brain, recorder.the()
        try:
            plan = brain.plan(task, memory="fresh")
            self._account(plan, thought.thinker, words)
            summary = (await brain.run(plan)).text
        except (AllBackendsFailed, BudgetReached):
            # What fits goes along all the same.
            return
        finally:
            ledger.done(task.id)
        answers.summarised(thought.thinker, kept[-1], summary)
        again = self._task(thought.thinker, thought.text, True, thought.task.images, thought.task.id)
        thought.plan = brain.plan(again, thought.pin, memory="fresh")

    def pass_on(self, thinker: Any) -> str:
        """Take the thought of ``thinker`` from the backend that has it, and hand it to the next one.

        Its key; empty when there is no thought under way, or nobody else. The question is kept whatever happens.
        """
        thought = self._by_thinker.get(thinker.id)
        if thought is None or thought.under_way is None or thought.result is not None or not thought.asked:
            return ""
        if thought.ended:
            return ""
        had = {*thought.passed, thought.asked}
        now = self._script.brain.explain(thought.task).ranking
        following = next((entry.backend for entry in now if entry.backend not in had), "")
        if following and not (thought.live is not None and thought.live.shown):
            thought.passed = (*thought.passed, thought.asked)
            thought.turning = following
            thought.under_way.cancel()
            return following
        return ""

    def _turn(self, thought: Thought) -> None:
        """Go on with a thought that was taken from a backend, as a new task: the old one's account is closed."""
        following, thought.turning = thought.turning, ""
        old, words = thought.task, {"key": thought.asked, "to": following}
        task = replace(old, id=Task().id)
        plan = self._script.brain.plan(task, following, memory="fresh")
        ledger = recorder.the()
        ledger.done(old.id)
        self._account(plan, thought.thinker, thought.text)
        held = ledger.hold(task.id, self._script.id, thought.thinker.id, thought.text, following)
        ledger.release(old.id)
        self._by_task.pop(old.id, None)
        self._by_task[task.id] = thought
        pictures.rename(old.id, task.id)
        if thought.follows or task.images:
            details = {"task": task.id, "follows": thought.follows}
            thought.thinker.attributes.add(_DETAILS[0], details, category=_DETAILS[1])
        thought.plan = plan
        self._script.narrator.tell("passed_on", thought.thinker, words)
        self._set_out(thought, self._think(thought, held, False))

    def stop(self, thinker: Any) -> bool:
        """Let go of the thought of ``thinker``; False when there is none."""
        thought = self._by_thinker.get(thinker.id)
        if thought is None or thought.under_way is None or thought.ended or thought.result is not None:
            return False
        thought.under_way.cancel()
        return True

    def feedback(self, thinker: Any, *, good: bool) -> str:
        """Note what ``thinker`` says of the last answer; the backend it was of, or empty when there is none."""
        thought = self._past.get(thinker.id)
        if thought is None or thought.result is None or thought.judged is good:
            return ""
        thought.judged = good
        answered = thought.result.answered
        self._script.brain.feedback(thought.task.id, answered, good=good)
        return answered.backend

    def of(self, thinker: Any) -> Thought | None:
        """The thought of ``thinker`` that is under way."""
        return self._by_thinker.get(thinker.id)

    def last(self, thinker: Any) -> Thought | None:
        """The last thought of ``thinker`` that ended."""
        return self._past.get(thinker.id)

    def by_task(self, task_id: str) -> Thought | None:
        """The thought that the task belongs to."""
        return self._by_task.get(task_id)

    def __len__(self) -> int:
        return len(self._by_thinker)

    # -- how it ends ---------------------------------------------------------------------------------------------

    def _tell(self, thought: Thought, lines: list[str]) -> None:
        """Have the ledger write down how a thought ended; then show it."""
        thought.ended = time.time()
        if thought.still is not None and thought.still.active():
            thought.still.cancel()
        ledger = recorder.the()
        ledger.done(thought.task.id)
        # In a turn of its own: a hundred answers may have come in one.
        ledger.told(thought.task.id, lines).addCallback(
            lambda _: self._pace(lambda: self._show(thought, lines))
        ).addErrback(lambda why: logger.log_err(f"Uniwizard: an answer could not be shown: {why}"))

    def _show(self, thought: Thought, lines: list[str]) -> None:
        if self._asleep:
            # The server is on its way out; whether anything still reaches the player is uncertain. The next run tells.
            return
        thought.under_way = None
        self._by_thinker.pop(thought.thinker.id, None)
        self._by_task.pop(thought.task.id, None)
        self._past.pop(thought.thinker.id, None)
        self._past[thought.thinker.id] = thought
        while len(self._past) > REMEMBERED:
            del self._past[next(iter(self._past))]
        if thought.present and not thought.thinker.sessions.count():
            # Nobody is there to hear it; the ledger has it until they are back.
            answer = json.dumps(lines)
            self._held.append(
                Pending(task=thought.task.id, thinker=thought.thinker.id, text=thought.text, answer=answer)
            )
            return
        seen = len(thought.live.lines) if thought.live is not None else 0
        telling.hand_over(thought.thinker, lines[seen:])
        self._told.note(thought.thinker, thought.task.id)

    def _answered(self, result: RouteResult, thought: Thought) -> Deferred[None]:
        thought.result, thought.attempts = result, result.attempts
        recorder.the().answered(thought.task.id, result.text)
        # Many answers may come at the same moment, and to keep and lay out each takes milliseconds.
        # Whoever lets go of a thought by then has its answer at once.
        turn: Deferred[None] = Deferred(lambda waiting: waiting.callback(None))
        self._pace(lambda: None if turn.called else turn.callback(None))
        return turn.addCallback(lambda _: self._keep(result, thought))

    def _keep(self, result: RouteResult, thought: Thought) -> Deferred[None]:
        told = telling.closing(result)
        answers.keep(thought.thinker, thought.text, result.text, result.backend, told, follows=thought.follows)
        memories.note(thought.thinker, thought.text, result.text, refused=result.refused)
        screen, live = telling.screen_of(thought.thinker), thought.live
        if live is not None and live.shown:
            laid = _done(live.rest(result.text))
        elif len(result.text) > SHORT:
            laid = deferToThread(telling.body, result.text, screen)
        else:
            laid = _done(telling.body(result.text, screen))
        return laid.addCallback(self._laid_out, thought, result, f"|x{told}|n")

    def _laid_out(self, body: list[str], thought: Thought, result: RouteResult, closing: str) -> None:
        if thought.live is not None and thought.live.shown:
            lines = [*thought.live.lines, *body]
        else:
            lines = ["", telling.opening(result), *body]
        self._tell(thought, [*lines, "", *telling.remarks(result, thought.short), said(closing)])

    def _failed(self, why: TwistedFailure, thought: Thought) -> None:
        if self._asleep:
            return
        if why.check(CancelledError) and thought.turning:
            try:
                self._turn(thought)
            except Exception as error:
                thought.why_not = "nobody to turn to"
                self._tell(thought, [said(f"|rIt cannot be passed on:|n {line(str(error))}")])
        elif why.check(CancelledError):
            thought.why_not = "stopped"
            self._tell(thought, [said(voice.say("stopped"))])
        elif isinstance(failed := why.value, AllBackendsFailed):
            thought.attempts, thought.why_not = failed.attempts, str(failed)
            brain = self._script.brain
            lines = telling.no_answer(failed, brain.states(), brain.clock.seconds())
            self._tell(thought, [*(thought.live.lines if thought.live is not None else ()), *lines])
        else:
            logger.log_err(f"Uniwizard: a thought broke: {why.getTraceback()}")
            thought.why_not = "an error in the Workshop itself"
            broke = "|rSomething broke in the Workshop itself.|n It is in the server's log. Please try again."
            self._tell(thought, [said(broke)])

    def _still(self, thought: Thought) -> None:
        seconds = round(time.time() - thought.started)
        telling.tell(thought.thinker, said(voice.say("still", time=seconds, key=thought.asked or "nobody yet")))
        thought.still = reactor.callLater(STILL, self._still, thought)

    # -- nothing lost --------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look for thoughts that an earlier run of the server could not finish, before this one has any of its own."""
        self._asleep = self._ready = False
        self._told.wake()
        try:
            # What game code asked is not a player's to be told (world/thinker.py).
            self._held = [entry for entry in history.pending(self._script.id) if not entry.how]
        except Exception as error:
            logger.log_err(f"Uniwizard: the thoughts under way cannot be read: {error}")

    def ready(self) -> None:
        """It is known who can be asked: what was held may be taken up."""
        self._ready = True
        if self._held:
            reactor.callLater(FIRST_LOOK, self.take_up)

    def take_up(self) -> None:
        """Take up what was held, for every thinker who is there to hear the answer."""
        if not self._ready or self._asleep:
            return
        held, self._held = self._held, []
        for entry in held:
            try:
                self._take_up(entry)
            except Exception as error:
                # One that cannot be told must not keep the others from being told.
                logger.log_err(f"Uniwizard: a thought cannot be taken up: {error}")

    def _take_up(self, entry: Pending) -> None:
        thinker = ObjectDB.objects.filter(id=entry.thinker).first()
        if thinker is None:
            recorder.the().release(entry.task)
        elif thinker.id in self._by_thinker or not thinker.sessions.count():
            self._held.append(entry)
        elif entry.answer:
            telling.tell(thinker, said(voice.say("told_late" if entry.id else "kept", why=line(entry.text, 70))))
            telling.hand_over(thinker, [str(told) for told in json.loads(entry.answer)])
            self._told.note(thinker, entry.task)
        else:
            telling.tell(thinker, said(voice.say("taken_up", why=line(entry.text, 70))))
            details = thinker.attributes.get(_DETAILS[0], category=_DETAILS[1]) or {}
            follows = details.get("task") == entry.task and bool(details.get("follows"))
            images = pictures.kept(entry.task)
            try:
                self.begin(thinker, entry.text, entry.pin, follows=follows, images=images)
            except Exception as error:
                # A pinned backend may be gone from the config, the config be broken, a budget be reached by now.
                telling.tell(thinker, said(f"|rTimmy cannot take it up:|n {line(str(error))}"))
            recorder.the().release(entry.task)
            pictures.drop(entry.task)

    def sleep(self) -> None:
        """The server is about to end: what is under way is let go of, for its next run to take up."""
        self._asleep = True
        for thought in list(self._by_thinker.values()):
            if thought.under_way is not None and not thought.ended:
                thought.under_way.cancel()
        self._told.sleep()


def _done(lines: list[str]) -> Deferred[list[str]]:
    laid: Deferred[list[str]] = Deferred()
    laid.callback(lines)
    return laid
