"""One goal on its way: plan, do whatever is ready, plan anew around what failed, until it is reached or cannot be.

pursuit = Pursuit(desk, record)
pursuit.advance()            # after anything has changed
pursuit.succeeded(step, text), pursuit.failed(step, why), pursuit.declined(step, fact, evidence)
"""

from __future__ import annotations

from typing import Any, Protocol

from .actions import Action, action_of
from .asking import PROPOSE
from .goal import CHECK, Check
from .planner import LEAST, Found, Option, Unreachable, search
from .prices import Price
from .proposing import accepted
from .record import BEGUN, DROPPED, ENDS, FAILED, OFFERED, PLANNED, REACHED, TURNED_DOWN, UNREACHABLE, Record, Step

#: Plans in a row without anything new that end a goal, and plans in all.
MOST_IDLE, MOST_PLANS = 2, 20


class Desk(Protocol):
    """What a goal on its way needs of the desk."""

    def actions(self, record: Record) -> list[Action]: ...
    def price(self, record: Record, action: Action) -> tuple[Price, str]: ...
    def enqueue(self, pursuit: Pursuit, step: Step) -> None: ...
    def drop(self, pursuit: Pursuit, step: Step) -> None: ...
    def let_go(self, pursuit: Pursuit) -> None: ...
    def changed(self, record: Record, what: str, **more: Any) -> None: ...


