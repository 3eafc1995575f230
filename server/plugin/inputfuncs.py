"""What the portal sends to the server besides single lines; Evennia finds these functions by their names."""

from __future__ import annotations

from typing import Any


def uniwizard_burst(session: Any, *lines: Any, **options: Any) -> None:
    """Lines that belong together (:mod:`uniwizard.server.plugin.bursts`), of a player who is in the game or is not yet."""
    from evennia.server import inputfuncs

    from uniwizard.commands.writing import burst

    texts = [text for text in lines if isinstance(text, str)]
    session.update_session_counters()
    if session.puppet is not None:
        burst(session.puppet, session, texts, whole=bool(options.get("whole")))
    else:
        for text in texts[:20]:
            inputfuncs.text(session, text)
