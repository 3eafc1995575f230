"""Publishes every task on the Redis channel ``llm_router_metrics``, as the project's first router did.

    channel = Channel(connect("redis://127.0.0.1:6379/0"), clock)
    channel.publish(thought)          # never waits, never raises

One JSON object a task::

    {"model_used": "claude",
     "attempts": [{"model": "gpt", "outcome": "rejected", "reason": "refused", "latency_ms": 812.4},
                  {"model": "claude", "outcome": "success", "reason": null, "latency_ms": 930.1}],
     "latency_ms": 1745.0,
     "metrics_snapshot": {"claude": {"success": 7, "fallback": 0, "error": 0}, ...},
     "timestamp": 1795291200.25,
     "context": "supervisor.reconcile"}

``model`` is a backend's key; a simulated one is ``practice/<key>``. ``outcome`` is ``success``; ``rejected`` for what
the backend, its provider's filter or the judge turned down (:data:`REJECTED`); else ``invalid``. ``reason`` is the
failure's code, or ``stopped``. ``metrics_snapshot`` counts since the process began: answers, turns to the next, failed
attempts. ``timestamp`` is in seconds since the epoch. The context is the caller's label. Nobody's name is in it.

A Redis that is down, slow or full delays nothing: beyond :data:`MOST_UNDER_WAY` messages without an answer the next are
dropped, and counted in ``dropped``. What comes within :data:`GATHER` seconds goes out in one command, which is what
makes a message cheap: a command of its own costs three times as much as the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.attempt import Attempt
from ..core.clock import Clock, DelayedCall
from ..core.failures import FailureCode
from ..state.redis import RedisConnection
from .thoughts import Thought

_log = Logger()

CHANNEL = "llm_router_metrics"
#: Messages that Redis has not answered yet; about 1 kB each.
MOST_UNDER_WAY = 1000

#: Seconds in which messages gather, and how many go out in one command.
GATHER, MOST_TOGETHER = 0.02, 100

_TOGETHER = "for i = 2, #ARGV do redis.call('PUBLISH', ARGV[1], ARGV[i]) end return #ARGV - 1"

#: Failures of an answer that was understood and is not taken.
REJECTED = frozenset(
    {
        FailureCode.REFUSED,
        FailureCode.CONTENT_FILTER,
        FailureCode.LOW_CONFIDENCE,
        FailureCode.EMPTY,
        FailureCode.INVALID_OUTPUT,
    }
)
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Channel:
    """One connection's messages. Everything belongs to the reactor's thread.

    took  told how many seconds each answer of Redis took
    """

    def __init__(self, redis: RedisConnection, clock: Clock, took: Callable[[float], None] = lambda seconds: None):
        self._redis = redis
        self._clock = clock
        self._took = took
        self._under_way = 0
        self._trouble = False
        self._gathered: list[str] = []
        self._due: DelayedCall | None = None
        self._counted: dict[str, dict[str, int]] = {}
        #: Messages that nobody was told of.
        self.dropped = 0

    def publish(self, thought: Thought) -> None:
        """Tell of a task that is over."""
        self._count(thought)
        if self._under_way >= MOST_UNDER_WAY:
            self._drop("it does not answer")
            return
        self._under_way += 1
        self._gathered.append(_encode(self._told(thought)))
        if self._due is None:
            self._due = self._clock.callLater(GATHER, self._send)

    def _send(self) -> None:
        """Have Redis publish what has gathered."""
        self._due = None
        gathered, self._gathered = self._gathered, []
        for first in range(0, len(gathered), MOST_TOGETHER):
            some = gathered[first : first + MOST_TOGETHER]
            alone = len(some) == 1
            command = ("PUBLISH", CHANNEL, some[0]) if alone else ("EVAL", _TOGETHER, 0, CHANNEL, *some)
            reply = maybeDeferred(self._redis.execute_command, *command)
            reply.addBoth(self._replied, self._clock.seconds(), len(some))

    def close(self) -> None:
        """Send what has gathered, and end the connection."""
        if self._due is not None and self._due.active():
            self._due.cancel()
            self._send()
        self._redis.disconnect()

    def _told(self, thought: Thought) -> dict[str, Any]:
        return {
            "model_used": _name(thought.backend, thought.practice) if thought.backend else None,
            "attempts": [
                {
                    "model": _name(attempt.backend, attempt.practice),
                    "outcome": _outcome(attempt),
                    "reason": _reason(attempt),
                    "latency_ms": round(attempt.latency_ms, 3),
                }
                for attempt in thought.attempts
            ],
            "latency_ms": round((thought.ended - thought.began) * 1000.0, 3),
            "metrics_snapshot": self._counted,
            "timestamp": thought.ended,
            "context": thought.context or None,
        }

    def _count(self, thought: Thought) -> None:
        for attempt in thought.attempts:
            counts = self._of(_name(attempt.backend, attempt.practice))
            if attempt.failure is not None:
                counts["error"] += 1
            elif not attempt.cancelled:
                counts["success"] += 1
        practising = {attempt.backend: attempt.practice for attempt in thought.attempts}
        for turn in thought.turns:
            self._of(_name(turn.backend, practising.get(turn.backend, False)))["fallback"] += 1

    def _of(self, name: str) -> dict[str, int]:
        found = self._counted.get(name)
        if found is None:
            found = self._counted[name] = {"success": 0, "fallback": 0, "error": 0}
        return found

    def _replied(self, reply: Any, sent: float, count: int) -> None:
        self._under_way -= count
        if isinstance(reply, Failure):
            self._drop(reply.getErrorMessage(), count)
            return
        self._trouble = False
        self._took(max(0.0, self._clock.seconds() - sent))

    def _drop(self, why: str, count: int = 1) -> None:
        self.dropped += count
        if not self._trouble:
            self._trouble = True
            _log.error("nothing can be published on {channel}: {why}", channel=CHANNEL, why=why)


def _name(backend: str, practice: bool) -> str:
    return f"practice/{backend}" if practice else backend


def _outcome(attempt: Attempt) -> str:
    if attempt.failure is None and not attempt.cancelled:
        return "success"
    return "rejected" if attempt.failure in REJECTED else "invalid"


def _reason(attempt: Attempt) -> str | None:
    return "stopped" if attempt.cancelled else None if attempt.failure is None else str(attempt.failure)
