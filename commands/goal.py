"""``goal`` and ``goals``: say what done looks like; Timmy plans backwards and works at it, also while you are away."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from evennia.utils import logger
from evennia.utils.dbserialize import deserialize
from evennia.utils.evmenu import get_input
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from uniwizard.agent.goals import ENDS, REACHED, Allowance, Check, Desk, Goal, InvalidGoal, Record, check_of, price
from uniwizard.commands.base import UniwizardCommand
from uniwizard.world import goals, telling
from uniwizard.world.harmless import line, whole
from uniwizard.world.mark import said
from uniwizard.world.narrator import tell_room
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import the as soul
from uniwizard.world.soul import voice

#: Where the checks and the budget of somebody's next goal are kept.
_NEXT = ("next_goal", "uniwizard")
_YES = re.compile(r"y(es)?|j(a)?|tak|oui|s[ií]", re.IGNORECASE)


class CmdGoal(UniwizardCommand):
    """
    say what done looks like; Timmy plans backwards and does it

    Usage:
      goal <what done looks like>
      goal/check <question>
      goal/budget <USD>
      goal/plan <what done looks like>
      goal/why [<number>]
      goal/result [<number>]
      goal/share [<number>]
      goal/stop [<number>]
      goals

    Switches:
      check   - a yes or no that must be yes in the end; before
                the goal, up to six times. A bare one shows them,
                'goal/check none' forgets them
      budget  - what your next goal may cost at most
      plan    - the plan and its price first; then yes or no
      why     - every step: what it was for, who did it, what
                was turned down, and why
      result  - the whole, and the parts it was made of
      share   - read the result out to the room
      stop    - let go of it

    He goes the cheapest way first. What does not pass your
    checks he does in another way, with another brain, until it
    passes or there is no way left; then he says what could not
    be reached, and why. He works on brains that nobody needs in
    that moment, so thoughts always come first. You may leave:
    the result waits for you.

    Examples:
      goal/check Is it free of formulas?
      goal a page on tides for children
      goal/plan a riddle whose answer is lamp
    """

    key = "goal"
    known_switches = ("check", "budget", "plan", "why", "result", "share", "stop")
    locks = "cmd:all()"

    def do(self, router: GameRouter) -> None:
        desk = goals.the()
        if desk is None or not desk.started:
            self.say(f"{soul().name} is still waking up. Try again in a moment.")
            return
        act = _ACTS.get(self.switches[0]) if self.switches else None
        if act is not None:
            act(self, desk)
        elif not self.task:
            self.say("What does done look like? Usage: |wgoal|n <what done looks like>; see |whelp goal|n.")
        else:
            _begin(self, desk)


class CmdGoals(UniwizardCommand):
    """
    your goals, and how each of them stands

    Usage:
      goals

    The newest last, each with its number, for 'goal/why',
    'goal/result', 'goal/share' and 'goal/stop'.
    """

    key = "goals"
    locks = "cmd:all()"

    def do(self, router: GameRouter) -> None:
        own = goals.of(self.caller)
        if not own:
            self.say("You have no goals. Say what done looks like: |wgoal|n <what done looks like>")
            return
        width = self.client_width()
        lines = [f"|w{'':>3}  {'stands':<12}{'done':<7}{'cost':<9}what done looks like|n"]
        for number, record in enumerate(own, 1):
            done, all_ = len(record.goal.facts & record.facts.keys()), len(record.goal.facts)
            about = line(record.goal.words, max(12, width - 36))
            lines.append(f"{number:>3}  {record.state:<12}{f'{done}/{all_}':<7}{f'${record.cost_usd:.4f}':<9}{about}")
        self.say("\n".join(lines))


def _begin(command: UniwizardCommand, desk: Desk) -> None:
    goal = _wanted(command)
    if goal is None:
        return

    def begun(record: Record) -> None:
        command.caller.attributes.remove(_NEXT[0], category=_NEXT[1])
        if record.state not in ENDS:
            _tell_begun(command.caller, record)

    _add(command, desk.add(goal, str(command.caller.id)), begun)


def _tell_begun(who: Any, record: Record) -> None:
    steps = ", ".join(line(step.action.replace("_", " "), 40) for step in record.steps if step.open)
    telling.tell(who, said(voice.say("goal_begun", why=steps)))


def _plan(command: UniwizardCommand, desk: Desk) -> None:
    """The plan and its price, then yes or no."""
    if not command.task:
        command.say("Usage: |wgoal/plan|n <what done looks like>")
        return
    if (goal := _wanted(command)) is None:
        return
    caller = command.caller
    goals.forget_offers(caller)

    def offered(record: Record) -> None:
        if record.id not in desk:
            # Another plan has been asked for meanwhile.
            return
        if record.over:
            command.say(said(f"There is no way: {line(record.fact, 40)}: {line(record.why, 200)}"))
            desk.forget(record.id)
            return
        total = price(record)
        told = "\n".join(goals.plan_told(record))
        command.say(f"{said('This is how he would go about it:')}\n{told}")
        command.say(said(f"In all about ${total['usd']:.4f} and {total['seconds']:.0f} s. Shall he?"))
        get_input(caller, said("Yes or no?"), answered, session=command.session, identifier=record.id)

    def answered(who: Any, prompt: str, typed: str, *_: Any, identifier: str = "", **__: Any) -> bool:
        now = goals.the()
        if now is None or identifier not in now:
            telling.tell(who, said("That plan is too old by now. Ask for it again."))
        elif not _YES.fullmatch(typed.strip()):
            now.forget(identifier)
            telling.tell(who, said(f"{soul().name} lets it be."))
        elif (full := _enough(who)) is not None:
            telling.tell(who, said(full))
        else:
            _take(who, now, identifier)
        return False

    _add(command, desk.add(goal, str(caller.id), start=False), offered)


def _take(who: Any, desk: Desk, identifier: str) -> None:
    """Begin what was offered."""
    try:
        record = desk.begin(identifier)
    except OverflowError as full:
        telling.tell(who, said(_full(full)))
        return
    who.attributes.remove(_NEXT[0], category=_NEXT[1])
    _tell_begun(who, record)


def _full(why: BaseException | None) -> str:
    return f"The wall above the bench is full: {line(str(why), 80)}."


def _add(command: UniwizardCommand, adding: Any, then: Callable[[Record], None]) -> None:
    """Go on with the goal's record once it is written down; what goes wrong is told."""

    def failed(why: Failure) -> None:
        if why.check(OverflowError):
            command.say(_full(why.value))
        else:
            logger.log_err(f"Uniwizard: a goal cannot be begun: {why.getTraceback()}")
            command.say("|rSomething broke in the Workshop itself.|n It is in the server's log.")

    added: Deferred[Record] = Deferred.fromCoroutine(adding)
    added.addCallback(then).addErrback(failed)


