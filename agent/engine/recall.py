"""The memory in the way of a task: before anybody is asked, and after somebody has answered well.

    recall = Recall(memory, emit, clock)
    runner.learn = recall.learn
    recall.known(plan.question)                  # a Recollection or None, at once: for explaining
    result = await recall.run(plan, ask)         # from memory, or by ``ask``; identical tasks at once ask once

Kept are accepted answers alone: whole, without a part declined, whose verdict rather sees no sign of declining, and
which nobody practised unless everybody does. They are kept as they came, without names; each asker gets their own put
back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from twisted.internet.defer import TimeoutError as OutOfTime

from ..core.answer import Usage
from ..core.clock import Clock, within
from ..core.events import Answered, GaveUp, Remembered
from ..core.recollection import Recollection
from ..core.result import AllBackendsFailed, RouteResult
from ..memory import Entry, Found, Memory, Question, Turn
from .plan import Plan
from .ports import Emit
from .run import AttemptOutcome

#: The most that a verdict may see of declining in an answer that is kept (0 to 1).
MAX_SCORE = 0.5

#: Asks somebody.
Ask = Callable[[Plan], Awaitable[RouteResult]]


class Recall:
    """Answers from memory, and learns."""

    def __init__(self, memory: Memory, emit: Emit, clock: Clock):
        self.memory = memory
        self._emit = emit
        self._clock = clock
        #: The tasks that others wait for, with the answer that came of them.
        self._leading: dict[str, Entry | None] = {}

    def known(self, question: Question) -> Recollection | None:
        """What this process would answer from memory."""
        found = self.memory.peek(question)
        return None if found is None else recollection(found)

    async def run(self, plan: Plan, ask: Ask) -> RouteResult:
        """Answer from memory, or have ``ask`` do it once for all who ask the same now. Raises AllBackendsFailed."""
        question, started = plan.question, self._clock.seconds()
        assert question is not None
        found = await self.memory.find(question, plan.task.id)
        if found is not None:
            return self._remembered(plan, found, started)
        if question.fresh:
            return await ask(plan)
        flight = f"{question.key}:{question.pin or ''}"
        turn = await self._turn(plan, flight, started)
        if isinstance(turn, Entry):
            self.memory.note(plan.task.id, turn.key)
            return self._remembered(plan, (turn, 1.0), started)
        plan = self._hurried(plan, started)
        return await (ask(plan) if turn is Turn.ALONE else self._lead(plan, flight, ask))

    async def _turn(self, plan: Plan, flight: str, started: float) -> Entry | Turn:
        """Wait, no longer than the task may take, for whoever asks the same already."""
        deadline = float("inf") if plan.task.deadline is None else plan.task.deadline
        try:
            return await within(self.memory.flights.join(flight), deadline, self._clock)
        except OutOfTime:
            why = f"the deadline of {deadline:g} s passed while somebody else asked the same"
            failed = AllBackendsFailed((), plan.decision.skipped, why)
            self._emit(GaveUp(self._clock.seconds(), plan.task.id, 0, None, failed.explain()))
            raise failed from None

    def _hurried(self, plan: Plan, started: float) -> Plan:
        """``plan`` with what is left of its deadline."""
        waited = self._clock.seconds() - started
        if plan.task.deadline is None or waited <= 0:
            return plan
        return replace(plan, task=replace(plan.task, deadline=plan.task.deadline - waited))

    async def _lead(self, plan: Plan, flight: str, ask: Ask) -> RouteResult:
        """Ask, and tell those who wait."""
        task_id, flights = plan.task.id, self.memory.flights
        self._leading[task_id] = None
        try:
            result = await ask(plan)
        except BaseException:
            del self._leading[task_id]
            flights.failed(flight)
            raise
        entry = self._leading.pop(task_id)
        if entry is not None:
            flights.answered(flight, entry)
        else:
            flights.unkept(flight)
        return result

    def learn(self, plan: Plan, outcome: AttemptOutcome) -> None:
        """Keep the answer that ends a task, where it is good enough to be given to others."""
        question = plan.question
        if question is None or not question.key or not _good(outcome):
            return
        attempt, answer, verdict = outcome.attempt, outcome.answer, outcome.verdict
        assert attempt is not None and answer is not None and verdict is not None
        entry = self.memory.keep(
            question,
            Entry(
                key=question.key,
                kind=attempt.kind,
                text=answer.text,
                backend=attempt.backend,
                model=attempt.model,
                made=self._clock.seconds(),
                until=0.0,
                latency_ms=attempt.latency_ms,
                cost_usd=attempt.cost_usd,
                usage=attempt.usage,
                content=verdict.content,
                score=verdict.score,
                sure=verdict.sure,
                practice=attempt.practice,
            ),
            plan.task.id,
        )
        if plan.task.id in self._leading:
            self._leading[plan.task.id] = entry

    def _remembered(self, plan: Plan, found: Found, started: float) -> RouteResult:
        """The result of a task that nobody is asked."""
        (entry, _), redacted, now = found, plan.redacted, self._clock.seconds()
        result = RouteResult(
            text=redacted.restore(entry.text),
            backend=entry.backend,
            model=entry.model,
            kind=plan.decision.kind,
            attempts=(),
            usage=Usage(),
            cost_usd=0.0,
            latency_ms=(now - started) * 1000.0,
            content=redacted.restore_content(entry.content),
            practice=entry.practice,
            memory=recollection(found),
        )
        assert result.memory is not None
        self._emit(Remembered(now, plan.task.id, result.memory))
        self._emit(Answered(now, plan.task.id, result.backend, 0, result.latency_ms, 0.0))
        return result


def recollection(found: Found) -> Recollection:
    """What is said of an answer from memory."""
    entry, similarity = found
    return Recollection(
        entry.backend,
        entry.model,
        entry.kind,
        entry.made,
        entry.cost_usd,
        entry.latency_ms,
        entry.usage,
        similarity,
        entry.score,
        entry.sure,
        entry.practice,
    )


def _good(outcome: AttemptOutcome) -> bool:
    """Whether an answer may be given to others."""
    answer, verdict = outcome.answer, outcome.verdict
    return (
        outcome.failure is None
        and outcome.attempt is not None
        and answer is not None
        and verdict is not None
        and verdict.accepted
        and not verdict.partial
        and verdict.score <= MAX_SCORE
        and answer.finish_reason == "stop"
        and not answer.tool_calls
        and bool(answer.text.strip())
    )
