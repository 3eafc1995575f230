"""The goals of players: kept in the ledger's database, worked at on lanes that nobody else needs, told when they end.

    goals.the()                           # the desk of the game; None while the Workshop is closed
    goals.of(player)                      # their goals, oldest first
    goals.result(record, screen)          # a result as pages: the whole, and the parts it is made of

What is asked for a goal is booked to its owner under the label ``goal``, within their budgets; nobody who answers
learns who wants it. A goal goes on while its owner is away, and over reloads and kills; they are told when they are
back. The room hears now and then that something is finished, and which brain has refused; never what it is about.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from evennia.objects.models import ObjectDB
from evennia.utils import logger
from twisted.internet.defer import Deferred

from uniwizard.agent import BudgetSpent, Router, RouteResult, Task
from uniwizard.agent.core.events import Event, Refused
from uniwizard.agent.goals import CHECK, OFFERED, REACHED, STANDING, STOPPED, Desk, Record, explained
from uniwizard.world import deeds, identity, standing, telling, thinker
from uniwizard.world.harmless import line
from uniwizard.world.ledger import recorder
from uniwizard.world.ledger.budgets import BudgetReached
from uniwizard.world.ledger.goals import GoalTable
from uniwizard.world.mark import said
from uniwizard.world.markdown import Screen
from uniwizard.world.narrator import tell_room
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice

#: What the ledger says asked.
LABEL = "goal"
#: Seconds in which a room hears of one finished step, and of one refusal.
SPARINGLY = 30.0
#: Seconds for which a goal that is over is still shown beside those under way.
LATELY = 86_400.0
#: What a goal of the game's own has in the place of its owner's number.
OF_THE_GAME = "the game"

_desk: Desk | None = None
_brain: Router | None = None
_workshop: Any = None
_told: dict[tuple[int, str], float] = {}


def the() -> Desk | None:
    """The game's desk, while the Workshop is open."""
    return _desk


def wake(router: GameRouter) -> None:
    """Take up every goal that an earlier run left. Called once it is known who can be asked."""
    global _desk, _brain, _workshop
    if _desk is not None:
        return
    _brain, _workshop = router.brain, router.obj
    deeds.register_all()
    desk = _desk = Desk(_brain, GoalTable(recorder.the().writer), ask=_ask)
    desk.subscribe(_heard)
    _brain.events.subscribe(_listen)
    started = Deferred.fromCoroutine(desk.start(patient=True))
    started.addErrback(lambda why: logger.log_err(f"Uniwizard: goals cannot be taken up: {why.getErrorMessage()}"))


def sleep() -> None:
    """The server is about to end: what is under way is let go of, for its next run to take up."""
    global _desk, _brain
    if _desk is None or _brain is None:
        return
    desk, _desk = _desk, None
    _brain.events.unsubscribe(_listen)
    _brain = None
    closing = Deferred.fromCoroutine(desk.close())
    closing.addErrback(lambda why: logger.log_err(f"Uniwizard: goals were not closed: {why.getErrorMessage()}"))


def of(who: Any) -> list[Record]:
    """The goals of ``who``, oldest first; what was only offered is none."""
    return [record for record in _desk or () if record.owner == str(who.id) and record.state != OFFERED]


def forget_offers(who: Any) -> None:
    """Let go of what was offered to ``who`` and not taken: the next offer is in its place."""
    for record in list(_desk or ()):
        if record.state == OFFERED and record.owner == str(who.id) and _desk is not None:
            _desk.forget(record.id)


def owner_of(record: Record) -> Any:
    """The character whose goal it is; None for one of the game's own, or of somebody who is no more."""
    return ObjectDB.objects.filter(id=int(record.owner)).first() if record.owner.isdecimal() else None


async def _ask(record: Record, task: Task, pin: str, strategy: str) -> RouteResult:
    """Have a step's task done, booked to the goal's owner."""
    assert _brain is not None
    who = owner_of(record)
    terms = identity.of_thinker(who, task.prompt) if who is not None else frozenset[str]()
    asker = f"thinker-{record.owner}" if who is not None else ""
    brain, ledger = _brain, recorder.the()
    if record.owner.startswith("{"):
        # It came through the door, which keeps account of it.
        return await brain.run(await brain.prepare(task, pin or None, memory="fresh", strategy=strategy))
    plan = await brain.prepare(
        replace(task, identity=terms, asker=asker), pin or None, memory="fresh", strategy=strategy
    )
    try:
        ledger.ask(task.id, thinker.payer(who, LABEL), plan.decision.kind, brain.most_usd(plan), task.prompt)
    except BudgetReached as reached:
        raise BudgetSpent((), (), str(reached)) from None
    try:
        result = await brain.run(plan)
        ledger.answered(task.id, result.text)
        return result
    finally:
        ledger.done(task.id)


# -- telling -----------------------------------------------------------------------------------------------------------


def _heard(record: Record, event: dict[str, Any]) -> None:
    """Tell whoever wants it, and now and then the room, what happens to a goal."""
    who = owner_of(record)
    room = (who.location if who is not None else None) or _workshop
    match event["what"]:
        case "turned down" if who is not None and event["backend"]:
            words = {"key": event["backend"], "why": line(event["why"], 90)}
            telling.tell(who, said(voice.say("goal_turned_down", **words)))
        case "done" if event["backend"] and not event["action"].startswith("check_"):
            _sparingly(room, "goal_seen", who)
        case "ended":
            if event["state"] == REACHED:
                _sparingly(room, "goal_done_seen", who)
            if record.owner.startswith(STANDING):
                standing.deliver(record)
            _tell_end(record)


