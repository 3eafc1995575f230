"""The portal's ear for many lines at once: what is pasted behind ``think`` reaches the game as one text.

Evennia takes a line for a command and drops those above ``MAX_COMMAND_RATE`` a second; a page of code is neither. A
line that begins a thought waits :data:`HOLD` seconds for others, and so do all lines while a player writes on a page
(:mod:`uniwizard.commands.writing`, which says so). They go to the server as ``uniwizard_burst``. Everything else
passes as it comes.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from evennia.utils.utils import class_from_module
from twisted.internet import reactor

#: Seconds for which a line that begins a thought waits for the next one; nobody types that fast, and nobody feels it.
HOLD = 0.05
#: Characters that are held at a time. More than any question may have; what is beyond is dropped, and told by its
#: length.
MOST = 1_000_000
_BEGINS = re.compile(
    r"\s*think(?!/(?:why|good|bad|stop|again|history|share|next|stream|forget|see)\b)(?:[\s/]|$)", re.IGNORECASE
)

_Telnet: Any = class_from_module(settings.UNIWIZARD_BASE_TELNET_PROTOCOL_CLASS)
_WebSocket: Any = class_from_module(settings.UNIWIZARD_BASE_WEBSOCKET_PROTOCOL_CLASS)


class Gathering:
    """A portal session that holds lines together which belong together. For a protocol class of Evennia's."""

    #: Whether all lines of one burst are one text for certain, since the player saw them so before they were sent.
    whole_bursts = False

    sessionhandler: Any
    _held: list[str]
    _writing = False
    _letting_go: Any = None

    def data_in(self, **kwargs: Any) -> None:
        """What the player sends."""
        text = _text(self, kwargs)
        held: list[str] = self.__dict__.setdefault("_held", [])
        if text is None or not (held or self._writing or _BEGINS.match(text)):
            super().data_in(**kwargs)  # type: ignore[misc]
            return
        if sum(map(len, held)) + len(text) <= MOST:
            held.append(text.rstrip("\r\n"))
        if self._letting_go is not None and self._letting_go.active():
            self._letting_go.cancel()
        clock: Any = reactor
        self._letting_go = clock.callLater(HOLD, self._let_go)

    def _let_go(self) -> None:
        held, self._held = self._held, []
        if self.sessionhandler is not None and self.sessionhandler.get(getattr(self, "sessid", None)) is self:
            self.sessionhandler.data_in(self, uniwizard_burst=[held, {"whole": self.whole_bursts}])

    def send_uniwizard_writing(self, *args: Any, **kwargs: Any) -> None:
        """The server says whether its player writes on a page."""
        self._writing = bool(args and args[0])


class GatheringTelnet(Gathering, _Telnet):
    """Telnet, as the game has it."""


class GatheringWebSocket(Gathering, _WebSocket):
    """The web client's socket, as the game has it; its box sends its lines one after the other."""

    whole_bursts = True


def _text(session: Any, kwargs: dict[str, Any]) -> str | None:
    """The line in what was sent; None where it is something else."""
    if set(kwargs) - {"options"} != {"text"}:
        return None
    text = kwargs["text"]
    while isinstance(text, list | tuple):
        text = text[0] if text else None
    if isinstance(text, bytes):
        try:
            return text.decode(session.protocol_flags.get("ENCODING") or "utf-8")
        except (UnicodeDecodeError, LookupError):
            return None
    return text if isinstance(text, str) else None
