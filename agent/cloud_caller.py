"""One attempt: one veiled task to one backend and back.

    caller = CloudCaller(clock)
    answer = await caller.ask(veiled_task, backend, system, blindfold, total=30.0)    # raises AttemptFailed
    answer = await caller.ask(veiled_task, backend, system, blindfold, 30.0, on_text)    # hears it as it comes

Between the encoder and the socket stands the scan: what names anyone is not sent, and raises :class:`LeakFound`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from .core.answer import Answer, Usage
from .core.aside import LONG, aside
from .core.backend import Backend, Timeout
from .core.clock import Clock
from .core.failures import AttemptFailed, FailureCode, LeakFound
from .core.task import Task
from .privacy.blindfold import SHORT, Blindfold
from .privacy.rewording import map_strings, reworded
from .transport.client import Response, fetch, stream
from .transport.http import TwistedTransport
from .wire import StreamDecoder, WireRequest, called, decode, decode_probe, encode, probe, stream_decoder

#: Seconds a health check may take.
PROBE_TIMEOUT = 5.0


class Progress(Protocol):
    """Hears of an answer while it comes. ``usage``: the tokens that the provider has reported by the end."""

    usage: Usage | None

    def __call__(self, text: str) -> None: ...


class CloudCaller:
    """Asks backends over one shared pool of connections. ``on_headers`` is told the headers of every response."""

    def __init__(self, clock: Clock, on_headers: Callable[[Backend, Mapping[str, str]], None] | None = None):
        self._clock = clock
        self._on_headers = on_headers
        self._transport = TwistedTransport(clock)

    async def ask(
        self,
        task: Task,
        backend: Backend,
        system: str,
        blindfold: Blindfold,
        total: float,
        progress: Progress | None = None,
    ) -> Answer:
        """Send ``task``, which must be redacted already, and decode what comes back within ``total`` seconds.

        ``progress`` is called with every piece of the answer as it comes, where the backend can ``stream``; the pieces
        are still redacted, and not judged. Raises AttemptFailed (LeakFound when the blindfold's scan finds a term).
        """
        streams = progress is not None and "stream" in backend.capabilities
        # A long request is written beside the reactor's thread.
        long = _is_long(task)
        try:
            if long:
                request = await aside(self._clock, encode, task, backend, system, streams)
            else:
                request = encode(task, backend, system, streams)
        except (TypeError, ValueError, RecursionError):
            raise AttemptFailed(FailureCode.BAD_REQUEST, "the task holds what no JSON can carry") from None
        if not blindfold.empty:
            await _inspect(request, task, backend, system, blindfold, streams, self._clock)
        timeout = backend.timeout if total >= backend.timeout.total else replace(backend.timeout, total=total)
        if streams and progress is not None:
            return called(task, await self._listen(request, backend, timeout, progress))
        response = await fetch(
            self._transport, request.method, request.url, request.headers, request.body, timeout, self._clock
        )
        if self._on_headers is not None:
            self._on_headers(backend, response.headers)
        return called(task, decode(backend, response.status, response.headers, response.body))

    async def _listen(self, request: WireRequest, backend: Backend, timeout: Timeout, progress: Progress) -> Answer:
        listener = _Listener(stream_decoder(backend), progress)
        try:
            response = await stream(
                self._transport,
                request.method,
                request.url,
                request.headers,
                request.body,
                timeout,
                self._clock,
                listener,
            )
            if self._on_headers is not None:
                self._on_headers(backend, response.headers)
            if not 200 <= response.status < 300:
                return decode(backend, response.status, response.headers, response.body)
            return listener.decoder.finish()
        except AttemptFailed as broken:
            broken.chars, broken.usage = listener.decoder.chars, listener.decoder.usage
            raise
        finally:
            # Also for whoever is cancelled, and must account for what has come.
            progress.usage = listener.decoder.usage

    async def exchange(self, request: WireRequest, backend: Backend, blindfold: Blindfold, total: float) -> Response:
        """Send a request that is no task, and bring its response within ``total`` seconds. Raises AttemptFailed."""
        if not blindfold.empty and await _scan(request, Task(), blindfold, self._clock):
            raise LeakFound
        timeout = replace(backend.timeout, total=min(total, backend.timeout.total))
        response = await fetch(
            self._transport, request.method, request.url, request.headers, request.body, timeout, self._clock
        )
        if self._on_headers is not None:
            self._on_headers(backend, response.headers)
        return response

    async def probe(self, backend: Backend) -> None:
        """Ask whether the backend is there, without costing a token. Raises AttemptFailed when it is not well."""
        request = probe(backend)
        timeout = replace(backend.timeout, total=min(PROBE_TIMEOUT, backend.timeout.total))
        response = await fetch(
            self._transport, request.method, request.url, request.headers, request.body, timeout, self._clock
        )
        decode_probe(backend, response.status, response.headers, response.body)

    async def close(self) -> None:
        """Close every idle connection."""
        await self._transport.aclose()


class _Listener:
    """Between the socket and the decoder: passes on what is new."""

    def __init__(self, decoder: StreamDecoder, on_text: Callable[[str], None]):
        self.decoder = decoder
        self._on_text = on_text

    @property
    def tokens(self) -> int:
        return self.decoder.tokens

    @property
    def finished(self) -> bool:
        return self.decoder.finished

    def feed(self, data: bytes) -> None:
        said = "".join(self.decoder.feed(data))
        if said:
            self._on_text(said)


async def _inspect(
    request: WireRequest,
    task: Task,
    backend: Backend,
    system: str,
    blindfold: Blindfold,
    streams: bool,
    clock: Clock,
) -> None:
    """The last look at what is sent: raises LeakFound when it names someone.

    A word that the same request would hold without anybody's words names nobody: a player called "Anthropic" is not
    betrayed by an address. But neither the soul nor whoever asks may stand in a prompt or an option of our own.
    """
    found = await _scan(request, task, blindfold, clock)
    if not found:
        return
    if not blindfold.soul.isdisjoint(found):
        raise LeakFound
    blank = _blank(task)
    theirs = await _scan(encode(blank, backend, system, streams), blank, blindfold, clock)
    if not set(found) <= set(theirs) or blindfold.asker_in((system, *_strings(backend.options))):
        raise LeakFound


async def _scan(request: WireRequest, task: Task, blindfold: Blindfold, clock: Clock) -> tuple[str, ...]:
    """The names in the address, the headers and the body of a request, but for its pictures and sounds.

    Those are random letters, in which any short name turns up by chance.
    """
    if len(request.body) <= SHORT:
        return blindfold.scan(_said(request, task))
    return await blindfold.scan_in_slices(await aside(clock, _said, request, task), clock)


def _said(request: WireRequest, task: Task) -> str:
    """What a request says in address, headers and body: pictures and sounds are left out, in one pass."""
    body = request.body.decode("utf-8", "replace")
    said, at, missed = [request.url, *(f"{name}: {value}" for name, value in request.headers.items())], 0, 0
    for turn in task.turns:
        for image in turn.images:
            if len(image.data) < _PICTURE or missed > _MISSED:
                continue
            written = base64.b64encode(image.data).decode()
            found = body.find(written, at)
            if found < 0:
                # Not where it should be; after some of them the rest is read as words, which is slow but safe.
                missed += 1
                continue
            said.append(body[at:found])
            at = found + len(written)
    return "\n".join((*said, body[at:]))


def _is_long(task: Task) -> bool:
    words = sum(len(turn.text) + sum(len(image.data) for image in turn.images) for turn in task.turns)
    return words > LONG or len(task.tools) > _MANY_TOOLS or task.schema is not None


#: Bytes below which a picture is read like words (in so few a short name does not turn up by chance), pictures that may
#: stand elsewhere than expected, and tools that are written in some milliseconds.
_PICTURE, _MISSED, _MANY_TOOLS = 100, 3, 20


def _strings(options: Mapping[str, object]) -> list[str]:
    found: list[str] = []

    def note(_: str, text: str) -> str:
        found.append(text)
        return text

    map_strings(options, note)
    return found


def _blank(task: Task) -> Task:
    """A task of the same shape, with the same pictures, in which nobody has written anything."""
    bare = reworded(task, lambda _, text: "-")
    pictured = zip(bare.turns, task.turns, strict=True)
    return bare.with_turns(tuple(replace(turn, images=original.images) for turn, original in pictured))
