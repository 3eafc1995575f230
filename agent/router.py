"""The brain's public API and composition root: choose, ask, judge, fall back.

    router = Router.from_file("configs/backends.yaml", clock=reactor)
    await router.start()                     # health checks, and practice backends when nobody real is there
    router.route(Task("review this diff"))   # "claude"
    router.explain(task)                     # a Decision: why, and why not the others
    result = await router.call_with_fallback(task)
    async for piece in router.stream(task): ...          # the same, piece by piece

    plan = router.plan(task)                 # or in two steps: what is settled before anybody is asked,
    result = await router.run(plan)          # ... and the doing, by the decision that the plan holds

How a task finds its way is in :mod:`agent.engine.runner`; here the parts are put together, and what an operator or a
game needs of them has its doors.
"""

from __future__ import annotations

import gc
import math
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .backend_registry import Registry
from .classify.classifier import Classifier
from .cloud_caller import CloudCaller
from .config.loader import load
from .config.settings import Config, MemorySettings
from .core.attempt import Attempt
from .core.backend import Backend
from .core.clock import Clock
from .core.decision import Decision, Ranked, Skipped, Work
from .core.events import Events, Feedback
from .core.failures import FailureCode
from .core.result import AllBackendsFailed, AnswerBroken, BudgetSpent, ContentFiltered, RouteResult
from .core.task import Message, Task
from .engine.admission import Admission
from .engine.affinity import Affinity
from .engine.answer_stream import AnswerStream
from .engine.decider import Decider
from .engine.health_checker import HealthChecker
from .engine.next_backend import NextBackend
from .engine.plan import Plan
from .engine.ports import Budget, Client, Journal
from .engine.recall import Recall
from .engine.runner import TaskRunner
from .engine.second_opinion import SecondOpinion
from .engine.shadows import Shadows
from .engine.telling import told
from .engine.texts import Acceptance, Made, SameModel, TextsClient, embedder, reranker
from .health import Health
from .judge import judge
from .judge.calibrated import CalibratedJudge
from .judge.checked_schema import check_schema
from .memory import Memory, Store, connect
from .privacy.blindfold import Blindfold, Redacted
from .privacy.names import Names
from .quota import QuotaStatus, QuotaTracker
from .strategies.base import unlimited
from .strategies.learning.table import Row
from .strategies.ranked import Fits, gains, rank
from .wire import dropped
from .wire.texts import Embedded, Reranked

#: Backoff before the n-th retry: a random share (full jitter) of FIRST_DELAY * 2**n, MAX_DELAY at most. Seconds.
#: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
FIRST_DELAY = 0.5
MAX_DELAY = 8.0

#: What a task may want of the memory: to be answered from it; to be asked anew, and its answer kept; neither.
MEMORY = ("use", "fresh", "off")


def warm_up() -> None:
    """Read the judge's data now, and hide what lives as long as the process from the garbage collector.

    For a program's main, once: phrases and automata are a hundred thousand objects that need not be read, nor walked
    through, in the middle of somebody's thought.
    """
    judge("", "ready")
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


