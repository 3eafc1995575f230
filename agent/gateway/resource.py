"""The resource behind the door: which path, who knocks, and what is sent back.

    POST /v1/chat/completions, /v1/completions          OpenAI's
    POST /v1/responses; GET, DELETE /v1/responses/<id>  OpenAI's newer
    POST /v1/messages, /v1/messages/count_tokens        Anthropic's
    POST /v1beta/models/<id>:generateContent, :streamGenerateContent, :countTokens   Google's
    POST /v1/embeddings, /v1/rerank                     what other models make of texts
    POST /v1/moderations                                what this house's own judge makes of texts
    POST /api/v1/generate                what Evennia's LLM contrib speaks (:mod:`~.doors.generate`)
    POST, GET /v1/goals; GET, POST, DELETE /v1/goals/<id>    what done looks like, and how it stands (:mod:`~.goals`)
    POST /v1/feedback                    whether an answer was good, by its id
    GET  /v1/models, /v1/models/<id>     what can be asked: ``auto``, every backend by its key, every alias
    GET  /health                         whether anybody can be asked; needs no key
    GET  /health/live, /health/ready     the same for who starts and balances processes: 200, or 503 while not ready
    GET  /metrics                        for Prometheus; needs a key, but from this machine

Every path may end in a slash and leave out ``/v1``; Azure's paths are known as well (:mod:`~.incoming`).

It runs in the reactor thread and needs no other. When a client goes away, its attempt at a backend is cancelled, which
closes that connection. Of the client nothing goes on to a backend: no header, no address, no ``user``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from ..config.settings import Config, GatewaySettings
from ..core.aside import LONG, aside
from ..core.clock import Clock
from ..goals import Desk
from ..router import Router
from . import moderations, texts
from .answering import Answering, Headers, NoUsageSink, UsageSink
from .asked import Asked, Asking
from .auth import Caller, KeyCheck
from .doors import DOORS, Door, responses
from .errors import Rejected
from .goals import GoalDoor
from .incoming import Place, body_of, crowded, from_here, header, json_body, presented_key, read_json
from .models import Models
from .naming import Names
from .sse import KEEP_ALIVE
from .store import ResponseStore, Shelf, Stored
from .watched import PROMETHEUS, health, ready
from .write import put_json, put_nothing, put_rejection, put_text

_log = Logger()

#: What is told without a key; metrics ask for one themselves.
_OPEN = ("health", "live", "ready", "metrics")

#: What a task may be called by whoever asks, such as ``supervisor.reconcile``.
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,79}")

_SAFE_HEADERS = re.compile(r"[A-Za-z0-9, _-]{1,1000}")

#: Bytes of a body from which on a JSON Schema in it may take some milliseconds to check.
_LONG_SCHEMA = 5_000

#: What each act is asked for with.
_METHODS = {
    "answer": ("POST",),
    "tokens": ("POST",),
    "embeddings": ("POST",),
    "rerank": ("POST",),
    "moderations": ("POST",),
    "feedback": ("POST",),
    "models": ("GET",),
    "health": ("GET",),
    "live": ("GET",),
    "ready": ("GET",),
    "metrics": ("GET",),
    "stored": ("GET", "DELETE"),
    "goals": ("GET", "POST"),
    "goal": ("GET", "POST", "DELETE"),
}


class Gateway(Resource):
    """Every protocol over the Router that ``brain`` returns; None, or a raised Rejected, closes the door.

    check       lets callers in
    unguarded   nobody needs a key; then web pages are turned away, which any site could have in a browser here
    keep_alive  seconds between the comments that bridge a silence
    book        keeps account of the callers' tasks
    shelf       keeps responses that later requests go on from, beyond this process's own time
    desk        where goals are worked at; None takes none
    metrics     what ``/metrics`` shows; None where that is elsewhere
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
        shelf: Shelf | None = None,
        desk: Callable[[], Desk | None] = lambda: None,
        metrics: Callable[[], bytes] | None = None,
    ):
        super().__init__()
        self._brain = brain
        self._clock = clock
        self._check = check
        self._unguarded = unguarded
        self._answering = Answering(clock, book or NoUsageSink(), keep_alive)
        self._store = ResponseStore(clock.seconds, shelf)
        self._desk = desk
        self._goals = GoalDoor(desk, self._answering, clock, keep_alive)
        self._metrics = metrics
        self._born = int(clock.seconds())
        self._under_way: set[Deferred[None]] = set()
        self._empty: Deferred[None] | None = None
        self._closing = False
        self._named: tuple[Config, Names] | None = None

    def screen(self, request: Request, method: bytes, path: bytes) -> Rejected | None:
        """Why a request is turned away whose body has not come yet; None when it may come.

        Nothing is counted by it: the same is asked again, and more, when the request is whole.
        """
        try:
            place = Place.of(path.partition(b"?")[0])
            self._see_act(place, method, path)
            if place.act not in _OPEN and method != b"OPTIONS":
                self._known(request, path.partition(b"?")[2])
        except Rejected as rejected:
            return rejected
        return None

    def render(self, request: Any) -> int:
        """Take up a request; twisted.web calls this."""
        identifier = f"req_{secrets.token_hex(16)}"
        headers = {"x-request-id": identifier, "request-id": identifier}
        gone = request.notifyFinish()
        served = Deferred.fromCoroutine(self._serve(request, headers))
        if not served.called:
            self._under_way.add(served)
        gone.addErrback(lambda _: served.cancel())
        served.addErrback(_ended_early, request, headers)
        served.addBoth(lambda _: self._done(served))
        return NOT_DONE_YET

    def turn_away(self, request: Any, rejected: Rejected) -> None:
        """Answer with an error, in the format of the request's door."""
        identifier = f"req_{secrets.token_hex(16)}"
        headers = {"x-request-id": identifier, "request-id": identifier}
        put_rejection(request, rejected, headers, DOORS[Place.of(request.path or b"").door].error)

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
        place = Place.of(request.path or b"")
        try:
            await self._act(request, headers, place)
        except Rejected as rejected:
            put_rejection(request, rejected, headers, DOORS[place.door].error)

    async def _act(self, request: Request, headers: Headers, place: Place) -> None:
        """Do what the path says, or raise Rejected."""
        method = request.method or b""
        self._allow_origin(request, headers)
        if method == b"OPTIONS" and "access-control-allow-origin" in headers:
            put_nothing(request, headers | _preflight(request))
            return
        self._see_act(place, method, request.path or b"")
        match place.act:
            case "health":
                put_json(request, 200, health(self._router(), len(self._under_way)), headers)
            case "live":
                put_json(request, 200, {"status": "ok"}, headers)
            case "ready":
                desk = self._desk()
                taken_up = desk is None or desk.started
                brain = None if self._closing else self._brain()
                status, told = ready(brain, closing=self._closing, taken_up=taken_up)
                put_json(request, status, told, headers)
            case "metrics":
                self._show_metrics(request, headers, place, method)
            case "models":
                self._known(request)
                models = Models(self._router(), self._born)
                style = _style(request, place)
                put_json(request, 200, models.one(place.model, style) if place.model else models.listed(style), headers)
            case "feedback":
                self._see_origin(request, headers)
                self._judged(request, headers, self._known(request))
            case "goals" | "goal":
                self._see_origin(request, headers)
                caller = self._admitted(request, headers) if method == b"POST" else self._known(request)
                body = json_body(request) if method == b"POST" and place.act == "goals" else None
                await self._goals.serve(request, headers, caller, place.model, body)
            case "stored":
                await self._stored(request, headers, place.model, self._known(request))
            case _:
                self._see_origin(request, headers)
                if (caller := self._known(request)).cluster is not None:
                    await caller.ready(self._clock.seconds())
                await self._complete(request, headers, place, self._admitted(request, headers))

    @staticmethod
    def _see_act(place: Place, method: bytes, path: bytes) -> None:
        said = method.decode("ascii", "replace")
        if not place.act:
            shown = path.decode("utf-8", "replace")[:200]
            raise Rejected(404, f"Unknown request URL: {said[:20]} {shown}.", code="unknown_url")
        allowed = _METHODS[place.act]
        if said not in allowed and not (said == "HEAD" and "GET" in allowed):
            message = f"Not allowed to {said[:20]} here; use {' or '.join(allowed)}."
            raise Rejected(405, message, code="method_not_allowed", headers={"allow": ", ".join(allowed)})

    # -- who knocks ----------------------------------------------------------------------------------------------

    def settings(self) -> GatewaySettings:
        """The ``gateway:`` section in force."""
        router = self._brain()
        return router.registry.config.gateway if router is not None else GatewaySettings()

    def _allow_origin(self, request: Request, headers: Headers) -> None:
        """Let a web page read the answer, where the config names its origin."""
        origin = header(request, b"origin")
        if not origin:
            return
        allowed = self.settings().cors_origins
        if origin in allowed or ("*" in allowed and not self._unguarded):
            headers["access-control-allow-origin"] = origin
            headers["access-control-expose-headers"] = "*"
            headers["vary"] = "origin"

    def _see_origin(self, request: Request, headers: Headers) -> None:
        if self._unguarded and header(request, b"origin") and "access-control-allow-origin" not in headers:
            raise Rejected(403, "Web pages need a key here; start the server with UNIWIZARD_SERVE_KEY set.")

    def _known(self, request: Request, query: bytes | None = None) -> Caller:
        if query is None:
            query = (request.uri or b"").partition(b"?")[2]
        known = self._check(presented_key(request, query))
        if isinstance(known, str):
            told = {"www-authenticate": "Bearer"}
            raise Rejected(401, f"Incorrect API key: {known}.", code="invalid_api_key", headers=told)
        return known

    def _admitted(self, request: Request, headers: Headers) -> Caller:
        """Who asks, counted. Raises Rejected (401, 429, or 503 when nobody is taken in any more)."""
        if self._closing:
            raise Rejected(503, "The server is stopping.", headers={"retry-after": "5"})
        caller = self._known(request)
        if len(self._under_way) >= self.settings().max_requests:
            raise crowded("requests")
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

    async def _complete(self, request: Request, headers: Headers, place: Place, caller: Caller) -> None:
        body, packed = body_of(request)
        # A long body is read beside the reactor's thread; a short one says nothing of what is packed in it.
        long = len(body) > LONG or bool(packed)
        node = await aside(self._clock, read_json, body, packed) if long else read_json(body, packed)
        if place.model and isinstance(node, dict):
            node.setdefault("model", place.model)
            if place.door == "gemini":
                # ``countTokens`` may hold the request that it is about.
                inner = node.get("generateContentRequest")
                node = {**(inner if isinstance(inner, dict) else node), "model": place.model, "stream": place.stream}
        if place.act == "moderations":
            put_json(request, 200, await moderations.answer(node, self._clock), headers)
            return
        router = self._router()
        names = self._names(router)
        if place.act in ("embeddings", "rerank"):
            await texts.answer(request, headers, caller, router, place, node, names, self._answering)
            return
        door = DOORS[place.door]
        mode, cache = header(request, b"x-stream-mode"), header(request, b"cache-control")
        asking = Asking(caller.identity, caller.id, mode, cache, self.settings().stream)
        long = long or len(body) > _LONG_SCHEMA
        asked = await aside(self._clock, door.read, node, names, asking) if long else door.read(node, names, asking)
        asked = _labelled(asked, node)
        if place.act == "tokens":
            put_json(request, 200, _tokens(door, asked), headers)
            return
        if place.door == "responses":
            await self._respond(request, headers, caller, router, asked)
            return
        await self._answering.answer(request, headers, caller, router, door, asked)

    async def _respond(self, request: Request, headers: Headers, caller: Caller, router: Router, asked: Asked) -> None:
        """Answer a request of the responses door, which may go on from an earlier one and be gone on from."""
        hours = self.settings().store_hours
        if previous := asked.extra["previous"]:
            found = await self._store.get(previous, caller.id)
            if found is None:
                message = f"Previous response with id '{previous[:80]}' not found."
                raise Rejected(400, message, code="previous_response_not_found", param="previous_response_id")
            asked = responses.continued(asked, found.turns, caller.id)
        if not hours:
            asked.extra["store"] = False
        done = await self._answering.answer(request, headers, caller, router, DOORS["responses"], asked)
        if done is None or not asked.extra["store"]:
            return
        result, sent = done
        node = sent.whole if asked.stream else sent
        turns = (*asked.extra["own"], responses.turn_of(result, asked, node))
        self._store.put(node["id"], Stored(caller.id, node, turns), hours)

    def _judged(self, request: Request, headers: Headers, caller: Caller) -> None:
        """Take to heart whether an answer was good."""
        task_id, attempt, good = self._answering.answers.judged(json_body(request), caller.id)
        self._router().feedback(task_id, attempt, good=good)
        put_json(request, 200, {"object": "feedback", "good": good}, headers)

    async def _stored(self, request: Request, headers: Headers, identifier: str, caller: Caller) -> None:
        """Show or forget a response that is kept."""
        if request.method == b"DELETE":
            if not await self._store.delete(identifier, caller.id):
                raise _not_kept(identifier)
            put_json(request, 200, {"id": identifier, "object": "response", "deleted": True}, headers)
            return
        found = await self._store.get(identifier, caller.id)
        if found is None:
            raise _not_kept(identifier)
        put_json(request, 200, found.node, headers)

    # -- telling -------------------------------------------------------------------------------------------------

    def _names(self, router: Router) -> Names:
        """What can be asked for, worked out once for a config."""
        config = router.registry.config
        if self._named is None or self._named[0] is not config:
            self._named = config, Names.of(router)
        return self._named[1]

    def _router(self) -> Router:
        router = self._brain()
        if router is None:
            message = "Nobody can be asked: there is no usable configuration."
            raise Rejected(503, message, code="not_configured", headers={"retry-after": "5"})
        return router

    def _show_metrics(self, request: Request, headers: Headers, place: Place, method: bytes) -> None:
        if self._metrics is None:
            self._see_act(replace(place, act=""), method, request.path or b"")
            return
        if not from_here(request):
            self._known(request)
        put_text(request, self._metrics(), PROMETHEUS, headers)


