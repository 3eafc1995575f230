"""What players type, let in at a pace: thoughts wait for a turn of the reactor each, everything else goes first.

Evennia takes a packet of commands in one turn, and merging a command set takes milliseconds; so a hundred players who
begin to think at the same moment would keep everybody else waiting. ``uniwizard.server.plugin.settings`` puts this
module behind the game's own; Evennia calls the functions in it by their names.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.utils.utils import callables_from_module as _callables_from_module

from uniwizard.world.pacing import Pace as _Pace
from uniwizard.world.reactor import reactor as _reactor

#: The commands that can wait a moment; an answer takes longer anyhow.
_PATIENT = ("think",)

#: Lines of a burst that somebody may send who is not in the game yet.
_UNKNOWN = 20

_pace = _Pace(_reactor)
#: How many lines of each session wait; what it types next must not overtake them.
_waiting: dict[Any, int] = {}


def _games_own() -> Any:
    """The ``text`` of the module that would be asked if this one were not there."""
    found: Any = None
    for module in settings.INPUT_FUNC_MODULES:
        if module != __name__:
            found = _callables_from_module(module).get("text", found)
    return found


_text = _games_own()


def text(session: Any, *args: Any, **kwargs: Any) -> None:
    """Take a line that ``session`` has typed."""
    typed = args[0].lstrip().lower() if args and isinstance(args[0], str) else ""
    if session not in _waiting and not typed.startswith(_PATIENT):
        _text(session, *args, **kwargs)
        return
    _waiting[session] = _waiting.get(session, 0) + 1
    _pace(lambda: _enter(session, args, kwargs))


def _enter(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    _left(session)
    _text(session, *args, **kwargs)


def _left(session: Any) -> None:
    _waiting[session] -= 1
    if not _waiting[session]:
        del _waiting[session]


def uniwizard_burst(session: Any, *lines: Any, **options: Any) -> None:
    """Take lines that belong together (:mod:`uniwizard.server.plugin.bursts`), in their turn."""
    texts = [line for line in lines if isinstance(line, str)]
    session.update_session_counters()
    _waiting[session] = _waiting.get(session, 0) + 1
    _pace(lambda: _enter_burst(session, texts, bool(options.get("whole"))))


def _enter_burst(session: Any, lines: list[str], whole: bool) -> None:
    from uniwizard.commands.writing import burst

    _left(session)
    if session.puppet is not None:
        burst(session.puppet, session, lines, whole=whole)
    else:
        for line in lines[:_UNKNOWN]:
            _text(session, line)
