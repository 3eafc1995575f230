"""``python -m agent serve``: the gateway in a process of its own.

One key for everybody stands in UNIWIZARD_SERVE_KEY. Without it the server listens to this machine alone, and lets
everybody in. SIGTERM and SIGINT end it: no new request is taken, those under way have :data:`GRACE` seconds.
"""

from __future__ import annotations

import gc
import ipaddress
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from ..config.settings import Config
from ..core.clock import within
from ..core.events import Event
from ..goals import Desk, NotKept, SqliteStore
from ..router import Router, warm_up
from ..telemetry import Telemetry
from .auth import OneKey, open_door
from .kept_state import KeptState
from .resource import Gateway
from .response_file import ResponseFile
from .site import GatewaySite

_log = Logger()

KEY_VARIABLE = "UNIWIZARD_SERVE_KEY"
#: Seconds that requests under way are given when the server is told to stop, and then their last bytes.
GRACE, LAST_BYTES = 10.0, 2.0

#: Files for each connection: its own, its backend's, and those of clients that are only told to come again.
_FILES = 5

#: Objects after which the garbage collector looks at the newest, and how often it goes on to older ones.
COLLECT_AFTER = (20_000, 20, 50)


class NotServed(Exception):
    """The server cannot start; the message says why, in one line."""


def serve(
    config: Config,
    host: str,
    port: int,
    key: str,
    told: Callable[[Event], None],
    grace: float = GRACE,
    state: Path | None = None,
    logged: Callable[[Any, float], None] | None = None,
) -> int:
    """Serve until a signal ends it; returns the exit status. Raises NotServed.

    ``state`` is the file that keeps quotas and health from one run to the next, and beside it lie the responses that
    clients have stored; None keeps nothing. ``logged`` is told of every request that is answered; see
    :class:`~.access_log.AccessLog`.
    """
    if not key and not is_loopback(host):
        raise NotServed(f"--host {host}: reachable from elsewhere, this needs a key; set {KEY_VARIABLE}")
    from twisted.internet import reactor

    _make_room(config.gateway.max_connections)
    served = _Served(config, reactor, key, told, grace, state, logged)
    served.listen(host, port)
    reactor.callWhenRunning(served.start)  # type: ignore[attr-defined]
    reactor.addSystemEventTrigger("before", "shutdown", served.stop)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    return 0


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``. A name other than ``localhost`` could be anybody's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _make_room(connections: int) -> None:
    """Let the process open as many files as it may accept connections, as far as the system allows."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES * connections + 1000
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Served:
    """The router and the gateway over it, from the first listening to the last answer."""

    def __init__(
        self,
        config: Config,
        reactor: Any,
        key: str,
        told: Callable[[Event], None],
        grace: float,
        state: Path | None = None,
        logged: Callable[[Any, float], None] | None = None,
    ):
        self.reactor = reactor
        self.grace = grace
        self.guarded = bool(key)
        warm_up()
        self.router = Router(config, reactor)
        self.router.events.subscribe(told)
        self.state = KeptState(state, self.router, reactor) if state is not None else None
        self.telemetry = Telemetry(self.router, reactor)
        check = OneKey(key) if key else open_door
        self.responses = ResponseFile(state.with_suffix(".responses.db3"), reactor) if state is not None else None
        self.goals = _goals_beside(state) if state is not None else None
        self.desk = Desk(self.router, self.goals)
        self.gateway = Gateway(
            lambda: self.router,
            reactor,
            check,
            unguarded=not key,
            shelf=self.responses,
            desk=lambda: self.desk,
            metrics=self.telemetry.metrics.text,
        )
        settings = config.gateway
        self.site = GatewaySite(
            self.gateway,
            reactor,
            max_connections=settings.max_connections,
            told=logged,
        )
        self.port: Any = None

    def listen(self, host: str, port: int) -> None:
        interface = "127.0.0.1" if host == "localhost" else host
        try:
            # As many as the kernel allows may wait to be accepted: none is cut.
            self.port = self.site.port = self.reactor.listenTCP(port, self.site, backlog=4096, interface=interface)
        except CannotListenError as error:
            raise NotServed(f"cannot listen on {host}:{port}: {error.socketError}") from None

    def start(self) -> None:
        if self.state is not None:
            for fault in self.state.restore():
                print(fault, file=sys.stderr)
            self.state.begin()
        self.telemetry.start()
        started = Deferred.fromCoroutine(self.router.start())
        started.addCallback(lambda _: self._say())
        started.addCallback(lambda _: Deferred.fromCoroutine(self.desk.start(patient=True)))
        started.addErrback(lambda why: why.printTraceback())

    def _say(self) -> None:
        # What is there by now stays to the end: phrases, kinds, modules. Looking through all of it for garbage again
        # and again would cost every request a tenth of its time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        address = self.port.getHost()
        host = f"[{address.host}]" if ":" in address.host else address.host
        key = f"the key in {KEY_VARIABLE}" if self.guarded else "any key"
        print(f"OpenAI's API at http://{host}:{address.port}/v1 with {key}; model auto, or a backend's key.")
        print(f"Anthropic's at http://{host}:{address.port}, Gemini's at http://{host}:{address.port} (v1beta).")
        if self.router.registry.practising:
            print("Practice: every answer is simulated.")
        sys.stdout.flush()

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.port.stopListening()
        try:
            await within(self.gateway.close(), self.grace, self.reactor)
        except OutOfTime:
            self.gateway.abandon()
        with suppress(OutOfTime):
            await within(self.site.close(), LAST_BYTES, self.reactor)
        # Each of them, whatever comes of those before it.
        closing: list[Callable[[], Any]] = [self.desk.close, self.telemetry.stop, self.router.stop]
        closing += [self.goals.close] if self.goals is not None else []
        closing += [self.state.write] if self.state is not None else []
        closing += [self.responses.close] if self.responses is not None else []
        for close in closing:
            try:
                if (over := close()) is not None:
                    await over
            except Exception:
                _log.failure("a part of the server could not be closed")


def _goals_beside(state: Path) -> SqliteStore:
    """Raises NotServed."""
    try:
        return SqliteStore(state.with_suffix(".goals.db3"))
    except NotKept as error:
        raise NotServed(f"goals cannot be kept: {error}") from None
