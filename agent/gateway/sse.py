"""Server-sent events: silence is bridged while an answer is judged, then the answer comes.

    events = EventStream(request, clock, headers, stream.wait)
    events.wait()                     # from now on something that means nothing, every KEEP_ALIVE seconds
    events.send(bytes)                # the first of these, or the first of those, sends the headers
    events.end()

The status line waits for the first event or comment, whichever comes first. So a task that fails at once is answered
with the status and the body that a plain request gets, and one that fails later with an error event, which the
official SDKs raise just the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.web.http import Request

from ..core.clock import Clock, DelayedCall
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
    """One response made of events. ``meanwhile`` gives what is sent while there is nothing to say."""

    def __init__(
        self,
        request: Request,
        clock: Clock,
        headers: Mapping[str, str],
        meanwhile: Callable[[], bytes],
        keep_alive: float = KEEP_ALIVE,
    ):
        self.begun = False
        self._request = request
        self._clock = clock
        self._headers = dict(headers)
        self._meanwhile = meanwhile
        self._keep_alive = keep_alive
        self._next: DelayedCall | None = None

    def wait(self) -> None:
        """Bridge the silence from now on."""
        self._next = self._clock.callLater(self._keep_alive, self._bridge)

    def send(self, events: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send events; ``headers`` are added if none have been sent yet."""
        if not self.begun:
            self.begun = True
            put_headers(self._request, {**self._headers, **_HEADERS, **(headers or {})})
        if events:
            self._request.write(events)

    def end(self) -> None:
        """That was all of it."""
        self.rest()
        self._request.finish()

    def rest(self) -> None:
        """Bridge no more; to be called however the stream ends."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    def _bridge(self) -> None:
        self.send(self._meanwhile())
        self.wait()
