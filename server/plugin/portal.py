"""Watches, in the portal, over the server: when that dies, whoever is connected is told, and told when it is back.

It also lets the web proxy take bodies as :mod:`~.relay` does, and as many connections as :mod:`~.crowd` has room for.

Evennia's portal holds the players' connections while the server restarts. A reload and a shutdown are announced by the
server itself; a server that was killed announces nothing, and the players would type into silence.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.utils import logger
from twisted.internet.task import LoopingCall

from uniwizard.server.plugin.crowd import BACKLOG, Crowd, make_room
from uniwizard.server.plugin.relay import Streamed

#: Seconds between two looks.
EVERY = 0.5
GONE = "|C◆|n |rThe lights go out:|n the game has stopped without warning.\n  Stay here; you are told when it is back."
BACK = (
    "|C◆|n |gThe lights come on again:|n the game is back.\n"
    "  What you had asked is not lost. If you find yourself out of character,\n"
    "  |wic|n takes you back in."
)


class Watch:
    """Looks at whether the server is connected to the portal. ``tell`` takes what all players are told."""

    def __init__(self, portal: Any, tell: Any):
        self._portal, self._tell = portal, tell
        self._was_there = self._died = False

    def look(self) -> None:
        """See whether the server has gone, or come back, since the last look."""
        factory = getattr(self._portal, "amp_protocol", None)
        there = factory is not None and _connected(factory)
        if self._was_there and not there and not getattr(self._portal, "server_restart_mode", None):
            self._died = True
            self._tell(GONE)
        elif there and self._died:
            self._died = False
            self._tell(BACK)
        self._was_there = there


def _connected(protocol: Any) -> bool:
    connection = protocol.factory.server_connection
    return connection is not None and bool(connection.transport.connected)


def start_plugin_services(portal: Any) -> None:
    """Called by Evennia, last in the portal's start."""
    looping = LoopingCall(Watch(portal, _tell_all).look)
    looping.start(EVERY, now=False).addErrback(lambda why: logger.log_err(f"Uniwizard: {why}"))
    if settings.UNIWIZARD_WEB_API:
        most = make_room(2 * settings.UNIWIZARD_WEB_CONNECTIONS)
        for service in portal.services:
            if str(service.name).startswith("EvenniaWebProxy"):
                _widen(service, most)


def _widen(service: Any, most: int) -> None:
    """Let a web proxy that is not listening yet take ``most`` connections, and bodies as they come."""
    try:
        port, site, *more = service.args
        site.requestFactory = Streamed
        service.args = (port, Crowd(site, most), *more)
        service.kwargs["backlog"] = BACKLOG
    except Exception:
        # An Evennia that begins its services otherwise still has a door.
        logger.log_trace("Uniwizard could not widen the web proxy.")


def _tell_all(text: str) -> None:
    import evennia

    handler = evennia.PORTAL_SESSION_HANDLER
    for session in list(handler.values()):
        handler.data_out(session, text=[[text], {"type": "uniwizard"}])