def _wanted(command: UniwizardCommand) -> Goal | None:
    """The goal that was typed, with what was said of it before; None, and told, where it cannot be."""
    text, most = command.task, settings.UNIWIZARD_MAX_TASK_LENGTH
    if (enough := _enough(command.caller)) is not None:
        command.say(enough)
        return None
    if len(text) > min(most, 20_000):
        command.say(f"That is too long for a goal: {len(text):,} characters, {min(most, 20_000):,} are allowed.")
        return None
    kept = _next(command.caller)
    usd = _usd(kept)
    checks = tuple(Check("question", question) for question in kept.get("checks", ()))
    return Goal(text, checks=checks, budget=Allowance(usd=usd))


def _enough(who: Any) -> str | None:
    """Why no more goals of theirs may be under way; None where one more may."""
    under_way = sum(not record.over for record in goals.of(who))
    if under_way < settings.UNIWIZARD_GOAL_LIMITS["at_once"]:
        return None
    return f"{soul().name} has {under_way} goals of yours on the wall; that is enough for now."


def _next(who: Any) -> dict[str, Any]:
    return dict(deserialize(who.attributes.get(_NEXT[0], category=_NEXT[1])) or {})


def _usd(kept: dict[str, Any]) -> float:
    """What somebody's next goal may cost: what they have said, 0 included, and no more than the game allows."""
    most, own = float(settings.UNIWIZARD_GOAL_LIMITS["usd"]), kept.get("usd")
    return most if own is None else min(float(own), most)


