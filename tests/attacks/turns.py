"""How long the turns of a server's reactor take, told to a file: every turn of more than :data:`WORTH` seconds a line.

    python tests/attacks/turns.py serve --port 0 ...       # python -m agent serve, watched; the file is $TURNS

    SERVER_SERVICES_PLUGIN_MODULES = ["turns", ...]        # a game, watched (its settings; this folder on its path)

    turns = Turns(file)
    turns.longest()                                        # Turn(wall, cpu), of those since it was last asked

A turn goes from where the reactor's waiting for sockets ends to where it begins again: all that is read, written, and
called in between. ``wall`` seconds passed in it; ``cpu`` seconds its thread worked. On a machine that is busy with
other things a turn lasts longer than it works, and where threads of the same program work, too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

#: The environment variable that names the file.
FILE = "TURNS"
#: Seconds below which a turn is not worth telling.
WORTH = 0.002


class Turn(NamedTuple):
    """One turn, in milliseconds."""

    wall: float = 0.0
    cpu: float = 0.0


class Turns:
    """Reads what a watched server tells."""

    def __init__(self, file: Path):
        self._file = file
        self._read = 0

    def longest(self) -> Turn:
        """How long the longest turn lasted that was told since this was last asked, and what the hardest one worked."""
        lines = self._file.read_text().splitlines()[self._read :] if self._file.exists() else []
        self._read += len(lines)
        turns = [Turn(), *(Turn(*json.loads(line)) for line in lines)]
        return Turn(max(turn.wall for turn in turns), max(turn.cpu for turn in turns))


class _Poller:
    """The reactor's epoll object, with a look at the clock before and after each waiting."""

    def __init__(self, poller: Any, file: Path):
        self._poller = poller
        self._told = file.open("a", buffering=1)
        self._since: tuple[float, float] | None = None

    def poll(self, *arguments: Any) -> Any:
        if self._since is not None:
            wall, cpu = time.perf_counter() - self._since[0], time.thread_time() - self._since[1]
            if wall > WORTH:
                self._told.write(f"[{wall * 1000:.2f}, {cpu * 1000:.2f}]\n")
        try:
            return self._poller.poll(*arguments)
        finally:
            self._since = time.perf_counter(), time.thread_time()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)


def watch() -> None:
    """Watch this process's reactor, which must be Twisted's on epoll."""
    from twisted.internet import reactor

    watched: Any = reactor
    watched._poller = _Poller(watched._poller, Path(os.environ[FILE]))


def start_plugin_services(server: Any) -> None:
    """Called by Evennia."""
    watch()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from uniwizard.agent.__main__ import main

    watch()
    sys.exit(main(sys.argv[1:]))
