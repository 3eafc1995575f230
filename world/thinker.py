"""For a game's own code: have something thought about, as ``think`` does, on somebody's behalf.

    from uniwizard.world import thinker

    answer = thinker.ask(caller, "How do tides work?")            # a Deferred of a RouteResult
    answer.addCallback(lambda result: caller.msg(result.text))     # .text .content .backend .cost_usd ...
    answer.addErrback(lambda why: caller.msg("Nobody knows."))
    answer.cancel()                                                # closes the connection that is in use

What holds for a player's thought holds for these: nobody who answers learns who asked or who listens, the ledger has
it, and the asker's account, character and the game pay for it, each within its budget. ``UNIWIZARD_BUDGETS`` limits
those; ``budget=`` limits what one label may cost. What comes back is hostile text: show it with
:func:`uniwizard.world.harmless.show`.

The Deferred fails with AllBackendsFailed when nobody gave a usable answer (BudgetSpent when nobody may be paid,
ContentFiltered when a provider's filter stopped it), with Closed when the game has no BackendRouter or no usable
configuration, with ValueError or TypeError for arguments that cannot be, and with CancelledError when it was cancelled.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Any

from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB
from evennia.utils import logger
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from uniwizard.agent import BudgetSpent, Message, RouteResult, Task
from uniwizard.world import identity, routers
from uniwizard.world.ledger import history, recorder
from uniwizard.world.ledger.budgets import BudgetReached, Limit, Who, limit_of
from uniwizard.world.ledger.models import Pending
from uniwizard.world.reactor import reactor
from uniwizard.world.routers import Closed, GameRouter

__all__ = ["Closed", "ask", "payer", "run"]

#: Answers that are kept for those who ask the same within ``keep`` seconds.
REMEMBERED = 1000

#: A function that takes up a question of an earlier run of the server: ``resume(who, outcome, note)``.
Resume = Callable[[Any, "RouteResult | Failure", Any], None]

_kept: OrderedDict[str, tuple[float, RouteResult]] = OrderedDict()
#: Whether the server is about to end: then nobody hears how anything ended, for its next run to take up.
_asleep = False


def ask(
    who: Any,
    text: str,
    *,
    kind: str | None = None,
    persona: str | None = None,
    schema: Mapping[str, Any] | None = None,
    budget: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    label: str | None = None,
    on_words: Callable[[str], None] | None = None,
    messages: Iterable[tuple[str, str]] = (),
    hearers: Iterable[Any] = (),
    max_tokens: int | None = None,
    pin: str | None = None,
    keep: float = 0.0,
    resume: str | Resume | None = None,
    note: Any = None,
) -> Deferred[RouteResult]:
    """Have ``text`` thought about for ``who``: a character, an account, any object, or None for the game itself.

    kind        the kind of work (``roleplay``, ``describe``, ``story``, ``dialogue`` ...); None lets it be found out
    persona     a system prompt that stands in for the kind's; names of ``who`` and ``hearers`` in it do not leave
    schema      a JSON Schema that the answer must satisfy; ``result.content`` is the answer, parsed
    budget      ``{"usd": 0.5, "per": "day"}``: what may be spent under ``label`` (per day, week or month); with
                ``"each": True`` by each asker. Or several of them
    label       what the ledger says asked for them, such as ``"Mira"``
    on_words    called with the answer piece by piece, as it comes, once its first sentence has been judged
    messages    earlier turns, oldest first: ``("user", text)`` or ``("assistant", text)``
    hearers     who else will hear of it; their names do not leave either
    max_tokens  the longest answer wanted, in tokens; one that ends there is wanted all the same
    pin         the backend to ask first
    keep        seconds for which the same question has the same answer, unpaid; 0 asks anew
    resume      a function of a module, or its path: where the server ends before there is an answer, its next run asks
                again and calls ``resume(who, outcome, note)`` with a RouteResult or a Failure. ``note`` is plain data
    """
    asked = _Asked(text, kind, persona, schema, tuple(messages), max_tokens, pin, label or "")
    return Deferred.fromCoroutine(_ask(who, asked, budget, on_words, tuple(hearers), keep, resume, note))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked, as plain data."""

    text: str
    kind: str | None
    persona: str | None
    schema: Mapping[str, Any] | None
    messages: tuple[tuple[str, str], ...]
    max_tokens: int | None
    pin: str | None
    label: str

    def task(self, terms: frozenset[str]) -> Task:
        return Task(
            self.text,
            messages=tuple(Message(role, said) for role, said in self.messages),
            kind=self.kind,
            schema=self.schema,
            max_tokens=self.max_tokens,
            may_be_cut=self.max_tokens is not None,
            persona=self.persona,
            identity=terms,
        )

    def as_json(self, resume: str, note: Any, budget: Any) -> str:
        """For the ledger, until there is an answer. Raises TypeError for what is not plain data."""
        whole = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"asked": whole, "resume": resume, "note": note, "budget": budget})


