"""The practice server: one loopback HTTP server on which every backend key has its own address and its own scene.

An address is ``/<key>`` and below it what the provider has: ``/v1/chat/completions``, ``/v1/messages``,
``/v1beta/models/<model>:generateContent`` and ``:streamGenerateContent``, ``/api/chat``, and their lists of models. Who
asks for a stream gets the same words a few at a time. A key may hold whatever letters a
config may use; any key answers until told otherwise. The key "bad-key" in a request's credentials is turned down.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from ..core.backend import Backend
from .responses import DIALECTS, Dialect
from .samples import sample
from .script import Script
from .tools import Offer, told, wish

#: Bytes; a longer request is answered with 413.
BODY_LIMIT = 20 * 1024 * 1024

#: The credentials that are turned down.
BAD_KEY = "bad-key"

#: Seconds that the scene ``429`` asks a client to wait.
RETRY_AFTER = 7

#: Seconds between the first half of a cut answer and the end of its connection: time to send it.
_BEFORE_THE_CUT = 0.05

#: What the name of every model begins with.
_NAMED = "practice/"

#: Seconds between two pieces of a stream.
PACE = 0.02

#: The scene ``slow`` takes as long for so many pieces as it takes to begin.
_SLOW_PIECES = 20

_KEYS_SEEN = 1000

_BASES = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}

#: What is done at an address: (method, what follows the key, api, the act).
_ADDRESSES = tuple(
    (method, re.compile(pattern), api, act)
    for method, pattern, api, act in (
        ("POST", r"/v1/chat/completions", "openai", "chat"),
        ("POST", r"/v1/messages", "anthropic", "chat"),
        ("POST", r"/v1beta/(?:models/)?(?P<model>.+):generateContent", "gemini", "chat"),
        ("POST", r"/v1beta/(?:models/)?(?P<model>.+):streamGenerateContent", "gemini", "stream"),
        ("POST", r"/api/chat", "ollama", "chat"),
        ("GET", r"/v1/models", "openai", "models"),
        ("GET", r"/v1beta/models", "gemini", "models"),
        ("GET", r"/api/tags", "ollama", "models"),
        ("GET", r"/api/version", "ollama", "version"),
    )
)


class Scenario(StrEnum):
    """What a backend plays. ``refuse`` is prose in a 200; ``decline`` is the api's own field for it, if it has one.

    ``lie`` says something plausible about something else, for the checks of goals.

    ``cut`` breaks off in mid-sentence, ``stall`` falls silent there, ``silent`` never begins.
    """

    ANSWER = "answer"
    REFUSE = "refuse"
    DECLINE = "decline"
    HEDGE = "hedge"
    LIE = "lie"
    EMPTY = "empty"
    UNAVAILABLE = "503"
    RATE_LIMITED = "429"
    SLOW = "slow"
    CUT = "cut"
    STALL = "stall"
    SILENT = "silent"


#: The scenes in which the whole backend is in trouble, so that its list of models is as well.
_OUTAGES = {Scenario.UNAVAILABLE, Scenario.SLOW, Scenario.CUT, Scenario.STALL, Scenario.SILENT}


def practised(model: str) -> str:
    """``model`` as a simulated backend names itself; one that is named so already stays as it is."""
    return model if model.startswith(_NAMED) else _NAMED + model


@dataclass(slots=True)
class Seen:
    """What one backend was asked: ``count`` requests in all, and the latest of them, newest last."""

    count: int = 0
    bodies: deque[bytes] = field(default_factory=lambda: deque(maxlen=8))
    headers: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=8))
    paths: deque[str] = field(default_factory=lambda: deque(maxlen=8))


class PracticeServer:
    """Simulated backends behind one port of ``host``; port 0 takes any that is free.

    scenes  what each backend key plays; a key without a scene answers
    seen    what each backend key was asked
    slow    seconds that the scene ``slow`` takes to begin
    pace    seconds between two pieces of a stream
    """

    def __init__(
        self, reactor: Any, port: int = 0, host: str = "127.0.0.1", *, slow: float = 5.0, pace: float = PACE
    ) -> None:
        self.scenarios: dict[str, Scenario] = {}
        self.seen: dict[str, Seen] = {}
        self.slow = slow
        self.pace = pace
        self._reactor = reactor
        self._host = host
        self._port = port
        self._script = Script.from_file()
        #: What is to come next, by request.
        self._coming: dict[Request, Any] = {}
        self._site: _TrackedSite | None = None
        self._listening: Any = None

    def start(self) -> str:
        """Listen, and return the base URL. Raises twisted.internet.error.CannotListenError if the port is taken."""
        if self._listening is None:
            self._site = _TrackedSite(_site(self))
            self._listening = self._reactor.listenTCP(self._port, self._site, interface=self._host)
        return self.url

    @property
    def url(self) -> str:
        """``http://host:port`` while the server listens."""
        if self._listening is None:
            raise RuntimeError("the practice server has not been started")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._listening.getHost().port}"

    def stop(self) -> Deferred[None]:
        """Close the port and every open connection; fires when all are closed."""
        listening, site = self._listening, self._site
        self._listening = self._site = None
        if listening is None or site is None:
            return succeed(None)
        return DeferredList([maybeDeferred(listening.stopListening), site.abort_all()]).addCallback(lambda _: None)

    def url_for(self, backend: Backend) -> str:
        """The address that stands in for ``backend.url``."""
        base = _BASES.get(backend.api, _BASES["openai"])
        return f"{self.url}/{quote(backend.key, safe='')}{base}"

    def set_scenario(self, key: str, scene: str) -> None:
        """What ``key`` plays from now on; raises ValueError for a word that is no scene."""
        try:
            self.scenarios[key] = Scenario(scene)
        except ValueError:
            raise ValueError(f"unknown scene {scene!r}; allowed: {', '.join(Scenario)}") from None

    def receive(self, request: Request, body: bytes | None) -> None:
        """Play one request; ``body`` is None where it was longer than :data:`BODY_LIMIT`."""
        address = (request.path or b"/").decode("ascii", "replace")
        key, rest = _split(address)
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self._note(key, address, headers, body or b"")
        api, act, model = _placed(request.method.decode("latin-1"), rest, headers)
        dialect = DIALECTS[api]
        scene = self.scenarios.get(key, Scenario.ANSWER)
        if body is None:
            return self._fail(request, dialect, 413, "The request is larger than 20 MB.")
        if not act:
            return self._fail(request, dialect, 404, f"Practice has nothing at {rest or '/'}.")
        if dialect.key(headers) == BAD_KEY:
            return self._fail(request, dialect, 401, "The API key is not valid.")
        if act not in ("chat", "stream"):
            listed = {"version": "0.0.0-practice"} if act == "version" else dialect.models()
            return self._play(request, dialect, scene if scene in _OUTAGES else Scenario.ANSWER, listed)
        try:
            asked = json.loads(body)
            question, schema = dialect.question(asked), dialect.schema(asked)
            name = practised(str(model or asked["model"]))
            streams = act == "stream" or dialect.streams(asked)
            said = self._said(dialect, scene, name, question, schema, dialect.offer(asked))
            events = [dialect.framed(event) for event in dialect.events(said, asked)] if streams else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            told = error if isinstance(error, ValueError) else f"{type(error).__name__} at {error}"
            return self._fail(request, dialect, 400, f"The request cannot be read: {told}")
        return self._play(request, dialect, scene, said, events)

    def _said(
        self, dialect: Dialect, scene: Scenario, model: str, question: str, schema: object, offer: Offer
    ) -> dict[str, Any]:
        """The body of the 200 that belongs to ``scene``."""
        if scene is Scenario.DECLINE:
            declined = dialect.decline(model, question, "[practice] This falls under a policy on practice refusals.")
            if declined is not None:
                return declined
        if scene in (Scenario.REFUSE, Scenario.DECLINE):
            text = self._script.refusal(question)
        elif scene is Scenario.HEDGE:
            text = self._script.hedge(question)
        elif scene is Scenario.EMPTY:
            text = ""
        elif schema is not None:
            seen = self._script.verdict(question) if _asks_yes_or_no(schema) else None
            text = json.dumps(sample(schema) if seen is None else seen, ensure_ascii=False)
        elif scene is Scenario.LIE:
            text = self._script.lie(question)
        elif (called := wish(question, offer, self._script.stop_words)) is not None:
            return dialect.call(model, question, *called)
        elif offer.results:
            text = told(offer)
        else:
            text = self._script.answer(question)
        return dialect.answer(model, question, text)

    def _play(
        self,
        request: Request,
        dialect: Dialect,
        scene: Scenario,
        said: dict[str, Any],
        events: list[bytes] | None = None,
    ) -> None:
        """Play ``scene``; what it says goes out as ``events`` where a stream was asked for."""
        if scene is Scenario.SILENT:
            return
        if scene is Scenario.UNAVAILABLE:
            self._fail(request, dialect, 503, "The practice model is currently overloaded. Please try again later.")
        elif scene is Scenario.RATE_LIMITED:
            self._fail(request, dialect, 429, "Practice rate limit reached. Please try again later.")
        elif events is not None:
            self._begin_stream(request, dialect, scene, events)
        elif scene is Scenario.SLOW:
            self._later(request, self.slow, self._send, request, 200, said)
        elif scene in (Scenario.CUT, Scenario.STALL):
            self._break_off(request, scene, said)
        else:
            self._send(request, 200, said)

    def _begin_stream(self, request: Request, dialect: Dialect, scene: Scenario, events: list[bytes]) -> None:
        kind = b"application/x-ndjson" if dialect is DIALECTS["ollama"] else b"text/event-stream; charset=utf-8"
        request.setHeader(b"content-type", kind)
        if scene in (Scenario.CUT, Scenario.STALL):
            # In the middle of the text, and of an event.
            half = events[: max(1, len(events) // 2)]
            events = [*half, events[len(half)][:-9]] if len(half) < len(events) else half
        self._later(request, self.slow if scene is Scenario.SLOW else 0.0, self._stream, request, scene, events)

    def _stream(self, request: Request, scene: Scenario, events: list[bytes]) -> None:
        if events:
            request.write(events[0])
            pace = max(self.pace, self.slow / _SLOW_PIECES) if scene is Scenario.SLOW else self.pace
            self._later(request, pace, self._stream, request, scene, events[1:])
        elif scene is Scenario.CUT:
            connection: Any = request.channel
            connection.transport.abortConnection()
        elif scene is not Scenario.STALL:
            request.finish()

    def _later(self, request: Request, seconds: float, act: Callable[..., None], *details: Any) -> None:
        """``act`` after ``seconds``, unless whoever asked has gone by then."""
        if request not in self._coming:
            request.notifyFinish().addBoth(lambda _: self._gone(request))
        self._coming[request] = self._reactor.callLater(seconds, act, *details)

    def _gone(self, request: Request) -> None:
        later = self._coming.pop(request, None)
        if later is not None and later.active():
            later.cancel()

    def _fail(self, request: Request, dialect: Dialect, status: int, message: str) -> None:
        if status == 429:
            request.setHeader(b"retry-after", str(RETRY_AFTER).encode())
        self._send(request, status, dialect.error(status, message, RETRY_AFTER))

    def _send(self, request: Request, status: int, said: dict[str, Any]) -> None:
        body = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"content-length", str(len(body)).encode())
        request.write(body)
        request.finish()

    def _break_off(self, request: Request, scene: Scenario, said: dict[str, Any]) -> None:
        body = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"content-length", str(len(body)).encode())
        request.write(body[: len(body) // 2])
        if scene is Scenario.CUT:
            connection: Any = request.channel
            self._later(request, _BEFORE_THE_CUT, connection.transport.abortConnection)

    def _note(self, key: str, path: str, headers: dict[str, str], body: bytes) -> None:
        if key not in self.seen and len(self.seen) >= _KEYS_SEEN:
            del self.seen[next(iter(self.seen))]
        seen = self.seen.setdefault(key, Seen())
        seen.count += 1
        seen.paths.append(path)
        seen.headers.append(headers)
        seen.bodies.append(body)


def _asks_yes_or_no(schema: object) -> bool:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return isinstance(properties, dict) and {"yes", "evidence"} <= set(properties)


def _split(address: str) -> tuple[str, str]:
    key, slash, rest = address.lstrip("/").partition("/")
    return unquote(key), slash + rest


def _placed(method: str, rest: str, headers: dict[str, str]) -> tuple[str, str, str]:
    """The api at this address, what is to be done there ("" for nothing), and the model if the address names one."""
    for verb, pattern, api, act in _ADDRESSES:
        if verb == method and (match := pattern.fullmatch(rest)):
            if api == "openai" and "anthropic-version" in headers:
                api = "anthropic"
            return api, act, unquote(match.groupdict().get("model") or "")
    if rest.startswith("/v1beta"):
        return "gemini", "", ""
    if rest.startswith("/api"):
        return "ollama", "", ""
    return ("anthropic" if "anthropic-version" in headers else "openai"), "", ""


class _BoundedRequest(Request):
    """A request that stops keeping its body at :data:`BODY_LIMIT`."""

    received = 0

    def handleContentChunk(self, data: bytes) -> None:
        self.received += len(data)
        if self.received <= BODY_LIMIT:
            super().handleContentChunk(data)


class _Stage(Resource):
    isLeaf = True

    def __init__(self, server: PracticeServer) -> None:
        super().__init__()
        self._server = server

    def render(self, request: Any) -> int:
        # The end of a connection is no news here: it is what silence and cuts are for.
        request.notifyFinish().addErrback(lambda _: None)
        self._server.receive(request, request.content.read() if request.received <= BODY_LIMIT else None)
        return NOT_DONE_YET


class _QuietSite(Site):
    """A site that writes no access log."""

    requestFactory = _BoundedRequest
    noisy = False

    def log(self, request: HTTPRequest) -> None:
        pass


def _site(server: PracticeServer) -> Site:
    return _QuietSite(_Stage(server))


class _TrackedSite(WrappingFactory):
    """A site that knows its open connections, so that they can all be ended."""

    noisy = False

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._empty: Deferred[None] | None = None

    def abort_all(self) -> Deferred[None]:
        """End every connection; fires when the last is gone."""
        self._empty = Deferred()
        for connection in list(self.protocols):
            connection.transport.abortConnection()
        self._tell_if_empty()
        return self._empty

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        super().unregisterProtocol(p)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self._empty is not None and not self._empty.called and not self.protocols:
            self._empty.callback(None)
