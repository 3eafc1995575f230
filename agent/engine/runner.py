"""One task on its way: the loop that goes from backend to backend until somebody gives a usable answer.

Theory of operation
    A :class:`Drive` veils the task once, then goes from backend to backend: each is asked up to ``retries`` times more
    while its failures are of the kind that pass; then the failure table says whether the task moves on. An answer is
    judged before anyone sees it, although it comes as a stream wherever the backend can: so a brain that dies in
    mid-sentence is found out at once. Who asks for a stream in eager mode sees it after its first sentence, and has it
    continued by another backend when it breaks. Two brains that decline (``max_refusals``) are believed. Everything
    that happens is told through ``router.events`` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import TimeoutError as OutOfTime

from ..cloud_caller import LeakFound, NotSent
from ..core.answer import Answer, Usage
from ..core.attempt import Attempt
from ..core.backend import Backend
from ..core.clock import sleep, within
from ..core.decision import Skipped
from ..core.events import Answered, AttemptEnded, AttemptStarted, Event, FellBack, GaveUp, Leaked, Refused, Retrying
from ..core.failures import POLICIES, AttemptFailed, Failure
from ..core.pricing import cost_usd, usage_of
from ..core.result import AllBackendsFailed, AnswerBroken, BudgetSpent, ContentFiltered, RouteResult
from ..core.task import Task
from ..core.verdict import Verdict
from ..health.breaker import Health
from ..judge import judge
from ..quota import Meter, Spend, Ticket
from ..strategies.ranked import gains
from .continuation import Hearing, Release

if TYPE_CHECKING:
    from ..router import Router

#: A provider that asks for a longer wait than this (seconds) is left alone; the task moves on.
MAX_RETRY_AFTER = 5.0
#: Tokens that a provider's tokenizer may make of an estimated one, when an attempt's cost is bounded before it.
INPUT_MARGIN = 1.5
#: Failures after which a provider has counted nothing against a quota: the request was turned away or never arrived.
_UNCOUNTED = (Failure.NETWORK, Failure.RATE_LIMITED, Failure.QUOTA_EXHAUSTED)


class Drive:
    """One task on its way."""

    def __init__(
        self,
        router: Router,
        task: Task,
        pin: str | None = None,
        attempts: Iterable[Attempt] = (),
        *,
        alone: bool = False,
        deliver: Callable[[str], None] | None = None,
    ):
        self.router = router
        self.registry = router.registry
        self.clock = router.clock
        self.started = self.clock.seconds()
        self.blindfold = router.blindfold.plus(task.identity)
        self.veiled = self.blindfold.veil(task)
        self.task = task
        self.decision, self.work = router.decide(self.veiled.task)
        if self.registry.quotas.metered and not self.decision.practice:
            reserve = self.registry.config.headroom.reserve
            for key, gain in gains(self.decision.ranking, self.decision.skipped):
                self.registry.quotas[key].wanted(self.started, self.work, gain, reserve)
        self.system = router.classifier.system_prompt(self.decision.kind)
        self.pin = pin
        self.alone = alone
        self.release = Release(self.veiled, deliver) if deliver is not None else None
        self.fallbacks: tuple[str, ...] = ()
        self.attempts = list(attempts)
        self.tried: set[str] = set()
        self.overflowed = 0

    async def run(self) -> RouteResult:
        """Go from backend to backend until one answers, the brains agree to decline, or nobody is left."""
        key = self.pin or self.decision.backend
        self.fallbacks = self.registry[key].backend.fallbacks if key else ()
        while key:
            self.tried.add(key)
            result, failure, reason = await self._ask(key)
            if result is not None:
                return result
            following = self._following(failure)
            if following:
                lost = self._words_lost(key)
                self._emit(FellBack(self.clock.seconds(), self.task.id, key, following, failure, reason, lost))
            key = following
        raise self._give_up()

    def _following(self, failure: Failure) -> str:
        """Whom to turn to now; empty when that is nobody."""
        if self.alone or self._time_left() <= 0 or not self._falls_back(failure):
            return ""
        ranking, _ = self.router.rank(self.work)
        able = [entry.backend for entry in ranking if entry.backend not in self.tried]
        if self.fallbacks:
            able = [key for key in self.fallbacks if key in able]
        able = [key for key in able if self.registry[key].backend.max_context > self.overflowed]
        if failure is Failure.LOW_CONFIDENCE:
            # Providers price by strength, so a dearer model is the stronger one; where there is none, the next best.
            price = self.registry.real(self.attempts[-1].backend).price.output
            able.sort(key=lambda key: self.registry.real(key).price.output <= price)
        if self._shown:
            able = [key for key in able if "prefill" in self.registry[key].backend.capabilities]
        return able[0] if able else ""

    def _falls_back(self, failure: Failure) -> bool:
        if failure is Failure.CONTENT_FILTER:
            return self.registry.config.content_filter == "reroute"
        return POLICIES[failure].fall_back

    @property
    def _shown(self) -> bool:
        """Whether a beginning of the answer has been shown already, which the next backend must continue."""
        return self.release is not None and bool(self.release.given)

    def _words_lost(self, key: str) -> int:
        """The characters that came before ``key`` broke off in the middle of its last answer."""
        return self.attempts[-1].words if self.attempts and self.attempts[-1].backend == key else 0

    # -- one backend ---------------------------------------------------------------------------------------------

    async def _ask(self, key: str) -> tuple[RouteResult | None, Failure, str]:
        """Ask one backend, again while that makes sense. The result, or the last failure and its reason."""
        health = self.registry[key]
        retry = 0
        while True:
            slot = self.router.slot(health.backend)
            try:
                await within(slot.acquire(), self._time_left(), self.clock)
            except OutOfTime:
                return None, Failure.TIMEOUT, "the deadline passed while waiting for a free place"
            try:
                if self._time_left() <= 0:
                    return None, Failure.TIMEOUT, "the deadline passed before it could be asked"
                if obstacle := health.available():
                    return None, Failure.OVERLOADED, obstacle
                meter = self._meter(health.backend)
                if meter is not None and (obstacle := meter.obstacle(self.clock.seconds(), self.work)):
                    return None, Failure.QUOTA_EXHAUSTED, obstacle
                if why := self.router.allowance(self.task.id, self._dearest(health.backend)):
                    raise self._give_up(why, BudgetSpent)
                attempt, answer, verdict, retry_after = await self._attempt(health)
            finally:
                slot.release()
            if answer is not None and verdict is not None and self._settles(attempt):
                return self._result(attempt, answer, verdict), Failure.REFUSED, ""
            assert attempt.failure is not None
            delay = self._delay(attempt.failure, retry, retry_after)
            if delay is None or retry >= health.backend.retries or health.available() or self._moves_on(attempt):
                return None, attempt.failure, attempt.reason
            self._emit(Retrying(self.clock.seconds(), self.task.id, key, attempt.failure, delay))
            retry += 1
            await sleep(self.clock, delay)

    def _dearest(self, backend: Backend) -> float:
        """The most that an attempt can cost in USD: the longest answer, and input with a margin."""
        if backend.practice:
            return 0.0
        longest = backend.max_tokens if self.work.max_tokens is None else self.work.max_tokens
        asked = round(self.work.tokens * INPUT_MARGIN + len(self.system) / 4)
        return cost_usd(backend, Usage(asked, longest))

    def _delay(self, failure: Failure, retry: int, retry_after: float | None) -> float | None:
        """Seconds to wait before this backend is asked again; None when it should not be."""
        if not POLICIES[failure].retry_here or (retry_after or 0.0) > MAX_RETRY_AFTER:
            return None
        delay = max(self.router.backoff(retry), retry_after or 0.0)
        return delay if delay < self._time_left() else None

    def _moves_on(self, attempt: Attempt) -> bool:
        """Whether somebody else should take over from a backend that died in mid-sentence, although it may recover."""
        backend = self.registry[attempt.backend].backend
        if self._shown and "prefill" not in backend.capabilities:
            return True
        return bool(attempt.words) and attempt.failure is not None and bool(self._following(attempt.failure))

    async def _attempt(self, health: Health) -> tuple[Attempt, Answer | None, Verdict | None, float | None]:
        """One request: the attempt, the answer and its verdict where there are any, and the provider's Retry-After."""
        backend, number = health.backend, len(self.attempts) + 1
        self._emit(
            AttemptStarted(self.clock.seconds(), self.task.id, backend.key, number, backend.model, backend.practice)
        )
        started = self.clock.seconds()
        answer: Answer | None = None
        verdict: Verdict | None = None
        failed: AttemptFailed | None = None
        meter = self._meter(backend)
        ticket = meter.reserve(started, self.work) if meter is not None else Ticket()
        release = self.release
        task = self.veiled.task if release is None else release.begin()
        hearing = Hearing(self._emit, self.clock, self.task.id, backend.key, release.hear if release else None)
        health.begin()
        try:
            await self._noted()
            started = self.clock.seconds()
            answer = await self.router.caller.ask(
                task, backend, self.system, self.blindfold, self._time_left(), hearing
            )
            if release is not None:
                answer = release.complete(answer)
            verdict = judge(self.veiled.task, answer, self.router.strictness(backend.key))
        except AttemptFailed as error:
            failed = error
        except BaseException:
            # Cancelled, or broken: nothing is known to have been used.
            ticket.release()
            raise
        finally:
            health.end()
        took = self.clock.seconds() - started
        failure: Failure | None
        if failed is not None:
            # A provider that had reported tokens by then charges for them.
            failure, reason, usage = failed.failure, failed.reason, failed.usage or Usage()
        else:
            assert answer is not None and verdict is not None
            failure, reason, usage = verdict.failure, verdict.evidence, usage_of(self.task, answer)
        attempt = Attempt(
            backend=backend.key,
            model=answer.model if answer is not None and answer.model else backend.model,
            kind=self.decision.kind,
            failure=failure,
            reason=self.veiled.unveil(reason),
            started=started,
            latency_ms=took * 1000.0,
            usage=usage,
            cost_usd=0.0 if failure is not None and usage.estimated else cost_usd(backend, usage),
            verdict=verdict,
            status=failed.status if failed is not None else 200,
            practice=backend.practice,
            words=failed.words if failed is not None else 0,
            first_token_ms=None if hearing.began is None else (hearing.began - started) * 1000.0,
        )
        self.attempts.append(attempt)
        self._settle_quota(ticket, backend, attempt, failed)
        self._account(health, attempt, took, failed)
        if isinstance(failed, LeakFound):
            # It would be found at every other backend, too.
            self._emit(Leaked(self.clock.seconds(), self.task.id, attempt.backend, "request"))
            raise self._give_up(failed.reason)
        return attempt, answer, verdict, failed.retry_after if failed is not None else None

    async def _noted(self) -> None:
        """Wait until whoever keeps account has the attempt. Raises NotSent when the deadline passes meanwhile."""
        if self.router.noted is not None:
            try:
                await within(self.router.noted(self.task.id), self._time_left(), self.clock)
            except OutOfTime:
                raise NotSent(Failure.TIMEOUT, "the deadline passed before it could be asked") from None

    def _account(self, health: Health, attempt: Attempt, took: float, failed: AttemptFailed | None) -> None:
        """Let health and listeners know of an attempt that is over."""
        now = self.clock.seconds()
        health.cost_usd += attempt.cost_usd
        self._emit(AttemptEnded(now, self.task.id, attempt))
        if attempt.failure is None:
            health.succeeded(took)
        elif not isinstance(failed, LeakFound) and not (attempt.failure is Failure.TIMEOUT and self._time_left() <= 0):
            # A deadline shorter than the backend's own time-out says nothing of the backend.
            wait = failed.retry_after if failed is not None else None
            health.failed(attempt.failure, attempt.reason, wait)
            if wait is not None and wait > MAX_RETRY_AFTER and POLICIES[attempt.failure].retry_here:
                health.rest(wait)
        if attempt.failure in (None, Failure.REFUSED):
            health.judged(attempt.kind, declined=attempt.failure is not None)
        if attempt.failure is Failure.REFUSED and attempt.verdict is not None:
            how = attempt.verdict.kind
            self._emit(Refused(now, self.task.id, attempt.backend, how, attempt.reason))
        elif attempt.failure is Failure.CONTEXT_OVERFLOW:
            self.overflowed = max(self.overflowed, health.backend.max_context)

    def _meter(self, backend: Backend) -> Meter | None:
        """What is counted of ``backend``: nothing in practice, nor when a reload has taken it away meanwhile."""
        return None if backend.practice else self.registry.quotas.get(backend.key)

    def _settle_quota(self, ticket: Ticket, backend: Backend, attempt: Attempt, failed: AttemptFailed | None) -> None:
        """Put the reservation right by what the attempt used, and heed what the provider said of its quota."""
        usage = attempt.usage
        if attempt.failure in _UNCOUNTED or isinstance(failed, NotSent):
            ticket.release()
        else:
            ticket.settle(Spend(1, usage.input_tokens, usage.output_tokens, attempt.cost_usd))
        meter, now = self._meter(backend), self.clock.seconds()
        if meter is None:
            return
        if failed is None and not usage.estimated:
            meter.estimate.learn(self.work, usage.input_tokens, usage.output_tokens)
        elif attempt.failure is Failure.QUOTA_EXHAUSTED:
            meter.exhausted(now, failed.retry_after if failed is not None else None)
        elif failed is not None and attempt.failure is Failure.RATE_LIMITED and failed.retry_after:
            meter.hold(now, failed.retry_after)

    # -- how it ends ---------------------------------------------------------------------------------------------

    def _settles(self, attempt: Attempt) -> bool:
        """Whether the road ends here: with an answer, or because enough brains have declined.

        Words that have been shown cannot be taken back, so what came after them is told with them.
        """
        if attempt.failure is None or self._shown:
            return True
        if attempt.failure is not Failure.REFUSED:
            return False
        source = attempt.verdict.source if attempt.verdict is not None else "prose"
        reroute, enough = self.registry.config.refusals.rule(attempt.kind, attempt.backend, source)
        declined = {a.backend for a in self.attempts if a.failure is Failure.REFUSED}
        return not reroute or len(declined) >= enough

    def _result(self, attempt: Attempt, answer: Answer, verdict: Verdict) -> RouteResult:
        now = self.clock.seconds()
        declined = answer.declined.explanation if answer.declined is not None else ""
        result = RouteResult(
            text=self.veiled.unveil(answer.text or declined),
            backend=attempt.backend,
            model=attempt.model,
            kind=attempt.kind,
            attempts=tuple(self.attempts),
            usage=attempt.usage,
            cost_usd=sum(a.cost_usd for a in self.attempts),
            latency_ms=(now - self.started) * 1000.0,
            content=self.veiled.unveil_content(verdict.content),
            tool_calls=self.veiled.unveil_calls(answer.tool_calls),
            finish=answer.finish,
            refused=attempt.failure is Failure.REFUSED,
            partial=verdict.partial,
            practice=attempt.practice,
        )
        self._emit(
            Answered(now, self.task.id, result.backend, len(result.attempts), result.latency_ms, result.cost_usd)
        )
        return result

    def _give_up(self, why: str = "", how: type[AllBackendsFailed] = AllBackendsFailed) -> AllBackendsFailed:
        skipped = [entry for entry in self.decision.skipped if entry.backend not in self.tried]
        for key in sorted(self.tried - {attempt.backend for attempt in self.attempts}):
            obstacle = self.registry[key].available() if key in self.registry else "no longer configured"
            skipped.append(Skipped(key, obstacle or "no free place before the deadline"))
        filtered = bool(self.attempts) and self.attempts[-1].failure is Failure.CONTENT_FILTER
        if not why and self._time_left() <= 0:
            why = f"the deadline of {self.task.deadline:g} s passed"
        failed: AllBackendsFailed
        if self.release is not None and self._shown:
            failed = AnswerBroken(self.attempts, skipped, why, self.release.text)
        else:
            failed = (ContentFiltered if filtered else how)(self.attempts, skipped, why)
        self._emit(GaveUp(self.clock.seconds(), self.task.id, len(self.attempts), failed.failure, failed.explain()))
        return failed

    def _time_left(self) -> float:
        if self.task.deadline is None:
            return float("inf")
        return self.started + self.task.deadline - self.clock.seconds()

    def _emit(self, event: Event) -> None:
        self.router.events.emit(event)