async def _ask(
    who: Any,
    asked: _Asked,
    budget: Any,
    on_words: Callable[[str], None] | None,
    hearers: tuple[Any, ...],
    keep: float,
    resume: str | Resume | None,
    note: Any,
) -> RouteResult:
    router = routers.find(getattr(who, "location", None))
    if router is None:
        raise Closed("this game has no BackendRouter")
    whom = payer(who, asked.label)
    own = _limits(budget, whom)
    how = asked.as_json(_path(resume), note, budget) if resume is not None else ""
    task = asked.task(_terms(who, hearers, asked))
    question = _question(task) if keep > 0 else ""
    if question and (found := _remembered(question)) is not None:
        return found
    result = await _run(router, task, whom, asked.pin, own=own, deliver=on_words, how=how, thinker=who)
    if question:
        _kept[question] = reactor.seconds() + keep, result
        while len(_kept) > REMEMBERED:
            _kept.popitem(last=False)
    return result


def run(
    router: GameRouter,
    task: Task,
    whom: Who,
    pin: str | None = None,
    *,
    alone: bool = False,
) -> Deferred[RouteResult]:
    """Have a task done by ``router`` and booked to ``whom``; what the BackendRouter's own methods do."""
    return Deferred.fromCoroutine(_run(router, task, whom, pin, alone=alone))


async def _run(
    router: GameRouter,
    task: Task,
    whom: Who,
    pin: str | None,
    *,
    alone: bool = False,
    own: Sequence[tuple[str, Limit]] = (),
    deliver: Callable[[str], None] | None = None,
    how: str = "",
    thinker: Any = None,
) -> RouteResult:
    brain = router.brain
    plan = router.plan(task, pin, alone=alone)
    ledger = recorder.the()
    try:
        ledger.ask(task.id, whom, plan.decision.kind, brain.most_usd(plan), task.prompt, own)
    except BudgetReached as reached:
        raise BudgetSpent((), (), str(reached)) from None
    try:
        if how:
            await ledger.hold(task.id, router.id, getattr(thinker, "id", 0) or 0, task.prompt, pin, how)
        result = await brain.run(plan, deliver=deliver)
        ledger.answered(task.id, result.text)
        await ledger.flushed(task.id)
    except BaseException:
        if _asleep:
            # The server ends; its next run takes up what was to be taken up, and nobody is told of a failure.
            await Deferred()
        raise
    finally:
        if not _asleep:
            ledger.done(task.id)
            if how:
                ledger.release(task.id)
    return result


# -- who pays, and who must not be named ---------------------------------------------------------------------------


def payer(who: Any, label: str = "") -> Who:
    """Whom the ledger books it to: a character, an account, any object, or None for the game."""
    if isinstance(who, Who):
        return replaced(who, label=label)
    if isinstance(who, AccountDB):
        return Who(who.id, who.username, label=label)
    if who is None:
        return Who(label=label or "the game")
    return replaced(Who.of(who), label=label)


