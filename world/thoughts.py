"""The thoughts under way in one BackendRouter: who asked, what, and how to bring the answer back to them.

One thought at a time per character. What is under way stands in the ledger from before its player is told that Timmy
thinks until after they are told how it ended, so a reload, a restart or a kill loses nothing: as soon as its thinker is
there to hear the answer, it is taken up again, or, where the answer had come already, told. No answer is shown before
the ledger has it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.conf import settings
from evennia.objects.models import ObjectDB
from evennia.utils import logger
from evennia.utils.evmore import EvMore
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure as TwistedFailure

from uniwizard.agent import AllBackendsFailed, Attempt, ContentFiltered, Decision, Plan, RouteResult, Task
from uniwizard.world import identity
from uniwizard.world.harmless import line, show
from uniwizard.world.ledger import history, recorder
from uniwizard.world.ledger.budgets import Who
from uniwizard.world.ledger.models import Pending
from uniwizard.world.narrator import web_clients
from uniwizard.world.pacing import Pace
from uniwizard.world.reactor import reactor
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice

#: Seconds after which, and then again and again, a waiting player is told that the thought goes on.
STILL = 10.0
#: Seconds after a start at which the first look is taken for thoughts to take up.
FIRST_LOOK = 1.0
#: Seconds in which the portal, another process, must have passed an answer on to its player; a kill of both before that
#: has it told again rather than never. And the same for an orderly end of the server.
PASSED_ON, FLUSHED = 1.0, 0.2
#: Roads of past thoughts that are remembered, one per character.
REMEMBERED = 1000


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
        #: What players were told lately, oldest first: the task, by whom, and when, by ``reactor.seconds()``.
        self._passing: dict[str, tuple[int, float]] = {}
        self._forgetting: Any = None
        self._asleep = self._ready = False
        self._pace = Pace(reactor)

    # -- asking --------------------------------------------------------------------------------------------------

    def begin(self, thinker: Any, text: str, pin: str | None = None, *, aloud: bool = False) -> Thought:
        """Start thinking about ``text`` for ``thinker``, who hears the answer when it comes.

        ``aloud`` says that Timmy thinks, once the thought is written down and can vanish no more; only then is anybody
        asked. Raises Closed, and BudgetReached.
        """
        if aloud:
            self._heard(thinker)
        task = Task(text, identity=identity.of_thinker(thinker, text))
        brain = self._script.brain
        plan = brain.plan(task, pin)
        ledger = recorder.the()
        ledger.ask(task.id, Who.of(thinker), plan.decision.kind, brain.most_usd(plan), text)
        thought = Thought(thinker, text, pin, plan, time.time(), thinker.sessions.count() > 0)
        self._by_thinker[thinker.id] = self._by_task[task.id] = thought
        held = ledger.hold(task.id, self._script.id, thinker.id, text, pin)
        thought.under_way = Deferred.fromCoroutine(self._think(thought, held, aloud))
        thought.still = reactor.callLater(STILL, self._still, thought)
        thought.under_way.addCallbacks(self._answered, self._failed, (thought,), {}, (thought,))
        thought.under_way.addErrback(lambda why: logger.log_err(f"Uniwizard: an answer was lost: {why}"))
        return thought

    async def _think(self, thought: Thought, held: Deferred[None], aloud: bool) -> RouteResult:
        await held
        if aloud:
            thought.thinker.msg(voice.say("thinking"))
            self._script.narrator.tell("asks", thought.thinker, {"name": line(thought.thinker.key)}, to_thinker=False)
        return await self._script.brain.run(thought.plan)

    def stop(self, thinker: Any) -> bool:
        """Let go of the thought of ``thinker``; False when there is none."""
        thought = self._by_thinker.get(thinker.id)
        if thought is None or thought.under_way is None or thought.ended:
            return False
        thought.under_way.cancel()
        return True

    def feedback(self, thinker: Any, *, good: bool) -> str:
        """Note what ``thinker`` says of the last answer; the backend it was of, or empty when there is none."""
        thought = self._past.get(thinker.id)
        if thought is None or thought.result is None or thought.judged is good:
            return ""
        thought.judged = good
        answered = thought.result.attempts[-1]
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
        if thought.heard:
            for session in web_clients(thought.thinker):
                session.msg(prompt="")
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
        _hand_over(thought.thinker, lines)
        self._told(thought.thinker, thought.task.id)

    def _told(self, thinker: Any, task_id: str) -> None:
        """Have the ledger forget a thought that its player was told of, once the portal must have passed it on."""
        self._passing[task_id] = thinker.id, reactor.seconds()
        if self._forgetting is None:
            self._forgetting = reactor.callLater(PASSED_ON, self._forget)

    def _heard(self, thinker: Any) -> None:
        """Whoever asks the next question has seen the last answer."""
        for task_id in [task for task, (told, _) in self._passing.items() if told == thinker.id]:
            del self._passing[task_id]
            recorder.the().release(task_id)

    def _forget(self, after: float = PASSED_ON) -> None:
        """Let go of what was told more than so many seconds ago."""
        if self._forgetting is not None and self._forgetting.active():
            self._forgetting.cancel()
        self._forgetting, now = None, reactor.seconds()
        for task_id, (_, told) in list(self._passing.items()):
            if told > now - after:
                break
            del self._passing[task_id]
            recorder.the().release(task_id)
        if self._passing and not self._asleep:
            self._forgetting = reactor.callLater(PASSED_ON, self._forget)

    def _answered(self, result: RouteResult, thought: Thought) -> None:
        thought.result, thought.attempts = result, result.attempts
        recorder.the().answered(thought.task.id, result.text)
        width = _width(thought.thinker)
        lines = ["", *show(result.text, width), ""]
        if result.refused:
            who = " and ".join(dict.fromkeys(attempt.backend for attempt in result.refusals))
            lines.append(voice.say("accepted_refusal", count=len(result.refusals), key=who))
        elif result.partial:
            evidence = result.attempts[-1].verdict.evidence if result.attempts[-1].verdict else ""
            lines.append(voice.say("partial", key=result.backend, why=line(evidence, 46)))
        lines.append(f"|x{closing(result)}|n")
        self._tell(thought, lines)

    def _failed(self, why: TwistedFailure, thought: Thought) -> None:
        if self._asleep:
            return
        if why.check(CancelledError):
            thought.why_not = "stopped"
            self._tell(thought, [voice.say("stopped")])
        elif isinstance(failed := why.value, AllBackendsFailed):
            thought.attempts, thought.why_not = failed.attempts, str(failed)
            self._tell(thought, _no_answer(failed))
        else:
            logger.log_err(f"Uniwizard: a thought broke: {why.getTraceback()}")
            thought.why_not = "an error in the Workshop itself"
            broke = "|rSomething broke in the Workshop itself.|n It is in the server's log. Please try again."
            self._tell(thought, [broke])

    def _still(self, thought: Thought) -> None:
        seconds = round(time.time() - thought.started)
        thought.thinker.msg(voice.say("still", time=seconds, key=thought.asked or "nobody yet"))
        thought.still = reactor.callLater(STILL, self._still, thought)

    # -- nothing lost --------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look for thoughts that an earlier run of the server could not finish, before this one has any of its own."""
        self._asleep = self._ready = False
        try:
            self._held = history.pending(self._script.id)
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
            thinker.msg(voice.say("told_late" if entry.id else "kept", why=line(entry.text, 70)))
            _hand_over(thinker, [str(told) for told in json.loads(entry.answer)])
            self._told(thinker, entry.task)
        else:
            thinker.msg(voice.say("taken_up", why=line(entry.text, 70)))
            try:
                self.begin(thinker, entry.text, entry.pin)
            except Exception as error:
                # A pinned backend may be gone from the config, the config be broken, a budget be reached by now.
                thinker.msg(f"|rTimmy cannot take it up:|n {line(str(error))}")
            recorder.the().release(entry.task)

    def sleep(self) -> None:
        """The server is about to end: what is under way is let go of, for its next run to take up."""
        self._asleep = True
        for thought in list(self._by_thinker.values()):
            if thought.under_way is not None and not thought.ended:
                thought.under_way.cancel()
        # An orderly end leaves time for what is on its way to the portal, if not for what was told in this moment.
        self._forget(after=FLUSHED)


