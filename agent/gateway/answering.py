"""From a request that is understood to the answer that is sent: asked of the router, charged, and told by its door.

One way for every door. A plain answer is judged and written down before it is shown; a stream is shown from its first
judged sentence on (``eager``), or once all of it has been judged (``whole``).
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.web.http import Request

from ..core.clock import Clock
from ..core.events import AttemptStarted, Event
from ..core.result import AllBackendsFailed, RouteResult
from ..core.task import Task
from ..engine.plan import Plan
from ..practice import practised
from ..router import Router
from ..wire import dropped
from . import about
from .asked import Asked
from .auth import Caller
from .doors.door import Door, Stream
from .errors import Rejected, rejected_for
from .feedback import Answers
from .spending import Spending
from .sse import EventStream
from .write import put_json

Headers = dict[str, str]


class UsageSink(Protocol):
    """Who keeps account of the callers' tasks, beside the Router's events; the game's is its ledger.

    open     a task of ``caller`` is about to begin; why it may not, or the empty string
    written  fires when all that is known of the task is durable; no answer is shown before
    close    nothing more will come of the task
    """

    def open(self, caller: Caller, task: Task) -> str: ...
    def written(self, task: Task) -> Deferred[None]: ...
    def close(self, task: Task) -> None: ...


class NoUsageSink:
    """Keeps no account."""

    def open(self, caller: Caller, task: Task) -> str:
        return ""

    def written(self, task: Task) -> Deferred[None]:
        return succeed(None)

    def close(self, task: Task) -> None:
        """Nothing was opened."""


class Answering:
    """Answers requests. ``keep_alive`` is the seconds between the comments that bridge a silence."""

    def __init__(self, clock: Clock, book: UsageSink, keep_alive: float):
        self._clock = clock
        self._book = book
        self._spending = Spending(clock)
        #: The answers of late, which may still be judged.
        self.answers = Answers()
        self._keep_alive = keep_alive
        #: Whom eager streams are being asked of, by task: the backend and its model. And the router that says so.
        self._asked_of: dict[str, tuple[str, str]] = {}
        self._heard: Router | None = None

    async def answer(
        self, request: Request, headers: Headers, caller: Caller, router: Router, door: Door, asked: Asked
    ) -> tuple[RouteResult, Any] | None:
        """Answer ``asked``. The result with what was sent of it: the JSON, or the stream. Raises Rejected."""
        self.open(router, caller, asked.task)
        try:
            plan = await router.prepare(asked.task, asked.pin, memory=asked.memory, strategy=asked.strategy or "")
            self._see_unsupported(router, plan, asked)
            if asked.stream:
                return await self._stream(request, headers, caller, router, door, asked, plan)
            result = await self._result(router, asked, plan)
            node = door.answer(result, asked, self._clock.seconds())
            self.answers.sent(str(node.get("id")), caller.id, asked.task.id, result.answered)
            put_json(request, 200, node, headers | _told(result, asked))
            return result, node
        finally:
            self.close(asked.task)

    def open(self, router: Router, caller: Caller, task: Task) -> None:
        """A task of ``caller`` is about to begin. Raises Rejected where it may not."""
        self._hear(router)
        if why_not := self._book.open(caller, task):
            raise Rejected(429, why_not, code="insufficient_quota", headers={"x-should-retry": "false"})
        self._spending.open(task.id, caller)

    def close(self, task: Task) -> None:
        """Nothing more will come of the task."""
        self._spending.close(task.id)
        self._book.close(task)

    async def written(self, task: Task) -> None:
        """Fires when all that is known of the task is durable."""
        await self._book.written(task)

    def _see_unsupported(self, router: Router, plan: Plan, asked: Asked) -> None:
        """Raise Rejected where the config wants a request turned down rather than a field of it dropped."""
        if router.registry.config.gateway.unsupported != "reject" or not plan.first:
            return
        first = router.registry[plan.first].backend
        if lost := (*dropped(asked.task, first), *asked.extra.get("dropped", ())):
            message = f"{first.key} has nothing to pass on as: {', '.join(lost)}."
            raise Rejected(400, message, code="unsupported_parameter", param=lost[0])

    async def _result(self, router: Router, asked: Asked, plan: Plan) -> RouteResult:
        """The judged answer, written down. Raises Rejected."""
        try:
            result = await router.run(plan)
        except AllBackendsFailed as failed:
            await self._book.written(asked.task)
            raise _rejected(router, asked, failed) from None
        await self._book.written(asked.task)
        return result

    async def _stream(
        self,
        request: Request,
        headers: Headers,
        caller: Caller,
        router: Router,
        door: Door,
        asked: Asked,
        plan: Plan,
    ) -> tuple[RouteResult, Any] | None:
        stream = door.stream(asked, self._clock.seconds())
        events = EventStream(request, self._clock, headers, stream.wait, self._keep_alive)
        events.wait()
        try:
            if asked.eager:
                result = await self._as_it_comes(events, stream, router, asked, plan)
            else:
                result = await self._result(router, asked, plan)
                events.send(stream.begin(result.model) + stream.end(result), _told(result, asked))
            events.end()
            self.answers.sent(getattr(stream, "id", ""), caller.id, asked.task.id, result.answered)
            return result, stream
        except Rejected as rejected:
            if not events.begun:
                raise
            rejected.request_id = headers.get("x-request-id", "")
            events.send(stream.error(rejected))
            events.end()
            return None
        finally:
            events.rest()

    async def _as_it_comes(
        self, events: EventStream, stream: Stream, router: Router, asked: Asked, plan: Plan
    ) -> RouteResult:
        """Pass an answer on from its first judged sentence. Raises Rejected where it breaks off for good."""
        self._asked_of[asked.task.id] = "", asked.model
        answer = router.stream(plan, mode="eager")
        shown = False
        try:
            async for piece in answer:
                if not shown:
                    # By its configured name; what its provider calls it is told at the end.
                    backend, model = self._asked_of[asked.task.id]
                    known = answer.result.memory if answer.result is not None else None
                    if answer.result is not None and known is not None:
                        backend, model = answer.result.backend, answer.result.model
                    told = {"x-uniwizard-backend": backend, "x-uniwizard-model": model, **about.cache(known)}
                    events.send(stream.begin(model), told)
                    shown = True
                events.send(stream.text(piece))
        except AllBackendsFailed as failed:
            raise _rejected(router, asked, failed) from None
        finally:
            del self._asked_of[asked.task.id]
        result = answer.result
        assert result is not None
        events.send(
            stream.end(result) if shown else stream.begin(result.model) + stream.end(result), _told(result, asked)
        )
        return result

    def _hear(self, router: Router) -> None:
        """Learn from now on whom each task of ``router`` is asked of, and have its callers pay."""
        if router is not self._heard:
            self._heard = router
            router.events.subscribe(self._attempt_started)
            router.events.subscribe(self._spending)
            router.add_budget(self._spending)

    def _attempt_started(self, event: Event) -> None:
        if isinstance(event, AttemptStarted) and event.task_id in self._asked_of:
            model = practised(event.model) if event.practice else event.model
            self._asked_of[event.task_id] = event.backend, model


def _told(result: RouteResult, asked: Asked) -> Headers:
    told = about.headers(result)
    if lost := (*result.dropped, *asked.extra.get("dropped", ())):
        told["x-uniwizard-dropped"] = ", ".join(lost)
    return told


def _rejected(router: Router, asked: Asked, failed: AllBackendsFailed) -> Rejected:
    frees_in = router.quota_frees_in(failed.skipped)
    return rejected_for(failed, too_long=_too_long(router, asked), wait=router.wait(), quota_frees_in=frees_in)


def _too_long(router: Router, asked: Asked) -> bool:
    """Whether the task fits nobody who could be asked if it were shorter."""
    awake = [health.backend for health in router.registry if not health.backend.unconfigured]
    return bool(awake) and asked.task.estimated_tokens > max(backend.max_context for backend in awake)
