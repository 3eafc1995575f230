"""Puts the doors for other programs (``/v1`` and the rest, :mod:`.doorway`) and ``/picture``, players' uploads, on
Evennia's web server. The game's own web plugins come first and keep their say.

Evennia calls these two hooks by name: one in the Server, where the brain is, and one in the Portal, which is what the
world can reach. ``uniwizard.server.plugin.settings`` puts this module before the game's own.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.utils import logger
from evennia.utils.utils import mod_import

from uniwizard.server.plugin.doorway import mount


def at_webserver_root_creation(web_root: Any) -> Any:
    """In the Server: the gateway itself."""
    web_root = _games_own("at_webserver_root_creation", web_root)
    if settings.UNIWIZARD_WEB_API:
        try:
            from uniwizard.world.web_door import Door

            mount(web_root, Door())
        except Exception:
            # A game without these doors still starts.
            logger.log_trace("Uniwizard could not put /v1 on the web server.")
    if settings.UNIWIZARD_WEB_UPLOADS:
        try:
            from uniwizard.server.web.uploads import Uploads

            web_root.putChild(b"picture", Uploads())
        except Exception:
            logger.log_trace("Uniwizard could not put /picture on the web server.")
    try:
        from uniwizard.server.web.metrics import MetricsPage

        web_root.putChild(b"metrics", MetricsPage())
    except Exception:
        logger.log_trace("Uniwizard could not put /metrics on the web server.")
    return web_root


def at_webproxy_root_creation(web_root: Any) -> Any:
    """In the Portal: a relay that lets go of a request when its client does."""
    web_root = _games_own("at_webproxy_root_creation", web_root)
    if settings.UNIWIZARD_WEB_API:
        try:
            from uniwizard.server.plugin.relay import Relay
            from uniwizard.world.reactor import reactor

            inner = getattr(web_root, "port", settings.WEBSERVER_PORTS[0][1])
            mount(web_root, Relay(reactor, "127.0.0.1", inner, settings.UNIWIZARD_WEB_CONNECTIONS))
            if settings.UNIWIZARD_WEB_UPLOADS:
                web_root.putChild(b"picture", Relay(reactor, "127.0.0.1", inner))
        except Exception:
            logger.log_trace("Uniwizard could not put /v1 on the web proxy.")
    try:
        from uniwizard.server.plugin.relay import Relay
        from uniwizard.world.reactor import reactor

        # Evennia's own proxy does not say where a request comes from.
        inner = getattr(web_root, "port", settings.WEBSERVER_PORTS[0][1])
        web_root.putChild(b"metrics", Relay(reactor, "127.0.0.1", inner))
    except Exception:
        logger.log_trace("Uniwizard could not put /metrics on the web proxy.")
    return web_root


def _games_own(hook: str, web_root: Any) -> Any:
    module = mod_import(settings.UNIWIZARD_BASE_WEB_PLUGINS) if settings.UNIWIZARD_BASE_WEB_PLUGINS else None
    function = getattr(module, hook, None)
    return function(web_root) if function is not None else web_root
