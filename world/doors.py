"""The door for other programs as several processes on one port, without Evennia's server. In the game directory::

    python -m uniwizard.world.doors --processes 4 [--host H] [--port P]

A parent binds the port and starts the processes, which take connections from it by turns; one that dies is replaced.
They have the game's settings, tokens, budgets and ledger, and its PostgreSQL: SQLite lets one process in. With a Redis
(``redis:`` in the backends file, or ``UNIWIZARD_REDIS_URL``) quotas, budgets, rates, breakers and places are kept
together with the game's server; without one, each process goes by its own count.

SIGTERM and SIGINT end it: no new connection is taken, requests under way have :data:`GRACE` seconds.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: Seconds that requests under way are given when the doors close.
GRACE = 10.0
#: A process that lives for less than this, in seconds, has failed to start; after so many of them in a row nothing is
#: started any more.
SHORT_LIFE, SHORT_LIVES = 5.0, 10
#: Seconds between two looks at the processes.
LOOK = 0.1
#: Seconds between two readings of the names that must not leave, which the game's server alone hears of at once.
NAMES = 15.0

#: Seconds that a new process waits for Redis to know what is used.
SETTLED = 5.0

ONE_WRITER = (
    "SQLite lets one process write: use PostgreSQL (server/README.md), or --processes 1 without a game running."
)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    asked = _parser().parse_args(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.conf.settings")
    sys.path.insert(0, os.getcwd())
    import django
    from django.core.exceptions import ImproperlyConfigured

    try:
        django.setup()
    except (ImportError, ImproperlyConfigured) as error:
        print(f"This is no game directory, or its settings are broken: {error}", file=sys.stderr)
        return 2
    if asked.child is not None:
        return _Door(asked.child, asked.processes).run()
    from uniwizard.world.ledger.owners import several

    if asked.processes > 1 and not several():
        print(ONE_WRITER, file=sys.stderr)
        return 2
    return _Parent(asked).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m uniwizard.world.doors", description="Serve /v1 as several processes on one port."
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="as many as processors")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, metavar="P", help="the port (8000); 0 takes a free one")
    parser.add_argument("--child", type=int, default=None, help=argparse.SUPPRESS)
    return parser


class _Parent:
    """Binds the port and looks after the processes; it serves nothing itself."""

    def __init__(self, asked: argparse.Namespace):
        self._asked = asked
        self._children: dict[subprocess.Popen[bytes], float] = {}
        self._ending = False
        self._short_lives = 0

    def run(self) -> int:
        """Until a signal ends it, or no process stays alive."""
        from uniwizard.world.ledger import database

        database.ensure()
        asked = self._asked
        family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
        try:
            listening = socket.create_server((asked.host, asked.port), family=family, backlog=4096)
        except OSError as error:
            print(f"cannot listen on {asked.host}:{asked.port}: {error.strerror}", file=sys.stderr)
            return 2
        listening.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        host, port = listening.getsockname()[:2]
        print(f"{asked.processes} doors at http://{host}:{port}/v1, with tokens of the game's accounts.", flush=True)
        while not self._ending:
            self._replace(listening)
            time.sleep(LOOK)
        listening.close()
        for child in self._children:
            child.terminate()
        until = time.monotonic() + GRACE + 10.0
        for child in self._children:
            try:
                child.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
        return int(self._short_lives >= SHORT_LIVES)

    def _end(self, *_: Any) -> None:
        self._ending = True

    def _replace(self, listening: socket.socket) -> None:
        now = time.monotonic()
        for child, born in list(self._children.items()):
            if child.poll() is not None:
                del self._children[child]
                self._short_lives = self._short_lives + 1 if now - born < SHORT_LIFE else 0
                print(f"a door has died ({child.returncode}); another takes its place", file=sys.stderr, flush=True)
        if self._short_lives >= SHORT_LIVES:
            print("the doors die as soon as they are started; see above", file=sys.stderr, flush=True)
            self._ending = True
            return
        while len(self._children) < self._asked.processes:
            command = [sys.executable, "-m", "uniwizard.world.doors", "--child", str(listening.fileno())]
            command += ["--processes", str(self._asked.processes)]
            self._children[subprocess.Popen(command, pass_fds=[listening.fileno()])] = now


class _Door:
    """One process: a router, the game's tokens and its ledger behind the port that the parent has bound."""

    def __init__(self, handle: int, processes: int):
        self._handle = handle
        self._processes = processes
        self._parent = os.getppid()
        self._ending = False

    def run(self) -> int:
        """Serve until a signal ends it, or the parent has died."""
        import evennia

        evennia._init()
        from twisted.logger import (
            FilteringLogObserver,
            LogLevel,
            LogLevelFilterPredicate,
            globalLogBeginner,
            textFileLogObserver,
        )

        warnings: Any = LogLevelFilterPredicate(LogLevel.warn)
        written: Any = textFileLogObserver(sys.stderr)
        observer: Any = FilteringLogObserver(written, [warnings])
        globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
        from uniwizard.agent import ConfigError
        from uniwizard.world.reactor import reactor

        try:
            self._open()
        except ConfigError as error:
            for fault in error.faults:
                print(fault, file=sys.stderr)
            return 2
        reactor.callWhenRunning(self._listen)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: reactor.callFromThread(self._end))
        # The ledger's writer ends with the reactor; requests under way must have ended by then.
        reactor.run(installSignalHandlers=False)
        return 0

    def _open(self) -> None:
        """Everything that a request needs, before the first one. Raises ConfigError, DatabaseError."""
        from django.conf import settings

        from uniwizard.agent import Router, load, warm_up
        from uniwizard.agent.gateway import GatewaySite
        from uniwizard.world import cluster, identity, soul, watching
        from uniwizard.world.ledger import recorder
        from uniwizard.world.ledger.memory import DatabaseStore
        from uniwizard.world.reactor import reactor
        from uniwizard.world.tokens import tokens
        from uniwizard.world.web_door import Door

        more = [Path(settings.GAME_DIR) / file for file in settings.UNIWIZARD_EXTENSIONS]
        config = load(settings.UNIWIZARD_CONFIG, os.environ, extensions=more)
        warm_up()
        ledger = recorder.the()
        ledger.open()
        tokens.open()
        self.router = brain = Router(config, reactor)
        brain.hide(identity.of_game(), soul.the().hidden)
        brain.events.subscribe(ledger)
        brain.keep_account(ledger, ledger)
        _count_past(brain)
        self._cluster = cluster.join(brain, self._processes + 1)
        if brain.remembers_in == "database":
            brain.remember_in(DatabaseStore(ledger.writer))
        self._telemetry = watching.begin(brain)
        self._gateway = Door(lambda: brain)
        bounds = config.gateway
        self._site = GatewaySite(
            self._gateway,
            reactor,
            max_connections=bounds.max_connections,
            max_held=bounds.max_held_mb * 1024 * 1024,
        )

    def _listen(self) -> None:
        from twisted.internet.defer import Deferred
        from twisted.internet.task import LoopingCall
        from twisted.logger import Logger

        from uniwizard.world.reactor import reactor

        log = Logger()
        family = socket.socket(fileno=os.dup(self._handle)).family
        started = Deferred.fromCoroutine(self.router.start())
        started.addErrback(lambda why: log.failure("health checks did not start", failure=why))

        async def listen() -> None:
            if self._cluster is not None:
                # Whoever comes meanwhile waits in the port's queue, rather than be told that limits are not known.
                await self._cluster.settled(SETTLED)
            self._site.port = reactor.adoptStreamPort(self._handle, family, self._site)
            os.close(self._handle)

        started.addCallback(lambda _: Deferred.fromCoroutine(listen()))
        started.addErrback(lambda why: log.failure("the port cannot be taken over", failure=why))
        looks = (1.0, self._heed_parent), (NAMES, self._read_names), (60.0, _keep_up)
        for every, look in looks:
            LoopingCall(look).start(every, now=False).addErrback(lambda why: log.failure("a door", failure=why))

    def _heed_parent(self) -> None:
        if os.getppid() != self._parent:
            self._end()

    async def _read_names(self) -> None:
        from uniwizard.world import identity
        from uniwizard.world.ledger import recorder

        try:
            identity.take(await recorder.the().writer.read(identity.gather))
        except Exception:
            # What is known stays hidden until the database is there again.
            return

    def _end(self) -> None:
        """Finish what is under way, and end."""
        from twisted.internet.defer import Deferred

        from uniwizard.world.reactor import reactor

        if not self._ending:
            self._ending = True
            Deferred.fromCoroutine(self._stopped()).addBoth(lambda _: reactor.stop())

    async def _stopped(self) -> None:
        from twisted.internet.defer import TimeoutError as OutOfTime

        from uniwizard.world.reactor import reactor
        from uniwizard.world.tokens import tokens

        if self._site.port is not None:
            await self._site.port.stopListening()
        try:
            await self._gateway.close().addTimeout(GRACE, reactor)
        except OutOfTime:
            self._gateway.abandon()
        tokens.write()
        await self._telemetry.stop()
        await self.router.stop()


def _keep_up() -> None:
    """Do the ledger's housekeeping, should it be due and nobody else be at it."""
    from uniwizard.world.ledger import recorder, upkeep

    upkeep.consider(recorder.the().writer)


def _count_past(brain: Any) -> None:
    """Count what was used of every quota, from the ledger."""
    from uniwizard.agent.core.windows import length
    from uniwizard.world.ledger import history

    spans = [length(quota.per) for key in brain.backend_keys() for quota in brain.configured(key).quota]
    if spans:
        for used in history.usage_since(time.time() - max(spans) * 1.1):
            brain.replay_usage(*used)


if __name__ == "__main__":
    sys.exit(main())
