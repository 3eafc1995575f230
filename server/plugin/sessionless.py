"""Commands that Evennia executes without a session find the session's cmdset, too.

``Object.execute_cmd`` and ``Account.execute_cmd`` may be called without one: the pager does so with whatever ends it,
and so do ``force`` and a game's scripts. Evennia then merges no session's cmdset, and ours stands there. A caller who
is connected gets that of the latest session; the command itself still runs without a session, as its caller meant it.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from evennia.commands import cmdhandler

_MARK = "_uniwizard"


def install() -> None:
    """Let Evennia's command handler look at the latest session's cmdset; safe to repeat."""
    found = cmdhandler.generate_cmdset_providers
    if hasattr(found, _MARK):
        return

    @wraps(found)
    def providers(called_by: Any, session: Any = None) -> Any:
        return found(called_by, session=session or _latest_session(called_by))

    setattr(providers, _MARK, True)
    cmdhandler.generate_cmdset_providers = providers


def _latest_session(caller: Any) -> Any:
    """The session that ``caller`` came with last; None for whoever has none, and for a session itself."""
    sessions = getattr(caller, "sessions", None)
    connected = sessions.all() if sessions is not None else ()
    return connected[-1] if connected else None
