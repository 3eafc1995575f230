"""A game's settings with Uniwizard in them, whether or not they say so: a settings module for Django.

For looking at a game before Uniwizard is added to it, and for clearing up after it has been taken out.
"""

from server.conf.settings import *  # noqa: F403 # type: ignore[import-not-found, unused-ignore]
from uniwizard.server.plugin.settings import extend

extend(globals())
