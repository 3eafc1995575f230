"""What a player sees before logging in, where the game has not written its own: the game's name, and what runs it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from django.conf import settings
from evennia.utils.utils import get_evennia_version


def connection_screen() -> str:
    """The screen, narrow enough for a phone."""
    try:
        own = version("uniwizard")
    except PackageNotFoundError:
        own = "0"
    return f"""
|b{"=" * 38}|n
 |g{settings.SERVERNAME}|n
 Lamplight, sawdust,
 and a shelf of borrowed brains.

 If you have an account:
   |wconnect <username> <password>|n
 If you are new here:
   |wcreate <username> <password>|n

 A username with blanks goes in quotes.
 |whelp|n says more, |wlook|n shows this again.

 Uniwizard {own} on Evennia {get_evennia_version("short")}
|b{"=" * 38}|n"""
