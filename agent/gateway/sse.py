"""Server-sent events: silence is bridged while an answer is judged, then the answer comes in chunks.

    events = EventStream(request, clock)
    events.wait()                     # from now on a comment every KEEP_ALIVE seconds
    events.send([chunk, ...])         # the first of these, or the first comment, sends the headers
    events.end()                      # data: [DONE]

The status line waits for the first event or comment, whichever comes first. So a task that fails at once is answered
with the status and the body that a plain request gets, and one that fails later with an error event, which the
official SDKs raise just the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.web.http import Request

from ..core.clock import Clock, DelayedCall
from ..wire.body import dump
from .errors import Rejected
from .write import put_headers

#: Seconds. Proxies and clients commonly give up on a silent connection after 30 to 60.
KEEP_ALIVE = 5.0

_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    # nginx, and what is built on it, would otherwise hold the stream back.
    "x-accel-buffering": "no",
}


class EventStream:
    """One response made of events."""

    def __init__(self, request: Request, clock: Clock, headers: Mapping[str, str], keep_alive: float = KEEP_ALIVE):
        self.begun = False
        self._request = request
        self._clock = clock
        self._headers = dict(headers)
        self._keep_alive = keep_alive
        self._next: DelayedCall | None = None

    def wait(self) -> None:
        """Bridge the silence from now on."""
        self._next = self._clock.callLater(self._keep_alive, self._comment)

    def send(self, chunks: Iterable[Mapping[str, Any]], headers: Mapping[str, str] | None = None) -> None:
        """Send events; ``headers`` are added if none have been sent yet."""
        self._write(b"".join(b"data: %s\n\n" % dump(chunk) for chunk in chunks), headers)

    def end(self) -> None:
        """Say that this was all of it."""
        self.rest()
        self._write(b"data: [DONE]\n\n")
        self._request.finish()

    def fail(self, rejected: Rejected) -> None:
        """End with an error event. No ``[DONE]`` follows: what came before is not whole."""
        self.rest()
        self.send([rejected.body()])
        self._request.finish()

    def rest(self) -> None:
        """No more comments; to be called however the stream ends."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    def _comment(self) -> None:
        self._write(b": still at it\n\n")
        self.wait()

    def _write(self, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        if not self.begun:
            self.begun = True
            put_headers(self._request, {**self._headers, **_HEADERS, **(headers or {})})
        self._request.write(data)
