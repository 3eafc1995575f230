"""What Uniwizard does when the server starts and stops. Evennia calls these hooks by name, next to the game's own.

At the start it builds the world and says in ``.uniwizard/running.json`` where the game answers; whoever waits for the
game (``make play``, the tests) waits for that file. At the stop it takes the file away.
"""

from __future__ import annotations

import time

from django.conf import settings
from evennia.server.models import ServerConfig
from evennia.utils import logger

from uniwizard.agent import warm_up
from uniwizard.commands import writing
from uniwizard.server.game.addresses import forget, report
from uniwizard.server.game.private import databases, keep_private
from uniwizard.server.plugin import bare_scripts, sessionless
from uniwizard.world import fault_notice

_LOADED = time.time()


def at_server_init() -> None:
    """Before any object is loaded: make the databases private, bring stored paths of an older version over."""
    keep_private(databases(settings))
    sessionless.install()
    fault_notice.install()
    writing.install()
    try:
        from uniwizard.server.plugin.upgrade import bring_over

        bring_over()
        bare_scripts.dress()
    except Exception:
        # A new game has no tables yet.
        logger.log_trace("Uniwizard could not look for stored paths of an older version.")


def at_server_start() -> None:
    """Build what is missing of the world, whichever way the server was started, and report."""
    if _restarts_at_once():
        return
    error = ""
    try:
        from uniwizard.typeclasses.backend_router import BackendRouter
        from uniwizard.world.build import ensure_workshop

        ensure_workshop()
        warm_up()
        for router in BackendRouter.objects.all():
            router.wake()
    except Exception as failure:
        # A game with other rooms in it still starts; whoever waits is told why the Workshop is missing.
        logger.log_trace("Uniwizard could not build its world.")
        error = f"{type(failure).__name__}: {failure}"
    report(settings, error)


def at_server_stop() -> None:
    """Whichever way the server stops, it no longer answers; what the tokens have used is written down."""
    forget(settings.GAME_DIR)
    try:
        from uniwizard.world.tokens import tokens

        tokens.write()
    except Exception:
        logger.log_trace("Uniwizard could not write down what its tokens have used.")


def _restarts_at_once() -> bool:
    """A new game's first server sets up the database, notes the time, and restarts itself to begin afresh."""
    epoch = ServerConfig.objects.conf("server_epoch")
    return epoch is not None and float(epoch) > _LOADED
