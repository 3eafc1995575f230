"""The brain's front door: choose, ask, judge, fall back.

    router = Router.from_file("configs/backends.yaml", clock=reactor)
    await router.start()                     # health checks, and practice backends when nobody real is there
    router.route(Task("review this diff"))   # "claude"
    router.explain(task)                     # a Decision: why, and why not the others
    result = await router.call_with_fallback(task)
    async for piece in router.stream(task): ...          # the same, piece by piece

How a task finds its way is in :mod:`agent.engine.runner`; this is the front door, and what all tasks share.
"""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore

from .backend_registry import Registry
from .classify.classifier import Classifier
from .cloud_caller import CloudCaller
from .config.loader import load
from .config.settings import Config
from .core.attempt import Attempt
from .core.backend import Backend
from .core.clock import Clock
from .core.decision import Decision, Ranked, Skipped, Work, work_of
from .core.events import Events, Feedback
from .core.result import AllBackendsFailed, AnswerBroken, BudgetSpent, ContentFiltered, RouteResult
from .core.task import Task
from .engine.answer_stream import AnswerStream
from .engine.health_checker import HealthWatch
from .engine.runner import Drive
from .judge import JudgeSettings, judge
from .judge.calibration import Calibration
from .privacy.blindfold import Blindfold
from .strategies.ranked import rank

#: Backoff before the n-th retry: a random share (full jitter) of FIRST_DELAY * 2**n, MAX_DELAY at most. Seconds.
#: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
FIRST_DELAY = 0.5
MAX_DELAY = 8.0