def closing(result: RouteResult) -> str:
    """The line under an answer: who gave it, how long it took, what it cost."""
    return f"[{result.backend}, {result.latency_ms / 1000.0:.1f} s, ${result.cost_usd:.4f}]"


def _no_answer(failed: AllBackendsFailed) -> list[str]:
    """What the player is told when nobody gave a usable answer: every attempt, and who could not be asked."""
    if isinstance(failed, ContentFiltered):
        last = failed.attempts[-1]
        return [
            f"|r{last.backend}'s own filter stopped this|n, and it is not shopped around:",
            f"  {line(last.reason, 74)}",
            f"|x[{last.backend}, ${failed.cost_usd:.4f}]|n",
        ]
    why = line((failed.why or "nobody gave a usable answer").rstrip("."))
    lines = [f"|r{why[:1].upper()}{why[1:]}.|n"]
    for (backend, failure), same in groupby(failed.attempts, lambda attempt: (attempt.backend, attempt.failure)):
        times = list(same)
        often = f", {len(times)} times" if len(times) > 1 else ""
        lines.append(f"  {backend} {voice.failure(failure)}{often}")
        lines.append(f"    |x({line(times[-1].reason, 70)})|n")
    lines += [f"  {skipped.backend} is not asked: {line(skipped.reason, 54)}" for skipped in failed.skipped]
    lines.append(f"|x[nobody, ${failed.cost_usd:.4f}]|n")
    return lines


def _hand_over(thinker: Any, lines: list[str]) -> None:
    """Show lines to a player, a page at a time where they do not fit the screen."""
    sessions = thinker.sessions.all()
    height = min((s.protocol_flags.get("SCREENHEIGHT", {0: 24})[0] for s in sessions), default=24)
    text = "\n".join(lines)
    if sessions and len(lines) > max(10, height - 4):
        EvMore(thinker, text, exit_on_lastpage=True, text_kwargs={"type": "uniwizard"})
    else:
        thinker.msg(text=(text, {"type": "uniwizard"}))


def _width(thinker: Any) -> int:
    """Columns of the narrowest client that listens, between 40 and 100."""
    widths = [session.protocol_flags.get("SCREENWIDTH", {0: 0})[0] for session in thinker.sessions.all()]
    return max(40, min(min(widths, default=0) or settings.CLIENT_DEFAULT_WIDTH, 100))