def _sparingly(room: Any, moment: str, who: Any, **words: Any) -> None:
    now = time.monotonic()
    if room is not None and now - _told.get((room.id, moment), -SPARINGLY) >= SPARINGLY:
        _told[room.id, moment] = now
        tell_room(room, voice.say(moment, **words), (who,))


def _listen(event: Event) -> None:
    """Which brain refused, for the room of whoever wants the goal."""
    if isinstance(event, Refused) and _desk is not None and (record := _desk.goal_of(event.task_id)) is not None:
        who = owner_of(record)
        _sparingly((who.location if who is not None else None) or _workshop, "refused_seen", None, key=event.backend)


def take_up() -> None:
    """Tell everybody who is back how their goals ended, and begin standing ones that are due."""
    if _desk is not None:
        standing.look(_desk)
    for record in list(_desk or ()):
        if record.over and not _was_told(record):
            _tell_end(record, late=True)


def _was_told(record: Record) -> bool:
    told = any(event["what"] == "told" for event in record.events[-3:])
    return told or record.state == STOPPED or not record.owner.isdecimal()


def _tell_end(record: Record, *, late: bool = False) -> None:
    who = owner_of(record)
    if _desk is None or who is None or not who.sessions.count() or _was_told(record):
        return
    about = line(record.goal.words, 70)
    if record.state == REACHED:
        lines = [said(voice.say("goal_kept" if late else "goal_reached", why=about))]
        lines += result(record, telling.screen_of(who))
    else:
        lines = [said(voice.say("goal_missed", why=about)), *_why(record)]
    screen = telling.screen_of(who)
    telling.hand_over(who, [part for told in lines for part in fitting(told, screen)], again="goal/result")
    _desk.changed(record, "told")


def _why(record: Record) -> Iterator[str]:
    fact = f"{line(record.fact.replace('_', ' '), 40)}: " if record.fact else ""
    yield said(f"{fact}{line(record.why, 300)}")
    yield said(f"|x{closing(record)}|n")


def closing(record: Record) -> str:
    """The line under a result: how long it took, and what it cost."""
    took = max(0.0, record.ended - record.began)
    return f"[goal, {record.state}, {took:.0f} s, ${record.cost_usd:.4f}]"


def result(record: Record, screen: Screen, *, parts: bool = False) -> list[str]:
    """What a goal came to, in lines; with the ``parts`` that it is made of."""
    lines = ["", *telling.body(record.result, screen), ""]
    if parts:
        for step in record.steps:
            own = [fact for fact in step.makes if record.makers.get(fact) == step.number and record.facts.get(fact)]
            if own and not own[0].startswith(CHECK) and record.facts[own[0]] != record.result:
                by = f" ({step.backend})" if step.backend else ""
                lines += [said(f"{step.number}. {line(step.action, 40)}{by}"), ""]
                lines += [*telling.body(record.facts[own[0]], screen), ""]
        lines += [told for check in checks(record) for told in fitting(said(check), screen)]
        lines.append("")
    return [*lines, said(f"|x{closing(record)}|n")]


def checks(record: Record) -> Iterator[str]:
    """Each check in a line: whether it is passed, by whose word, and the evidence."""
    for number, check in enumerate(record.goal.checks, 1):
        fact = f"{CHECK}{number}"
        maker = record.makers.get(fact)
        by = record.step(maker).backend if maker is not None else ""
        evidence = f' ({by}: "{line(record.facts[fact], 120)}")' if by else ""
        yield f"{'passed' if fact in record.facts else 'not passed'}: {line(check.told, 160)}{evidence}"


def fitting(text: str, screen: Screen) -> list[str]:
    """A line of the game's own as wide as the screen; a client that wraps by itself gets it whole."""
    return [text] if screen.flows else telling.flowed(text, screen.width).split("\n")


def queue(viewer: int | None) -> list[Record]:
    """What is under way, the most urgent first, and what ended lately; of one account where ``viewer`` is one."""
    lately = time.time() - LATELY
    shown = [
        record
        for record in _desk or ()
        if record.state != OFFERED
        and (not record.over or record.ended > lately)
        and (viewer is None or account_of(record) == viewer)
    ]
    return sorted(shown, key=lambda r: (r.over, -r.goal.priority, r.goal.deadline or float("inf"), r.began))


def account_of(record: Record) -> int | None:
    """The account that a goal is booked to; None for one of the game's own, and for what came through the door."""
    who = owner_of(record)
    return None if who is None else thinker.payer(who).account_id


def whose(record: Record) -> str:
    """Whose goal it is, for people."""
    if record.owner.startswith("{"):
        return f"token {json.loads(record.owner).get('door', '')}"
    who = owner_of(record)
    return str(who.key) if who is not None else record.owner.removeprefix(STANDING) or OF_THE_GAME


def plan_told(record: Record) -> list[str]:
    """The plan of a goal, a line a step, harmless."""
    return [line(step, 400) for step in explained(record)]
