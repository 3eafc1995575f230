"""One task on its way: from backend to backend until somebody gives a usable answer.

    result = await runner.run(plan)

Theory of operation
    :meth:`TaskRunner.run` is the whole way. Each backend is asked up to ``retries`` times more while its failures are
    of the kind that pass; then the failure table says whether the task moves on. An answer is judged before anyone
    sees it, although it comes as a stream wherever the backend can: so a backend that dies in mid-sentence is found
    out at once. Who asks for a stream in eager mode sees it after its first sentence, and has it continued by another
    backend when it breaks. Two backends that decline (``max_refusals``) are believed. Everything that happens is told
    as events.

    What the runner needs is passed to it (:mod:`agent.engine.ports`), so it can be tested with fakes and no router.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as OutOfTime

from ..core.answer import Answer, Usage
from ..core.aside import aside
from ..core.attempt import Attempt
from ..core.backend import Backend
from ..core.clock import Clock, sleep, within
from ..core.decision import Skipped
from ..core.events import (
    Answered,
    AttemptCancelled,
    AttemptEnded,
    AttemptStarted,
    FellBack,
    GaveUp,
    Leaked,
    Refused,
    Retrying,
    UsageDoubted,
)
from ..core.failures import HANDLING, AttemptFailed, FailureCode, LeakFound, NotSent
from ..core.pricing import chars_in, cost_usd, estimated_usage, possible, usage_of
from ..core.result import AllBackendsFailed, AnswerBroken, BudgetSpent, ContentFiltered, RouteResult
from ..core.task import Message, Task, Thought
from ..core.verdict import Verdict
from ..judge.agreement import same
from ..privacy.blindfold import Redacted
from ..strategies.choice import Race, Step, Until
from .admission import MAX_RETRY_AFTER, BudgetReached, NotAdmitted
from .continuation import StreamProgress
from .plan import Plan
from .ports import Admission, Chooser, Client, Emit, Journal, Judge, Reservation
from .run import AttemptOutcome, Run
from .second_opinion import SecondOpinion
from .together import Field, race, vote

_LET_GO = "let go of by whoever asked"

#: The temperature of samples of one backend, where the task asks for less: without chance they would all agree.
SAMPLING = 0.7

#: Characters of an answer from which on it takes more than some milliseconds to judge.
_LONG_ANSWER = 5_000

#: What a backend is told that had to call a tool and did not.
_CALL = "Answer by calling one of the tools, with arguments that fit its parameters: {}."


def _was_asked(run: Run, key: str) -> bool:
    """Whether the last attempt was at this backend, and it did not call as it had to."""
    last = run.attempts[-1] if run.attempts else None
    return last is not None and last.backend == key and last.failure is FailureCode.INVALID_OUTPUT


def _restored(redacted: Redacted, thoughts: tuple[Thought, ...]) -> tuple[Thought, ...]:
    """Thoughts with every name put back, but for those that are signed: they must come back as they are."""
    return tuple(t if t.signature or t.sealed else replace(t, text=redacted.restore(t.text)) for t in thoughts)


class TaskRunner:
    """Runs plans.

    journal  None where nothing is written down
    learn    called with every answer that ends a task, before anybody is told of it
    backoff  seconds to wait before the n-th retry, counted from 0
    second_opinion  asked about doubtful answers; None for never
    """

    def __init__(
        self,
        chooser: Chooser,
        admission: Admission,
        client: Client,
        judge: Judge,
        emit: Emit,
        clock: Clock,
        backoff: Callable[[int], float],
        journal: Journal | None = None,
        second_opinion: SecondOpinion | None = None,
    ):
        self._chooser = chooser
        self._admission = admission
        self._client = client
        self._judge = judge
        self._emit = emit
        self._clock = clock
        self._backoff = backoff
        self._second_opinion = second_opinion
        self.journal = journal
        self.learn: Callable[[Plan, AttemptOutcome], None] | None = None

    async def run(
        self, plan: Plan, *, attempts: Iterable[Attempt] = (), deliver: Callable[[str], None] | None = None
    ) -> RouteResult:
        """Go from backend to backend until one answers, enough of them decline, or nobody is left.

        attempts  those that were made of an earlier plan of the same task
        deliver   takes the pieces of an answer that is shown as it comes

        Raises AllBackendsFailed.
        """
        run = Run(plan, self._clock.seconds(), attempts, deliver)
        step = self._chooser.first(plan)
        run.fallbacks = self._chooser.fallbacks(step.keys[0]) if step is not None else ()
        try:
            while step is not None:
                run.tried.update(step.keys)
                outcome = await self._take(run, step)
                if outcome.answer is not None and self._chooser.settles(run, outcome):
                    doubt = "" if step.until is None else await self._doubt(run, step.until, outcome)
                    if not doubt:
                        return self._answered(run, outcome)
                    run.doubted = outcome
                    outcome = replace(outcome, failure=FailureCode.LOW_CONFIDENCE, reason=doubt)
                elif outcome.failure is FailureCode.REFUSED and outcome.answer is not None:
                    run.declined = outcome
                step = self._turn(run, step, outcome)
        except BudgetReached as reached:
            if run.doubted is None:
                raise self._give_up(run, str(reached), BudgetSpent) from None
        except LeakFound as leak:
            # It would be found at every other backend, too.
            raise self._give_up(run, leak.reason) from None
        if run.doubted is not None:
            return self._answered(run, run.doubted)
        if run.declined is not None and not plan.alone and not run.shown:
            # Nobody is left to disagree with it.
            return self._answered(run, run.declined)
        raise self._give_up(run)

    async def _take(self, run: Run, step: Step) -> AttemptOutcome:
        """Ask whom the step names. Raises BudgetReached, LeakFound."""
        if step.how is None:
            return await self._ask(run, step.keys[0], whole=step.until is not None)
        field = Field(lambda key: self._ask(run, key, whole=True), self._clock, run.is_decided)
        if isinstance(step.how, Race):
            return await race(field, step.keys, step.how.after, lambda outcome: outcome.failure is None)
        return await vote(field, step.keys, step.how.by, _same, self._sureness)

    def _sureness(self, outcome: AttemptOutcome) -> float:
        """How sure an answer is, for comparison; by the judge's score where its backend says nothing."""
        assert outcome.verdict is not None and outcome.attempt is not None
        sure = self._judge.sureness(outcome.verdict, outcome.attempt.backend)
        return 0.5 * (1.0 - outcome.verdict.score) if sure is None else sure

    async def _doubt(self, run: Run, until: Until, outcome: AttemptOutcome) -> str:
        """Why an accepted answer is not enough; empty when it is, or when it has been shown."""
        if outcome.failure is not None or outcome.verdict is None or outcome.attempt is None or run.shown:
            return ""
        sure = self._judge.sureness(outcome.verdict, outcome.attempt.backend)
        if until.confidence is not None and sure is not None:
            return "" if sure >= until.confidence else f"{sure:.0%} sure, {until.confidence:.0%} wanted"
        return "" if until.agreement is None else await self._disagreement(run, until, until.agreement, outcome)

    async def _disagreement(self, run: Run, until: Until, wanted: float, outcome: AttemptOutcome) -> str:
        """Why samples of the same backend make its answer doubtful; empty when enough of them agree with it."""
        assert outcome.attempt is not None
        task, agreed = run.plan.redacted.task, 1
        if task.temperature is not None and task.temperature < SAMPLING:
            task = replace(task, temperature=SAMPLING)
        for taken in range(1, until.samples):
            if agreed >= wanted * until.samples or agreed + until.samples - taken < wanted * until.samples:
                break
            sample = await self._ask(run, outcome.attempt.backend, whole=True, task=task)
            agreed += sample.failure is None and _same(sample, outcome)
        enough = agreed >= wanted * until.samples
        return "" if enough else f"{agreed} of {until.samples} samples agree, {wanted:.0%} wanted"

    # -- one backend ---------------------------------------------------------------------------------------------

    async def _ask(self, run: Run, key: str, *, whole: bool = False, task: Task | None = None) -> AttemptOutcome:
        """Ask one backend, again while that makes sense; the last outcome. Raises BudgetReached, LeakFound.

        whole  nothing of the answer may be shown before it is known to count
        task   what to ask instead of the plan's own
        """
        retry = 0
        while True:
            try:
                reservation = await self._admission.acquire(key, run.plan, run.until)
            except NotAdmitted as obstacle:
                run.obstacles[key] = obstacle.reason
                return AttemptOutcome(obstacle.failure, obstacle.reason)
            outcome = await self._attempt(run, reservation, whole=whole, task=task)
            if outcome.answer is not None and self._chooser.settles(run, outcome):
                return outcome
            delay = self._retry_delay(run, reservation.backend, outcome, retry)
            if delay is None:
                return outcome
            assert outcome.failure is not None
            self._emit(Retrying(self._clock.seconds(), run.plan.task.id, key, outcome.failure, delay))
            retry += 1
            await sleep(self._clock, delay)

    def _retry_delay(self, run: Run, backend: Backend, outcome: AttemptOutcome, retry: int) -> float | None:
        """Seconds to wait before this backend is asked again; None when it should not be."""
        failure, wait = outcome.failure, outcome.retry_after or 0.0
        assert failure is not None and outcome.attempt is not None
        if run.plan.task.must_call and failure is FailureCode.INVALID_OUTPUT and retry == 0 and not run.shown:
            # It talked, or called with wrong arguments: asked once more, in words.
            return None if self._chooser.obstacle(backend.key) else 0.0
        if not HANDLING[failure].retry_here or wait > MAX_RETRY_AFTER or retry >= backend.retries:
            return None
        delay = max(self._backoff(retry), wait)
        if delay >= self._left(run) or self._chooser.obstacle(backend.key):
            return None
        # A backend that died in mid-sentence may recover, but somebody else can take over now.
        if run.shown and "prefill" not in backend.capabilities:
            return None
        if outcome.attempt.chars and self._chooser.following(run, failure):
            return None
        return delay

    async def _attempt(
        self, run: Run, reservation: Reservation, *, whole: bool = False, task: Task | None = None
    ) -> AttemptOutcome:
        """One request, judged and accounted for. Raises LeakFound where it would have named somebody."""
        plan, backend, task_id = run.plan, reservation.backend, run.plan.task.id
        started = self._clock.seconds()
        run.begun += 1
        told = (backend.key, run.begun, backend.model, backend.practice, *reservation.expected())
        self._emit(AttemptStarted(started, task_id, *told))
        continuation = None if whole and not run.shown else run.continuation
        task = task or (plan.redacted.task if continuation is None else continuation.begin())
        if reservation.limit is not None and task.max_tokens is None:
            task = replace(task, max_tokens=reservation.limit)
        if task.must_call and _was_asked(run, backend.key):
            task = task.with_turns((*task.turns, Message("user", _CALL.format(", ".join(t.name for t in task.tools)))))
        also = continuation.hear if continuation is not None else None
        progress = StreamProgress(self._emit, self._clock, task_id, backend.key, also)
        answer: Answer | None = None
        verdict: Verdict | None = None
        failed: AttemptFailed | None = None
        asked = False
        try:
            await self._recorded(run)
            started, asked = self._clock.seconds(), True
            answer = await self._client.ask(task, backend, plan.system, plan.blindfold, run.until - started, progress)
            if continuation is not None:
                answer = continuation.complete(answer)
            if plan.task.schema is not None or len(answer.text) > _LONG_ANSWER:
                verdict = await aside(self._clock, self._judge, plan.redacted.task, answer, backend.key)
            else:
                verdict = self._judge(plan.redacted.task, answer, backend.key)
        except AttemptFailed as error:
            failed = error
        except CancelledError:
            self._cancelled(run, reservation, started, progress, asked=asked)
            raise
        except BaseException:
            # Broken: nothing is known to have been used.
            reservation.release()
            raise
        took = self._clock.seconds() - started
        try:
            if self._second_opinion is not None and answer is not None and verdict is not None and not run.shown:
                recorded = self.journal.recorded if self.journal is not None else None
                verdict = await self._second_opinion.consult(plan, run, answer, backend.key, verdict, recorded)
        finally:
            outcome = self._outcome(run, backend, started, took, progress, answer, verdict, failed)
            self._settle(run, reservation, outcome)
        if isinstance(failed, LeakFound):
            self._emit(Leaked(self._clock.seconds(), task_id, backend.key, "request"))
            raise failed
        return outcome

    async def _recorded(self, run: Run) -> None:
        """Wait until the journal has the attempt. Raises NotSent when the deadline passes meanwhile."""
        if self.journal is not None:
            try:
                await within(self.journal.recorded(run.plan.task.id), self._left(run), self._clock)
            except OutOfTime:
                raise NotSent(FailureCode.TIMEOUT, "the deadline passed before it could be asked") from None

    def _outcome(
        self,
        run: Run,
        backend: Backend,
        started: float,
        took: float,
        progress: StreamProgress,
        answer: Answer | None,
        verdict: Verdict | None,
        failed: AttemptFailed | None,
    ) -> AttemptOutcome:
        """What came of the request, as one object."""
        plan, task = run.plan, run.plan.task
        failure: FailureCode | None
        if failed is not None:
            failure, reason, chars = failed.failure, failed.reason, failed.chars
            # What a provider had said by then, or had worked for, is charged.
            usage = failed.usage or (estimated_usage(task, chars) if _worked(failed) else Usage())
        else:
            assert answer is not None and verdict is not None
            failure, reason, chars = verdict.failure, verdict.evidence, chars_in(answer)
            usage = usage_of(task, answer, plan.system)
        believed = possible(usage, backend, plan.work, max(chars, progress.chars))
        attempt = Attempt(
            backend=backend.key,
            model=answer.model if answer is not None and answer.model else backend.model,
            kind=plan.decision.kind,
            failure=failure,
            reason=plan.redacted.restore(reason),
            started=started,
            latency_ms=took * 1000.0,
            usage=believed,
            cost_usd=cost_usd(backend, believed),
            verdict=verdict,
            status=failed.status if failed is not None else 200,
            practice=backend.practice,
            chars=failed.chars if failed is not None else 0,
            first_token_ms=None if progress.began is None else (progress.began - started) * 1000.0,
            reported=None if believed is usage else usage,
        )
        return AttemptOutcome(
            failure,
            attempt.reason,
            attempt,
            answer,
            verdict,
            failed.retry_after if failed is not None else None,
            sent=not isinstance(failed, NotSent),
            blames=not isinstance(failed, LeakFound),
        )

    def _settle(self, run: Run, reservation: Reservation, outcome: AttemptOutcome) -> None:
        """Book the attempt and tell of it."""
        attempt, now, task_id = outcome.attempt, self._clock.seconds(), run.plan.task.id
        assert attempt is not None
        run.attempts.append(attempt)
        self._emit(AttemptEnded(now, task_id, attempt))
        if attempt.reported is not None:
            self._emit(UsageDoubted(now, task_id, attempt))
        # A deadline shorter than the backend's own time-out says nothing of the backend.
        overdue = outcome.failure is FailureCode.TIMEOUT and now >= run.until
        reservation.settle(outcome, overdue=overdue)
        if outcome.failure is FailureCode.REFUSED and outcome.verdict is not None:
            self._emit(Refused(now, task_id, attempt.backend, outcome.verdict.kind, attempt.reason))
        elif outcome.failure is FailureCode.CONTEXT_OVERFLOW:
            run.overflowed = max(run.overflowed, reservation.backend.max_context)

    def _cancelled(
        self, run: Run, reservation: Reservation, started: float, progress: StreamProgress, *, asked: bool
    ) -> None:
        """Book what is known of an attempt that whoever asked has let go of: the provider has begun to work for it."""
        if not asked:
            reservation.release()
            return
        plan, backend, now = run.plan, reservation.backend, self._clock.seconds()
        usage = progress.usage or estimated_usage(plan.task, progress.chars)
        usage = possible(replace(usage, estimated=True), backend, plan.work, progress.chars)
        attempt = Attempt(
            backend=backend.key,
            model=backend.model,
            kind=plan.decision.kind,
            failure=None,
            reason="another one was asked at the same time, and was enough" if run.decided else _LET_GO,
            started=started,
            latency_ms=(now - started) * 1000.0,
            usage=usage,
            cost_usd=cost_usd(backend, usage),
            practice=backend.practice,
            chars=progress.chars,
            first_token_ms=None if progress.began is None else (progress.began - started) * 1000.0,
            cancelled=True,
        )
        run.attempts.append(attempt)
        self._emit(AttemptCancelled(now, plan.task.id, attempt))
        reservation.settle(AttemptOutcome(None, attempt.reason, attempt, sent=True), overdue=False)

    # -- what follows --------------------------------------------------------------------------------------------

    def _turn(self, run: Run, step: Step, outcome: AttemptOutcome) -> Step | None:
        """Whom to turn to now, and tell of it; None when that is nobody."""
        failure = outcome.failure
        assert failure is not None
        following = self._chooser.following(run, failure) if self._left(run) > 0 else None
        if following is not None:
            key = outcome.attempt.backend if outcome.attempt is not None else step.keys[0]
            # The characters that came before it broke off in the middle of its last answer.
            lost = run.attempts[-1].chars if run.attempts and run.attempts[-1].backend == key else 0
            now = self._clock.seconds()
            self._emit(FellBack(now, run.plan.task.id, key, following.keys[0], failure, outcome.reason, lost))
        return following

    def _answered(self, run: Run, outcome: AttemptOutcome) -> RouteResult:
        now, redacted = self._clock.seconds(), run.plan.redacted
        attempt, answer, verdict = outcome.attempt, outcome.answer, outcome.verdict
        assert attempt is not None and answer is not None and verdict is not None
        declined = answer.declined.explanation if answer.declined is not None else ""
        result = RouteResult(
            text=redacted.restore(answer.text or declined),
            backend=attempt.backend,
            model=attempt.model,
            kind=attempt.kind,
            attempts=tuple(run.attempts),
            usage=attempt.usage,
            cost_usd=sum(a.cost_usd for a in (*run.attempts, *run.consulted)),
            latency_ms=(now - run.started) * 1000.0,
            content=redacted.restore_content(verdict.content),
            tool_calls=redacted.restore_calls(answer.tool_calls),
            finish_reason=answer.finish_reason,
            refused=attempt.failure is FailureCode.REFUSED,
            partial=verdict.partial,
            practice=attempt.practice,
            thoughts=_restored(redacted, answer.thoughts),
            path=run.plan.decision.path,
        )
        if self.learn is not None:
            self.learn(run.plan, outcome)
        self._emit(
            Answered(now, run.plan.task.id, result.backend, len(result.attempts), result.latency_ms, result.cost_usd)
        )
        if run.plan.choosing is not None:
            self._chooser.ended(run, outcome)
        return result

    def _give_up(self, run: Run, why: str = "", how: type[AllBackendsFailed] = AllBackendsFailed) -> AllBackendsFailed:
        skipped = [entry for entry in run.plan.decision.skipped if entry.backend not in run.tried]
        for key in sorted(run.tried - {attempt.backend for attempt in run.attempts}):
            obstacle = self._chooser.obstacle(key) or run.obstacles.get(key) or "no free place before the deadline"
            skipped.append(Skipped(key, obstacle))
        if not why and self._left(run) <= 0:
            why = f"the deadline of {run.plan.task.deadline:g} s passed"
        failed: AllBackendsFailed
        if run.continuation is not None and run.shown:
            failed = AnswerBroken(run.attempts, skipped, why, run.continuation.text)
        else:
            filtered = bool(run.attempts) and run.attempts[-1].failure is FailureCode.CONTENT_FILTER
            failed = (ContentFiltered if filtered else how)(run.attempts, skipped, why)
        now, task_id = self._clock.seconds(), run.plan.task.id
        self._emit(GaveUp(now, task_id, len(run.attempts), failed.failure, failed.explain()))
        if run.plan.choosing is not None:
            self._chooser.ended(run, None)
        return failed

    def _left(self, run: Run) -> float:
        """Seconds until the task's deadline; infinity where it has none."""
        return run.until - self._clock.seconds()


def _same(a: AttemptOutcome, b: AttemptOutcome) -> bool:
    """Whether two accepted answers say the same."""
    assert a.answer is not None and b.answer is not None
    return same(a.answer, b.answer, a.verdict, b.verdict)


def _worked(failed: AttemptFailed) -> bool:
    """Whether a provider that reported no tokens has worked for an attempt that failed all the same."""
    return failed.chars > 0 or (failed.failure is FailureCode.TIMEOUT and not isinstance(failed, NotSent))
