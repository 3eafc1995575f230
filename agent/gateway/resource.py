"""The resource behind the door: which path, who knocks, and what is sent back.

    GET  /v1/models, /v1/models/<id>     what can be asked: ``auto``, and every backend by its key
    POST /v1/chat/completions            OpenAI's chat completions
    POST /api/v1/generate                what Evennia's LLM contrib speaks (:mod:`agent.gateway.generate`)
    POST /v1/feedback                    whether an answer was good, by its id
    GET  /health                         whether anybody can be asked; needs no key

It runs in the reactor thread and needs no other. When a client goes away, its attempt at a backend is cancelled, which
closes that connection. Of the client nothing goes on to a backend: no header, no address, no ``user``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from ..core.clock import Clock
from ..core.events import AttemptStarted, Event
from ..core.result import AllBackendsFailed
from ..core.task import Task
from ..practice import practised
from ..router import Router
from ..wire.body import Malformed, parse
from . import generate, requests, responses
from .auth import Caller, KeyCheck
from .errors import Rejected, rejected_for
from .feedback import Answers
from .requests import ChatRequest
from .sse import KEEP_ALIVE, EventStream
from .write import put_json, put_rejection

_log = Logger()

#: Bytes of a request; pictures count a third more than they weigh. The same as OpenAI's own limit for pictures.
BODY_LIMIT = 20 * 1024 * 1024

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


class Gateway(Resource):
    """OpenAI's protocol over the Router that ``brain`` returns; None, or a raised Rejected, closes the door.

    check       lets callers in
    unguarded   nobody needs a key; then web pages are turned away, which any site could have in a browser here
    keep_alive  seconds between the comments that bridge a silence
    book        keeps account of the callers' tasks
    """

    isLeaf = True

    def __init__(
        self,
        brain: Callable[[], Router | None],
        clock: Clock,
        check: KeyCheck,
        *,
        unguarded: bool = False,
        keep_alive: float = KEEP_ALIVE,
        book: UsageSink | None = None,
    ):
        super().__init__()
        self._brain = brain
        self._clock = clock
        self._check = check
        self._unguarded = unguarded
        self._keep_alive = keep_alive
        self._book: UsageSink = book or NoUsageSink()
        self._born = int(clock.seconds())
        self._under_way: set[Deferred[None]] = set()
        #: The models that eager streams are being asked of, by task, and the router that says so.
        self._models_asked: dict[str, str] = {}
        self._heard: Router | None = None
        self._answers = Answers()
        self._empty: Deferred[None] | None = None
        self._closing = False

    def render(self, request: Any) -> int:
        """Take up a request; twisted.web calls this."""
        headers = {"x-request-id": f"req_{uuid.uuid4().hex}"}
        gone = request.notifyFinish()
        served = Deferred.fromCoroutine(self._serve(request, headers))
        if not served.called:
            self._under_way.add(served)
        gone.addErrback(lambda _: served.cancel())
        served.addErrback(_ended_early, request, headers)
        served.addBoth(lambda _: self._done(served))
        return NOT_DONE_YET

    def close(self) -> Deferred[None]:
        """Take no more requests; fires when those under way are done. :meth:`abandon` ends them."""
        self._closing = True
        self._empty = Deferred()
        self._done(None)
        return self._empty

    def abandon(self) -> None:
        """Cancel every request under way."""
        for served in list(self._under_way):
            served.cancel()

    def _done(self, served: Deferred[None] | None) -> None:
        if served is not None:
            self._under_way.discard(served)
        if self._empty is not None and not self._empty.called and not self._under_way:
            self._empty.callback(None)

    async def _serve(self, request: Request, headers: Headers) -> None:
        try:
            await self._act(request, headers)
        except Rejected as rejected:
            put_rejection(request, rejected, headers)

    async def _act(self, request: Request, headers: Headers) -> None:
        """Do what the path says, or raise Rejected."""
        path = unquote((request.path or b"").decode("utf-8", "replace"))
        method = request.method.decode("ascii", "replace")
        if path == "/v1/chat/completions":
            _allow(method, "POST")
            self._see_origin(request)
            caller = self._admitted(request, headers)
            await self._complete(request, headers, caller)
        elif path == generate.PATH:
            _allow(method, "POST")
            self._see_origin(request)
            await self._generate(request, headers, self._admitted(request, headers))
        elif path == "/v1/feedback":
            _allow(method, "POST")
            self._see_origin(request)
            caller = self._known(request)
            task_id, attempt, good = self._answers.judged(_content(request), caller.label)
            self._router().feedback(task_id, attempt, good=good)
            put_json(request, 200, {"object": "feedback", "good": good}, headers)
        elif path in ("/v1/models", "/v1/models/") or path.startswith("/v1/models/"):
            _allow(method, "GET")
            self._known(request)
            put_json(request, 200, self._models(path.removeprefix("/v1/models").strip("/")), headers)
        elif path in ("/health", "/v1/health"):
            _allow(method, "GET")
            put_json(request, 200, self._health(), headers)
        else:
            raise Rejected(404, f"Unknown request URL: {method} {path[:200]}.", code="unknown_url")

    # -- who knocks ----------------------------------------------------------------------------------------------

    def _see_origin(self, request: Request) -> None:
        if self._unguarded and request.getHeader("origin") is not None:
            raise Rejected(403, "Web pages need a key here; start the server with UNIWIZARD_SERVE_KEY set.")

    def _known(self, request: Request) -> Caller:
        sent = (request.getHeader("authorization") or "").strip()
        scheme, _, key = sent.partition(" ")
        known = self._check(key.strip() if scheme.lower() == "bearer" else "")
        if isinstance(known, str):
            told = {"www-authenticate": "Bearer"}
            raise Rejected(401, f"Incorrect API key: {known}.", code="invalid_api_key", headers=told)
        return known

    def _admitted(self, request: Request, headers: Headers) -> Caller:
        """Who asks, counted. Raises Rejected (401, 429, or 503 when nobody is taken in any more)."""
        if self._closing:
            raise Rejected(503, "The server is stopping.", headers={"retry-after": "5"})
        caller = self._known(request)
        denied = caller.admit(self._clock.seconds())
        if (limit := caller.allowance.requests_per_minute) is not None:
            headers["x-ratelimit-limit-requests"] = str(limit)
            headers["x-ratelimit-remaining-requests"] = str(caller.remaining)
        if denied is not None:
            told = {"x-should-retry": "false"}
            if denied.retry_after is not None:
                told = {"retry-after": str(int(denied.retry_after) + 1)}
            raise Rejected(429, f"{denied.reason.capitalize()}.", code=denied.code, headers=told)
        return caller

    # -- answering -----------------------------------------------------------------------------------------------

    async def _complete(self, request: Request, headers: Headers, caller: Caller) -> None:
        node = _content(request)
        router = self._router()
        keys = [health.backend.key for health in router.registry]
        mode, cache = (request.getHeader(name) or "" for name in ("x-stream-mode", "cache-control"))
        asked = requests.parse_request(
            node, keys, caller.identity, mode, cache, router.has_strategy, asker=caller.label
        )
        if why_not := self._book.open(caller, asked.task):
            raise Rejected(429, why_not, code="insufficient_quota", headers={"x-should-retry": "false"})
        try:
            if asked.stream:
                await self._stream(request, headers, caller, router, asked)
                return
            result = await self._result(router, caller, asked)
            now = self._clock.seconds()
            said = responses.completion(result, asked, now)
            self._answers.sent(said["id"], caller.label, asked.task.id, result.answered)
            put_json(request, 200, said, headers | responses.headers(result))
        finally:
            self._book.close(asked.task)

    async def _generate(self, request: Request, headers: Headers, caller: Caller) -> None:
        asked = generate.parse_generate(_content(request), caller.identity)
        if why_not := self._book.open(caller, asked.task):
            raise Rejected(429, why_not, code="insufficient_quota", headers={"x-should-retry": "false"})
        try:
            result = await self._result(self._router(), caller, asked)
            put_json(request, 200, generate.generated(result.text), headers | responses.headers(result))
        finally:
            self._book.close(asked.task)

    async def _result(self, router: Router, caller: Caller, asked: ChatRequest) -> Any:
        """The judged answer, written down. Raises Rejected; books what it cost, either way."""
        try:
            result = await router.call_with_fallback(
                asked.task, asked.pin, memory=asked.memory, strategy=asked.strategy
            )
        except AllBackendsFailed as failed:
            caller.charge(failed.cost_usd, self._clock.seconds())
            await self._book.written(asked.task)
            raise _rejected(failed, router, asked) from None
        caller.charge(result.cost_usd, self._clock.seconds())
        await self._book.written(asked.task)
        return result

    async def _stream(
        self, request: Request, headers: Headers, caller: Caller, router: Router, asked: ChatRequest
    ) -> None:
        events = EventStream(request, self._clock, headers, self._keep_alive)
        chunks = responses.Chunks(asked, self._clock.seconds())
        events.wait()
        try:
            if asked.eager:
                await self._as_it_comes(events, chunks, caller, router, asked)
            else:
                result = await self._result(router, caller, asked)
                self._answers.sent(chunks.id, caller.label, asked.task.id, result.answered)
                events.send(chunks.whole(result), responses.headers(result))
            events.end()
        except Rejected as rejected:
            if not events.begun:
                raise
            events.fail(rejected)
        finally:
            events.rest()

    async def _as_it_comes(
        self, events: EventStream, chunks: responses.Chunks, caller: Caller, router: Router, asked: ChatRequest
    ) -> None:
        """Pass an answer on from its first judged sentence. Raises Rejected where it breaks off for good."""
        self._hear(router)
        self._models_asked[asked.task.id] = asked.model
        answer = router.stream(asked.task, asked.pin, "eager", memory=asked.memory, strategy=asked.strategy)
        shown = False
        try:
            async for piece in answer:
                # By its configured name; what its provider calls it is told at the end.
                model = self._models_asked[asked.task.id]
                if shown:
                    events.send([chunks.text(piece, model)])
                elif answer.result is not None and answer.result.memory is not None:
                    model = self._models_asked[asked.task.id] = answer.result.model
                    events.send(chunks.first(piece, model), responses.headers(answer.result))
                else:
                    events.send(chunks.first(piece, model), responses.cache(None))
                shown = True
        except AllBackendsFailed as failed:
            caller.charge(failed.cost_usd, self._clock.seconds())
            raise _rejected(failed, router, asked) from None
        finally:
            del self._models_asked[asked.task.id]
        result = answer.result
        assert result is not None
        caller.charge(result.cost_usd, self._clock.seconds())
        self._answers.sent(chunks.id, caller.label, asked.task.id, result.answered)
        events.send(chunks.rest(result, shown=shown))

    def _hear(self, router: Router) -> None:
        """Learn from now on which model of ``router`` each task is asked of."""
        if router is not self._heard:
            self._heard = router
            router.events.subscribe(self._attempt_started)

    def _attempt_started(self, event: Event) -> None:
        if isinstance(event, AttemptStarted) and event.task_id in self._models_asked:
            self._models_asked[event.task_id] = practised(event.model) if event.practice else event.model

    # -- telling -------------------------------------------------------------------------------------------------

    def _router(self) -> Router:
        router = self._brain()
        if router is None:
            raise Rejected(503, "Nobody can be asked: there is no usable configuration.", code="not_configured")
        return router

    def _models(self, name: str) -> dict[str, Any]:
        """All models, or the one of that name."""
        router = self._router()
        keys = router.backend_keys()
        if name:
            requests.model(name, keys, router.has_strategy)
            return self._model(name)
        strategies = [f"auto:{each}" for each in router.registry.config.strategies]
        return {"object": "list", "data": [self._model(each) for each in ("auto", *keys, *strategies)]}

    def _model(self, name: str) -> dict[str, Any]:
        registry = self._router().registry
        shown: dict[str, Any] = {"id": name, "object": "model", "created": self._born, "owned_by": "uniwizard"}
        if name in registry:
            backend = registry[name].backend
            shown["uniwizard"] = {
                "model": backend.model,
                "max_context": backend.max_context,
                "capabilities": sorted(backend.capabilities),
                "available": registry[name].available() == "",
                "practice": backend.practice,
            }
        return shown

    def _health(self) -> dict[str, Any]:
        registry = self._router().registry
        able = sum(not health.available() for health in registry)
        status = "practice" if registry.practising else "ok" if able else "nobody can be asked"
        return {"status": status, "backends": len(registry), "available": able, "under_way": len(self._under_way)}


def _allow(method: str, allowed: str) -> None:
    if method != allowed and not (method == "HEAD" and allowed == "GET"):
        message = f"Not allowed to {method[:20]} here; use {allowed}."
        raise Rejected(405, message, code="method_not_allowed", headers={"allow": allowed})


def _content(request: Request) -> object:
    """The JSON of the request's body. Raises Rejected."""
    content: Any = request.content
    if content is None or content.seek(0, 2) > BODY_LIMIT:
        raise too_large()
    content.seek(0)
    try:
        return parse(content.read())
    except Malformed as broken:
        raise Rejected(400, f"The request cannot be read: {broken}.", code="invalid_json") from None