class Router:
    """The brain. All methods belong to the reactor thread.

    clock     the reactor, or Twisted's Clock in tests
    random    returns 0 to 1; for the jitter
    client    carries attempts over the wire; None for one of its own
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        classifier: Classifier | None = None,
        random: Callable[[], float] = random.random,
        practice_port: int = 0,
        client: Client | None = None,
    ):
        self.clock = clock
        self.events = Events()
        self.registry = Registry(config, clock, self.events)
        self.classifier = classifier or Classifier.load()
        self.caller = CloudCaller(clock, self._on_headers)
        self.checker = HealthChecker(self.registry, self.caller, clock, self.events, practice_port)
        self._judge = CalibratedJudge(config.judge)
        self._names = Names()
        self._soul: frozenset[str] = frozenset()
        self._blindfold = Blindfold(self._names, config.identity)
        self._random = random
        self._admission = Admission(self.registry, clock)
        self._affinity = Affinity(clock.seconds)
        asked = client or self.caller
        self._fits = Fits(config.rules, self.classifier.suits)
        self._decider = Decider(self.registry, self.classifier, self.rank, clock, self.events, self._affinity)
        self._runner = TaskRunner(
            NextBackend(self.registry, self.rank, self._decider),
            self._admission,
            asked,
            self._judge,
            self.events.emit,
            clock,
            self.backoff,
            second_opinion=SecondOpinion(self._judge, self._admission, asked, self.events.emit, clock),
        )
        self._recall: Recall | None = None
        self._started = False
        self._set_memory(config)

        self._shadows = Shadows(self._runner.run, self._decider.learner, self.events.emit, clock)

    @classmethod
    def from_file(cls, path: str | Path, clock: Clock, **options: Any) -> Router:
        """A router for the backends file at ``path``, its variables from the environment.

        Raises ConfigError with every fault in it.
        """
        return cls(load(path, os.environ), clock, **options)

    def reload(self, config: Config) -> None:
        """Use another config from now on; an attempt under way finishes with what it began with."""
        self.registry.reload(config)
        self._admission.reload()
        self._judge.reload(config.judge)
        self._fits = Fits(config.rules, self.classifier.suits)
        self._decider.reload()
        self._blindfold = Blindfold(self._names, config.identity | self._soul)
        self._set_memory(config)

    def hide(self, terms: Iterable[str] | Names, soul: Iterable[str] = ()) -> None:
        """Set the identity terms that no task may carry out, besides the config's and each task's own.

        ``soul`` are those that must not stand in a prompt or an option of our own either, as the config's must not.
        Where ``terms`` are :class:`Names`, which several routers may share, what is added to them later is hidden from
        that moment on.
        """
        if isinstance(terms, Names):
            self._names = terms
        else:
            self._names.replace(terms)
        self._soul = frozenset(soul)
        self._blindfold = Blindfold(self._names, self.registry.config.identity | self._soul)

    def keep_account(self, journal: Journal | None, budget: Budget | None) -> None:
        """Have every attempt written down by ``journal`` before it leaves, and paid for out of ``budget``.

        A budget with a method ``left(task_id)``, the share that is left, 0 to 1, can be a condition of a strategy.
        """
        self._runner.journal = journal
        self._admission.budgets = (budget,) if budget is not None else ()
        self._decider.world.budget_left = getattr(budget, "left", unlimited)

    def add_budget(self, budget: Budget) -> None:
        """Have every attempt paid for out of ``budget`` as well."""
        if budget not in self._admission.budgets:
            self._admission.budgets = (*self._admission.budgets, budget)

    def _set_memory(self, config: Config) -> None:
        """Remember as ``config`` says; what is known already stays known, unless there is no room for it."""
        settings = config.memory
        if self._recall is not None and settings is not None:
            before = self._recall.memory.settings
            self._recall.memory.reload(settings)
            if (before.store, before.redis) != (settings.store, settings.redis):
                self._open_store(settings)
            return
        self.remember_in(None)
        memory = Memory(settings, self.clock) if settings is not None else None
        self._recall = Recall(memory, self.events.emit, self.clock) if memory is not None else None
        self._runner.learn = self._recall.learn if self._recall is not None else None
        if settings is not None:
            self._open_store(settings)

    def _open_store(self, settings: MemorySettings) -> None:
        """Go to where answers are kept; the game has the way to its database."""
        if self._started:
            redis = settings.store == "redis"
            self.remember_in(connect(settings.redis, settings, self.clock.seconds) if redis else None)

    @property
    def remembers_in(self) -> str:
        """Where the config wants answers kept: ``process``, ``database`` or ``redis``; empty where nothing is kept."""
        settings = self.registry.config.memory
        return settings.store if settings is not None else ""

    def remember_in(self, store: Store | None) -> None:
        """Keep what is learned in ``store`` beside this process's memory, which begins with what is in it."""
        if self._recall is not None:
            self._recall.memory.keep_in(store)

    async def start(self) -> None:
        """Check every backend once, keep checking, and let practice backends take over where nobody real is."""
        self._started = True
        if (settings := self.registry.config.memory) is not None and settings.store == "redis":
            self._open_store(settings)
        await self.checker.start()

    async def stop(self) -> None:
        """End the checks and the comparisons, and close idle connections."""
        self._started = False
        self._shadows.stop()
        self.remember_in(None)
        await self.checker.stop()
        await self.caller.close()

    # -- deciding ------------------------------------------------------------------------------------------------

    def route(self, task: Task | str, strategy: str = "") -> str:
        """The key of the backend that would be asked. Raises AllBackendsFailed when nobody could be.

        strategy  decides instead of ``route:``: one of ``strategies:``, or any by its own name that needs no options;
                  KeyError where there is none of that name
        """
        decision = self.explain(task, strategy)
        if not decision.backend:
            raise AllBackendsFailed((), decision.skipped, "nobody can be asked")
        return decision.backend

    def explain(self, task: Task | str, strategy: str = "") -> Decision:
        """The same with every reason; ``.backend`` is empty when nobody could be asked. Asks nobody."""
        return self.plan(task, strategy=strategy).decision

    def plan(
        self,
        task: Task | str,
        pin: str | None = None,
        *,
        alone: bool = False,
        memory: str = "use",
        strategy: str = "",
        prompts: Mapping[str, str] | None = None,
    ) -> Plan:
        """Settle what can be settled before anybody is asked: redact, classify, decide. For :meth:`run`.

        pin      the backend to ask first, its fallbacks next
        alone    ask that one and nobody else, nor the memory
        memory   one of :data:`MEMORY`
        strategy  decides instead of ``route:``
        prompts  system prompts that stand in for the kinds' own, by kind

        Raises KeyError when ``pin`` is no backend or there is no such strategy, ValueError for an unknown ``memory``,
        and InvalidSchema (a ValueError) when no answer could be held against the schema, before anything is paid.
        """
        task = self._asked(task, pin, memory, strategy)
        blindfold = self._blindfold.plus(task.identity)
        redacted = blindfold.redact(_with_persona(task))
        return self._planned(
            task, redacted, blindfold, pin, alone=alone, memory=memory, strategy=strategy, prompts=prompts or {}
        )

    async def prepare(
        self,
        task: Task | str,
        pin: str | None = None,
        *,
        alone: bool = False,
        memory: str = "use",
        prompts: Mapping[str, str] | None = None,
        strategy: str = "",
    ) -> Plan:
        """The same as :meth:`plan`, in turns with the reactor where the task is long. Raises as that does."""
        task = self._asked(task, pin, memory, strategy)
        blindfold = self._blindfold.plus(task.identity)
        redacted = await blindfold.redact_in_slices(_with_persona(task), self.clock)
        return self._planned(
            task, redacted, blindfold, pin, alone=alone, memory=memory, strategy=strategy, prompts=prompts or {}
        )

    def _asked(self, task: Task | str, pin: str | None, memory: str, strategy: str = "") -> Task:
        if memory not in MEMORY:
            raise ValueError(f"unknown memory {memory!r}; allowed: {', '.join(MEMORY)}")
        if pin is not None:
            self.registry[pin]
        self._decider.strategy(strategy)
        task = Task(task) if isinstance(task, str) else task
        if task.schema is not None:
            check_schema(task.schema)
        return task

    def _planned(
        self,
        task: Task,
        redacted: Redacted,
        blindfold: Blindfold,
        pin: str | None,
        *,
        alone: bool,
        memory: str,
        strategy: str,
        prompts: Mapping[str, str],
    ) -> Plan:
        persona = None
        if task.persona is not None:
            first, *messages = redacted.task.messages
            persona = first.text
            redacted = replace(redacted, task=replace(redacted.task, messages=tuple(messages)))
        decided = self._decider.decide(redacted.task, strategy)
        decision = decided.decision
        own = persona if persona is not None else prompts.get(decision.kind)
        guide = self.classifier.system_prompt(decision.kind) if own is None else own
        system = redacted.explained(guide if task.guided or persona is not None else "")
        question = None
        # What is answered in a part is no answer to the same words elsewhere.
        if self._recall is not None and memory != "off" and not alone and own is None:
            question = self._recall.memory.question(
                redacted.task, decision.kind, practice=decision.practice, fresh=memory == "fresh", pin=pin
            )
            if (known := self._recall.known(question)) is not None:
                decision = replace(decision, memory=known)
        return Plan(
            task, redacted, blindfold, decision, decided.work, system, pin, alone, question, decided.choosing, strategy
        )

    def most_usd(self, plan: Plan) -> float:
        """The most that one answer can cost in USD: the longest one, from the dearest backend that may be asked.

        0 where it is remembered: should it be forgotten meanwhile, each attempt is paid for on its own.
        """
        if plan.decision.memory is not None:
            return 0.0
        backends = [self.registry[entry.backend].backend for entry in plan.decision.ranking]
        return max(map(plan.most_usd, backends), default=0.0)

    def rank(self, work: Work) -> tuple[tuple[Ranked, ...], tuple[Skipped, ...]]:
        """Everyone who can do the work now, best first, and everyone who cannot."""
        registry, config = self.registry, self.registry.config
        now = self.clock.seconds()
        suits = self.classifier.suits
        return rank(work, registry, config.rules, suits, registry.quota, config.headroom, now, self._fits)

    # -- asking --------------------------------------------------------------------------------------------------

    async def call(self, key: str, prompt: Task | str) -> str:
        """Ask one backend and nobody else. Raises KeyError, or AllBackendsFailed with its attempts."""
        plan = await self.prepare(prompt, key, alone=True)
        return (await told(plan, self._run_once(plan), self.events.emit, self.clock)).text

    async def call_with_fallback(
        self, task: Task | str, pin: str | None = None, *, memory: str = "use", strategy: str = ""
    ) -> RouteResult:
        """Have the task done by whoever does it best, or by ``pin`` and its fallbacks, or from memory.

        Raises AllBackendsFailed when nobody gave a usable answer (ContentFiltered when a provider's hard filter
        stopped it), KeyError when ``pin`` is no backend, or ``strategy`` no strategy. Cancelling the
        Deferred closes the connection in use.
        """
        return await self.run(await self.prepare(task, pin, memory=memory, strategy=strategy))

    def stream(
        self,
        task: Task | Plan | str,
        pin: str | None = None,
        mode: str = "whole",
        *,
        memory: str = "use",
        strategy: str = "",
    ) -> AnswerStream:
        """The same, as an asynchronous iterator of pieces of text, with the RouteResult at its end.

        ``whole`` gives nothing before the answer has been judged. ``eager`` gives it as it comes, once its first
        sentence has been judged; when the backend breaks then, one with the capability ``prefill`` continues, or the
        iterator raises AnswerBroken. A task with a schema is always whole. Raises KeyError and ValueError at once.
        """
        given = task if isinstance(task, Plan) else None
        asked = given.task if given is not None else self._asked(task, pin, memory, strategy)  # type: ignore[arg-type]
        if mode not in ("whole", "eager"):
            raise ValueError(f"unknown mode {mode!r}; allowed: whole, eager")
        eager = mode == "eager" and asked.schema is None

        async def think(deliver: Callable[[str], None]) -> RouteResult:
            plan = given or await self.prepare(asked, pin, memory=memory, strategy=strategy)
            return await self.run(plan, deliver=deliver if eager else None)

        return AnswerStream(self.clock, think)

    async def run(
        self, plan: Plan, *, deliver: Callable[[str], None] | None = None, attempts: Iterable[Attempt] = ()
    ) -> RouteResult:
        """Do what was planned. Raises AllBackendsFailed.

        deliver   takes an answer piece by piece as it comes
        attempts  those that were made of the same task before: they are counted on, and are in the result
        """
        return await told(plan, self._known_or_asked(plan, deliver, attempts), self.events.emit, self.clock)

    async def _known_or_asked(
        self, plan: Plan, deliver: Callable[[str], None] | None, attempts: Iterable[Attempt]
    ) -> RouteResult:
        if self._recall is None or plan.question is None or not plan.question.key:
            return await self._ask(plan, deliver, attempts)
        return await self._recall.run(plan, lambda hurried: self._ask(hurried, deliver, attempts))

    async def _ask(
        self, plan: Plan, deliver: Callable[[str], None] | None, attempts: Iterable[Attempt] = ()
    ) -> RouteResult:
        """Have somebody do what was planned; practice backends where nobody real can be reached."""
        try:
            result = await self._run_once(plan, deliver=deliver, attempts=attempts)
            if plan.choosing is not None and plan.choosing.choice.shadow:
                self._shadows.ask(plan, result)
            return result
        except AllBackendsFailed as failed:
            if isinstance(failed, ContentFiltered | AnswerBroken | BudgetSpent):
                raise
            if plan.alone or not self.checker.consider_practice():
                raise
            # Everyone real has just turned out to be unreachable: practice has taken over, so it takes this one too.
            decided = self._decider.decide(plan.redacted.task, plan.strategy)
            again = replace(plan, decision=decided.decision, work=decided.work, choosing=decided.choosing)
            return await self._run_once(again, attempts=failed.attempts, deliver=deliver)

    async def _run_once(
        self, plan: Plan, *, attempts: Iterable[Attempt] = (), deliver: Callable[[str], None] | None = None
    ) -> RouteResult:
        self._note_demand(plan)
        result = await self._runner.run(plan, attempts=attempts, deliver=deliver)
        task = plan.task
        if task.conversation and not result.refused:
            self._affinity.remember(task.conversation, result.backend, result.kind, plan.work.tokens)
        if left_out := dropped(task, self.registry[result.backend].backend) if result.backend in self.registry else ():
            result = replace(result, dropped=left_out)
        return result

    def _note_demand(self, plan: Plan) -> None:
        """Let the quotas know what was wanted, whoever gets to do it."""
        quotas, decision = self.registry.quotas, plan.decision
        if quotas.metered and not decision.practice:
            now, reserve = self.clock.seconds(), self.registry.config.headroom.reserve
            ranking = decision.ranking
            if decision.path:
                # What a quota is worth is a matter of the ranking, whatever order a strategy has made of it.
                ranking = tuple(sorted(ranking, key=lambda entry: -entry.score))
            for key, gain in gains(ranking, decision.skipped):
                quotas[key].wanted(now, plan.work, gain, reserve)

    def _on_headers(self, backend: Backend, headers: Mapping[str, str]) -> None:
        self.registry.quota(backend.key).heard(self.clock.seconds(), headers)

    def backoff(self, retry: int) -> float:
        """Seconds to wait before the ``retry``-th retry, counted from 0."""
        return min(MAX_DELAY, FIRST_DELAY * 2.0**retry) * self._random()

    def feedback(self, task_id: str, attempt: Attempt, *, good: bool, source: str = "feedback") -> None:
        """Take to heart whether the answer of ``attempt`` was good.

        It calibrates what its backend says of itself, and ``learned`` learns from it. A bad one is forgotten, so
        the memory gives it to nobody any more. ``source`` is ``feedback`` for a person's word, ``goal`` for a check
        that was passed or failed.
        """
        if not good and self._recall is not None:
            self._recall.memory.forget_task(task_id)
        self._judge.learn(attempt, good=good)
        if self._decider.learns:
            self._decider.learner.feedback(task_id, attempt, good=good, source=source)
        self.events.emit(Feedback(self.clock.seconds(), task_id, attempt, good))

    async def embed(
        self, texts: Sequence[str], pin: str | None = None, *, dimensions: int | None = None, task: Task | None = None
    ) -> tuple[Embedded, RouteResult]:
        """The vectors of ``texts``, from ``pin`` or whoever makes embeddings, and how they were come by.

        It falls back to backends of the same model only. ``task`` gives what else is known: identity, id. Raises
        KeyError, and AllBackendsFailed.
        """
        turns = tuple(Message("user", text) for text in texts)
        return await self._make(embedder(self.caller, dimensions), turns, pin, "embeddings", task)

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        pin: str | None = None,
        *,
        top: int | None = None,
        task: Task | None = None,
    ) -> tuple[Reranked, RouteResult]:
        """``documents`` by how well they fit ``query``; otherwise like :meth:`embed`."""
        turns = tuple(Message("user", text) for text in (*documents, query))
        return await self._make(reranker(self.caller, top), turns, pin, "rerank", task)

    async def _make(
        self, client: TextsClient[Made], turns: tuple[Message, ...], pin: str | None, need: str, task: Task | None
    ) -> tuple[Made, RouteResult]:
        task = replace(task or Task(), kind="knowledge", guided=False).with_turns(turns)
        plan = self.plan(task, pin)
        work = replace(plan.work, needs=frozenset({need}), max_tokens=1)
        ranking, skipped = self.rank(work)
        first = ranking[0].backend if ranking else ""
        decision = replace(plan.decision, backend=first, ranking=ranking, skipped=skipped)
        chooser = SameModel(self.registry, self.rank, self._decider)
        runner = TaskRunner(
            chooser,
            self._admission,
            client,
            Acceptance(),
            self.events.emit,
            self.clock,
            self.backoff,
            self._runner.journal,
        )
        asked = replace(plan, work=work, decision=decision, choosing=None, question=None)
        result = await told(asked, runner.run(asked), self.events.emit, self.clock)
        assert client.made is not None
        return client.made, result

    def wait(self) -> float | None:
        """Seconds until a backend that cannot be asked now can be again; None where that is unknown, or now."""
        now = self.clock.seconds()
        waits = []
        for health in self.registry:
            key = health.backend.key
            until = max(health.until(), self.registry.quota(key).until(now))
            if until <= now:
                return None
            waits.append(until - now)
        soonest = min(waits, default=math.inf)
        return None if math.isinf(soonest) else soonest

    # -- the backends, for whoever looks after them --------------------------------------------------------------

    @property
    def practising(self) -> bool:
        """Whether simulated backends stand in for real ones."""
        return self.registry.practising

    def strategies(self) -> list[str]:
        """The names that ``strategy`` may have: the config's own first."""
        return self._decider.tree.names()

    def has_strategy(self, name: str) -> bool:
        """Whether ``strategy`` may be this name."""
        try:
            self._decider.tree.named(name)
        except KeyError:
            return False
        return True

    def learned(self) -> list[Row]:
        """What ``learned`` knows, a row for each kind and backend; of simulated ones while they stand in."""
        self._decider.learner.practise(self.registry.practising)
        return self._decider.world.table.rows()

    @property
    def learning_reverted(self) -> str:
        """Why the rules decide instead of what was learned; empty where it decides, or would."""
        return self._decider.world.guard.reverted

    def forget_learned(self, kind: str = "", backend: str = "") -> None:
        """Forget what was learned: all of it, or of a kind, or of a backend."""
        self._decider.learner.reset(kind, backend)

    def experiments(self) -> dict[str, dict[str, Any]]:
        """What came of the arms of every ``split`` so far, by ``name/arm``; see :class:`.strategies.observed.Arm`."""
        return {name: arm.as_dict() for name, arm in sorted(self._decider.world.observed.arms.items())}

    def backend_keys(self) -> list[str]:
        """Every backend's key, in the config's order."""
        return [health.backend.key for health in self.registry]

    def states(self) -> Iterator[Health]:
        """How every backend is, in the config's order."""
        return iter(self.registry)

    def state(self, key: str) -> Health:
        """How the backend ``key`` is. Raises KeyError, naming those there are."""
        return self.registry[key]

    def configured(self, key: str) -> Backend:
        """The backend as the config has it, also while a simulated one stands in. Raises KeyError."""
        return self.registry.real(key)

    def free_places(self, key: str) -> int:
        """How many more attempts may be under way at ``key`` now. Raises KeyError."""
        return self._admission.slot(self.registry[key].backend).tokens

    def quota_status(self, key: str) -> list[QuotaStatus]:
        """How far each quota window of ``key`` is used. Raises KeyError."""
        return self.registry.quotas[key].status(self.clock.seconds())

    def quota_frees_in(self, skipped: Iterable[Skipped]) -> float | None:
        """Seconds until one of ``skipped`` that nothing but its quota kept from being asked has room again.

        None where none of them is such: something else than quota is the obstacle.
        """
        now = self.clock.seconds()
        held = [entry.backend for entry in skipped if entry.worth > 0.0 and entry.backend in self.registry]
        return min((max(1.0, self.registry.quota(key).frees_at(now) - now) for key in held), default=None)

    def set_disabled(self, key: str, disabled: bool) -> None:
        """Ask ``key`` no more, because an admin says so, or ask it again. Raises KeyError."""
        self.registry[key].disabled = disabled

    def reset(self, key: str) -> None:
        """Trust the backend again: close its breaker, end the pause its provider has asked for. Raises KeyError."""
        self.registry.reset(key)

    async def probe(self, key: str) -> str:
        """Check one real backend now: empty when it is well, else what is wrong. Raises KeyError."""
        return await self.checker.probe(key)

    async def probe_all(self) -> dict[str, str]:
        """Check every real backend at once. By key: empty when well, else what is wrong."""
        return await self.checker.probe_all()

    def stage(self, key: str, scenario: str) -> None:
        """Have a simulated backend play ``scenario`` in the place of ``key``; ``real`` ends it.

        Raises KeyError for an unknown backend and ValueError, naming the scenarios, for an unknown scenario.
        """
        self.checker.stage(key, scenario)

    def scenario(self, key: str) -> str:
        """What a simulated backend plays in the place of ``key``; ``real`` where none stands in."""
        return self.checker.scenario(key)

    # -- what must not be forgotten ------------------------------------------------------------------------------

    def kept(self) -> Iterator[tuple[str, str]]:
        """The key and the category (``health``, ``quota``, ``learned``) of everything that has a :meth:`snapshot`."""
        for health in self.registry:
            yield health.backend.key, "health"
            if self.registry.quotas[health.backend.key].windows:
                yield health.backend.key, "quota"
        if self._decider.learns:
            yield "outcomes", "learned"

    def snapshot(self, key: str, category: str) -> dict[str, Any]:
        """The state of ``key`` as plain data, for :meth:`restore`. Raises KeyError."""
        if category == "learned":
            return self._decider.learner.snapshot()
        return (self.registry[key] if category == "health" else self.registry.quotas[key]).snapshot()

    def restore(self, key: str, category: str, kept: Mapping[str, Any]) -> list[str]:
        """Take up a snapshot, also one that a person edited. Returns what could not be used, one line each."""
        if category == "health":
            return self.registry[key].restore(kept)
        if category == "learned":
            return self._decider.learner.restore(kept)
        return self.registry.quotas[key].restore(kept, self.clock.seconds())

    def faults_in(self, key: str, category: str, kept: Mapping[str, Any]) -> list[str]:
        """What of ``kept`` :meth:`restore` could not use, one line each. Takes up nothing. Raises KeyError."""
        backend, now = self.registry[key].backend, self.clock.seconds()
        if category == "health":
            return Health(backend, self.clock.seconds, lambda event: None).restore(kept)
        return QuotaTracker(backend, now).restore(kept, now)

    def replay_attempt(
        self, key: str, kind: str, failure: FailureCode | None, reason: str, latency_ms: float, cost_usd: float
    ) -> None:
        """Let the health of ``key`` know of an attempt of the past that its snapshot does not. Raises KeyError."""
        health = self.registry[key]
        health.attempts += 1
        health.cost_usd += cost_usd
        if failure is None:
            health.succeeded(latency_ms / 1000.0)
        else:
            health.failed(failure, reason)
        if failure in (None, FailureCode.REFUSED):
            health.judged(kind, declined=failure is not None)
        if self._decider.learns:
            self._decider.learner.replay(kind, key, failure)

    def replay_usage(self, at: float, key: str, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        """Count what an attempt of the past used against the quotas of ``key``; in order of time."""
        self.registry.quotas.observe(at, key, input_tokens, output_tokens, cost_usd)

    def calibrations(self) -> dict[str, list[tuple[float, bool]]]:
        """What is known of each backend's own confidence, as plain data, for :meth:`restore_calibrations`."""
        return self._judge.snapshot()

    def restore_calibrations(self, kept: Mapping[str, Iterable[tuple[float, bool]]]) -> None:
        """Take up what :meth:`calibrations` gave."""
        self._judge.restore(kept)


def _with_persona(task: Task) -> Task:
    """``task`` with its persona before its messages, so that one person has one placeholder in both."""
    if task.persona is None:
        return task
    return replace(task, persona=None, messages=(Message("system", task.persona), *task.messages))
