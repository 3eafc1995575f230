"""A game of one's own, on free ports, that disturbs no other: for the tests and the demo::

    game = own_game(Path(temporary_directory))
    game.prepare()
    game.start()

Whoever makes it stops it.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from uniwizard.server.game.install import SECRET_SETTINGS, install
from uniwizard.server.game.process import Game

#: Below what systems give to clients: a connection of anybody's could take one of those before the game has it.
_PORTS = range(20_000, 32_000)

_SETTINGS = """
# A game of its own: reachable from this machine alone, on ports that were free.
SERVERNAME = "Uniwizard"
TELNET_PORTS = [{telnet}]
TELNET_INTERFACES = ["127.0.0.1"]
WEBSERVER_PORTS = [({web}, {inner})]
WEBSERVER_INTERFACES = ["127.0.0.1"]
WEBSOCKET_CLIENT_PORT = {websocket}
WEBSOCKET_CLIENT_INTERFACE = "127.0.0.1"
AMP_PORT = {amp}

# Many accounts from one address are no attack here.
CREATION_THROTTLE_LIMIT = LOGIN_THROTTLE_LIMIT = 10_000
"""


def own_game(
    directory: Path,
    *,
    settings: str = "",
    environ: Mapping[str, str] | None = None,
) -> Game:
    """Make a game in ``directory``; it is neither prepared nor started yet.

    ``settings`` is Python that ends its secret settings; ``environ`` is added to its environment.
    """
    directory.mkdir(parents=True, exist_ok=True)
    install(directory)
    # For a backends file of its own.
    (directory / "configs").mkdir(exist_ok=True)
    with (directory / SECRET_SETTINGS).open("a", encoding="utf-8") as file:
        file.write(_SETTINGS.format_map(_free_ports()) + settings)
    return Game(directory, environ)


def _free_ports() -> dict[str, int]:
    names = ("telnet", "web", "inner", "websocket", "amp")
    found: dict[str, int] = {}
    with ExitStack() as held:
        for port in random.sample(_PORTS, len(_PORTS)):
            # All are held until all are known.
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found[names[len(found)]] = port
            if len(found) == len(names):
                break
    return found
