"""Sessions as the game has them; who was connected while the server was killed finds the session's commands again.

A server that reloads tells the portal what belongs to each session, and is told it when it is back. One that was killed
told nothing, so Evennia knows who a session is, and neither its commands nor its character.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.utils.utils import class_from_module

_Base: Any = class_from_module(settings.UNIWIZARD_BASE_SERVER_SESSION_CLASS)


class ReturningSession(_Base):
    """A session of the game's own class."""

    cmdset_storage: Any
    cmdset_storage_string: str

    def at_sync(self) -> None:
        """The portal has handed this session over."""
        super().at_sync()
        if self.logged_in and not self.cmdset_storage_string:
            self.cmdset_storage = settings.CMDSET_SESSION
            self.cmdset.update(init_mode=True)
