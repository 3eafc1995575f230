"""One game directory as something to start, stop and ask::

    game = Game(directory)
    game.prepare()          # migrate, create the superuser
    game.start()            # returns once telnet answers and the world stands
    with game.telnet() as player: ...
    game.stop()

Everything happens in processes of the game's own; this one stays free of Evennia and Django.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from uniwizard.server.game.addresses import Listener, Running, forget
from uniwizard.server.game.private import Superuser, stored_superuser
from uniwizard.server.game.telnet import Telnet

_LAUNCHER = "from evennia.server.evennia_launcher import main; main()"
_IN_THE_GAME = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "server.conf.settings"
import django
django.setup()
import evennia
evennia._init()
exec(compile(sys.stdin.read(), "<game.python>", "exec"), {"__name__": "__game__"})
"""

#: Seconds. A start takes about 6 on a two-core machine; the rest is room for a slow one.
START_TIMEOUT = 120.0
_STOP_TIMEOUT = 40.0
#: Seconds without a server process after which a start is given up. Evennia restarts the first server of a new game
#: once, which leaves a gap of one to three; on a busy machine the portal alone takes ten times as long.
_DEAD_AFTER = 60.0
#: What Evennia's launcher says when it has waited ten seconds for the portal, and goes with no server started.
_GAVE_UP = "timed out"
_POLL = 0.1


class GameFailed(Exception):
    """The game could not be started, stopped or asked; the message is for people."""


class _PortalAlone(GameFailed):
    """The portal took so long to come up that the launcher has left it without a server."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What :meth:`Game.prepare` found. ``created``: the superuser is new."""

    created: bool
    superuser: str


