"""The Server's web site, when it is asked to hold bodies as the door does: by key, in memory, and bounded.

Evennia calls :func:`start_plugin_services` by name, when its web server is made and not listening yet. A resource below
the web root that has ``bodies``, a :class:`uniwizard.agent.gateway.Keeper`, keeps the bodies of all requests below it.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.utils import logger
from twisted.web.server import Request

from uniwizard.agent.gateway import HeldBody, Keeper
from uniwizard.server.plugin.crowd import BACKLOG, make_room
from uniwizard.server.plugin.relay import SCREEN


class Kept(HeldBody, Request):
    """A request of the Server's web site; what stands at its path may keep its body."""

    site: Any

    def keeper(self) -> Keeper | None:
        channel: Any = self.channel
        self.site = channel.site
        first = channel._path[1:].partition(b"?")[0].partition(b"/")[0]
        child = getattr(self.site.resource, "children", {}).get(first)
        found: Keeper | None = getattr(child, "bodies", None)
        return _Screening(found) if found is not None and self.requestHeaders.hasHeader(SCREEN) else found


class _Screening:
    """Only says whether ``keeper`` would take the body."""

    def __init__(self, keeper: Keeper):
        self.screen, self.hold, self.turn_away = keeper.screen, keeper.hold, keeper.turn_away

    def take(self, request: Any) -> None:
        request.setResponseCode(204)
        request.finish()


def start_plugin_services(server: Any) -> None:
    """Called by Evennia."""
    make_room(2 * settings.UNIWIZARD_WEB_CONNECTIONS)
    for service in server.services:
        if not str(service.name).startswith("EvenniaWebServer"):
            continue
        try:
            service.args[1].requestFactory = Kept
            service.kwargs["backlog"] = BACKLOG
        except Exception:
            # An Evennia that begins its services otherwise still has a door.
            logger.log_trace("Uniwizard could not put the door's bounds on the web server.")
