"""Replays traffic through one policy on a virtual clock, and adds up what came of it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from ..config.settings import Config
from ..core.backend import Backend
from ..core.decision import Work
from ..core.windows import bounds
from ..quota import QuotaReservation, Spend
from ..strategies.ranked import fit_of, preferred, unfit
from .backlog import Backlog, GoalRow, Running, Worker
from .policies import Policy
from .providers import Provider, latency, spend_of
from .traffic import Row

#: Seconds between two looks for room for the backlog, besides those at the end of each call.
LOOK = 300.0
#: Seconds after the traffic's last row up to which a reset is waited for.
NEAR = 3600.0
#: How many moments of a burn-down are kept.
MOMENTS = 400


@dataclass(slots=True)
class Outcome:
    """What came of a policy.

    fit           the sum of how well each task was served
    first_choice  tasks that were done by a backend of first choice
    delayed       tasks that nobody took
    violations    windows that hold more than their limit
    used          what was used of each quota, and of how much, by ``claude: 100 usd per month``
    backlog       what came of the goals that were worked beside the traffic; None where there were none
    goals_fit     the sum of how well their steps were done
    delay_ms      the longest that a task waited because a step of the backlog had its place
    burn          what was left of the first quota of each backend over time: (seconds since the epoch, 0 to 1)
    """

    tasks: int = 0
    fit: float = 0.0
    first_choice: float = 0.0
    delayed: float = 0.0
    violations: int = 0
    cost_usd: float = 0.0
    used: dict[str, tuple[float, float]] = field(default_factory=dict)
    usd: tuple[float, float] = (0.0, 0.0)
    backlog: dict[str, Any] | None = None
    goals_fit: float = 0.0
    delay_ms: float = 0.0
    burn: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def utilisation(self) -> float:
        """What of the paid quota was used at its reset: of all USD; where none is in USD, of each quota on average."""
        if self.usd[1]:
            return min(1.0, self.usd[0] / self.usd[1])
        shares = [min(1.0, used / limit) for used, limit in self.used.values() if limit]
        return sum(shares) / len(shares) if shares else 0.0

    def figures(self, optimum: Outcome | None) -> dict[str, Any]:
        """The figures of ``--json``; ``of_optimum`` is None where the optimum is not known."""
        best = optimum.fit + optimum.goals_fit if optimum is not None else 0.0
        tasks = max(1, self.tasks)
        unused = {} if self.backlog is None else {"goals": self.backlog, "expired_unused": self.expired()}
        return {
            "utilisation": round(self.utilisation, 4),
            "of_optimum": None
            if optimum is None
            else round(min(1.0, (self.fit + self.goals_fit) / best), 4)
            if best
            else 1.0,
            "violations": self.violations,
            "delayed": round(self.delayed),
            "first_choice": round(self.first_choice / tasks, 4),
            "cost_usd": round(self.cost_usd, 2),
            **unused,
        }

    def expired(self) -> dict[str, float]:
        """The share of each quota that was left at its reset, 0 to 1."""
        shares = {name: used / limit for name, (used, limit) in self.used.items() if limit}
        return {name: round(max(0.0, 1.0 - share), 4) for name, share in shares.items()}


class Situation:
    """What stays the same for every policy: the backends, awake, and how well each does each kind."""

    def __init__(self, config: Config, suits: Mapping[str, frozenset[str]]):
        # What would be, were every key there: nobody is asked in earnest.
        self.config = replace(config, backends={k: replace(b, unconfigured="") for k, b in config.backends.items()})
        self.suits = dict(suits)
        self._fits: dict[tuple[str, str], float] = {}
        self._first: dict[str, frozenset[str]] = {}

    def work(self, row: Row) -> Work:
        """The task that ``row`` stands for. An answer longer than a backend gives must have been asked for."""
        usual = min(backend.max_tokens for backend in self.config.backends.values())
        asked = 1 << (row.output_tokens - 1).bit_length() if row.output_tokens > usual else None
        needs = frozenset({"images"}) if row.kind == "multimodal" else frozenset[str]()
        return Work(row.kind, row.input_tokens, asked, needs)

    def fit(self, backend: Backend, work: Work) -> float:
        """How well the backend does this kind; nothing else about the task matters to it."""
        key = (backend.key, work.kind)
        if key not in self._fits:
            preference = preferred(work.kind, self.config.rules)
            suited = self.suits.get(work.kind, frozenset())
            self._fits[key] = fit_of(backend, work, preference, suited)[0]
        return self._fits[key]

    def first_choice(self, kind: str) -> frozenset[str]:
        """The backend that the rules prefer most; where they prefer none, those that fit best."""
        if kind not in self._first:
            preference = preferred(kind, self.config.rules)[:1]
            if not preference:
                work = Work(kind, 0)
                able = [b for b in self.config.backends.values() if not unfit(b, work)]
                best = max((self.fit(b, work) for b in able), default=0.0)
                preference = [b.key for b in able if self.fit(b, work) >= best]
            self._first[kind] = frozenset(preference)
        return self._first[kind]


def replay(
    rows: Sequence[Row],
    situation: Situation,
    policy: Policy,
    goals: Sequence[GoalRow] = (),
    through: Iterable[Row] | None = None,
) -> Outcome:
    """Send every row through the policy, as ``through`` brings them, and work the backlog of ``goals`` on what is left.

    Of several that are asked at once all are paid, and the best answer counts.
    """
    providers = {key: Provider(backend) for key, backend in situation.config.backends.items()}
    outcome = Outcome(tasks=len(rows))
    #: What ends when: a call of the traffic, a step of the backlog, or a moment at which to look for room (None).
    ends: list[tuple[float, int, _Call | Running | None]] = []
    numbers = count()
    step = (rows[-1].at - rows[0].at) / MOMENTS if rows else 0.0
    next_moment = rows[0].at if rows else 0.0

    def push(end: float, what: _Call | Running | None) -> None:
        heapq.heappush(ends, (end, next(numbers), what))

    worker = Worker(Backlog(goals), policy, providers, situation.work, situation.fit, push) if goals and rows else None
    last = _until(rows, providers) if worker is not None else 0.0

    def finish(until: float) -> None:
        while ends and ends[0][0] <= until:
            end, _, what = heapq.heappop(ends)
            if isinstance(what, _Call):
                providers[what.key].charge(what.began, what.spend)
                policy.ended(what.key, what.work, what.ticket, what.spend, end - what.began)
                if worker is not None:
                    worker.theirs[what.key] -= 1
            elif worker is not None:
                if what is None:
                    push(end + LOOK, None)
                else:
                    worker.ended(what)
                if end < last and (what is None or not what.cancelled):
                    worker.fill(end, what.key if what is not None else "")

    def ask(row: Row, key: str, work: Work) -> bool:
        provider = providers[key]
        closed_until = provider.closed_until(row.at)
        if closed_until > row.at:
            policy.turned_away(row.at, key, closed_until)
            return False
        backend = provider.backend
        if worker is not None:
            worker.make_room(key, row.at)
            worker.theirs[key] += 1
        ticket = policy.begun(row.at, key, work)
        spend = spend_of(backend, row.input_tokens, row.output_tokens)
        end = row.at + latency(backend, row.output_tokens)
        push(end, _Call(row.at, key, work, ticket, spend))
        return True

    if worker is not None:
        push(rows[0].at, None)
    for row in rows if through is None else through:
        finish(row.at)
        if row.at >= next_moment:
            next_moment += max(step, 1e-9)
            _burn(outcome, providers, row.at)
        work = situation.work(row)
        for together in policy.steps(row.at, work):
            asked = [key for key in together if ask(row, key, work)]
            if asked:
                best = max(asked, key=lambda key: situation.fit(providers[key].backend, work))
                outcome.fit += situation.fit(providers[best].backend, work)
                outcome.first_choice += best in situation.first_choice(work.kind)
                break
        else:
            outcome.delayed += 1
    if worker is not None:
        finish(last)
        ends[:] = [entry for entry in ends if entry[2] is not None]
        heapq.heapify(ends)
    finish(float("inf"))
    if worker is not None:
        outcome.backlog, outcome.goals_fit, outcome.delay_ms = worker.figures(), worker.fit_sum, worker.delay_ms
    if rows:
        _burn(outcome, providers, rows[-1].at)
        _add_up(outcome, providers, rows[0].at, rows[-1].at)
    return outcome


@dataclass(slots=True)
class _Call:
    """A call of the traffic that is under way."""

    began: float
    key: str
    work: Work
    ticket: QuotaReservation
    spend: Spend


def _until(rows: Sequence[Row], providers: Mapping[str, Provider]) -> float:
    """Until when the backlog is worked: the end of the traffic, or a reset that comes within the hour."""
    end = rows[-1].at
    resets = [bounds(a.quota, end)[1] for p in providers.values() for a in p.accounts if not a.quota.rolling]
    return max([end, *(reset - 1.0 for reset in resets if reset - end <= NEAR)])


def _burn(outcome: Outcome, providers: Mapping[str, Provider], now: float) -> None:
    for key, provider in providers.items():
        if provider.accounts:
            account = max(provider.accounts, key=lambda a: (a.quota.unit == "usd", a.quota.limit))
            left = max(0.0, 1.0 - account.used_at(now) / account.quota.limit)
            outcome.burn.setdefault(key, []).append((now, left))


def _add_up(outcome: Outcome, providers: Mapping[str, Provider], start: float, end: float) -> None:
    paid = limit = 0.0
    for key, provider in providers.items():
        outcome.violations += provider.violations
        outcome.cost_usd += provider.cost_usd
        for account in provider.accounts:
            over = account.limit_over(start, end)
            outcome.used[f"{key}: {account.quota}"] = (account.total, over)
            if account.quota.unit == "usd":
                paid, limit = paid + account.total, limit + over
    outcome.usd = (paid, limit)