def _labelled(asked: Asked, node: Any) -> Asked:
    """``asked`` with the label that its ``metadata.context`` gives it, where that is one."""
    metadata = node.get("metadata") if isinstance(node, dict) else None
    context = metadata.get("context") if isinstance(metadata, dict) else None
    if not isinstance(context, str) or not _LABEL.fullmatch(context):
        return asked
    return replace(asked, task=replace(asked.task, context=context))


def _style(request: Request, place: Place) -> str:
    if place.door == "gemini":
        return "gemini"
    return "anthropic" if header(request, b"anthropic-version") else "openai"


def _tokens(door: Door, asked: Asked) -> Any:
    return door.tokens(asked)  # type: ignore[attr-defined]


def _not_kept(identifier: str) -> Rejected:
    return Rejected(404, f"Response with id '{identifier[:80]}' not found.", code="not_found")


def _preflight(request: Request) -> Headers:
    """What a browser wants to know before a page's request is sent."""
    wanted = header(request, b"access-control-request-headers")
    return {
        "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
        "access-control-allow-headers": wanted if _SAFE_HEADERS.fullmatch(wanted) else "authorization, content-type",
        "access-control-max-age": "600",
    }


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
    stopping = why.check(CancelledError) is not None
    rejected = Rejected(503, "The server is stopping.", headers={"retry-after": "5"})
    rejected = rejected if stopping else Rejected(500, "An internal error.")
    put_rejection(request, rejected, headers, DOORS[Place.of(request.path or b"").door].error)
