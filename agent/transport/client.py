"""One request and its response, in its time: whole, or as a stream.

    transport = TwistedTransport(reactor)
    response = await fetch(transport, "POST", url, headers, body, backend.timeout, clock)
    response = await stream(transport, "POST", url, headers, body, backend.timeout, clock, sink)

Whatever goes wrong comes as AttemptFailed. Cancelling the Deferred that drives either aborts the connection at once; so
does a timeout.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from twisted.internet.defer import CancelledError, Deferred

from ..core.backend import Timeout
from ..core.clock import Clock, DelayedCall
from ..core.failures import AttemptFailed, FailureCode
from .connections import MAX_RESPONSE, MAX_STREAM
from .http import Incoming, TwistedTransport

#: Seconds that the rest of a stream may take once the answer is whole: time for its usage and the end of its body,
#: after which the connection can be used again.
LINGER = 1.0


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response: status, headers by their names in lower case, decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def fetch(
    transport: TwistedTransport,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    timeout: Timeout,
    clock: Clock,
    limit: int = MAX_RESPONSE,
) -> Response:
    """Send one request and read the whole answer.

    timeout  ``connect`` and ``total`` seconds
    limit    bytes of decoded body

    Raises AttemptFailed: ``timeout``, ``network``, or ``malformed`` for a response that is too long or of broken
    encoding. A cancelled caller gets Twisted's CancelledError, and the connection is closed.
    """
    accepting = {**headers, "accept-encoding": "gzip"}
    return await _timed(_exchange(transport.send(method, url, accepting, body, timeout.connect), limit), timeout, clock)


class Sink(Protocol):
    """What takes a stream in.

    tokens    events so far that brought something the model made
    finished  whether the answer is whole
    """

    @property
    def tokens(self) -> int: ...

    @property
    def finished(self) -> bool: ...

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the decoded body. What it raises ends the exchange."""


async def stream(
    transport: TwistedTransport,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    timeout: Timeout,
    clock: Clock,
    sink: Sink,
) -> Response:
    """Send one request and hand the body of a 2xx to ``sink`` as it comes; other bodies are in the response, whole.

    timeout  ``connect``, ``first_token``, ``idle`` and ``total`` seconds. Between tokens is what counts: comments and
             pings say that a server is there, not that a model thinks

    Returns when the body has ended, or :data:`LINGER` seconds after the answer was whole. Raises as :func:`fetch` does.
    """
    # A compressed stream comes in larger pieces, and so later.
    accepting = {**headers, "accept-encoding": "identity"}
    sent = transport.send(method, url, accepting, body, timeout.connect)
    silences = _Silences(timeout, clock, sink)
    try:
        return await _timed(_converse(sent, sink, silences), timeout, clock, silences)
    except AttemptFailed:
        if sink.finished:
            return Response(200, silences.headers, b"")
        raise


class _Silences:
    """How long a stream may be silent, by how far it has come."""

    def __init__(self, timeout: Timeout, clock: Clock, sink: Sink):
        self._timeout = timeout
        self._clock = clock
        self._sink = sink
        self._tokens = 0
        self._finished = False
        self._since = clock.seconds()
        #: What the response said before its body.
        self.headers: Mapping[str, str] = {}
        #: Told when another silence than before is allowed.
        self.on_phase: Callable[[], None] = lambda: None

    def heard(self) -> None:
        """Bytes have come; they count if they brought something."""
        sink = self._sink
        if sink.tokens != self._tokens or sink.finished != self._finished:
            new_phase = not self._tokens or sink.finished != self._finished
            self._tokens, self._finished = sink.tokens, sink.finished
            self._since = self._clock.seconds()
            if new_phase:
                self.on_phase()

    @property
    def allowed(self) -> float:
        if self._finished:
            return LINGER
        return self._timeout.idle if self._tokens else self._timeout.first_token

    @property
    def ends(self) -> float:
        """When it has been silent for too long."""
        return self._since + self.allowed

    def why(self) -> str:
        if self._tokens:
            return f"it fell silent for {self.allowed:g} s in the middle of its answer"
        return f"no first word within {self.allowed:g} s"


