"""The optimum in hindsight: the linear program that knows the whole traffic file before its first row.

It assigns every task to backends, in parts if need be, so that the sum of fit is largest within all windows; a task
unserved counts nothing. A fixed window is one constraint. Of a rolling window every stretch that begins at an eighth of
its length is one: a few less than there are, so the optimum is never too small.

A small program, up to :data:`EXACT` tasks, is solved as it is. In a larger one the tasks of one kind, of nearly one
size and of the same windows are one variable. What that solves gives every window a price, and any prices bound the
optimum from above by weak duality: each task counts what it could gain at most once it has paid them, and each window
its price. That bound, taken over every single task, is what policies are measured by; it is at or above the optimum.

Needs scipy, which is for development only: :class:`Unsolvable` says so where it is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.backend import Backend, Quota
from ..core.failures import UniwizardError
from ..core.windows import bounds, length
from ..quota import Spend
from ..strategies.ranked import unfit
from .backlog import GoalRow
from .providers import Account, latency, spend_of
from .replay import Outcome, Situation
from .traffic import Row

#: Tasks up to which each is a variable of its own.
EXACT = 4000
#: Variables that are enough otherwise.
ENOUGH = 40_000
#: Stretches of a rolling window that are constraints, for each of its lengths.
STRETCHES = 8
#: Moments at which a step of the backlog may be done at one backend, for the program.
MOMENTS = 160
#: Sizes that are told apart for each doubling where tasks are put together; the first that makes few enough groups.
SIZES = (6.0, 4.0, 2.0, 1.0, 0.5, 0.2)


class Unsolvable(UniwizardError):
    """The optimum cannot be worked out; the message says why."""


@dataclass(slots=True)
class _Group:
    """Tasks that are one variable for each backend: how many, and an average one."""

    first: Row
    tasks: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0

    def add(self, row: Row) -> None:
        self.tasks += 1
        self.input_tokens += row.input_tokens
        self.output_tokens += row.output_tokens


def optimum(rows: Sequence[Row], situation: Situation, goals: Sequence[GoalRow] = ()) -> Outcome:
    """What could have been, of the traffic first, and then of the backlog on what it leaves. Raises Unsolvable."""
    try:
        import numpy
        from scipy.optimize import linprog
        from scipy.sparse import csr_array
    except ImportError:
        raise Unsolvable("the optimum needs scipy: python -m pip install scipy") from None
    outcome = Outcome(tasks=len(rows))
    backends = list(situation.config.backends.values())
    if not rows:
        return outcome
    start, end = rows[0].at, rows[-1].at
    groups = _groups(rows, situation, ENOUGH // len(backends))
    windows: dict[tuple[str, int, float], int] = {}
    limits: list[float] = [float(group.tasks) for group in groups]
    value: list[float] = []
    pairs: list[tuple[_Group, Backend, Spend]] = []
    data: list[float] = []
    at_row: list[int] = []
    at_column: list[int] = []
    for number, group in enumerate(groups):
        work = situation.work(group.first)
        for backend in backends:
            if unfit(backend, work):
                continue
            column = len(pairs)
            spend = _average(backend, group)
            pairs.append((group, backend, spend))
            value.append(-situation.fit(backend, work))
            data.append(1.0)
            at_row.append(number)
            at_column.append(column)
            for index, quota in enumerate(backend.quota):
                amount = spend.of(quota.unit)
                if not amount:
                    continue
                for window in _windows(quota, group.first.at):
                    place = windows.setdefault((backend.key, index, window), len(limits))
                    if place == len(limits):
                        limits.append(1.0)
                    # In shares of the limit, so that dollars and tokens are of one size to the solver.
                    data.append(amount / quota.limit)
                    at_row.append(place)
                    at_column.append(column)
    matrix = csr_array((data, (at_row, at_column)), shape=(len(limits), len(pairs)))
    solved: Any = linprog(numpy.array(value), A_ub=matrix, b_ub=numpy.array(limits), method="highs")
    if not solved.success:
        raise Unsolvable(f"the optimum was not found: {solved.message}")
    outcome.fit = -float(solved.fun)
    if len(groups) < len(rows):
        prices = {window: -float(solved.ineqlin.marginals[place]) for window, place in windows.items()}
        outcome.fit = max(outcome.fit, _bound(rows, situation, prices))
    parts = solved.x
    if goals:
        table = _Table(value, limits, data, at_row, at_column, windows)
        parts, outcome.goals_fit, backlog = _beside(goals, situation, table, float(solved.fun), start, end)
        traffic = replace(outcome)
        _add_up(traffic, situation, pairs, parts[: len(pairs)], start, end)
        _add_up(outcome, situation, [*pairs, *backlog], parts, start, end)
        outcome.first_choice, outcome.delayed = traffic.first_choice, traffic.delayed
        outcome.backlog = {"goals": len(goals), "steps": sum(len(goal.steps) for goal in goals)}
        outcome.backlog["steps_done"] = round(float(sum(parts[len(pairs) :])))
        return outcome
    _add_up(outcome, situation, pairs, parts, start, end)
    return outcome


@dataclass(slots=True)
class _Table:
    """A linear program under way: what each column is worth, and the entries of its rows."""

    value: list[float]
    limits: list[float]
    data: list[float]
    at_row: list[int]
    at_column: list[int]
    windows: dict[tuple[str, int, float], int]

    def row(self, limit: float) -> int:
        self.limits.append(limit)
        return len(self.limits) - 1

    def put(self, row: int, column: int, amount: float) -> None:
        self.at_row.append(row)
        self.at_column.append(column)
        self.data.append(amount)


def _beside(
    goals: Sequence[GoalRow], situation: Situation, table: _Table, traffic: float, start: float, end: float
) -> tuple[Any, float, list[tuple[_Group, Backend, Spend]]]:
    """The most that the backlog could be served without taking from the traffic, whose value is ``traffic`` (below 0).

    A step has no time of its own: it may be done in any window, as far as the backend's places last. Deadlines and the
    order of steps are left out, which can only make it more.
    """
    import numpy
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    before = len(table.value)
    kept = table.row(traffic * (1.0 - 1e-7))
    for column, value in enumerate(table.value):
        table.put(kept, column, value)
    objective = [0.0] * before
    pairs: list[tuple[_Group, Backend, Spend]] = []
    backends = list(situation.config.backends.values())
    places = {b.key: table.row(1.0) for b in backends}
    for group in _alike([step for goal in goals for step in goal.steps]):
        row, work = table.row(float(group.tasks)), situation.work(group.first)
        for backend in backends:
            if unfit(backend, work) or not group.tasks:
                continue
            spend = _average(backend, group)
            for moment in _moments(backend, start, end):
                column = before + len(pairs)
                pairs.append((group, backend, spend))
                objective.append(-situation.fit(backend, work))
                table.put(row, column, 1.0)
                capacity = backend.max_parallel * max(1.0, end - start)
                table.put(places[backend.key], column, latency(backend, round(spend.output_tokens)) / capacity)
                for index, quota in enumerate(backend.quota):
                    for window in _windows(quota, moment):
                        key = backend.key, index, window
                        if key not in table.windows:
                            table.windows[key] = table.row(1.0)
                        table.put(table.windows[key], column, spend.of(quota.unit) / quota.limit)
    shape = (len(table.limits), len(objective))
    matrix = csr_array((table.data, (table.at_row, table.at_column)), shape=shape)
    solved: Any = linprog(numpy.array(objective), A_ub=matrix, b_ub=numpy.array(table.limits), method="highs")
    if not solved.success:
        raise Unsolvable(f"the optimum with the backlog was not found: {solved.message}")
    return solved.x, -float(solved.fun), pairs


def _moments(backend: Backend, start: float, end: float) -> list[float]:
    """A moment in each of the backend's shortest windows, at most :data:`MOMENTS` of them."""
    shortest = min((length(quota.per) for quota in backend.quota), default=end - start + 1.0)
    count = min(MOMENTS, max(1, math.ceil((end - start) / shortest)))
    return [start + number * (end - start) / count for number in range(count)]


