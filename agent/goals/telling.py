"""A goal for people and for pictures: its plan with reasons and prices, how it stands, what it came to.

state_of(record)        # plain data: status, facts, plan as nodes and edges, cost against budget
explained(record)       # the same plan in lines
"""

from __future__ import annotations

from typing import Any

from .asking import PROPOSE
from .record import DONE, DROPPED, Record, Step


def state_of(record: Record) -> dict[str, Any]:
    """All that a picture of the goal needs, and the door's answer.

    ``plan.nodes`` are its steps: ``{"id", "action", "state", "why", "needs", "makes", "backend", "price", "seconds"}``;
    ``plan.edges`` say which step waits for which: ``[[before, after], ...]``. ``price`` is what the steps of the latest
    plan are expected to cost, ``cost_usd`` what was paid by now, of which
    ``estimated_usd`` for attempts that a kill cut off.
    """
    shown = [step for step in record.steps if step.state != DROPPED]
    makers = {fact: step.number for step in shown for fact in step.makes}
    edges = sorted({(makers[need], step.number) for step in shown for need in step.needs if need in makers})
    return {
        "id": record.id,
        "goal": record.goal.words,
        "status": record.state,
        "fact": record.fact,
        "why": record.why,
        "checks": [
            {"check": check.told, "passed": f"check_{number}" in record.facts}
            for number, check in enumerate(record.goal.checks, start=1)
        ],
        "wants": sorted(record.goal.wants),
        "facts": sorted(record.facts),
        "plans": record.plans,
        "plan": {
            "nodes": [_node(step) for step in shown],
            "edges": [list(edge) for edge in edges if edge[0] != edge[1]],
        },
        "price": price(record),
        "cost_usd": round(record.cost_usd, 6),
        "estimated_usd": round(record.estimated_usd, 6),
        "tokens": record.tokens,
        "budget": record.goal.budget.as_dict(),
        "deadline": record.goal.deadline,
        "began": record.began,
        "ended": record.ended,
        "result": record.result if record.ended or record.result else "",
        "lessons": list(record.lessons),
    }


def price(record: Record) -> dict[str, float]:
    """What the steps of the plan that are not done are expected to cost; seconds along the longest way."""
    ahead = [step for step in record.steps if step.open]
    return {
        "usd": round(sum(step.price.get("usd", 0.0) for step in ahead), 6),
        "seconds": round(_longest(ahead), 1),
        "quota": round(sum(step.price.get("quota", 0.0) for step in ahead), 6),
    }


def explained(record: Record) -> list[str]:
    """The plan in lines: why this step, what it makes true, what it will cost."""
    lines = []
    for step in record.steps:
        if step.state == DROPPED:
            continue
        cost = f"${step.price['usd']:.4f}, {step.price['seconds']:.0f} s" if step.price else ""
        if step.price.get("quota"):
            cost += f", {step.price['quota']:.2%} of a quota"
        after = f" after {', '.join(step.needs)}" if step.needs else ""
        makes = ", ".join(step.makes) or "new steps"
        stands = step.state if step.state != DONE else f"done by {step.backend}" if step.backend else "done"
        why = "ask a brain for steps" if step.action == PROPOSE else step.why
        lines.append(f"{step.number}. {step.action}: {why}; makes {makes}{after} [{cost or 'free'}] {stands}")
    return lines


def _node(step: Step) -> dict[str, Any]:
    return {
        "id": step.number, "action": step.action, "state": step.state, "why": step.why, "plan": step.plan,
        "needs": step.needs, "makes": step.makes, "backend": step.backend, "price": step.price,
        "seconds": round(max(0.0, step.ended - step.began), 2) if step.ended else 0.0,
    }  # fmt: skip


def _longest(steps: list[Step]) -> float:
    """Seconds of the longest chain of steps that wait for each other."""
    took: dict[str, float] = {}
    longest, waiting = 0.0, list(steps)
    made = {fact for step in steps for fact in step.makes}
    while waiting:
        ready = [step for step in waiting if all(need in took or need not in made for need in step.needs)]
        for step in ready or waiting:
            ends = max((took.get(need, 0.0) for need in step.needs), default=0.0) + step.price.get("seconds", 0.0)
            took |= dict.fromkeys(step.makes, ends)
            longest = max(longest, ends)
        waiting = [step for step in waiting if step not in ready] if ready else []
    return longest
