"""Tells a webhook what an operator has to see to, in the JSON that Slack, Mattermost and Discord's /slack take.

    alerts = Alerts(post, clock)
    router.events.subscribe(alerts)
    alerts.watch(lambda: [Alert("budget:game:80", "The game's budget is used by 80%.")])
    alerts.start()

An event is told when it happens; what ``watch`` looks at is told once it begins, and again after it was over. The same
alert is told at most once in :data:`AGAIN` seconds. Of what a provider has said nothing is passed on: it may repeat a
question. A webhook that cannot be reached is logged, and holds up nothing; at most :data:`MOST_WAITING` wait for it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.clock import Clock, DelayedCall
from ..core.events import BreakerOpened, Drifted, Event, Leaked
from ..core.failures import FailureCode

_log = Logger()

#: Seconds between two looks at what is watched, and before the same alert is told again.
LOOK, AGAIN = 30.0, 600.0
#: Alerts that wait for the webhook; the oldest go first.
MOST_WAITING = 100


class Alert(NamedTuple):
    """Something to see to: what tells it from others, and a line for people."""

    key: str
    text: str


#: Sends a body to the webhook; fails where that does not work.
Post = Callable[[bytes], Coroutine[Any, Any, None]]


class Alerts:
    """A listener that posts. ``post`` is None where there is no webhook: then alerts are only kept in ``recent``."""

    def __init__(self, post: Post | None, clock: Clock):
        self.post = post
        self._clock = clock
        self._watched: list[Callable[[], Iterable[Alert]]] = []
        self._standing: set[str] = set()
        self._told: dict[str, float] = {}
        self._waiting: deque[Alert] = deque(maxlen=MOST_WAITING)
        self._posting: Deferred[None] | None = None
        self._look: DelayedCall | None = None
        #: The latest alerts, newest last, with their time.
        self.recent: deque[tuple[float, Alert]] = deque(maxlen=50)

    def watch(self, look: Callable[[], Iterable[Alert]]) -> None:
        """Call ``look`` now and then; what it finds is told once it is new."""
        self._watched.append(look)

    def start(self) -> None:
        """Begin to look."""
        if self._look is None:
            self._look = self._clock.callLater(LOOK, self._look_around)

    def stop(self) -> None:
        """Look no more, and post no more."""
        if self._look is not None and self._look.active():
            self._look.cancel()
        self._look = None
        self._waiting.clear()
        if self._posting is not None:
            self._posting.cancel()

    def __call__(self, event: Event) -> None:
        if isinstance(event, BreakerOpened):
            why = event.reason.partition(":")[0]
            why = why.replace("_", " ") if why in FailureCode._value2member_map_ else "it needs a rest"
            until = "until somebody resets it" if event.until is None else f"for {event.until - event.at:.0f} s"
            self.tell(Alert(f"breaker:{event.backend}", f"{event.backend}: its breaker is open {until} ({why})."))
        elif isinstance(event, Drifted):
            self.tell(Alert(f"drift:{event.backend}:{event.kind}:{event.signal}", f"Drift: {event.reason}."))
        elif isinstance(event, Leaked):
            self.tell(Alert("leak", f"A request to {event.backend} would have named somebody, and was not sent."))

    def tell(self, alert: Alert) -> None:
        """Post ``alert``, unless it was told a moment ago."""
        now = self._clock.seconds()
        if now - self._told.get(alert.key, -AGAIN) < AGAIN:
            return
        self._told = {key: at for key, at in self._told.items() if now - at < AGAIN} | {alert.key: now}
        self.recent.append((now, alert))
        if self.post is not None:
            self._waiting.append(alert)
            self._send()

    def _look_around(self) -> None:
        self._look = self._clock.callLater(LOOK, self._look_around)
        found: dict[str, Alert] = {}
        for look in self._watched:
            try:
                found.update((alert.key, alert) for alert in look())
            except Exception:
                _log.failure("what is watched for alerts cannot be looked at")
        for key, alert in found.items():
            if key not in self._standing:
                self.tell(alert)
        self._standing = set(found)

    def _send(self) -> None:
        """Post one after the other."""
        while self._posting is None and self._waiting and self.post is not None:
            posting = self._posting = Deferred.fromCoroutine(self.post(message(self._waiting.popleft().text)))
            posting.addBoth(self._posted)

    def _posted(self, result: object) -> None:
        self._posting = None
        if isinstance(result, Failure) and not isinstance(result.value, CancelledError):
            # Its address is a secret, and is in no message of ours.
            _log.error("an alert cannot be posted: {why}", why=type(result.value).__name__)
        self._send()


def message(text: str) -> bytes:
    """The body of a webhook's message; Slack's three special letters are escaped.

    https://api.slack.com/reference/surfaces/formatting#escaping
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return json.dumps({"text": f"Uniwizard: {text}"}).encode()
