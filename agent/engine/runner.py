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
from ..core.task import Message, Thought
from ..core.verdict import Verdict
from ..privacy.blindfold import Redacted
from .admission import MAX_RETRY_AFTER, BudgetReached, NotAdmitted
from .continuation import StreamProgress
from .plan import Plan
from .ports import Admission, Chooser, Client, Emit, Journal, Judge, Reservation
from .run import AttemptOutcome, Run

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
    backoff  seconds to wait before the n-th retry, counted from 0
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
    ):
        self._chooser = chooser
        self._admission = admission
        self._client = client
        self._judge = judge
        self._emit = emit
        self._clock = clock
        self._backoff = backoff
        self.journal = journal

    async def run(
        self, plan: Plan, *, attempts: Iterable[Attempt] = (), deliver: Callable[[str], None] | None = None
    ) -> RouteResult:
        """Go from backend to backend until one answers, enough of them decline, or nobody is left.

        attempts  those that were made of an earlier plan of the same task
        deliver   takes the pieces of an answer that is shown as it comes

        Raises AllBackendsFailed.
        """
        run = Run(plan, self._clock.seconds(), attempts, deliver)
        key = plan.first
        run.fallbacks = self._chooser.fallbacks(key) if key else ()
        while key:
            run.tried.add(key)
            outcome = await self._ask(run, key)
            if outcome.answer is not None and self._chooser.settles(run, outcome):
                return self._answered(run, outcome)
            if outcome.failure is FailureCode.REFUSED:
                run.declined = outcome
            key = self._turn(run, key, outcome)
        if run.declined is not None and not plan.alone and not run.shown:
            # Nobody is left to disagree with it.
            return self._answered(run, run.declined)
        raise self._give_up(run)

    # -- one backend ---------------------------------------------------------------------------------------------

    async def _ask(self, run: Run, key: str) -> AttemptOutcome:
        """Ask one backend, again while that makes sense; the last outcome."""
        retry = 0
        while True:
            try:
                reservation = await self._admission.acquire(key, run.plan, run.until)
            except NotAdmitted as obstacle:
                return AttemptOutcome(obstacle.failure, obstacle.reason)
            except BudgetReached as reached:
                raise self._give_up(run, str(reached), BudgetSpent) from None
            outcome = await self._attempt(run, reservation)
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

    async def _attempt(self, run: Run, reservation: Reservation) -> AttemptOutcome:
        """One request, judged and accounted for. Raises AllBackendsFailed where it would have named somebody."""
        plan, backend, task_id = run.plan, reservation.backend, run.plan.task.id
        started = self._clock.seconds()
        number = len(run.attempts) + 1
        self._emit(AttemptStarted(started, task_id, backend.key, number, backend.model, backend.practice))
        continuation = run.continuation
        task = plan.redacted.task if continuation is None else continuation.begin()
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
        outcome = self._outcome(run, backend, started, progress, answer, verdict, failed)
        self._settle(run, reservation, outcome)
        if isinstance(failed, LeakFound):
            # It would be found at every other backend, too.
            self._emit(Leaked(self._clock.seconds(), task_id, backend.key, "request"))
            raise self._give_up(run, failed.reason)
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
            latency_ms=(self._clock.seconds() - started) * 1000.0,
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
            reason="let go of by whoever asked",
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

    def _turn(self, run: Run, key: str, outcome: AttemptOutcome) -> str:
        """Whom to turn to now, and tell of it; empty when that is nobody."""
        failure = outcome.failure
        assert failure is not None
        following = self._chooser.following(run, failure) if self._left(run) > 0 else ""
        if following:
            # The characters that came before it broke off in the middle of its last answer.
            lost = run.attempts[-1].chars if run.attempts and run.attempts[-1].backend == key else 0
            now = self._clock.seconds()
            self._emit(FellBack(now, run.plan.task.id, key, following, failure, outcome.reason, lost))
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
            cost_usd=sum(a.cost_usd for a in run.attempts),
            latency_ms=(now - run.started) * 1000.0,
            content=redacted.restore_content(verdict.content),
            tool_calls=redacted.restore_calls(answer.tool_calls),
            finish_reason=answer.finish_reason,
            refused=attempt.failure is FailureCode.REFUSED,
            partial=verdict.partial,
            practice=attempt.practice,
            thoughts=_restored(redacted, answer.thoughts),
        )
        self._emit(
            Answered(now, run.plan.task.id, result.backend, len(result.attempts), result.latency_ms, result.cost_usd)
        )
        return result

    def _give_up(self, run: Run, why: str = "", how: type[AllBackendsFailed] = AllBackendsFailed) -> AllBackendsFailed:
        skipped = [entry for entry in run.plan.decision.skipped if entry.backend not in run.tried]
        for key in sorted(run.tried - {attempt.backend for attempt in run.attempts}):
            skipped.append(Skipped(key, self._chooser.obstacle(key) or "no free place before the deadline"))
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
        return failed

    def _left(self, run: Run) -> float:
        """Seconds until the task's deadline; infinity where it has none."""
        return run.until - self._clock.seconds()


def _worked(failed: AttemptFailed) -> bool:
    """Whether a provider that reported no tokens has worked for an attempt that failed all the same."""
    return failed.chars > 0 or (failed.failure is FailureCode.TIMEOUT and not isinstance(failed, NotSent))