def too_large() -> Rejected:
    """The error for a body over :data:`BODY_LIMIT`."""
    return Rejected(413, f"The request is larger than {BODY_LIMIT // 1024**2} MB.", code="request_too_large")


def _too_long(router: Router, asked: ChatRequest) -> bool:
    """Whether the task fits nobody who could be asked if it were shorter."""
    awake = [health.backend for health in router.registry if not health.backend.unconfigured]
    return bool(awake) and asked.task.estimated_tokens > max(backend.max_context for backend in awake)


def _rejected(failed: AllBackendsFailed, router: Router, asked: ChatRequest) -> Rejected:
    frees_in = router.quota_frees_in(failed.skipped)
    return rejected_for(failed, too_long=_too_long(router, asked), quota_frees_in=frees_in)


def _ended_early(why: Failure, request: Any, headers: Headers) -> None:
    """A client that went away is told nothing; one that met a fault of ours is told so, without its particulars."""
    gone = getattr(request, "_disconnected", False)
    if why.check(CancelledError) and gone:
        return
    if not why.check(CancelledError):
        _log.failure("the gateway broke", failure=why)
    if gone or request.finished:
        return
    if request.startedWriting:
        request.channel.loseConnection()
        return
    status, message = (503, "The server is stopping.") if why.check(CancelledError) else (500, "An internal error.")
    put_rejection(request, Rejected(status, message), headers)
