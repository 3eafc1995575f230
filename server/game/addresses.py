"""Where a game listens, and how it tells whoever waits for it.

The running server writes ``.uniwizard/running.json``, because it alone knows its settings and when its world stands::

    report(settings)                     # in the server, once the world is built
    Running.read(game_dir)               # anywhere else: process id, telnet and web address; None if it is not up
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uniwizard.server.game.private import private_dir

_EVERY_INTERFACE = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class Listener:
    """One port that the game needs. ``setting`` is the name of the setting that moves it."""

    setting: str
    interface: str
    port: int


@dataclass(frozen=True, slots=True)
class Running:
    """A running game. ``pid`` is the server's process; ``error`` says why the world could not be built."""

    pid: int
    host: str
    telnet: int
    web: str
    error: str = ""

    @classmethod
    def read(cls, game_dir: Path) -> Running | None:
        """What the game last reported, or None. Whether that process still lives is for the caller to see."""
        try:
            return cls(**json.loads((game_dir / ".uniwizard" / "running.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def listeners(settings: Any) -> Iterator[Listener]:
    """Every port on which a game with these Django settings will listen."""
    for service in ("TELNET", "SSL", "SSH"):
        if getattr(settings, f"{service}_ENABLED"):
            for interface in getattr(settings, f"{service}_INTERFACES"):
                for port in getattr(settings, f"{service}_PORTS"):
                    yield Listener(f"{service}_PORTS", interface, port)
    if settings.WEBSERVER_ENABLED:
        for outer, inner in settings.WEBSERVER_PORTS:
            yield Listener("WEBSERVER_PORTS", "127.0.0.1", inner)
            for interface in settings.WEBSERVER_INTERFACES:
                yield Listener("WEBSERVER_PORTS", interface, outer)
        if settings.WEBCLIENT_ENABLED and settings.WEBSOCKET_CLIENT_ENABLED:
            yield Listener("WEBSOCKET_CLIENT_PORT", settings.WEBSOCKET_CLIENT_INTERFACE, settings.WEBSOCKET_CLIENT_PORT)
    yield Listener("AMP_PORT", settings.AMP_INTERFACE, settings.AMP_PORT)


def taken(listener: Listener) -> bool:
    """Whether somebody else listens on a port that a game needs."""
    family = socket.AF_INET6 if ":" in listener.interface else socket.AF_INET
    with socket.socket(family) as probe:
        # As Twisted does; otherwise the last connections of a game just stopped would count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.interface, listener.port))
            probe.listen()
        except OSError:
            return True
    return False


def report(settings: Any, error: str = "") -> None:
    """Say that this process is the game and where it answers."""
    telnet = settings.TELNET_PORTS[0] if settings.TELNET_ENABLED else 0
    web = ""
    if settings.WEBSERVER_ENABLED:
        web = f"http://{_reachable(settings.WEBSERVER_INTERFACES[0])}:{settings.WEBSERVER_PORTS[0][0]}"
    running = Running(os.getpid(), _reachable(settings.TELNET_INTERFACES[0]), telnet, web, error)
    directory = private_dir(Path(settings.GAME_DIR))
    unfinished = directory / "running.json.new"
    unfinished.write_text(json.dumps(asdict(running)))
    unfinished.replace(directory / "running.json")


def forget(game_dir: str | Path) -> None:
    """Take the report back: this game no longer answers."""
    (Path(game_dir) / ".uniwizard" / "running.json").unlink(missing_ok=True)


def _reachable(interface: str) -> str:
    return "localhost" if interface in _EVERY_INTERFACE else interface
