"""Start and stop the game of the current directory (``make play``, ``make stop``)::

    python -m uniwizard.server.game.play
    python -m uniwizard.server.game.play stop

Both do nothing twice, and say so. The superuser is ``wizard`` with a random password, unless the environment's
``EVENNIA_SUPERUSER_USERNAME``, ``EVENNIA_SUPERUSER_PASSWORD`` and ``EVENNIA_SUPERUSER_EMAIL`` say otherwise.
"""

from __future__ import annotations

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uniwizard.server.game.addresses import Running
from uniwizard.server.game.install import install
from uniwizard.server.game.private import private_dir, stored_superuser, superuser_file
from uniwizard.server.game.process import Game, GameFailed, Prepared


def play(game: Game) -> None:
    """Bring the game up and print how to get in. Raises GameFailed."""
    if (running := game.running()) is not None:
        if running.error:
            raise GameFailed(
                f"Uniwizard is running, but its world could not be built: {running.error}. "
                "Once that is mended, stop it and play again."
            )
        print("Uniwizard is running already; nothing to do.")
        _print_addresses(running)
        return
    if "portal" in game.processes():
        with _step("Starting the server again under its portal"):
            running = game.revive()
        if running is not None:
            print("Uniwizard is running again; whoever was connected still is.")
            _print_addresses(running)
            return
    with _step("Laying out the game directory"):
        report = install(game.directory)
    for line in report.lines():
        print(f"  {line}")
    with _step("Preparing the database"):
        prepared = game.prepare()
    with _step("Starting the game and building its world"):
        running = game.start()
    print("Uniwizard is running.")
    _print_addresses(running)
    _print_superuser(game.directory, prepared)


def stop(game: Game) -> None:
    """Stop the game. Raises GameFailed."""
    if not game.processes():
        print("Uniwizard is not running; nothing to stop.")
        return
    with _step("Stopping the game"):
        game.stop()
    print("Uniwizard is stopped.")


def _print_addresses(running: Running) -> None:
    print(f"  telnet   telnet {running.host} {running.telnet}")
    if running.web:
        print(f"  web      {running.web}/webclient")
        print(f"  admin    {running.web}/admin/")
    print("  new here? type `create <name> <password>`, then `connect <name> <password>`, then `think <task>`")
    # A game of somebody's own has no Makefile of ours.
    print(f"  stop it  {'make stop' if Path('Makefile').exists() else 'evennia stop'}")


def _print_superuser(game_dir: Path, prepared: Prepared) -> None:
    stored = stored_superuser(game_dir)
    where = superuser_file(game_dir).relative_to(game_dir)
    if not prepared.created:
        kept = f"its password is in {where}" if stored and stored.name == prepared.superuser else "as you know it"
        print(f"  superuser {prepared.superuser}, {kept}")
    elif stored is None:
        print(f"  superuser {prepared.superuser}, with the password from EVENNIA_SUPERUSER_PASSWORD")
    else:
        print(f"  superuser {stored.name}, password {stored.password}")
        print(f"  (shown this once; it is kept in {where}, which only you can read)")


@contextmanager
def _alone(game_dir: Path) -> Iterator[None]:
    """Hold the game directory, so that two of these commands do not start or stop one game at once."""
    with (private_dir(game_dir) / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another start or stop of this game is under way; waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _step(what: str) -> Iterator[None]:
    print(f"{what} ...", end=" ", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    if arguments not in ([], ["stop"]):
        print("usage: python -m uniwizard.server.game.play [stop]", file=sys.stderr)
        return 2
    try:
        with _alone(Path.cwd()):
            (stop if arguments else play)(Game(Path.cwd()))
    except (GameFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
