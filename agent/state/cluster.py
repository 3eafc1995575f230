"""What several processes do together, over Redis: limits, breakers, the one runner, and what is said to all.

    cluster = Cluster("redis://127.0.0.1:6379/0", reactor)
    cluster.start(); await cluster.stop()
    cluster.pool(name, limit, used)              # a limit that is kept together (:mod:`.pool`)
    cluster.tell("revoked", id="1f0c22ab")       # to all others, within some milliseconds
    cluster.on("revoked", heard)                 # heard({"id": ...}); never one's own
    cluster.runs                                 # whether this process does what one alone should do
    await cluster.claim("probe:claude", 30.0)    # whether this process may; True where Redis is gone

Redis coordinates and is asked for nothing else: whatever it forgets, the processes know (:mod:`.scripts`). While it is
gone, no call waits for it; each process works on with what it holds and was promised, is its own runner, and hears
nothing of the others.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from hashlib import sha1
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.clock import Clock, sleep
from . import redis
from .pool import PATIENCE, Pool
from .scripts import BEAT, LEASE

_log = Logger()

#: Seconds between two signs of life.
EVERY = 1.0
#: Milliseconds for which somebody is the runner without a sign of life.
RUNS_MS = 5000
#: Seconds between two beats after which this process was stopped itself: what it holds may be somebody else's by now.
STOPPED = 10.0
#: Seconds without a reply after which Redis is gone.
GONE = 0.5
PREFIX = "uw:"


class Cluster:
    """This process among the others. Everything belongs to the reactor's thread.

    processes  how many there will be at least, which the first shares go by
    name       of those that belong together, where several clusters have one Redis
    """

    def __init__(self, address: str, clock: Clock, processes: int = 1, name: str = ""):
        self._address = address
        self._prefix = f"{PREFIX}{name}:" if name else PREFIX
        self._shared = self._prefix + "cluster", self._prefix + "members", self._prefix + "runner"
        self._channel = self._prefix + "said"
        self.clock: Any = clock
        self.process = secrets.token_hex(6)
        self._least = self.processes = max(1, processes)
        #: Whether Redis cannot be asked now. It is not known before the first reply.
        self.away = True
        self.runs = True
        #: Whether Redis grants nothing yet; see :mod:`.scripts`.
        self.settling = True
        #: Commands sent so far.
        self.calls = 0
        self._redis: Any = None
        self._listening: Any = None
        self._beating: LoopingCall | None = None
        self._beat_at = clock.seconds()
        self._pools: dict[str, Pool] = {}
        self._active: set[str] = set()
        self._heard: dict[str, list[Callable[[dict[str, Any]], None]]] = {}
        self._joined: list[Callable[[], None]] = []
        self._hears = False
        self._sequence = 0
        self._waiting: set[Deferred[Any]] = set()
        self._loaded: set[str] = set()
        self._unanswered = 0.0

    def start(self) -> None:
        """Take part from now on. Raises ImportError where txredisapi is not installed."""
        self._redis = redis.connect_soon(self._address)
        self._listening = redis.listen(self._address, self._channel, self._hear, self._join)
        self._beating = LoopingCall(self._beat)
        self._beating.clock = self.clock
        self._beat_at = self.clock.seconds()
        self._beating.start(EVERY)

    async def stop(self) -> None:
        """Give back what is held, and go."""
        if self._beating is None:
            return
        self._beating.stop()
        self._beating = None
        if not self.away:
            for name in list(self._active):
                pool = self._pools[name]
                pool.give_back()
                self.lease(pool, pool.word(sweep=False))
            leaving = self._do("ZREM", self._shared[1], self.process)
            leaving.addTimeout(PATIENCE * 4, self.clock, onTimeoutCancel=lambda *_: None)
            await leaving
        self.away = True
        for connection in (self._redis, self._listening):
            maybeDeferred(connection.disconnect).addErrback(lambda _: None)

    async def settled(self, patience: float) -> None:
        """Wait until Redis grants, or so many seconds at the most."""
        until = self.clock.seconds() + patience
        while (self.away or self.settling) and self.clock.seconds() < until:
            await sleep(self.clock, 0.05)

    # -- limits --------------------------------------------------------------------------------------------------

    def pool(self, name: str, limit: float, used: Callable[[], float], **options: Any) -> Pool:
        """A limit of that name; see :class:`.pool.Pool`. One that there is by that name is left to itself."""
        found = self._pools[name] = Pool(self, name, limit, used, **options)
        return found

    def drop(self, pool: Pool) -> None:
        """The limit is over, such as a window that has ended."""
        if self._pools.get(pool.name) is pool:
            del self._pools[pool.name]
            self._active.discard(pool.name)

    def active(self, pool: Pool) -> None:
        """Something has happened to ``pool``: it is spoken of from now on."""
        if self._pools.get(pool.name) is pool:
            self._active.add(pool.name)

    def lease(self, pool: Pool, word: list[Any]) -> Deferred[Any]:
        """Say ``word`` of ``pool`` to Redis; its reply, or None. Never fails."""
        self.active(pool)
        return self._run(LEASE, [self._shared[0], f"{self._prefix}pool:{pool.name}"], word)

    def sequence(self) -> int:
        """A number above all before it."""
        self._sequence += 1
        return self._sequence

    def lapsed(self) -> bool:
        """Whether this process was stopped for so long that others may have what it held."""
        return self._beating is not None and bool(self.clock.seconds() - self._beat_at > STOPPED)

    # -- what is said to all -------------------------------------------------------------------------------------

    def tell(self, what: str, **said: Any) -> None:
        """Tell all others; who cannot be reached does not hear it."""
        if not self.away:
            self._do("PUBLISH", self._channel, json.dumps({**said, "what": what, "by": self.process}))

    def on(self, what: str, heard: Callable[[dict[str, Any]], None]) -> None:
        """Have ``heard`` called with what the others tell."""
        self._heard.setdefault(what, []).append(heard)

    def on_join(self, joined: Callable[[], None]) -> None:
        """Have ``joined`` called whenever this process begins to hear the others, after a while without, too."""
        self._joined.append(joined)
        if self._hears:
            joined()

    def _hear(self, message: bytes) -> None:
        try:
            said = json.loads(message)
            heard = self._heard.get(said["what"], ()) if said["by"] != self.process else ()
        except (ValueError, TypeError, KeyError):
            return
        for each in heard:
            try:
                each(said)
            except Exception:
                _log.failure("what another process said could not be taken up: {what}", what=said["what"])

    def _join(self) -> None:
        self._hears = True
        for joined in self._joined:
            joined()

    # -- what is kept for all ------------------------------------------------------------------------------------

    def keep(self, key: str, value: dict[str, Any] | None, seconds: float = 0.0) -> None:
        """Keep ``value`` for those who come later, for so long; None forgets it."""
        if value is None:
            self._do("DEL", f"{self._prefix}{key}")
        else:
            self._do("SET", f"{self._prefix}{key}", json.dumps(value), "PX", max(1, round(seconds * 1000.0)))

    async def kept(self, keys: list[str]) -> list[dict[str, Any] | None]:
        """What is kept by ``keys``; None where nothing is, or Redis is gone."""
        reply = await self._do("MGET", *(f"{self._prefix}{key}" for key in keys)) if keys else []
        found: list[dict[str, Any] | None] = []
        for value in reply if isinstance(reply, list) else [None] * len(keys):
            try:
                node = json.loads(value) if value is not None else None
            except ValueError:
                node = None
            found.append(node if isinstance(node, dict) else None)
        return found

    async def claim(self, key: str, seconds: float) -> bool:
        """Whether this process may do what one alone should, for so long; True where Redis is gone."""
        if self.away:
            return True
        claimed = self._do("SET", f"{self._prefix}{key}", self.process, "NX", "PX", round(seconds * 1000.0))
        claimed.addTimeout(PATIENCE, self.clock, onTimeoutCancel=lambda *_: True)
        reply = await claimed
        return reply is not None

    def release(self, key: str) -> None:
        """It is done."""
        self._do("DEL", f"{self._prefix}{key}")

    # -- talking to Redis ----------------------------------------------------------------------------------------

    def _beat(self) -> None:
        now = self.clock.seconds()
        stopped = self.lapsed()
        if self._waiting and now - self._unanswered > GONE and not self.away:
            self._gone("it does not answer")
        if self.away and self._waiting and now - self._unanswered < 10.0:
            # One question waits for its reply; more would only wait as well.
            self._beat_at = now
            return
        beat = self._run(BEAT, [*self._shared], [self.process, RUNS_MS])
        beat.addCallback(self._beaten)
        if not self.away or stopped:
            self._sync()
        self._beat_at = now

    def _sync(self) -> None:
        for name in list(self._active):
            pool = self._pools[name]
            pool.sync()
            if pool.idle:
                self._active.discard(name)

    def _beaten(self, reply: Any) -> None:
        if not isinstance(reply, list) or self._beating is None:
            return
        _, settling, members, runner = reply
        self.settling = bool(settling)
        self.processes = max(self._least, int(members))
        self.runs = runner in (self.process, self.process.encode())
        if self.away:
            self.away = False
            _log.info("Redis can be asked; {count} processes work together", count=self.processes)
            self._sync()

    def _run(self, script: str, keys: list[str], arguments: list[Any]) -> Deferred[Any]:
        words = [len(keys), *keys, *(repr(a) if isinstance(a, float) else a for a in arguments)]
        if script not in self._loaded:
            self._loaded.add(script)
            return self._do("EVAL", script, *words)
        reply = self._do("EVALSHA", sha1(script.encode()).hexdigest(), *words)

        def unknown(reply: Any) -> Any:
            # A Redis that was started anew knows no script.
            if isinstance(reply, Failure):
                return None
            return reply

        return reply.addBoth(unknown)

    def _do(self, *command: Any) -> Deferred[Any]:
        """The reply, or None where there is none. Never fails."""
        if self._redis is None:
            done: Deferred[Any] = Deferred()
            done.callback(None)
            return done
        if not self._waiting:
            self._unanswered = self.clock.seconds()
        self.calls += 1
        reply: Deferred[Any] = maybeDeferred(self._redis.execute_command, *command)
        self._waiting.add(reply)

        def replied(found: Any) -> Any:
            self._waiting.discard(reply)
            self._unanswered = self.clock.seconds()
            if isinstance(found, Failure):
                if "NOSCRIPT" in found.getErrorMessage():
                    self._loaded.clear()
                else:
                    self._gone(found.getErrorMessage())
                return None
            return found

        return reply.addBoth(replied)

    def _gone(self, why: str) -> None:
        if not self.away:
            self.away = self.runs = True
            _log.warn("Redis cannot be asked ({why}); this process works on with its share", why=why)