def is_person(thing: Any) -> bool:
    """Whether a player is or can be behind it; the names of others are no secret."""
    return isinstance(thing, AccountDB) or bool(getattr(thing, "has_account", False)) or identity.is_character(thing)


def _terms(who: Any, hearers: tuple[Any, ...], asked: _Asked) -> frozenset[str]:
    """What would give somebody away: of the asker all that is known, of the others their names."""
    words = " ".join((asked.text, asked.persona or "", *(said for _, said in asked.messages)))
    terms: set[str] = set()
    for person in filter(is_person, (who, *hearers)):
        if isinstance(person, AccountDB):
            terms.update((person.username, person.email or ""))
        elif person is who:
            terms |= identity.of_thinker(person, words)
        else:
            terms.update((person.key, *person.aliases.all()))
    return frozenset(filter(None, terms))


def _limits(budget: Any, whom: Who) -> list[tuple[str, Limit]]:
    """Read ``budget=``. Raises ValueError, which says what is allowed."""
    limits = []
    for number, said in enumerate([budget] if isinstance(budget, Mapping) else budget or ()):
        if not whom.label:
            raise ValueError("budget: is that of a label; give label= as well")
        each = said.get("each", False) if isinstance(said, Mapping) else False
        plain = {name: value for name, value in said.items() if name != "each"} if isinstance(said, Mapping) else said
        limits.append((whom.label_keys()[1 if each else 0], limit_of(plain, f"budget[{number}]")))
    return limits


# -- what is known already -----------------------------------------------------------------------------------------


def _question(task: Task) -> str:
    parts = [task.kind, task.persona, task.prompt, [(m.role, m.text) for m in task.messages], task.schema]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _remembered(question: str) -> RouteResult | None:
    until, result = _kept.get(question, (0.0, None))
    if result is None or reactor.seconds() >= until:
        _kept.pop(question, None)
        return None
    return replaced(result, attempts=(), cost_usd=0.0, latency_ms=0.0)


def forget() -> None:
    """Let go of all answers that are kept."""
    _kept.clear()


# -- over a restart ------------------------------------------------------------------------------------------------


def sleep() -> None:
    """The server is about to end: from now on nothing is told, for its next run to take up."""
    global _asleep
    _asleep = True


def take_up(router: GameRouter) -> None:
    """Ask again what an earlier run of the server had no answer to, where that was asked for."""
    global _asleep
    _asleep = False
    try:
        held = [entry for entry in history.pending(router.id) if entry.how]
    except Exception as error:
        logger.log_err(f"Uniwizard: what game code has asked cannot be read: {error}")
        return
    for entry in held:
        try:
            _take_up(entry)
        except Exception as error:
            logger.log_err(f"Uniwizard: what game code has asked cannot be taken up: {error}")
        recorder.the().release(entry.task)


def _take_up(entry: Pending) -> None:
    told = json.loads(entry.how)
    who = ObjectDB.objects.filter(id=entry.thinker).first()
    resume, note = _function(told["resume"]), told["note"]
    said = told["asked"]
    said["messages"] = tuple(tuple(turn) for turn in said["messages"])
    asked = Deferred.fromCoroutine(_ask(who, _Asked(**said), told["budget"], None, (), 0.0, told["resume"], note))
    asked.addBoth(lambda outcome: resume(who, outcome, note))
    asked.addErrback(lambda why: logger.log_err(f"Uniwizard: {told['resume']} failed: {why.getTraceback()}"))


def _path(resume: str | Resume) -> str:
    """The dotted path of a function, which must be found by it. Raises ValueError."""
    path = resume if isinstance(resume, str) else f"{resume.__module__}.{resume.__qualname__}"
    if "<" in path:
        raise ValueError(f"resume: {path} would not be found after a restart; give a function of a module")
    _function(path)
    return path


def _function(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"resume: {path}: {error}") from None


def cancelled(why: Failure) -> bool:
    """Whether a Deferred of :func:`ask` failed because somebody cancelled it."""
    return bool(why.check(CancelledError))