def _check(command: UniwizardCommand, desk: Desk) -> None:
    kept, said_ = _next(command.caller), command.task
    checks = list(kept.get("checks", ()))
    if said_.lower() == "none":
        checks = []
    elif said_:
        try:
            check_of(said_)
        except InvalidGoal as invalid:
            command.say(line(str(invalid), 200))
            return
        if len(checks) >= 6:
            command.say("Six checks are enough for one goal.")
            return
        checks.append(said_)
    command.caller.attributes.add(_NEXT[0], {**kept, "checks": checks}, category=_NEXT[1])
    listed = "\n".join(f"  {number}. {line(check, 200)}" for number, check in enumerate(checks, 1))
    command.say(f"Your next goal must pass:\n{listed}" if checks else "Your next goal has no checks but its own words.")


def _budget(command: UniwizardCommand, desk: Desk) -> None:
    most = float(settings.UNIWIZARD_GOAL_LIMITS["usd"])
    typed = command.task.lstrip("$").strip()
    if typed:
        try:
            usd = float(typed)
        except ValueError:
            usd = -1.0
        if not 0.0 <= usd <= most:
            command.say(f"A budget is a number of USD from 0 to {most:g}.")
            return
        command.caller.attributes.add(_NEXT[0], {**_next(command.caller), "usd": usd}, category=_NEXT[1])
    command.say(f"Your next goal may cost ${_usd(_next(command.caller)):g} at most.")


def _one(command: UniwizardCommand, *, open_: bool = False) -> Record | None:
    """The goal whose number was typed, else the newest; None, and told, where there is none."""
    own = goals.of(command.caller)
    typed = command.task
    if not own:
        command.say("You have no goals. Say what done looks like: |wgoal|n <what done looks like>")
        return None
    if typed and not 1 <= whole(typed) <= len(own):
        command.say(f"There is no such goal; there are 1 to {len(own)}, the newest last.")
        return None
    if not typed and open_:
        own = [record for record in own if not record.over] or own
    return own[int(typed) - 1] if typed else own[-1]


def _why(command: UniwizardCommand, desk: Desk) -> None:
    if (record := _one(command)) is None:
        return
    lines = [said(f"{record.state}: {line(record.goal.words, 120)}"), *goals.plan_told(record)]
    lines += [f"  {check}" for check in goals.checks(record)]
    lines += [f"  turned down for: {line(lesson, 200)}" for lesson in record.lessons]
    if record.why:
        lines.append(
            said(f"{line(record.fact, 40)}: {line(record.why, 300)}" if record.fact else line(record.why, 300))
        )
    usd = record.goal.budget.usd
    of = f" of at most ${usd:g}" if usd is not None else ""
    guessed = f" (${record.estimated_usd:.4f} of it estimated)" if record.estimated_usd else ""
    lines.append(said(f"|x${record.cost_usd:.4f}{of}{guessed}, {record.plans} plan{'s' * (record.plans != 1)}|n"))
    command.say("\n".join(lines))


def _result(command: UniwizardCommand, desk: Desk) -> None:
    record = _one(command)
    if record is None:
        return
    if not record.facts:
        command.say("Nothing of it is done yet.")
        return
    screen = telling.screen_of(command.caller)
    head = goals.fitting(said(f"You wanted: {line(record.goal.words, 100)}"), screen)
    telling.hand_over(command.caller, [*head, *goals.result(record, screen, parts=True)], again="goal/result")


def _share(command: UniwizardCommand, desk: Desk) -> None:
    record, room = _one(command), command.caller.location
    if record is None:
        return
    if record.state != REACHED or room is None:
        command.say("There is no result yet that you could share." if room is not None else "There is nobody here.")
        return
    tell_room(room, voice.say("shared", name=line(command.caller.key), why=line(record.goal.words, 60)))
    for thing in room.contents:
        if thing.has_account:
            telling.hand_over(thing, goals.result(record, telling.screen_of(thing)), again="")


def _stop(command: UniwizardCommand, desk: Desk) -> None:
    record = _one(command, open_=True)
    if record is None:
        return
    if record.over:
        command.say("That goal is over.")
        return
    desk.stop(record.id)
    command.say(said(voice.say("stopped")))


_ACTS: dict[str, Callable[[UniwizardCommand, Desk], None]] = {
    "check": _check,
    "budget": _budget,
    "plan": _plan,
    "why": _why,
    "result": _result,
    "share": _share,
    "stop": _stop,
}