async def _timed(
    exchange: Coroutine[Any, Any, Response], timeout: Timeout, clock: Clock, silences: _Silences | None = None
) -> Response:
    """The outcome of ``exchange``, which is cancelled when its time is over; in our own terms if it fails."""
    whole = Deferred.fromCoroutine(exchange)
    end = clock.seconds() + max(0.0, timeout.total)
    late = ""
    rings = end
    alarm: DelayedCall

    def look() -> None:
        nonlocal late
        now = clock.seconds()
        if now >= end:
            late = f"no answer within {timeout.total:g} s"
        elif silences is not None and now >= silences.ends:
            late = silences.why()
        else:
            set_alarm()
            return
        whole.cancel()

    def set_alarm() -> None:
        nonlocal alarm, rings
        rings = end if silences is None else min(end, silences.ends)
        alarm = clock.callLater(max(0.0, rings - clock.seconds()), look)

    def hurry() -> None:
        if silences is not None and silences.ends < rings and alarm.active():
            alarm.cancel()
            set_alarm()

    # One alarm for all: it looks how far things have come, and is set again. Tokens are many, alarms are few.
    set_alarm()
    if silences is not None:
        silences.on_phase = hurry
    try:
        return await whole
    except CancelledError:
        if late:
            raise AttemptFailed(FailureCode.TIMEOUT, late) from None
        raise
    except httpx.ConnectTimeout:
        raise AttemptFailed(FailureCode.TIMEOUT, f"no connection within {timeout.connect:g} s") from None
    except httpx.DecodingError as error:
        raise AttemptFailed(FailureCode.MALFORMED, str(error)) from None
    except httpx.TransportError as error:
        raise AttemptFailed(FailureCode.NETWORK, str(error)) from None
    finally:
        if alarm.active():
            alarm.cancel()


async def _exchange(sent: Awaitable[Incoming], limit: int) -> Response:
    return await _whole(await sent, limit)


async def _whole(incoming: Incoming, limit: int) -> Response:
    chunks: list[bytes] = []
    try:
        unpacked = _Unpacked(incoming, limit)
        while chunk := await unpacked.more():
            chunks.append(chunk)
    except AttemptFailed as failed:
        failed.status = incoming.status
        raise
    finally:
        incoming.drop()
    return Response(incoming.status, incoming.headers, chunks[0] if len(chunks) == 1 else b"".join(chunks))


async def _converse(sent: Awaitable[Incoming], sink: Sink, silences: _Silences) -> Response:
    incoming = await sent
    silences.headers = incoming.headers
    if not 200 <= incoming.status < 300:
        return await _whole(incoming, MAX_RESPONSE)
    try:
        unpacked = _Unpacked(incoming, MAX_STREAM)
        while chunk := await unpacked.more():
            sink.feed(chunk)
            silences.heard()
    finally:
        incoming.drop()
    return Response(incoming.status, incoming.headers, b"")


class _Unpacked:
    """The decoded body as it comes. It is never unpacked beyond ``limit`` bytes, however small the bomb."""

    def __init__(self, incoming: Incoming, limit: int):
        self._incoming = incoming
        self._limit = self._room = limit
        self._begun = False
        self._unpack = _unpacker(incoming.headers.get("content-encoding", ""))

    async def more(self) -> bytes:
        """The next bytes of it; nothing at its end."""
        unpack = self._unpack
        while chunk := await self._incoming.more():
            self._begun = True
            if unpack is not None:
                try:
                    chunk = unpack.decompress(chunk, self._room + 1)
                except zlib.error:
                    raise httpx.DecodingError("the body's encoding is broken") from None
            self._room -= len(chunk)
            if self._room < 0:
                raise AttemptFailed(FailureCode.MALFORMED, f"the body is larger than {self._limit} bytes")
            if chunk:
                return chunk
        if unpack is not None and self._begun and not unpack.eof:
            raise httpx.DecodingError("the body's encoding is cut off")
        return b""


def _unpacker(encoding: str) -> Any:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        case _:
            raise httpx.DecodingError("the body has an encoding that was not asked for")