class Router:
    """The brain's front door. All methods belong to the reactor thread.

    clock     the reactor, or Twisted's Clock in tests
    random    returns 0 to 1; for the jitter
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        classifier: Classifier | None = None,
        random: Callable[[], float] = random.random,
        practice_port: int = 0,
    ):
        self.clock = clock
        self.events = Events()
        self.registry = Registry(config, clock, self.events)
        self.classifier = classifier or Classifier.load()
        self.caller = CloudCaller(clock, self._heard)
        self.watch = HealthWatch(self.registry, self.caller, clock, self.events, practice_port)
        self._hidden: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()
        self._blindfold = Blindfold(soul=config.identity)
        self._random = random
        self._slots: dict[str, DeferredSemaphore] = {}
        #: Awaited with the task's id between the announcement of an attempt and its request, so that whoever keeps
        #: account has it on the disk before anything is spent; it must not fail.
        self.noted: Callable[[str], Deferred[None]] | None = None
        #: Asked before each attempt, with the task's id and the most that the attempt can cost in USD: why it may not
        #: be made, which ends the task, or empty.
        self.allowance: Callable[[str, float], str] = lambda task_id, usd: ""
        #: What is known of each backend's own confidence, by key.
        self.calibrations: dict[str, Calibration] = {}
        self._strictness: dict[str, JudgeSettings] = {}
        # The judge reads its data files when it is first asked; better now than in the middle of a thought.
        judge("", "ready")
        # Phrases and automata are a hundred thousand objects that live as long as the process. Put out of the garbage
        # collector's sight, they need not be walked through in the middle of somebody's thought.
        if not gc.get_freeze_count():
            gc.collect()
            gc.freeze()

    @classmethod
    def from_file(cls, path: str | Path, clock: Clock, **options: Any) -> Router:
        """A router for the backends file at ``path``, its variables from the environment.

        Raises ConfigError with every fault in it.
        """
        return cls(load(path, os.environ), clock, **options)

    def reload(self, config: Config) -> None:
        """Use another config from now on; an attempt under way finishes with what it began with."""
        self.registry.reload(config)
        self._slots.clear()
        self._strictness.clear()
        self.hide(*self._hidden)

    def hide(self, terms: Iterable[str], soul: Iterable[str] = ()) -> None:
        """Set the identity terms that no task may carry out, besides the config's and each task's own.

        ``soul`` are those that must not stand in a prompt or an option of our own either, as the config's must not.
        """
        self._hidden = frozenset(terms), frozenset(soul)
        self._blindfold = Blindfold(self._hidden[0], self.registry.config.identity | self._hidden[1])

    async def start(self) -> None:
        """Check every backend once, keep checking, and let practice backends take over where nobody real is."""
        await self.watch.start()

    async def stop(self) -> None:
        """End the checks and close idle connections."""
        await self.watch.stop()
        await self.caller.close()

    # -- deciding ------------------------------------------------------------------------------------------------

    def route(self, task: Task | str) -> str:
        """The key of the backend that would be asked. Raises AllBackendsFailed when nobody could be."""
        decision = self.explain(task)
        if not decision.backend:
            raise AllBackendsFailed((), decision.skipped, "nobody can be asked")
        return decision.backend

    def explain(self, task: Task | str) -> Decision:
        """The same with every reason; ``.backend`` is empty when nobody could be asked. Asks nobody."""
        return self.decide(_as_task(task))[0]

    def decide(self, task: Task) -> tuple[Decision, Work]:
        """The same, and what counts of the task when a backend is chosen for it."""
        found = self.classifier.classify(task)
        work = work_of(task, found.kind)
        ranking, skipped = self.rank(work)
        decision = Decision(
            backend=ranking[0].backend if ranking else "",
            kind=found.kind,
            confidence=found.confidence,
            ranking=ranking,
            skipped=skipped,
            kind_reasons=found.reasons,
            practice=self.registry.practising,
        )
        return decision, work

    def rank(self, work: Work) -> tuple[tuple[Ranked, ...], tuple[Skipped, ...]]:
        """Everyone who can do the work now, best first, and everyone who cannot."""
        config, quotas = self.registry.config, self.registry.quotas
        now = self.clock.seconds()
        return rank(work, self.registry, config.rules, self.classifier.suits, quotas, config.headroom, now)

    def _heard(self, backend: Backend, headers: Mapping[str, str]) -> None:
        if not backend.practice:
            self.registry.quotas.heard(self.clock.seconds(), backend.key, headers)

    # -- asking --------------------------------------------------------------------------------------------------

    async def call(self, key: str, prompt: Task | str) -> str:
        """Ask one backend and nobody else. Raises KeyError, or AllBackendsFailed with its attempts."""
        self.registry[key]
        return (await Drive(self, _as_task(prompt), pin=key, alone=True).run()).text

    async def call_with_fallback(self, task: Task | str, pin: str | None = None) -> RouteResult:
        """Have the task done by whoever does it best, or by ``pin`` and its fallbacks.

        Raises AllBackendsFailed when nobody gave a usable answer (ContentFiltered when a provider's hard filter
        stopped it), KeyError when ``pin`` is no backend. Cancelling the Deferred closes the connection in use.
        """
        task = _as_task(task)
        if pin is not None:
            self.registry[pin]
        return await self._think(task, pin)

    def stream(self, task: Task | str, pin: str | None = None, mode: str = "whole") -> AnswerStream:
        """The same, as an asynchronous iterator of pieces of text, with the RouteResult at its end.

        ``whole`` gives nothing before the answer has been judged. ``eager`` gives it as it comes, once its first
        sentence has been judged; when the backend breaks then, one with the capability ``prefill`` continues, or the
        iterator raises AnswerBroken. A task with a schema is always whole. Raises KeyError and ValueError at once.
        """
        task = _as_task(task)
        if pin is not None:
            self.registry[pin]
        if mode not in ("whole", "eager"):
            raise ValueError(f"unknown mode {mode!r}; allowed: whole, eager")
        eager = mode == "eager" and task.schema is None
        return AnswerStream(self.clock, lambda deliver: self._think(task, pin, deliver if eager else None))

    async def _think(self, task: Task, pin: str | None, deliver: Callable[[str], None] | None = None) -> RouteResult:
        try:
            return await Drive(self, task, pin, deliver=deliver).run()
        except AllBackendsFailed as failed:
            if isinstance(failed, ContentFiltered | AnswerBroken | BudgetSpent) or not self.watch.consider_practice():
                raise
            # Everyone real has just turned out to be unreachable: practice has taken over, so it takes this one too.
            return await Drive(self, task, pin, failed.attempts, deliver=deliver).run()

    def feedback(self, task_id: str, attempt: Attempt, *, good: bool) -> None:
        """Take to heart whether the answer of ``attempt`` was good: it calibrates what its backend says of itself."""
        if attempt.verdict is not None and attempt.verdict.sure is not None:
            self.calibrations.setdefault(attempt.backend, Calibration()).add(attempt.verdict.sure, right=good)
            self._strictness.pop(attempt.backend, None)
        self.events.emit(Feedback(self.clock.seconds(), task_id, attempt, good))

    def strictness(self, key: str) -> JudgeSettings:
        """How the judge reads this backend's answers: the config's settings, and its calibration."""
        settings = self._strictness.get(key)
        if settings is None:
            settings = JudgeSettings.from_mapping(self.registry.config.judge.get(key, {}))
            if key in self.calibrations:
                settings = replace(settings, temperature=self.calibrations[key].temperature)
            self._strictness[key] = settings
        return settings

    def slot(self, backend: Backend) -> DeferredSemaphore:
        """The ``max_parallel`` places of a backend; who waits for one gets it first come, first served."""
        if backend.key not in self._slots:
            self._slots[backend.key] = DeferredSemaphore(backend.max_parallel)
        return self._slots[backend.key]

    def backoff(self, retry: int) -> float:
        """Seconds to wait before the ``retry``-th retry, counted from 0."""
        return min(MAX_DELAY, FIRST_DELAY * 2.0**retry) * self._random()

    @property
    def blindfold(self) -> Blindfold:
        return self._blindfold


def _as_task(task: Task | str) -> Task:
    return Task(task) if isinstance(task, str) else task
