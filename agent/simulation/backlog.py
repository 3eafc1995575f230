"""The backlog of goals that is worked beside the traffic: ``{"id", "priority", "deadline", "steps": [...]}`` a line.

    goals, faults = read_goals(lines)
    worker = Worker(Backlog(goals), situation, policy, providers)
    worker.fill(now)                 # begin whatever has room now; its ends come back through worker.ended

What may be begun is what :mod:`agent.goals.spare` lets a goal take in earnest, on places that are left, one of several
kept free. Somebody who finds no free place takes a step's, which has to begin again.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..core.jsonlines import objects
from ..core.task import known_kinds
from ..engine.admission import kept_free
from ..goals.spare import Spare
from ..quota import QuotaReservation, Spend, Work
from ..strategies.ranked import unfit
from .policies import Policy
from .providers import Provider, latency, spend_of
from .traffic import Row

#: Steps of one goal.
MOST_STEPS = 1000
#: Seconds before its deadline at which a step no longer waits for quota that expires.
HURRY = 2 * 86_400.0


@dataclass(frozen=True, slots=True)
class GoalRow:
    """One goal of a backlog. ``deadline`` is in seconds since the epoch; ``after`` holds, by step, the steps before."""

    id: str
    priority: float
    deadline: float | None
    steps: tuple[Row, ...]
    after: tuple[tuple[int, ...], ...]


def read_goals(lines: Iterable[str]) -> tuple[list[GoalRow], list[str]]:
    """The goals, and what is wrong with the other lines: ``line 3: steps: is not a list ...``."""
    goals: list[GoalRow] = []
    faults: list[str] = []
    seen: set[str] = set()
    for number, found, fault in objects(lines):
        try:
            if fault:
                raise ValueError(fault)
            goal = _goal(found)
            if goal.id in seen:
                raise ValueError(f"id: {goal.id[:40]!r} stands twice")
            seen.add(goal.id)
            goals.append(goal)
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    return goals, faults


def _goal(found: Mapping[str, Any]) -> GoalRow:
    name, priority, said = found.get("id"), found.get("priority", 0), found.get("steps")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise ValueError("id: is neither a text nor a number")
    if isinstance(priority, bool) or not isinstance(priority, int | float) or not abs(priority) < 1e9:
        raise ValueError("priority: is not a number")
    if not isinstance(said, list) or not 1 <= len(said) <= MOST_STEPS:
        raise ValueError(f"steps: is not a list of 1 to {MOST_STEPS} steps")
    steps, after = [], []
    for number, step in enumerate(said):
        if not isinstance(step, Mapping) or step.get("kind") not in known_kinds():
            raise ValueError(f"steps[{number}]: kind: is unknown; allowed: {', '.join(known_kinds())}")
        sizes = [step.get("input_tokens"), step.get("output_tokens")]
        if not all(isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= 10**8 for size in sizes):
            raise ValueError(f"steps[{number}]: input_tokens and output_tokens are whole numbers from 0")
        before = step.get("after", [])
        if not isinstance(before, list) or not all(type(one) is int and 0 <= one < len(said) for one in before):
            raise ValueError(f"steps[{number}]: after: is not a list of step numbers from 0 to {len(said) - 1}")
        steps.append(Row(0.0, step["kind"], int(step["input_tokens"]), int(step["output_tokens"])))
        after.append(tuple(dict.fromkeys(before)))
    _see_no_circle(after)
    return GoalRow(str(name), float(priority), _deadline(found.get("deadline")), tuple(steps), tuple(after))


def _see_no_circle(after: Sequence[tuple[int, ...]]) -> None:
    done: set[int] = set()
    while len(done) < len(after):
        ready = {step for step, before in enumerate(after) if step not in done and done.issuperset(before)}
        if not ready:
            raise ValueError("steps: wait for each other in a circle")
        done |= ready


def _deadline(value: Any) -> float | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment.timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValueError("deadline: is not ISO 8601 with a zone") from None


@dataclass(slots=True)
class _Waiting:
    """Steps of one kind that are ready, the most urgent first: (-priority, deadline, goal, step)."""

    queue: list[tuple[float, float, int, int]] = field(default_factory=list)


class Backlog:
    """Which steps are ready, and which goals are done."""

    def __init__(self, goals: Sequence[GoalRow]):
        self.goals = goals
        self._open = [[len(before) for before in goal.after] for goal in goals]
        self._left = [len(goal.steps) for goal in goals]
        self._following: list[dict[int, list[int]]] = []
        self.ready: dict[str, _Waiting] = {}
        self.steps_done = self.goals_done = self.late = 0
        for number, goal in enumerate(goals):
            following: dict[int, list[int]] = {}
            for step, before in enumerate(goal.after):
                for one in before:
                    following.setdefault(one, []).append(step)
                if not before:
                    self.put(number, step)
            self._following.append(following)

    def put(self, goal: int, step: int) -> None:
        """The step is ready."""
        one = self.goals[goal]
        deadline = float("inf") if one.deadline is None else one.deadline
        waiting = self.ready.setdefault(one.steps[step].kind, _Waiting())
        heapq.heappush(waiting.queue, (-one.priority, deadline, goal, step))

    def take(self, kind: str) -> tuple[int, int]:
        """The most urgent step of a kind."""
        _, _, goal, step = heapq.heappop(self.ready[kind].queue)
        return goal, step

    def done(self, goal: int, step: int, now: float) -> None:
        """The step is done."""
        self.steps_done += 1
        self._left[goal] -= 1
        if not self._left[goal]:
            deadline = self.goals[goal].deadline
            if deadline is not None and now > deadline:
                self.late += 1
            else:
                self.goals_done += 1
        for following in self._following[goal].get(step, ()):
            self._open[goal][following] -= 1
            if not self._open[goal][following]:
                self.put(goal, following)


@dataclass(slots=True)
class Running:
    """A step under way."""

    goal: int
    step: int
    key: str
    began: float
    ends: float
    work: Work
    ticket: QuotaReservation
    spend: Spend
    cancelled: bool = False


class Worker:
    """Works the backlog on what one policy's traffic leaves over.

    push  has a running step come back to :meth:`ended` at its end
    """

    def __init__(
        self,
        backlog: Backlog,
        policy: Policy,
        providers: Mapping[str, Provider],
        work_of: Callable[[Row], Work],
        fit: Callable[[Any, Work], float],
        push: Callable[[float, Running], None],
    ):
        self.backlog, self.policy, self.providers = backlog, policy, providers
        self._work_of, self._fit, self._push = work_of, fit, push
        self._spare = Spare()
        self._backends = {key: provider.backend for key, provider in providers.items()}
        #: Attempts under way, of traffic and of the backlog, by backend.
        self.theirs: Counter[str] = Counter()
        self.ours: dict[str, list[Running]] = {key: [] for key in providers}
        self.fit_sum = 0.0
        self.interrupted = 0
        self.wasted_usd = 0.0
        #: The longest that somebody has waited because a place was a step's, in milliseconds.
        self.delay_ms = 0.0
        self._gains: dict[tuple[str, str], float] = {}
        #: Whether any goal has a deadline at all.
        self._hurried = any(goal.deadline is not None for goal in backlog.goals)

    def fill(self, now: float, at: str = "") -> None:
        """Begin whatever has room, ``at`` one backend or at all of them."""
        for key in (at,) if at else self._backends:
            backend = self._backends[key]
            free = backend.max_parallel - kept_free(backend) - self.theirs[key] - len(self.ours[key])
            while free > 0 and self._begin(key, now, free):
                free -= 1

    def _begin(self, key: str, now: float, free: int) -> bool:
        backend, tracker = self._backends[key], self.policy.tracker(key)
        lefts: list[tuple[str, float, float]] = [
            (
                t.window.quota.unit,
                self._spare.left(t, now) if self._hurried else 0.0,
                self._spare.left(t, now, expiring=True),
            )
            for t in tracker.windows
        ]
        if any(max(left[1:]) <= 0.0 for left in lefts) or self.providers[key].closed_until(now) > now:
            return False
        best: tuple[tuple[float, bool, float], str] | None = None
        needed = self._pace(key, now) / max(1, free + len(self.ours[key]))
        for kind, waiting in self.backlog.ready.items():
            if not waiting.queue:
                continue
            urgency, deadline, goal, step = waiting.queue[0]
            expiring, gain = deadline - now > HURRY, self._gain(key, kind)
            row = self.backlog.goals[goal].steps[step]
            work = self._work_of(row)
            expected = tracker.estimate.expected(work)
            if any(expected.of(unit) > left[expiring] for unit, *left in lefts) or unfit(backend, work):
                continue
            if tracker.obstacle(now, work):
                continue
            rate = spend_of(backend, row.input_tokens, row.output_tokens).usd / latency(backend, row.output_tokens)
            value = (-urgency, rate >= needed, gain if rate >= needed else rate)
            if best is None or value > best[0]:
                best = value, kind
        if best is None:
            return False
        goal, step = self.backlog.take(best[1])
        row = self.backlog.goals[goal].steps[step]
        work = self._work_of(row)
        ticket = self.policy.begun(now, key, work)
        spend = spend_of(backend, row.input_tokens, row.output_tokens)
        running = Running(goal, step, key, now, now + latency(backend, row.output_tokens), work, ticket, spend)
        self.ours[key].append(running)
        self._push(running.ends, running)
        return True

    def _gain(self, key: str, kind: str) -> float:
        """How much better the backend does this kind than the best of the others."""
        if (key, kind) not in self._gains:
            work = Work(kind, 0)
            others = [self._fit(other, work) for other in self._backends.values() if other.key != key]
            self._gains[key, kind] = self._fit(self._backends[key], work) - max(others, default=0.0)
        return self._gains[key, kind]

    def _pace(self, key: str, now: float) -> float:
        """USD a second that the backend must burn to leave nothing."""
        found = 0.0
        for tracked in self.policy.tracker(key).windows:
            window = tracked.window
            if window.quota.unit == "usd" and not window.quota.rolling:
                left = max(0.0, window.left - self._spare.expected(tracked, now))
                found = max(found, left / max(60.0, window.resets_at(now) - now))
        return found

    def make_room(self, key: str, now: float) -> None:
        """Somebody is about to ask ``key``: the youngest step gives its place where there is no other."""
        backend, ours = self._backends[key], self.ours[key]
        if ours and self.theirs[key] + len(ours) >= backend.max_parallel:
            self._interrupt(ours.pop(), now)
        if ours and self.theirs[key] + len(ours) >= backend.max_parallel:
            self.delay_ms = max(self.delay_ms, 1000.0 * (min(running.ends for running in ours) - now))

    def _interrupt(self, running: Running, now: float) -> None:
        backend = self._backends[running.key]
        running.cancelled = True
        self.interrupted += 1
        row = self.backlog.goals[running.goal].steps[running.step]
        share = (now - running.began) / max(1e-9, running.ends - running.began)
        spend = spend_of(backend, row.input_tokens, row.output_tokens * min(1.0, share))
        self.wasted_usd += spend.usd
        self._charge(running, spend, now)
        self.backlog.put(running.goal, running.step)

    def ended(self, running: Running) -> None:
        """A step's end has come."""
        if running.cancelled:
            return
        self.ours[running.key].remove(running)
        self._charge(running, running.spend, running.ends)
        self.fit_sum += self._fit(self._backends[running.key], running.work)
        self.backlog.done(running.goal, running.step, running.ends)

    def _charge(self, running: Running, spend: Spend, now: float) -> None:
        self.providers[running.key].charge(running.began, spend)
        self.policy.ended(running.key, running.work, running.ticket, spend, now - running.began)

    def figures(self) -> dict[str, Any]:
        """What came of the backlog."""
        backlog = self.backlog
        return {
            "goals": len(backlog.goals),
            "goals_done": backlog.goals_done,
            "goals_late": backlog.late,
            "steps": sum(len(goal.steps) for goal in backlog.goals),
            "steps_done": backlog.steps_done,
            "interrupted": self.interrupted,
            "wasted_usd": round(self.wasted_usd, 4),
        }
