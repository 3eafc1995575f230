"""What is there at this moment: backends, what is under way, budgets with when they run out, quotas with their pace.

now = look(None)      # in the reactor's thread; an account's id leaves what is its own
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from uniwizard.agent.goals import BEGUN, PLANNED, state_of
from uniwizard.world import goals, routers, watching
from uniwizard.world.harmless import plain
from uniwizard.world.ledger import live, recorder
from uniwizard.world.ledger.budgets import Who
from uniwizard.world.ledger.storage import moment, zone

#: Budgets that are shown, the most used first; and how much of a window must be over before its pace says anything.
MOST_BUDGETS, SOME_TIME = 12, 0.02
#: Goals that are shown, and of how many of them the plan is drawn.
MOST_GOALS, MOST_PLANS = 50, 12


@dataclass(slots=True)
class Now:
    """Rows of plain data, ready for tables."""

    backends: list[dict[str, Any]] = field(default_factory=list)
    in_flight: list[dict[str, Any]] = field(default_factory=list)
    goals: list[dict[str, Any]] = field(default_factory=list)
    budgets: list[dict[str, Any]] = field(default_factory=list)
    quotas: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    practising: bool = False
    running: bool = True


def look(viewer: int | None) -> Now:
    """Everything, or what the account ``viewer`` may see. In the reactor's thread."""
    now, at = Now(), time.time()
    script = routers.find()
    states = live.states()
    try:
        brain = script.brain if script is not None else None
    except routers.Closed:
        brain = None
    now.running = brain is not None
    now.practising = brain is not None and brain.practising
    for state in states:
        now.backends.append(
            {
                "backend": state.key,
                "state": state.lamp,
                "obstacle": state.obstacle,
                "headroom": min((1.0 - bar.used for bar in state.bars), default=None),
                "breaker": f"{state.fails} of {state.allowed_fails} fails",
                "success": state.success if state.attempts else None,
                "latency_ms": state.latency_ms or None,
                "in_flight": state.in_flight,
                "places": state.max_parallel,
                "model": state.model,
                "practice": state.practice,
            }
        )
    for row in recorder.the().under_way():
        if viewer is None or row["account_id"] == viewer:
            now.in_flight.append(
                {
                    "backend": row["backend"],
                    "kind": row["kind"],
                    "number": row["number"],
                    "seconds": max(0.0, at - row["started"]),
                    "asker": row["payer"] or row["character"] or row["account"] or "the game",
                    "practice": bool(row.get("practice")),
                }
            )
    now.goals = _goals(viewer)
    now.budgets = _budgets(viewer, at)
    if viewer is None:
        now.quotas = [quota for state in states for quota in _quotas(brain, state.key)] if brain is not None else []
        now.alerts = [{"time": moment(when), "alert": alert.text} for when, alert in watching.recent()[:20]]
        now.faults = list(routers.config_faults)
    return now


def _goals(viewer: int | None) -> list[dict[str, Any]]:
    """The queue. What others want is shown to nobody, but where the game keeps texts anyway."""
    rows = []
    texts = viewer is not None or settings.UNIWIZARD_LEDGER_TEXTS
    for number, record in enumerate(goals.queue(viewer)[:MOST_GOALS], 1):
        usd = record.goal.budget.usd
        rows.append(
            {
                "goal": number,
                "state": record.state,
                "whose": goals.whose(record),
                "about": plain(record.goal.words, 120) if texts else None,
                "done": f"{len(record.goal.facts & record.facts.keys())} of {len(record.goal.facts)}",
                "under_way": sum(step.state == BEGUN for step in record.steps),
                "waiting": sum(step.state == PLANNED for step in record.steps),
                "plans": record.plans,
                "cost_usd": record.cost_usd,
                "estimated_usd": record.estimated_usd,
                "budget_usd": usd,
                "used": record.cost_usd / usd if usd else None,
                "began": moment(record.began),
                "plan": None if record.over else state_of(record),
            }
        )
    return rows


def _budgets(viewer: int | None, at: float) -> list[dict[str, Any]]:
    budgets = recorder.the().budgets
    if viewer is None:
        found = budgets.all_standings()
    else:
        found = [(viewer, each) for each in budgets.standings(Who(account_id=viewer)) if each.scope != "game"]
    rows = []
    for key, standing in found:
        limit = standing.limit.usd
        share = standing.spent / limit if limit > 0 else 1.0
        rows.append(
            {
                "scope": standing.scope,
                "key": key,
                "limit_usd": limit,
                "per": standing.limit.per,
                "spent_usd": standing.spent,
                "reserved_usd": standing.reserved,
                "used": share,
                "resets": standing.resets,
                "runs_out": _runs_out(standing.spent, limit, standing.began, standing.resets, at),
            }
        )
    return sorted(rows, key=lambda row: (row["scope"] != "game", -row["used"]))[:MOST_BUDGETS]


def _runs_out(spent: float, limit: float, began: float, resets: datetime, at: float) -> datetime | None:
    """When the rest is gone at the pace so far; None where that is after the reset, or nothing tells yet."""
    if spent >= limit:
        return moment(at).astimezone(zone())
    if spent <= 0 or at - began < SOME_TIME * (resets.timestamp() - began):
        return None
    gone = at + (limit - spent) * (at - began) / spent
    return moment(gone).astimezone(zone()) if gone < resets.timestamp() else None


def _quotas(brain: Any, key: str) -> list[dict[str, Any]]:
    rows = []
    for status in brain.quota_status(key):
        gone = status.gone
        early = gone is None or gone < SOME_TIME
        rows.append(
            {
                "backend": key,
                "window": status.name,
                "used": status.share,
                "gone": gone,
                "pace": None if early else status.share / gone,
                "expires_unused": None if early else max(0.0, 1.0 - status.share / gone),
                "resets": moment(status.resets_at).astimezone(zone()),
            }
        )
    return rows