def _alike(steps: Sequence[Row]) -> list[_Group]:
    """Steps of one kind and nearly one size together."""
    found: dict[tuple[Any, ...], _Group] = {}
    for step in steps:
        size = tuple(round(2.0 * math.log2(1 + tokens)) for tokens in (step.input_tokens, step.output_tokens))
        found.setdefault((step.kind, size), _Group(step)).add(step)
    return list(found.values())


def _add_up(
    outcome: Outcome,
    situation: Situation,
    pairs: Sequence[tuple[_Group, Backend, Spend]],
    parts: Iterable[float],
    start: float,
    end: float,
) -> None:
    used: dict[tuple[str, str], float] = {}
    served = 0.0
    for (group, backend, spend), part in zip(pairs, parts, strict=True):
        if part <= 1e-12:
            continue
        served += part
        outcome.cost_usd += spend.usd * part
        outcome.first_choice += part * (backend.key in situation.first_choice(group.first.kind))
        for quota in backend.quota:
            name = (backend.key, str(quota))
            used[name] = used.get(name, 0.0) + spend.of(quota.unit) * part
    outcome.delayed = max(0.0, outcome.tasks - served)
    paid = limit = 0.0
    for backend in situation.config.backends.values():
        for quota in backend.quota:
            total, over = used.get((backend.key, str(quota)), 0.0), Account(quota).limit_over(start, end)
            outcome.used[f"{backend.key}: {quota}"] = (total, over)
            if quota.unit == "usd":
                paid, limit = paid + total, limit + over
    outcome.usd = (paid, limit)


