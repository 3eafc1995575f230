"""Decides whom to ask: the plain ranking, or a tree of strategies over it.

    decided = decider.decide(task, "")               # by ``route:``; or by the strategy of that name
    decided.decision, decided.work, decided.choosing

Whatever a strategy says, nobody is asked who is not in the ranking: that is the one place which knows whom a task may
go to. Where no tree is in use, nothing here costs a task any time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from ..backend_registry import Registry
from ..classify.classifier import Classifier
from ..core.clock import Clock
from ..core.decision import Decision, Ranked, Skipped, Work, work_of
from ..core.events import AttemptEnded, AttemptStarted, Event, Events
from ..core.task import Task
from ..strategies.base import Look, Strategy, World
from ..strategies.choice import Choice
from ..strategies.tree import Tree
from .affinity import Affinity, prefer
from .learner import Learner
from .plan import Choosing
from .run import AttemptOutcome, Run

#: Everyone who can do the work now, best first, and everyone who cannot.
Ranking = Callable[[Work], tuple[tuple[Ranked, ...], tuple[Skipped, ...]]]


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and what it takes to go on from it. ``choosing`` is None for the plain ranking."""

    decision: Decision
    work: Work
    choosing: Choosing | None = None


class Decider:
    """The decisions of one router. ``world`` is what its strategies know."""

    def __init__(
        self,
        registry: Registry,
        classifier: Classifier,
        rank: Ranking,
        clock: Clock,
        events: Events,
        affinity: Affinity | None = None,
    ):
        self._affinity = affinity if affinity is not None else Affinity(clock.seconds)
        self._registry = registry
        self._classifier = classifier
        self._rank = rank
        self._clock = clock
        self._events = events
        self.world = World(registry.config, registry.__getitem__, registry.quota, classifier.suits)
        self.learner = Learner(self.world, events.emit, clock)
        self.reload()

    def reload(self) -> None:
        """The registry's config is another. What has been observed stays."""
        self.world.use(self._registry.config)
        self.tree = Tree(self._registry.config)
        if self.learns:
            self._listen()

    @property
    def learns(self) -> bool:
        """Whether what happens is learned from: a game without strategies is spared that."""
        config = self._registry.config
        return bool(self.tree.route is not None or config.strategies or self.world.table.total)

    def strategy(self, name: str) -> Strategy | None:
        """The strategy called ``name``; empty means the route, and None is the plain ranking. Raises KeyError."""
        if not name:
            return self.tree.route
        found = self.tree.named(name)
        self._listen()
        return found

    def decide(self, task: Task, strategy: str = "") -> Decided:
        """Whom to ask for ``task``, which holds no names any more. Raises KeyError for an unknown strategy."""
        using = self.strategy(strategy)
        place = self._affinity.of_task(task)
        if place is not None and task.kind is None and not task.prompt:
            # Between a tool's result and the next call no new work begins.
            task = replace(task, kind=place.kind)
        found = self._classifier.classify(task)
        work = work_of(task, found.kind)
        if place is not None and self._affinity.warm(place):
            work = replace(work, cached=((place.backend, min(place.tokens, work.tokens)),))
        ranking, skipped = self._rank(work)
        if place is not None and using is None:
            # A strategy that wants the same is called ``sticky``.
            ranking = prefer(ranking, place.backend)
        choosing = None
        backend = ranking[0].backend if ranking else ""
        path: tuple[str, ...] = ()
        if using is not None:
            self.learner.practise(self._registry.practising)
            look = self._look(task, work, ranking, found.scores)
            choice = using.choose(look)
            choosing = Choosing(using, choice, found.scores)
            backend, path = choice.first, choice.path
            ranking, skipped = _ordered(choice, look.able, skipped)
        decision = Decision(
            backend=backend,
            kind=found.kind,
            confidence=found.confidence,
            ranking=ranking,
            skipped=skipped,
            kind_reasons=found.reasons,
            practice=self._registry.practising,
            path=path,
        )
        return Decided(decision, work, choosing)

    def again(self, choosing: Choosing, task: Task, work: Work, able: Collection[Ranked]) -> Choice:
        """What the strategy says now, of those ``able``."""
        return choosing.strategy.choose(self._look(task, work, able, choosing.kinds))

    def ended(self, run: Run, outcome: AttemptOutcome | None) -> None:
        """A task for which a strategy has decided is over, with this answer or with none."""
        choosing = run.plan.choosing
        assert choosing is not None
        choice, now = choosing.choice, self._clock.seconds()
        attempt = outcome.attempt if outcome is not None else None
        self.learner.ended(run, outcome)
        if choice.token and attempt is not None and attempt.failure is None:
            self.world.observed.stick(choice.token, attempt.backend, now)
        if choice.arm:
            cost = sum(each.cost_usd for each in run.attempts)
            # Where an arm fails, another may answer; that is no success of this one.
            good = attempt is not None and attempt.failure is None and attempt.backend in choice.keys
            self.world.observed.compare(choice.arm, accepted=good, cost_usd=cost, seconds=now - run.started)

    def _look(self, task: Task, work: Work, ranking: Collection[Ranked], kinds: tuple[tuple[str, float], ...]) -> Look:
        able = {entry.backend: entry for entry in ranking}
        return Look(task, work, able, self.world, self._clock.seconds(), kinds)

    def _listen(self) -> None:
        self._events.subscribe(self._heard)

    def _heard(self, event: Event) -> None:
        if isinstance(event, AttemptStarted):
            self.world.observed.begun(event.backend)
        elif isinstance(event, AttemptEnded):
            self.world.observed.ended(event.attempt)
            self.learner.heard(event)


def _ordered(
    choice: Choice, able: Mapping[str, Ranked], skipped: tuple[Skipped, ...]
) -> tuple[tuple[Ranked, ...], tuple[Skipped, ...]]:
    """The ranking in the order of the choice; whom it leaves out is skipped, and so said."""
    keys = choice.keys
    left_out = tuple(
        Skipped(key, "not in the branch that was taken", entry.worth) for key, entry in able.items() if key not in keys
    )
    ranking = tuple(able[key] for key in keys)
    if choice.steps and len(together := choice.steps[0].keys) > 1:
        at_once = f"asked together with {len(together) - 1} more"
        ranking = tuple(
            replace(entry, reasons=(*entry.reasons, at_once)) if entry.backend in together else entry
            for entry in ranking
        )
    return ranking, (*skipped, *left_out)