class Game:
    """An Evennia game directory with Uniwizard laid over it.

    ``environ`` is added to this process's environment for every process of the game.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str] | None = None):
        self.directory = directory.resolve()
        self._environ = dict(environ or {})

    # What is there

    def processes(self) -> dict[str, int]:
        """The living processes of this game: ``portal`` and ``server`` to process id."""
        found = {}
        for name in ("portal", "server"):
            pid_file = self._pid_file(name)
            try:
                pid = int(pid_file.read_text())
            except (FileNotFoundError, ValueError):
                continue
            # A number alone proves nothing: after a crash it may by now be somebody else's process.
            if str(pid_file) in _command_line(pid):
                found[name] = pid
        return found

    def running(self) -> Running | None:
        """Where the game answers, or None if it is not up with its world built."""
        report = Running.read(self.directory)
        alive = self.processes()
        return report if report and alive.get("server") == report.pid and "portal" in alive else None

    @property
    def web_url(self) -> str:
        """The web site's address. Raises GameFailed if the game is not up."""
        return self._up().web

    @property
    def superuser(self) -> Superuser:
        """The superuser whose password was made here. Raises GameFailed if there is none."""
        if (stored := stored_superuser(self.directory)) is None:
            raise GameFailed(f"{self.directory} keeps no superuser's password")
        return stored

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of everything the game wrote down."""
        parts = []
        for path in (
            self._launch_log,
            *(self.directory / "server" / "logs" / f"{n}.log" for n in ("portal", "server")),
        ):
            if path.exists():
                last = path.read_text(errors="replace").splitlines()[-lines:]
                parts.append("\n".join((f"--- {path}", *last)))
        return "\n".join(parts)

    # What can be done

    def prepare(self) -> Prepared:
        """See that the ports are free, migrate the database, create the superuser where there is none.

        The game must not be running. Raises GameFailed.
        """
        self._clear_what_a_crash_left()
        done = self._run("-m", "uniwizard.server.game.prepare")
        if done.returncode != 0:
            raise GameFailed(f"The database could not be prepared:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        if "taken" in found:
            listener = Listener(*found["taken"])
            raise GameFailed(
                f"Port {listener.port} is taken by another program. End that program, or give the game another port "
                f"with {listener.setting} in server/conf/secret_settings.py."
            )
        return Prepared(found["created"], found["superuser"])

    def start(self, timeout: float = START_TIMEOUT) -> Running:
        """Start portal and server and wait until the game answers. Raises GameFailed, with what the logs say."""
        self._clear_what_a_crash_left()
        deadline = time.monotonic() + timeout
        while True:
            with self._launch("start") as launcher, suppress(_PortalAlone):
                return self._wait_until_up(launcher, deadline - time.monotonic())

    def revive(self, timeout: float = START_TIMEOUT) -> Running | None:
        """Start a server that died under a portal that lives; its players stay connected. None where that is not so."""
        alive = self.processes()
        if "portal" not in alive or "server" in alive:
            return None
        self._pid_file("server").unlink(missing_ok=True)
        forget(self.directory)
        with self._launch("start") as launcher, suppress(GameFailed, _PortalAlone):
            return self._wait_until_up(launcher, timeout)
        return None

    def reload(self, timeout: float = START_TIMEOUT) -> Running:
        """Reload the server as ``evennia reload`` does; players stay connected. Raises GameFailed."""
        before = self._up().pid
        with self._launch("reload") as launcher:
            return self._wait_until_up(launcher, timeout, lambda running: running.pid != before)

    def stop(self) -> bool:
        """Stop the game and wait until it is gone; False if nothing ran. Raises GameFailed."""
        if not self.processes():
            return False
        if "portal" in self.processes():
            with self._launch("stop") as launcher:
                _wait(lambda: launcher.poll() is not None and not self.processes(), _STOP_TIMEOUT)
        for how in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes().values():
                _signal(pid, how)
            if _wait(lambda: not self.processes(), 10.0):
                forget(self.directory)
                return True
        raise GameFailed(f"These processes would not end: {self.processes()}")

    def kill9(self) -> None:
        """End the game as a power cut would."""
        for pid in self.processes().values():
            _signal(pid, signal.SIGKILL)
        _wait(lambda: not self.processes(), 10.0)

    def telnet(self) -> Telnet:
        """A new connection to the game, at its login screen. Raises GameFailed if the game is not up."""
        running = self._up()
        client = Telnet(running.host, running.telnet)
        client.expect("connect <username> <password>")
        return client

    def python(self, code: str) -> str:
        """Run ``code`` against the game's database, in a process with Evennia set up; what it printed."""
        done = self._run("-c", _IN_THE_GAME, typed=code)
        if done.returncode != 0:
            raise GameFailed(done.stderr)
        return done.stdout

    # How it is done

    def _pid_file(self, name: str) -> Path:
        return self.directory / "server" / f"{name}.pid"

    @property
    def _launch_log(self) -> Path:
        return self.directory / "server" / "logs" / "launch.log"

    def _up(self) -> Running:
        if (running := self.running()) is None:
            raise GameFailed(f"The game in {self.directory} is not running")
        return running

    def _run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run this Python in the game's directory, to its end."""
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, input=typed, capture_output=True, text=True, cwd=self.directory, env=self._surroundings()
        )

    def _surroundings(self) -> dict[str, str]:
        """The environment of the game's processes."""
        environ = {**os.environ, **self._environ}
        # Evennia calls `twistd` by name; the one beside this Python is the one with Evennia.
        environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environ.get("PATH", os.defpath)))
        for inherited in ("DJANGO_SETTINGS_MODULE", "PYTHONPATH"):
            environ.pop(inherited, None)
        return environ

    @contextmanager
    def _launch(self, operation: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run Evennia's launcher beside us; it is ended with the block, however that ends."""
        # To a file, not a pipe: the daemons inherit it from some versions of the launcher.
        with self._launch_log.open("wb") as log:
            launcher = subprocess.Popen(
                [sys.executable, "-c", _LAUNCHER, operation],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.directory,
                env=self._surroundings(),
            )
            try:
                yield launcher
            finally:
                launcher.kill()
                launcher.wait()

    def _clear_what_a_crash_left(self) -> None:
        """A half of a game, and pid files that twistd would take for a living process."""
        for pid in self.processes().values():
            _signal(pid, signal.SIGTERM)
        if not _wait(lambda: not self.processes(), 5.0):
            self.kill9()
        for name in ("portal", "server"):
            self._pid_file(name).unlink(missing_ok=True)
        forget(self.directory)

    def _wait_until_up(
        self,
        launcher: subprocess.Popen[bytes],
        timeout: float,
        wanted: Callable[[Running], bool] = lambda running: True,
    ) -> Running:
        started = last_alive = time.monotonic()
        while (now := time.monotonic()) - started < timeout:
            running = self.running()
            if running is not None and wanted(running):
                if running.error:
                    raise GameFailed(
                        f"The game runs, but its world could not be built: {running.error}. See server/logs/server.log"
                    )
                if self._greets(running):
                    return running
            processes = self.processes()
            if "server" in processes:
                last_alive = now
            # The launcher ends with status 0 even where it could start nothing.
            if launcher.poll() is not None and "server" not in processes:
                gave_up = _GAVE_UP in self._launch_log.read_text(errors="replace")
                if gave_up and "portal" in processes:
                    raise _PortalAlone(self.log_tail())
                if not gave_up and not processes:
                    break
            if now - last_alive > _DEAD_AFTER:
                break
            time.sleep(_POLL)
        raise GameFailed(f"The game did not come up within {time.monotonic() - started:.0f} s.\n{self.log_tail()}")

    def _greets(self, running: Running) -> bool:
        if not running.telnet:
            return True
        try:
            with Telnet(running.host, running.telnet, timeout=3.0) as client:
                return bool(client.expect("\n"))
        except (OSError, AssertionError):
            return False


def _command_line(pid: int) -> str:
    """How a process was called; empty if it is gone or only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return ""
    return subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True).stdout


def _signal(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return


def _wait(done: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
