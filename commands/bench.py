"""``think/see``: a picture for the next question, by a link that works once, or from an address that the operator
allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from evennia.utils import logger
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from uniwizard.commands.base import UniwizardCommand
from uniwizard.server.game.addresses import Running
from uniwizard.world import pictures
from uniwizard.world.fetching import NotFetched, fetch
from uniwizard.world.harmless import line
from uniwizard.world.mark import said
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice


def see(command: UniwizardCommand, router: GameRouter) -> None:
    """Give the caller a link to lay down a picture with, or get it from the address they named."""
    address = command.task
    if address.lower() in ("off", "away", "none"):
        gone = pictures.clear(command.caller)
        command.say("The picture is taken off the bench." if gone else "No picture lies on the bench.")
    elif address:
        command.say(said("Somebody goes to fetch it ..."))
        fetched = Deferred.fromCoroutine(fetch(address))
        fetched.addCallback(_lay, command.caller)
        fetched.addErrback(_tell, command)
    elif not settings.UNIWIZARD_WEB_UPLOADS or not settings.WEBSERVER_ENABLED:
        command.say("This game takes no pictures.")
    else:
        running = Running.read(Path(settings.GAME_DIR))
        base = settings.UNIWIZARD_WEB_ADDRESS or (running.web if running else "")
        minutes = round(pictures.LINK_LIVES / 60)
        link = f"{base}/picture/{pictures.link(command.caller)}"
        laid = " One lies there already; a new one takes its place." if pictures.on_bench(command.caller) else ""
        command.say(said(f"Open this, once, within {minutes} minutes, and drop a picture on it:{laid}") + f"\n  {link}")


def _lay(data: bytes, caller: Any) -> None:
    caller.msg(text=(said(voice.say("picture_laid", why=pictures.lay(caller, data))), {"type": "uniwizard"}))


def _tell(why: Failure, command: UniwizardCommand) -> None:
    if why.check(NotFetched, pictures.Unusable):
        command.say(said(f"It cannot be laid on the bench: {line(str(why.value), 200)}"))
    else:
        logger.log_err(f"Uniwizard: a picture could not be fetched: {why}")
        command.say(said("It cannot be had from there."))