def _average(backend: Backend, group: _Group) -> Spend:
    return spend_of(backend, group.input_tokens / group.tasks, group.output_tokens / group.tasks)


def _bound(rows: Sequence[Row], situation: Situation, prices: Mapping[tuple[str, int, float], float]) -> float:
    """The most that the sum of fit can be, by the prices of whole windows."""
    total = sum(prices.values())
    backends = list(situation.config.backends.values())
    for row in rows:
        work, best = situation.work(row), 0.0
        for backend in backends:
            gain = situation.fit(backend, work)
            if gain <= best or unfit(backend, work):
                continue
            spend = spend_of(backend, row.input_tokens, row.output_tokens)
            for index, quota in enumerate(backend.quota):
                price = sum(prices.get((backend.key, index, window), 0.0) for window in _windows(quota, row.at))
                gain -= price * spend.of(quota.unit) / quota.limit
            best = max(best, gain)
        total += best
    return total


def _groups(rows: Sequence[Row], situation: Situation, enough: int) -> list[_Group]:
    """Each task alone; or, where there are too many, those together that are nearly alike."""
    if len(rows) <= EXACT:
        return [_Group(row, 1, row.input_tokens, row.output_tokens) for row in rows]
    quotas = {quota for backend in situation.config.backends.values() for quota in backend.quota}
    whens = [tuple(_windows(quota, row.at)[-1] for quota in quotas) for row in rows]
    found: dict[tuple[Any, ...], _Group] = {}
    for sizes in SIZES:
        found = {}
        for row, when in zip(rows, whens, strict=True):
            size = tuple(round(sizes * math.log2(1 + tokens)) for tokens in (row.input_tokens, row.output_tokens))
            key = (row.kind, when, situation.work(row).max_tokens, size)
            if key not in found:
                found[key] = _Group(row)
            found[key].add(row)
        if len(found) <= enough:
            break
    return list(found.values())


def _windows(quota: Quota, at: float) -> list[float]:
    """The starts of the windows that a call at ``at`` counts in."""
    if not quota.rolling:
        return [bounds(quota, at)[0]]
    step = length(quota.per) / STRETCHES
    last = math.floor(at / step)
    return [number * step for number in range(last - STRETCHES + 1, last + 1)]