class Pursuit:
    """The way of one goal. Nothing here asks or waits."""

    def __init__(self, desk: Desk, record: Record):
        self.desk, self.record = desk, record
        #: Steps that wait for a lane or are under way.
        self.queued: set[int] = set()
        self._broken = False

    def advance(self) -> None:
        """Do what can be done now."""
        record = self.record
        if record.over or record.state == OFFERED:
            return
        if record.goal.facts <= record.facts.keys():
            self.end(REACHED)
            return
        if (self._broken or not any(step.open for step in record.steps)) and not self.plan():
            return
        for step in record.steps:
            if step.state == PLANNED and step.number not in self.queued and set(step.needs) <= record.facts.keys():
                self.queued.add(step.number)
                self.desk.enqueue(self, step)

    def plan(self) -> bool:
        """Plan from what is true now; whether there is anything to do by it."""
        record, self._broken = self.record, False
        for step in record.steps:
            if step.state == PLANNED:
                step.state = DROPPED
                self.queued.discard(step.number)
        if record.plans:
            record.idle_plans = 0 if len(record.ever) > record.known_at_plan else record.idle_plans + 1
        record.known_at_plan = len(record.ever)
        try:
            if record.idle_plans >= MOST_IDLE or record.plans >= MOST_PLANS:
                missing = sorted(record.goal.facts - record.facts.keys())
                lately = f"{MOST_IDLE} plans in a row made no progress"
                raise Unreachable(missing[0], lately if record.plans < MOST_PLANS else f"{MOST_PLANS} plans were made")
            found = self._search()
        except Unreachable as unreachable:
            return self._no_way(unreachable)
        record.plans += 1
        for option in found.steps:
            known, action, price, kind = option.what
            if known is None:
                record.steps.append(
                    Step(
                        len(record.steps) + 1, action.name, sorted(option.needs), sorted(option.makes), record.plans,
                        why=action.why, kind=kind, backend="", price=price.as_dict(),
                    )
                )  # fmt: skip
        self.desk.changed(record, "planned", plan=record.plans, cheapest=found.cheapest)
        return True

    def _search(self) -> Found[tuple[Step | None, Action, Price, str]]:
        record = self.record
        options: list[Option[tuple[Step | None, Action, Price, str]]] = []
        for action in self.desk.actions(record):
            under_way = next((s for s in record.steps if s.state == BEGUN and s.action == action.name), None)
            if under_way is not None:
                options.append(Option(frozenset(under_way.needs), frozenset(under_way.makes), LEAST,
                                      (under_way, action, Price(), "")))  # fmt: skip
            elif record.tried.get(action.name, 0) < action.tries:
                price, kind = self.desk.price(record, action)
                options.append(Option(action.needs, action.makes, price.weight, (None, action, price, kind)))
        return search(record.goal.facts, record.facts, options)

    def _no_way(self, unreachable: Unreachable) -> bool:
        """Ask a brain for steps, once; else this is the end. Whether there is something to do."""
        record = self.record
        if any(step.state == BEGUN for step in record.steps):
            # What is under way may still change it.
            return False
        idle = record.idle_plans >= MOST_IDLE or record.plans >= MOST_PLANS
        if record.asked_for_steps or idle:
            lesson = f"; last turned down for: {record.lessons[-1]}" if record.lessons else ""
            failed = [step.why for step in record.steps if step.state == FAILED and step.why]
            lesson = lesson or (f"; last failure: {failed[-1]}" if failed else "")
            self.end(UNREACHABLE, unreachable.fact, unreachable.why + lesson)
            return False
        record.asked_for_steps = True
        record.steps.append(Step(len(record.steps) + 1, PROPOSE, [], [], record.plans, why=unreachable.fact))
        self.desk.changed(record, "asks for steps", fact=unreachable.fact, why=unreachable.why)
        return True

    # -- what came of a step -------------------------------------------------------------------------------------

    def begun(self, step: Step) -> None:
        step.state = BEGUN
        self.desk.changed(self.record, "begun", step=step.number, action=step.action)

    def put_back(self, step: Step) -> None:
        """It has to wait; what came of it is kept."""
        self.queued.discard(step.number)
        if step.state == BEGUN:
            step.state = PLANNED

    def succeeded(self, step: Step, text: str) -> None:
        """``text`` is what it makes."""
        record = self.record
        self.queued.discard(step.number)
        if record.over:
            return
        record.make(step, text)
        if step.action == PROPOSE:
            found, faults = accepted(step.parts["1"].content, record, self.desk.actions(record))
            record.proposed |= {action.name: action.as_dict() for action in found}
            # New ways are progress, if nothing else is.
            record.idle_plans = 0
            record.known_at_plan = -1 if found else record.known_at_plan
            self.desk.changed(record, "steps proposed", steps=[a.name for a in found], faults=faults[:6])
        else:
            self.desk.changed(record, "done", step=step.number, action=step.action, backend=step.backend)
        self.advance()

    def failed(self, step: Step, why: str, *, again: bool = False) -> None:
        """Nobody could do it. ``again``: that may be otherwise the next time."""
        record = self.record
        self.queued.discard(step.number)
        if record.over:
            return
        step.state, step.why = FAILED, why[:500]
        record.tried[step.action] = record.tried.get(step.action, 0) + (1 if again else 100)
        self._broken = True
        self.desk.changed(record, "failed", step=step.number, action=step.action, why=step.why)
        self.advance()

    def declined(self, step: Step, fact: str, evidence: str) -> None:
        """A check has turned ``fact`` down."""
        record = self.record
        self.queued.discard(step.number)
        if record.over:
            return
        step.state, step.why = TURNED_DOWN, evidence[:500]
        maker = record.turn_down(fact, evidence[:500])
        if maker is None:
            self.end(UNREACHABLE, step.action, f"{fact}, which was given, does not pass: {evidence[:300]}")
            return
        record.tried[maker.action] = record.tried.get(maker.action, 0) + 1
        for made in maker.makes:
            record.avoid[made] = [*record.avoid.get(made, []), maker.backend]
        self._broken = True
        for stale in record.steps:
            if stale.state == BEGUN and not set(stale.needs) <= record.facts.keys():
                self.desk.drop(self, stale)
        self.desk.changed(record, "turned down", step=maker.number, action=maker.action, backend=maker.backend,
                          why=step.why)  # fmt: skip
        self.advance()

    def end(self, state: str, fact: str = "", why: str = "") -> None:
        """This is how it ends."""
        assert state in ENDS
        record = self.record
        record.state, record.fact, record.why = state, fact, why
        for step in record.steps:
            if step.open:
                step.state = DROPPED
        self.queued.clear()
        self.desk.let_go(self)
        self.desk.changed(record, "ended", state=state, fact=fact, why=why)


def own_actions(record: Record) -> list[Action]:
    """The goal's own actions: its checks, and what a brain has proposed."""
    return [
        *(_check_action(number, check) for number, check in enumerate(record.goal.checks, start=1)),
        *(action_of(name, said) for name, said in record.proposed.items()),
    ]


def _check_action(number: int, check: Check) -> Action:
    name = f"{CHECK}{number}"
    why = f"see whether it is so: {check.told}" if check.kind == "question" else f"see whether it {check.told}"
    return Action(
        name,
        frozenset({check.of}),
        frozenset({name}),
        kind="analysis",
        brains=check.sure,
        tries=3,
        tokens=(200, 100),
        why=why[:160],
    )
